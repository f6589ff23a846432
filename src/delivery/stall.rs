//! Whether the group progresses: what stands still, what is to be asked of the brokers to find
//! out why, and whether the consumer hangs.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::question::Question;
use crate::{
    engine::{Hold, WaitsFor},
    kafka::{AtPosition, Health},
    model::{Epoch, Offset, TopicPartition},
};

/// How often the group is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// How often the depth of dead-letter topics is asked for: it changes seldom, and
/// costs a request for each partition.
const DEPTHS_EVERY: Duration = Duration::from_secs(30);

/// How often the ends are asked for: one request for each leader.
const ENDS_EVERY: Duration = Duration::from_secs(5);

/// Quiet partitions that are looked at together: one request for each of their leaders, and a
/// fresh client that may read each of them.
const LOOKED_AT: usize = 64;

/// A partition as it is when the group is looked at.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) at: TopicPartition,
    pub(super) epoch: Epoch,
    pub(super) commit_point: Offset,
    pub(super) position: Offset,
    pub(super) is_reading: bool,
    /// Records that were received and are not finished.
    pub(super) unfinished: usize,
    /// Records that were received and are not committed.
    pub(super) uncommitted: usize,
    /// What the commit point waits for.
    pub(super) hold: Option<Hold>,
}

/// A partition from which nothing came for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quiet {
    pub(super) at: TopicPartition,
    pub(super) epoch: Epoch,
    pub(super) position: Offset,
}

/// What stands at the position of a quiet partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// What a fresh client found there.
    Found(AtPosition),
    /// A transaction that is open: nothing comes before it ends.
    OpenTransaction,
}

/// What a partition that stands still waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// What its record waits for.
    Record(WaitsFor),
    /// All is finished, and the broker has not confirmed a commit of it.
    Confirmation,
}

/// A partition that stands still, to be reported now.
#[derive(Clone, Debug)]
pub(super) struct Standstill<'a> {
    pub(super) partition: &'a Partition,
    pub(super) held: Duration,
    pub(super) awaited: Awaited,
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Look<'a> {
    pub(super) standstills: Vec<Standstill<'a>>,
    /// Find out whether these hold records that never came, then [`Stall::looked`].
    pub(super) quiet: Vec<Quiet>,
    /// Find out whether a broker answers a fresh client, then [`Stall::join_answered`].
    pub(super) ask_whether_a_broker_answers: bool,
    /// Ask for the ends of these, then [`Stall::ends_came`].
    pub(super) ask_for_ends: Vec<TopicPartition>,
    /// Ask for the depth of dead-letter topics, then [`Stall::depths_came`].
    pub(super) ask_for_depths: bool,
}

/// What was seen of the group, and when.
#[derive(Debug)]
pub(super) struct Stall {
    /// The setting `stallTimeout`.
    patience: Duration,
    next: Instant,
    seen: HashMap<TopicPartition, Seen>,
    health: Health,
    /// A fresh client looks whether this one hangs.
    looking: bool,
    /// Since when the group has waited for an assignment.
    joining: Option<Instant>,
    /// A broker answered a fresh client since then.
    answered: bool,
    /// Topics with a partition that stands still.
    stalled: BTreeSet<Arc<str>>,
    depths: HashMap<Arc<str>, u64>,
    depths_asked: Question,
    /// Ends of partitions from which nothing is fetched, as the broker told.
    ends: HashMap<TopicPartition, Offset>,
    ends_asked: Question,
}

/// What was seen of a partition.
#[derive(Debug)]
struct Seen {
    commit_point: Offset,
    committed: Instant,
    position: Offset,
    received: Instant,
    told: Option<Instant>,
    /// Since when all is finished, and the broker has not confirmed a commit of it.
    unconfirmed: Option<Instant>,
    /// Its next record is one of a transaction that is open.
    in_transaction: bool,
}

impl Stall {
    pub(super) fn new(patience: Duration, now: Instant) -> Self {
        Self {
            patience,
            next: now + EVERY,
            seen: HashMap::new(),
            health: Health::new(patience),
            looking: false,
            joining: None,
            answered: false,
            stalled: BTreeSet::new(),
            depths: HashMap::new(),
            depths_asked: Question::new(DEPTHS_EVERY, now),
            ends: HashMap::new(),
            ends_asked: Question::new(ENDS_EVERY, now),
        }
    }

    /// When [`Stall::look`] is due.
    pub(super) fn due(&self) -> Instant {
        self.next
    }

    /// Whether a new consumer may be made: the last one was made long enough ago.
    pub(super) fn may_replace(&self, now: Instant) -> bool {
        self.health.may_make_anew(now)
    }

    /// A new consumer is made now.
    pub(super) fn replaced(&mut self, now: Instant) {
        self.health.made_anew(now);
    }

    /// The consumer is a new one.
    pub(super) fn start_over(&mut self) {
        self.looking = false;
        self.ends_asked.ended();
        self.depths_asked.ended();
        (self.joining, self.answered) = (None, false);
        self.seen.clear();
    }

    /// Whether a partition of this topic stands still.
    pub(super) fn is_stalled(&self, topic: &str) -> bool {
        self.stalled.contains(topic)
    }

    /// How many records stand in a topic's dead-letter topic, if that is known.
    pub(super) fn depth(&self, topic: &str) -> Option<u64> {
        self.depths.get(topic).copied()
    }

    /// A partition's end as a broker told, if it was asked for.
    pub(super) fn end(&self, at: &TopicPartition) -> Option<Offset> {
        self.ends.get(at).copied()
    }

    /// Looks at all partitions of the group; `joins` if it waits for an assignment.
    pub(super) fn look<'a>(
        &mut self,
        partitions: &'a [Partition],
        joins: bool,
        now: Instant,
    ) -> Look<'a> {
        self.next = now + EVERY;
        let ours: HashSet<_> = partitions.iter().map(|partition| &partition.at).collect();
        self.seen.retain(|at, _| ours.contains(at));
        self.ends.retain(|at, _| ours.contains(at));
        self.stalled.clear();
        let mut look = Look::default();
        for partition in partitions {
            self.look_at(partition, &mut look, now);
        }
        if self.waits_to_join(joins, now) >= self.patience && !self.looking && self.may_replace(now)
        {
            self.looking = true;
            look.ask_whether_a_broker_answers = true;
        }
        if self.looking {
            look.quiet.clear();
        }
        look.quiet.truncate(LOOKED_AT);
        self.looking |= !look.quiet.is_empty();
        for Quiet { at, .. } in &look.quiet {
            // Others have their turn before these are looked at again.
            if let Some(seen) = self.seen.get_mut(at) {
                seen.received = now;
            }
        }
        // While nothing is fetched nothing is heard of what is published.
        let mut unread = partitions.iter().filter(|it| !it.is_reading).peekable();
        if self.ends_asked.is_due(now) && unread.peek().is_some() {
            self.ends_asked.asked(now);
            look.ask_for_ends = unread.map(|it| it.at.clone()).collect();
        }
        look.ask_for_depths = self.depths_asked.is_due(now);
        look
    }

    fn look_at<'a>(&mut self, partition: &'a Partition, look: &mut Look<'a>, now: Instant) {
        let (still, silent) = self.observe(partition, now);
        let mut stands_still = None;
        if let Some(hold) = &partition.hold {
            // What came a moment ago holds nothing up, however quiet it was before.
            let held = still.min(now - hold.since);
            stands_still = Some((held, Awaited::Record(hold.waits_for)));
        } else if let Some(held) = self.unconfirmed(partition, now) {
            stands_still = Some((held, Awaited::Confirmation));
        }
        // An app that always takes long does not stand still.
        let takes = partition.hold.as_ref().map(|hold| hold.takes * 2);
        let patience = self.patience.max(takes.unwrap_or_default());
        if let Some((held, awaited)) = stands_still.filter(|(held, _)| *held >= patience) {
            self.stalled.insert(partition.at.topic.clone());
            if self.is_due_for_report(&partition.at, now) {
                look.standstills.push(Standstill {
                    partition,
                    held,
                    awaited,
                });
            }
        }
        if partition.hold.is_none() && silent >= self.patience && partition.is_reading {
            look.quiet.push(Quiet {
                at: partition.at.clone(),
                epoch: partition.epoch,
                position: partition.position,
            });
        }
    }

    /// Takes in how far a partition is; returns for how long its commit point, and
    /// its position, have stood still.
    fn observe(&mut self, partition: &Partition, now: Instant) -> (Duration, Duration) {
        let (commit_point, position) = (partition.commit_point, partition.position);
        let seen = self.seen.entry(partition.at.clone()).or_insert(Seen {
            commit_point,
            committed: now,
            position,
            received: now,
            told: None,
            unconfirmed: None,
            in_transaction: false,
        });
        if seen.commit_point != commit_point {
            (seen.commit_point, seen.committed, seen.told) = (commit_point, now, None);
        }
        if seen.position != position {
            (seen.position, seen.received) = (position, now);
            seen.in_transaction = false;
            self.health.succeeded();
        }
        if !partition.is_reading {
            // Nothing can come.
            seen.received = now;
        }
        let is_due = partition.unfinished == 0 && partition.uncommitted > 0;
        if is_due {
            seen.unconfirmed.get_or_insert(now);
        } else {
            seen.unconfirmed = None;
        }
        (now - seen.committed, now - seen.received)
    }

    /// For how long commits of a partition have failed of which all is finished.
    fn unconfirmed(&self, partition: &Partition, now: Instant) -> Option<Duration> {
        Some(now - self.seen.get(&partition.at)?.unconfirmed?)
    }

    /// Whether a partition's standstill is reported now: once per `patience`.
    fn is_due_for_report(&mut self, at: &TopicPartition, now: Instant) -> bool {
        let Some(seen) = self.seen.get_mut(at) else {
            return false;
        };
        let again = seen.told.is_none_or(|told| now - told >= self.patience);
        if again {
            seen.told = Some(now);
        }
        again
    }

    /// For how long the group has waited for an assignment, given whether it does.
    fn waits_to_join(&mut self, joins: bool, now: Instant) -> Duration {
        if !joins {
            (self.joining, self.answered) = (None, false);
            return Duration::ZERO;
        }
        now - *self.joining.get_or_insert(now)
    }

    /// Quiet partitions were looked at.
    pub(super) fn looked(&mut self, found: &[(Quiet, Stands)]) {
        self.looking = false;
        for (quiet, stands) in found {
            if let Some(seen) = self.seen.get_mut(&quiet.at) {
                let is_open = *stands == Stands::OpenTransaction;
                seen.in_transaction = is_open && seen.position == quiet.position;
            }
        }
    }

    /// How many partitions of each topic wait for a transaction that has been open for
    /// `stallTimeout`.
    pub(super) fn open_transactions(&self) -> HashMap<&Arc<str>, usize> {
        let mut topics = HashMap::new();
        for (at, _) in self.seen.iter().filter(|(_, seen)| seen.in_transaction) {
            *topics.entry(&at.topic).or_default() += 1;
        }
        topics
    }

    /// Whether a partition waits for a transaction.
    pub(super) fn is_in_transaction(&self, at: &TopicPartition) -> bool {
        self.seen.get(at).is_some_and(|seen| seen.in_transaction)
    }

    /// Why the consumer is to be replaced, if it misses what stands there.
    pub(super) fn misses(&self, quiet: &Quiet, stands: Stands) -> Option<String> {
        let (at, patience, position) = (&quiet.at, self.patience, quiet.position);
        let finds = match stands {
            Stands::Found(AtPosition::Record) => {
                format!("gets the record at offset {position} or a later one")
            }
            Stands::Found(AtPosition::BeginsAfter) => {
                format!("finds that it begins after offset {position}")
            }
            Stands::Found(AtPosition::EndsBefore) => {
                format!("finds that it ends before offset {position}")
            }
            Stands::Found(AtPosition::NoRecordBefore(_)) | Stands::OpenTransaction => return None,
        };
        Some(format!(
            "nothing came from {at} for {patience:?}, and a fresh connection {finds}"
        ))
    }

    /// Takes in whether a broker answers a fresh client while no assignment comes: librdkafka
    /// gives a join that hangs on a connection minutes. Returns why the consumer is to be
    /// replaced, once brokers have answered all the time that is looked at: brokers that have come
    /// back are given as long again, since a join takes a while, and a new consumer would begin it
    /// anew.
    pub(super) fn join_answered(&mut self, answers: bool, now: Instant) -> Option<String> {
        self.looking = false;
        let hangs = answers && self.answered;
        self.answered = answers;
        self.joining = Some(now);
        let patience = self.patience;
        hangs.then(|| {
            format!(
                "it was given no assignment for {patience:?}, and a fresh connection gets an answer"
            )
        })
    }

    /// The ends that were asked for, because of [`Look::ask_for_ends`] or not.
    pub(super) fn ends_came(&mut self, asked_by_look: bool, ends: Vec<(TopicPartition, Offset)>) {
        if asked_by_look {
            self.ends_asked.ended();
        }
        self.ends.extend(ends);
    }

    /// The depths of these topics' dead-letter topics are asked for now, if there are any.
    pub(super) fn asks_for_depths(&mut self, topics: &HashMap<Arc<str>, Arc<str>>, now: Instant) {
        self.depths.retain(|topic, _| topics.contains_key(topic));
        if !topics.is_empty() {
            self.depths_asked.asked(now);
        }
    }

    /// The depths that were asked for; `None` if the call ended early.
    pub(super) fn depths_came(&mut self, depths: Option<HashMap<Arc<str>, u64>>) {
        self.depths_asked.ended();
        if let Some(depths) = depths {
            self.depths = depths;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Record;

    const PATIENCE: Duration = Duration::from_secs(60);
    const SECOND: Duration = Duration::from_secs(1);

    fn partition(commit_point: i64, position: i64) -> Partition {
        Partition {
            at: TopicPartition::new("orders", 0),
            epoch: Epoch(1),
            commit_point: Offset(commit_point),
            position: Offset(position),
            is_reading: true,
            unfinished: 0,
            uncommitted: 0,
            hold: None,
        }
    }

    /// A partition whose commit point waits for the app since then.
    fn held(commit_point: i64, position: i64, since: Instant) -> Partition {
        let partition = partition(commit_point, position);
        let record = Record {
            at: partition.at.clone(),
            offset: partition.commit_point,
            timestamp: None,
            appended: false,
            key: None,
            value: None,
            headers: Vec::new(),
        };
        Partition {
            unfinished: 1,
            uncommitted: 1,
            hold: Some(Hold {
                record: record.into(),
                since,
                waits_for: WaitsFor::Answer,
                takes: Duration::ZERO,
            }),
            ..partition
        }
    }

    fn stall() -> (Stall, Instant) {
        let now = Instant::now();
        (Stall::new(PATIENCE, now), now)
    }

    /// How long the only partition has stood still, if that is reported.
    fn told(stall: &mut Stall, partition: Partition, now: Instant) -> Option<Duration> {
        let partitions = [partition];
        let look = stall.look(&partitions, false, now);
        look.standstills.first().map(|it| it.held)
    }

    #[test]
    fn a_standstill_is_measured_from_the_last_move_and_told_once_per_patience() {
        let (mut stall, begun) = stall();
        assert_eq!(told(&mut stall, held(1, 5, begun), begun), None);
        let moved = begun + 30 * SECOND;
        assert_eq!(told(&mut stall, held(2, 6, begun), moved), None);
        let late = moved + PATIENCE;
        assert_eq!(told(&mut stall, held(2, 6, begun), late), Some(PATIENCE));
        assert!(stall.is_stalled("orders") && !stall.is_stalled("others"));
        assert_eq!(told(&mut stall, held(2, 6, begun), late + SECOND), None);
        let again = told(&mut stall, held(2, 6, begun), late + PATIENCE);
        assert_eq!(again, Some(2 * PATIENCE));
        assert_eq!(told(&mut stall, held(3, 6, begun), late + PATIENCE), None);
        assert!(!stall.is_stalled("orders"));
    }

    #[test]
    fn an_app_that_takes_long_stands_still_after_twice_as_long() {
        let (mut stall, begun) = stall();
        let slow = || {
            let mut partition = held(1, 5, begun);
            if let Some(hold) = &mut partition.hold {
                hold.takes = 90 * SECOND;
            }
            partition
        };
        told(&mut stall, slow(), begun);
        assert_eq!(told(&mut stall, slow(), begun + 179 * SECOND), None);
        let late = 180 * SECOND;
        assert_eq!(told(&mut stall, slow(), begun + late), Some(late));
    }

    #[test]
    fn what_came_a_moment_ago_holds_nothing_up() {
        let (mut stall, begun) = stall();
        told(&mut stall, partition(5, 5), begun);
        let received = begun + 2 * PATIENCE;
        let held = held(5, 6, received);
        assert_eq!(told(&mut stall, held, received + SECOND), None);
    }

    #[test]
    fn commits_that_fail_are_measured_from_when_all_was_finished() {
        let (mut stall, begun) = stall();
        let finished = || Partition {
            uncommitted: 4,
            ..partition(1, 5)
        };
        told(&mut stall, held(1, 5, begun), begun);
        let since = begun + 30 * SECOND;
        assert_eq!(told(&mut stall, finished(), since), None);
        assert_eq!(told(&mut stall, finished(), begun + PATIENCE), None);
        let late = since + PATIENCE;
        assert_eq!(told(&mut stall, finished(), late), Some(PATIENCE));
        assert_eq!(told(&mut stall, partition(5, 5), late), None);
        assert_eq!(told(&mut stall, finished(), late), None, "another commit");
    }

    #[test]
    fn quiet_partitions_are_looked_at_once_per_patience_a_few_at_a_time() {
        let (mut stall, begun) = stall();
        let partitions: Vec<_> = (0..80)
            .map(|number| Partition {
                at: TopicPartition::new("orders", number),
                ..partition(5, 5)
            })
            .collect();
        assert_eq!(stall.look(&partitions, false, begun).quiet, []);
        let late = begun + PATIENCE;
        let first = stall.look(&partitions, false, late).quiet;
        assert_eq!(first.len(), LOOKED_AT);
        let next = late + SECOND;
        assert_eq!(stall.look(&partitions, false, next).quiet, [], "under way");
        stall.looked(&[]);
        let second = stall.look(&partitions, false, next).quiet;
        assert_eq!(second.len(), 80 - LOOKED_AT);
        assert!(second.iter().all(|quiet| !first.contains(quiet)));
        stall.looked(&[]);
        assert_eq!(stall.look(&partitions, false, next).quiet, [], "too soon");
    }

    #[test]
    fn a_partition_waits_for_a_transaction_until_its_position_moves() {
        let (mut stall, begun) = stall();
        stall.look(&[partition(5, 5)], false, begun);
        let partitions = [partition(5, 5)];
        let quiet = stall.look(&partitions, false, begun + PATIENCE).quiet;
        let open = [(quiet[0].clone(), Stands::OpenTransaction)];
        assert_eq!(stall.misses(&open[0].0, open[0].1), None);
        stall.looked(&open);
        assert_eq!(stall.open_transactions().len(), 1);
        stall.look(&[partition(6, 6)], false, begun + PATIENCE);
        assert_eq!(stall.open_transactions().len(), 0, "it has ended");
        stall.looked(&open);
        assert_eq!(stall.open_transactions().len(), 0, "that is over");
    }

    #[test]
    fn a_partition_that_is_not_read_or_holds_a_record_is_not_quiet() {
        let (mut stall, begun) = stall();
        let paused = || Partition {
            is_reading: false,
            ..partition(5, 5)
        };
        let held = || held(5, 6, begun);
        for quiet in [&paused as &dyn Fn() -> Partition, &held] {
            stall.start_over();
            stall.look(&[quiet()], false, begun);
            let partitions = [quiet()];
            let look = stall.look(&partitions, false, begun + PATIENCE);
            assert_eq!(look.quiet, []);
        }
        let look = [paused()];
        let look = stall.look(&look, false, begun + 2 * PATIENCE);
        assert_eq!(look.ask_for_ends, [TopicPartition::new("orders", 0)]);
    }

    #[test]
    fn a_join_hangs_only_while_brokers_answer() {
        let (mut stall, begun) = stall();
        let mut now = begun;
        let asks = |stall: &mut Stall, now| stall.look(&[], true, now).ask_whether_a_broker_answers;
        assert!(!asks(&mut stall, now), "it has just begun");
        for (answers, hangs) in [
            // They are away; they came back; they have been there for long.
            (false, false),
            (true, false),
            (true, true),
        ] {
            now += PATIENCE;
            assert!(asks(&mut stall, now));
            assert!(!asks(&mut stall, now + SECOND), "it is under way");
            assert_eq!(stall.join_answered(answers, now).is_some(), hangs);
            assert!(!asks(&mut stall, now));
        }
        stall.look(&[], false, now);
        now += PATIENCE;
        assert!(!asks(&mut stall, now), "another join");
        assert_eq!(stall.join_answered(true, now), None);
    }

    #[test]
    fn no_consumer_is_suspected_soon_after_another_was_made() {
        let (mut stall, begun) = stall();
        stall.look(&[], true, begun);
        let late = begun + PATIENCE;
        stall.replaced(late);
        assert!(!stall.may_replace(late));
        assert!(!stall.look(&[], true, late).ask_whether_a_broker_answers);
    }

    #[test]
    fn depths_are_kept_of_topics_that_have_dead_letter_topics() {
        let (mut stall, now) = stall();
        let topics = HashMap::from([("orders".into(), "orders.dlq".into())]);
        assert!(stall.look(&[], false, now).ask_for_depths);
        stall.asks_for_depths(&topics, now);
        assert!(!stall.look(&[], false, now).ask_for_depths);
        stall.depths_came(Some(HashMap::from([("orders".into(), 3)])));
        assert_eq!(stall.depth("orders"), Some(3));
        stall.depths_came(None);
        assert_eq!(stall.depth("orders"), Some(3), "the last that is known");
        stall.asks_for_depths(&HashMap::new(), now);
        assert_eq!(stall.depth("orders"), None);
    }
}
