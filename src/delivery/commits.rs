//! Offsets on their way to the broker.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::model::TopicPartition;

/// How long finished records gather before they are committed: one request for many
/// acks, and little to deliver again after a crash.
const GATHER: Duration = Duration::from_millis(200);

/// How much longer for each partition of the last commit: a commit costs librdkafka and the
/// brokers a record for each partition, and 1,000 partitions have enough with one in 1.2 s.
const GATHER_PER_PARTITION: Duration = Duration::from_millis(1);

/// How long to wait after a commit that failed: at first, and at the most. The longest is what a
/// permission that was granted waits for.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));

/// A commit that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BatchId(u64);

/// Partitions to commit at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) id: BatchId,
    pub(super) partitions: BTreeSet<TopicPartition>,
}

/// The partitions in which something is to be committed, and when.
///
/// All topics are committed together. A topic that was refused while others were not, because of
/// a missing permission for example, is committed alone until it succeeds: Kafka's clients know
/// only whether a commit succeeded as a whole.
#[derive(Debug, Default)]
pub(super) struct Commits {
    together: Together,
    alone: BTreeMap<Arc<str>, Alone>,
    /// Each commit that is inside librdkafka, and the topic if it is of one topic alone. The next
    /// of the same partitions waits until it has left: the older could come last.
    under_way: BTreeMap<BatchId, Option<Arc<str>>>,
    last: u64,
}

/// Topics that are committed together.
#[derive(Debug, Default)]
struct Together {
    pending: BTreeSet<TopicPartition>,
    due: Option<Instant>,
    /// Partitions of the last commit.
    last: u32,
}

/// A topic that is committed alone.
#[derive(Debug)]
struct Alone {
    pending: BTreeSet<TopicPartition>,
    due: Instant,
    delay: Duration,
}

impl Commits {
    /// Something of a partition is to be committed.
    pub(super) fn add(&mut self, at: TopicPartition, now: Instant) {
        if let Some(alone) = self.alone.get_mut(&at.topic) {
            alone.pending.insert(at);
            return;
        }
        let Together { pending, due, last } = &mut self.together;
        pending.insert(at);
        due.get_or_insert(now + GATHER + GATHER_PER_PARTITION * *last);
    }

    /// Whether a commit is inside librdkafka.
    pub(super) fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// When [`Commits::take`] has something.
    pub(super) fn due(&self) -> Option<Instant> {
        let together = self.together.due.filter(|_| self.may_commit(None));
        let alone = self.alone.iter();
        let alone = alone
            .filter(|(topic, alone)| !alone.pending.is_empty() && self.may_commit(Some(topic)));
        together
            .into_iter()
            .chain(alone.map(|(_, alone)| alone.due))
            .min()
    }

    /// What to commit now: each batch as a call of its own, followed by [`Commits::ended`] and
    /// [`Commits::left`].
    pub(super) fn take(&mut self, now: Instant) -> Vec<Batch> {
        let mut batches = Vec::new();
        if self.together.due.is_some_and(|due| due <= now) && self.may_commit(None) {
            let partitions = std::mem::take(&mut self.together.pending);
            self.together.due = None;
            self.together.last = u32::try_from(partitions.len()).unwrap_or(u32::MAX);
            batches.push(self.begin(None, partitions));
        }
        let due = self.alone.iter().filter(|(topic, alone)| {
            !alone.pending.is_empty() && alone.due <= now && self.may_commit(Some(topic))
        });
        let due: Vec<_> = due.map(|(topic, _)| topic.clone()).collect();
        for topic in due {
            if let Some(alone) = self.alone.get_mut(&topic) {
                let partitions = std::mem::take(&mut alone.pending);
                batches.push(self.begin(Some(topic), partitions));
            }
        }
        batches
    }

    /// Whether nothing of the same partitions is inside librdkafka.
    fn may_commit(&self, topic: Option<&Arc<str>>) -> bool {
        let mut under_way = self.under_way.values();
        !under_way.any(|other| other.as_ref() == topic || other.is_none() && topic.is_some())
    }

    fn begin(&mut self, topic: Option<Arc<str>>, partitions: BTreeSet<TopicPartition>) -> Batch {
        self.last += 1;
        let id = BatchId(self.last);
        self.under_way.insert(id, topic);
        Batch { id, partitions }
    }

    /// A commit ended, as far as we wait for it: what failed, of partitions that are still ours,
    /// and whether anything succeeded.
    pub(super) fn ended(
        &mut self,
        batch: BatchId,
        failed: Vec<TopicPartition>,
        some_succeeded: bool,
        now: Instant,
    ) {
        let (first, longest) = TRY_AGAIN;
        let topic = self.under_way.get(&batch).cloned().flatten();
        if let Some(topic) = topic {
            let Some(alone) = self.alone.get_mut(&topic) else {
                return;
            };
            if !failed.is_empty() || !some_succeeded {
                alone.pending.extend(failed);
                alone.due = now + alone.delay;
                alone.delay = (alone.delay * 2).min(longest);
            } else if let Some(alone) = self.alone.remove(&topic) {
                for at in alone.pending {
                    self.add(at, now);
                }
            }
            return;
        }
        if failed.is_empty() {
            return;
        }
        if !some_succeeded {
            self.together.pending.extend(failed);
            self.together.due = Some(now + first);
            return;
        }
        for at in failed {
            let alone = self.alone.entry(at.topic.clone()).or_insert_with(|| Alone {
                pending: BTreeSet::new(),
                due: now + first,
                delay: first * 2,
            });
            alone.pending.insert(at);
        }
        for at in std::mem::take(&mut self.together.pending) {
            let pending = match self.alone.get_mut(&at.topic) {
                Some(alone) => &mut alone.pending,
                None => &mut self.together.pending,
            };
            pending.insert(at);
        }
        self.nothing_to_do();
    }

    /// A commit has left librdkafka.
    pub(super) fn left(&mut self, batch: BatchId) {
        self.under_way.remove(&batch);
    }

    /// The partition is not ours any more.
    pub(super) fn forget(&mut self, at: &TopicPartition) {
        self.together.pending.remove(at);
        if let Some(alone) = self.alone.get_mut(&at.topic) {
            alone.pending.remove(at);
        }
        self.nothing_to_do();
    }

    fn nothing_to_do(&mut self) {
        if self.together.pending.is_empty() {
            self.together.due = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition::new("orders", partition)
    }

    fn forbidden() -> TopicPartition {
        TopicPartition::new("forbidden", 0)
    }

    /// What is committed now: one batch.
    fn one(commits: &mut Commits, now: Instant) -> (BatchId, Vec<TopicPartition>) {
        let mut batches = commits.take(now);
        assert_eq!(batches.len(), 1, "{batches:?}");
        let Batch { id, partitions } = batches.remove(0);
        (id, partitions.into_iter().collect())
    }

    #[test]
    fn finished_records_gather_and_the_next_commit_waits_until_the_last_has_left() {
        let now = Instant::now();
        let mut commits = Commits::default();
        assert_eq!(commits.due(), None);
        commits.add(at(0), now);
        commits.add(at(0), now + GATHER / 2);
        assert_eq!(commits.due(), Some(now + GATHER));
        assert_eq!(commits.take(now), [], "too soon");
        let (id, partitions) = one(&mut commits, now + GATHER);
        assert_eq!(partitions, [at(0)]);

        commits.add(at(0), now + GATHER);
        assert_eq!(commits.due(), None, "the first is under way");
        commits.ended(id, vec![], true, now + GATHER);
        assert!(commits.due().is_none() && commits.is_under_way());
        commits.left(id);
        assert!(commits.due().is_some() && !commits.is_under_way());
    }

    #[test]
    fn many_partitions_are_committed_less_often() {
        let now = Instant::now();
        let mut commits = Commits::default();
        for partition in 0..1000 {
            commits.add(at(partition), now);
        }
        let (id, _) = one(&mut commits, now + GATHER);
        commits.ended(id, vec![], true, now);
        commits.left(id);
        commits.add(at(0), now);
        assert_eq!(commits.due(), Some(now + Duration::from_millis(1200)));
    }

    #[test]
    fn when_all_was_forgotten_nothing_is_due() {
        let now = Instant::now();
        let mut commits = Commits::default();
        commits.add(at(0), now);
        commits.forget(&at(0));
        assert_eq!(commits.due(), None);
    }

    #[test]
    fn what_failed_is_tried_again_unless_it_is_gone() {
        let now = Instant::now();
        let mut commits = Commits::default();
        commits.add(at(0), now);
        commits.add(at(1), now);
        let (id, partitions) = one(&mut commits, now + GATHER);
        commits.ended(id, partitions, false, now);
        commits.left(id);
        assert_eq!(commits.due(), Some(now + TRY_AGAIN.0));
        commits.forget(&at(1));
        assert_eq!(one(&mut commits, now + TRY_AGAIN.0).1, [at(0)]);
    }

    #[test]
    fn a_topic_that_is_refused_is_committed_alone_until_it_succeeds() {
        let mut now = Instant::now();
        let mut commits = Commits::default();
        commits.add(at(0), now);
        commits.add(forbidden(), now);
        let (id, _) = one(&mut commits, now + GATHER);
        commits.ended(id, vec![forbidden()], true, now);
        commits.left(id);
        // The others go on as before.
        for _ in 0..5 {
            commits.add(at(0), now);
            commits.add(forbidden(), now);
            assert_eq!(
                commits.due(),
                Some(now + GATHER + GATHER_PER_PARTITION * 2).min(commits.due())
            );
            now += GATHER * 2;
            let (id, partitions) = one(&mut commits, now);
            assert_eq!(partitions, [at(0)]);
            commits.ended(id, vec![], true, now);
            commits.left(id);
        }
        // The refused one is tried more and more seldom.
        let mut waits = Vec::new();
        for _ in 0..5 {
            let due = commits.due().expect("it is tried again");
            waits.push(due - now);
            now = due;
            let (id, partitions) = one(&mut commits, now);
            assert_eq!(partitions, [forbidden()]);
            commits.ended(id, partitions, false, now);
            commits.left(id);
        }
        assert!(waits.is_sorted(), "{waits:?}");
        assert_eq!(waits[4], TRY_AGAIN.1);
        // Its permission is back.
        now += TRY_AGAIN.1;
        let (id, partitions) = one(&mut commits, now);
        assert_eq!(partitions, [forbidden()]);
        commits.add(forbidden(), now);
        commits.ended(id, vec![], true, now);
        commits.left(id);
        commits.add(at(0), now);
        let both = one(&mut commits, now + GATHER * 2).1;
        assert_eq!(both, [forbidden(), at(0)]);
    }

    #[test]
    fn a_commit_alone_that_hangs_holds_up_no_other_topic() {
        let now = Instant::now();
        let mut commits = Commits::default();
        commits.add(at(0), now);
        commits.add(forbidden(), now);
        let (id, _) = one(&mut commits, now + GATHER);
        commits.ended(id, vec![forbidden()], true, now);
        commits.left(id);
        let later = now + TRY_AGAIN.0;
        assert_eq!(one(&mut commits, later).1, [forbidden()]);
        commits.add(at(0), later);
        assert_eq!(one(&mut commits, later + GATHER * 2).1, [at(0)]);
    }
}
