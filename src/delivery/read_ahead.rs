//! Which partitions librdkafka fetches, so that what it has read ahead fits into memory.
//!
//! librdkafka bounds what a fetch brings as it is stored, and inflates it at once: a fetch of
//! compressed records takes many times its size, for each partition. So partitions with a backlog
//! take turns where they do not fit together. A partition without a backlog costs nothing and is
//! always fetched.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use crate::model::TopicPartition;

/// How often is looked at what was read ahead. Within this time a partition is filled once at the
/// most: librdkafka fetches it again when few records are left.
pub(super) const EVERY: Duration = Duration::from_millis(100);

/// How often, while all partitions fit together whatever their fetches bring.
const SELDOM: Duration = Duration::from_secs(1);

/// How soon is looked at a partition that is wanted again.
const SOON: Duration = Duration::from_millis(10);

/// How long a partition's turn takes at least: what is left of a fetch is thrown away when it
/// ends.
const TURN: Duration = Duration::from_secs(1);

/// What a record takes beside its key, value and headers: librdkafka's operation for it (304 bytes
/// in 2.12), the allocator's share, and its part of the batch.
const RECORD: usize = 400;

/// A record's size before one was seen.
const UNSEEN_RECORD: usize = 1024;

/// How much the first fetch of a topic may take, in multiples of what is fetched: records of some
/// 300 bytes that were compressed to a twentieth take forty times as much. Later ones are measured.
const FIRST_FETCH: usize = 40;

/// How long a partition that alone does not fit is not told again.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// A partition as it is now.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) at: TopicPartition,
    /// Records that librdkafka has read and nobody has taken.
    pub(super) queued: usize,
    /// The size of its last records, in bytes, if there were any.
    pub(super) record: Option<usize>,
    /// Whether the engine takes its records now.
    pub(super) wanted: bool,
    /// Records on the broker beyond those that are queued, if that is known.
    pub(super) left: Option<u64>,
}

/// What to do, in this order, and what to tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Tell librdkafka to stop fetching these; it drops what they have read ahead.
    pub(super) pause: Vec<TopicPartition>,
    /// Tell librdkafka to fetch these again.
    pub(super) resume: Vec<TopicPartition>,
    /// A partition that alone has read more than fits, with how much: told once a minute.
    pub(super) too_large: Option<(TopicPartition, usize)>,
    /// How many bytes have been read ahead, as far as that can be seen.
    pub(super) has: usize,
    /// How many bytes the partitions that are fetched take.
    pub(super) takes: usize,
    /// Partitions that wait for their turn.
    pub(super) waiting: usize,
}

/// What is fetched.
#[derive(Debug)]
pub(super) struct ReadAhead {
    /// The most that one fetch of a partition brings, as it is stored.
    fetch: usize,
    partitions: HashMap<TopicPartition, State>,
    /// What librdkafka was told not to fetch.
    paused: BTreeSet<TopicPartition>,
    next: Instant,
}

#[derive(Debug)]
struct State {
    fetches: bool,
    /// Since when it does, or does not.
    since: Instant,
    /// The size of its records.
    record: usize,
    /// The most that it has read ahead in this turn, and in the one before.
    most: Option<usize>,
    before: Option<usize>,
    told: Option<Instant>,
}

/// A partition while it is decided.
struct Candidate<'a> {
    queue: &'a Queue,
    since: Instant,
    fetches: bool,
    /// What it has read ahead, in bytes.
    has: usize,
    /// What it takes while it is fetched.
    takes: usize,
}

impl ReadAhead {
    pub(super) fn new(fetch: usize, now: Instant) -> Self {
        Self {
            fetch,
            partitions: HashMap::new(),
            paused: BTreeSet::new(),
            next: now,
        }
    }

    /// When [`ReadAhead::look`] is due, if there is anything to look at.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.partitions.is_empty()).then_some(self.next)
    }

    /// These partitions are ours; [`ReadAhead::look`] decides whether each is fetched.
    pub(super) fn assigned(
        &mut self,
        partitions: impl Iterator<Item = TopicPartition>,
        now: Instant,
    ) {
        for at in partitions {
            let state = State {
                fetches: false,
                since: now,
                record: UNSEEN_RECORD,
                most: None,
                before: None,
                told: None,
            };
            self.partitions.insert(at, state);
        }
        self.next = now;
    }

    /// The engine takes a partition's records again: that is looked at soon.
    pub(super) fn wanted(&mut self, at: &TopicPartition, now: Instant) {
        if self.paused.contains(at) {
            self.next = self.next.min(now + SOON);
        }
    }

    /// More is known of where partitions end: those without a backlog need not wait.
    pub(super) fn ends_came(&mut self, now: Instant) {
        if !self.paused.is_empty() {
            self.next = now;
        }
    }

    /// No partition is ours any more; returns those that librdkafka is to fetch when they are
    /// assigned again.
    pub(super) fn clear(&mut self) -> Vec<TopicPartition> {
        self.partitions.clear();
        std::mem::take(&mut self.paused).into_iter().collect()
    }

    /// The consumer is a new one.
    pub(super) fn start_over(&mut self) {
        self.clear();
    }

    /// Decides what is fetched, given all partitions that are ours and how many bytes they may
    /// read ahead together.
    pub(super) fn look(&mut self, queues: &[Queue], budget: usize, now: Instant) -> Changes {
        self.next = now + EVERY;
        let mut changes = Changes::default();
        let ours: HashSet<_> = queues.iter().map(|queue| &queue.at).collect();
        self.partitions.retain(|at, _| ours.contains(at));
        let mut of_topic = HashMap::new();
        for queue in queues {
            let Some(state) = self.partitions.get_mut(&queue.at) else {
                continue;
            };
            state.record = queue.record.unwrap_or(state.record);
            let has = queue.queued * (state.record + RECORD);
            if state.fetches && has > 0 {
                state.most = state.most.max(Some(has));
            }
            let most: &mut Option<usize> = of_topic.entry(&queue.at.topic).or_default();
            *most = (*most).max(state.most).max(state.before);
        }
        let mut candidates = Vec::new();
        // What all take together if each has a backlog.
        let mut largest = 0_usize;
        for queue in queues {
            let Some(state) = self.partitions.get(&queue.at) else {
                continue;
            };
            let has = queue.queued * (state.record + RECORD);
            let left = queue
                .left
                .map(|left| usize::try_from(left).unwrap_or(usize::MAX));
            let left = left.map_or(usize::MAX, |left| {
                left.saturating_mul(state.record + RECORD)
            });
            // Partitions of a topic have records of one kind.
            let most = state.most.max(state.before).or(of_topic[&queue.at.topic]);
            let most = most.unwrap_or(self.fetch * FIRST_FETCH);
            largest = largest.saturating_add(most);
            let brings = most.min(left);
            candidates.push(Candidate {
                queue,
                since: state.since,
                fetches: state.fetches,
                has,
                takes: brings.max(has),
            });
            changes.has += has;
        }
        if largest <= budget {
            self.next = now + SELDOM;
        }
        let (mut fetched, mut waiting): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|candidate| candidate.fetches);
        waiting.retain(|candidate| candidate.queue.wanted);
        waiting.sort_by_key(|candidate| candidate.since);
        // Those to pause first come last: the largest of those that the engine does not want.
        fetched.sort_by_key(|one| (one.has > 0, !one.queue.wanted, one.has));

        let mut has: usize = fetched.iter().map(|candidate| candidate.has).sum();
        let mut busy = fetched.iter().filter(|one| one.has > 0).count();
        while has > budget
            && busy > 1
            && let Some(last) = fetched.pop_if(|last| last.has > 0)
        {
            busy -= 1;
            has -= last.has;
            self.set(&last.queue.at, false, now);
        }
        if has > budget
            && let Some(last) = fetched.last()
        {
            changes.too_large = self.tell(&last.queue.at, last.has, now);
        }

        let mut takes: usize = fetched.iter().map(|candidate| candidate.takes).sum();
        // Of those that have had their turn, unwanted ones are paused first, then the one whose
        // turn began first.
        fetched.retain(|candidate| candidate.takes > 0);
        fetched.sort_by_key(|candidate| (candidate.queue.wanted, candidate.since));
        let mut fetched = fetched.into_iter().peekable();
        // Memory is left free for the partition that has waited longest.
        let mut is_short = false;
        for candidate in waiting {
            if is_short && candidate.takes > 0 {
                changes.waiting += 1;
                continue;
            }
            while takes.saturating_add(candidate.takes) > budget
                && let Some(done) = fetched.next_if(|done| now - done.since >= TURN)
            {
                takes -= done.takes;
                self.set(&done.queue.at, false, now);
            }
            if takes.saturating_add(candidate.takes) <= budget || takes == 0 {
                takes = takes.saturating_add(candidate.takes);
                self.set(&candidate.queue.at, true, now);
            } else {
                is_short = true;
                changes.waiting += 1;
            }
        }
        changes.takes = takes;
        self.tell_librdkafka(&mut changes);
        changes
    }

    fn set(&mut self, at: &TopicPartition, fetches: bool, now: Instant) {
        if let Some(state) = self.partitions.get_mut(at) {
            (state.fetches, state.since) = (fetches, now);
            if let Some(most) = state.most.take() {
                state.before = Some(most);
            }
        }
    }

    /// Whether a partition is fetched.
    pub(super) fn fetches(&self, at: &TopicPartition) -> bool {
        self.partitions.get(at).is_some_and(|state| state.fetches)
    }

    /// Pausing or resuming failed: the next look repeats these changes.
    pub(super) fn not_told(&mut self, changes: &Changes) {
        for at in &changes.pause {
            self.paused.remove(at);
        }
        self.paused.extend(changes.resume.iter().cloned());
    }

    fn tell_librdkafka(&mut self, changes: &mut Changes) {
        let paused = self.partitions.iter().filter(|(_, state)| !state.fetches);
        let paused: BTreeSet<_> = paused.map(|(at, _)| at.clone()).collect();
        changes.pause = paused.difference(&self.paused).cloned().collect();
        changes.resume = self.paused.difference(&paused).cloned().collect();
        self.paused = paused;
    }

    /// Whether a partition that does not fit is to be told now.
    fn tell(
        &mut self,
        at: &TopicPartition,
        bytes: usize,
        now: Instant,
    ) -> Option<(TopicPartition, usize)> {
        let state = self.partitions.get_mut(at)?;
        if state.told.is_some_and(|told| now - told < TELL_AGAIN) {
            return None;
        }
        state.told = Some(now);
        Some((at.clone(), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FETCH: usize = 128 * 1024;
    /// What the first fetch of a partition may take.
    const FIRST: usize = FETCH * FIRST_FETCH;

    fn at(number: usize) -> TopicPartition {
        TopicPartition::new("orders", i32::try_from(number).expect("a few"))
    }

    /// A partition with a backlog, of which so many records of 600 bytes are queued.
    fn backlog(number: usize, queued: usize) -> Queue {
        Queue {
            at: at(number),
            queued,
            record: Some(600),
            wanted: true,
            left: Some(1_000_000),
        }
    }

    /// Ours are so many partitions, all with a backlog.
    fn read_ahead(partitions: usize) -> (ReadAhead, Vec<Queue>, Instant) {
        let now = Instant::now();
        let mut read_ahead = ReadAhead::new(FETCH, now);
        read_ahead.assigned((0..partitions).map(at), now);
        let queues = (0..partitions).map(|number| backlog(number, 0));
        (read_ahead, queues.collect(), now)
    }

    #[test]
    fn what_fits_is_fetched_and_the_rest_waits() {
        let (mut read_ahead, queues, now) = read_ahead(5);
        let changes = read_ahead.look(&queues, 3 * FIRST, now);
        assert_eq!(changes.pause, [at(3), at(4)]);
        assert_eq!((changes.resume, changes.waiting), (vec![], 2));
        assert_eq!(changes.takes, 3 * FIRST);
        let again = read_ahead.look(&queues, 3 * FIRST, now + EVERY);
        assert_eq!((again.pause, again.resume), (vec![], vec![]), "no change");
    }

    #[test]
    fn a_fetch_that_took_little_leaves_room_for_others() {
        let (mut read_ahead, mut queues, now) = read_ahead(5);
        read_ahead.look(&queues, 3 * FIRST, now);
        for queue in &mut queues[..3] {
            queue.queued = 200;
        }
        let changes = read_ahead.look(&queues, 3 * FIRST, now + EVERY);
        assert_eq!(changes.resume, [at(3), at(4)]);
        assert_eq!(changes.has, 600 * (600 + RECORD));
    }

    #[test]
    fn a_partition_without_a_backlog_is_always_fetched() {
        let (mut read_ahead, mut queues, now) = read_ahead(1000);
        for queue in &mut queues[1..] {
            queue.left = Some(0);
        }
        let changes = read_ahead.look(&queues, FIRST, now);
        assert_eq!((changes.pause, changes.waiting), (vec![], 0));
    }

    #[test]
    fn partitions_with_a_backlog_take_turns() {
        let (mut read_ahead, queues, mut now) = read_ahead(5);
        let mut fetched = BTreeSet::new();
        for _ in 0..3 {
            read_ahead.look(&queues, 2 * FIRST, now);
            let paused = read_ahead.paused.clone();
            assert_eq!(paused.len(), 3);
            fetched.extend((0..5).map(at).filter(|at| !paused.contains(at)));
            let soon = read_ahead.look(&queues, 2 * FIRST, now + TURN / 2);
            assert_eq!(soon.pause, [], "each has its turn");
            now += TURN;
        }
        assert_eq!(fetched.len(), 5);
    }

    #[test]
    fn too_much_is_dropped_first_where_nobody_wants_it() {
        let (mut read_ahead, mut queues, now) = read_ahead(4);
        read_ahead.look(&queues, 4 * FIRST, now);
        for (number, queue) in queues.iter_mut().enumerate() {
            queue.queued = 1000 * (number + 1);
        }
        queues[0].wanted = false;
        // 10 million bytes in all.
        let changes = read_ahead.look(&queues, 7_000_000, now + EVERY);
        assert_eq!(changes.pause, [at(0), at(3)], "and then the largest");
        assert_eq!(changes.too_large, None);
    }

    #[test]
    fn one_partition_is_read_however_much_it_takes_and_that_is_told_once_a_minute() {
        let (mut read_ahead, mut queues, mut now) = read_ahead(1);
        let changes = read_ahead.look(&queues, 1, now);
        assert_eq!(changes.pause, []);
        queues[0].queued = 5000;
        let mut told = 0;
        for _ in 0..70 {
            now += TURN;
            let changes = read_ahead.look(&queues, 1, now);
            assert_eq!(changes.pause, []);
            told += usize::from(changes.too_large == Some((at(0), 5_000_000)));
        }
        assert_eq!(told, 2);
    }

    #[test]
    fn one_partition_that_does_not_fit_stays_beside_idle_ones() {
        let (mut read_ahead, mut queues, now) = read_ahead(3);
        queues[1].left = Some(0);
        queues[2].left = Some(0);
        read_ahead.look(&queues, FIRST, now);
        queues[0].queued = 50_000;
        let changes = read_ahead.look(&queues, FIRST, now + EVERY);
        assert_eq!(changes.pause, []);
        assert!(changes.too_large.is_some());
    }

    #[test]
    fn room_gathers_for_a_large_partition_that_waits() {
        let (mut read_ahead, mut queues, mut now) = read_ahead(9);
        let budget = 8_000_000;
        for queue in &mut queues {
            queue.left = Some(1000);
        }
        read_ahead.look(&queues[..8], budget, now);
        // The ninth needs most of the budget, and comes while others take turns.
        queues[8].left = Some(6000);
        read_ahead.assigned([at(8)].into_iter(), now);
        let mut turns = 0;
        while !read_ahead.fetches(&at(8)) {
            now += TURN;
            read_ahead.look(&queues, budget, now);
            turns += 1;
            assert!(turns < 10, "the large partition starves");
        }
    }

    #[test]
    fn what_librdkafka_was_not_told_is_told_again() {
        let (mut read_ahead, queues, now) = read_ahead(2);
        let changes = read_ahead.look(&queues, FIRST, now);
        assert_eq!(changes.pause, [at(1)]);
        read_ahead.not_told(&changes);
        let again = read_ahead.look(&queues, FIRST, now + EVERY);
        assert_eq!(again.pause, [at(1)]);
    }

    #[test]
    fn what_is_wanted_again_is_looked_at_soon_and_what_goes_is_fetched_when_it_comes_back() {
        let (mut read_ahead, queues, now) = read_ahead(2);
        read_ahead.look(&queues, FIRST, now);
        read_ahead.wanted(&at(0), now);
        assert_eq!(read_ahead.due(), Some(now + EVERY), "it is fetched");
        read_ahead.wanted(&at(1), now);
        assert_eq!(read_ahead.due(), Some(now + SOON));
        // The other partition is gone: the one that waited has its turn.
        let changes = read_ahead.look(&queues[1..], FIRST, now + SOON);
        assert_eq!(changes.resume, [at(1)]);
        assert_eq!(read_ahead.clear(), []);
        assert_eq!(read_ahead.due(), None);
    }
}
