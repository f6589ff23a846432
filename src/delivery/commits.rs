//! Offsets on their way to the broker.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::model::TopicPartition;

/// How long finished records gather before they are committed: one request for many
/// acks, and little to deliver again after a crash.
const GATHER: Duration = Duration::from_millis(200);

/// How long to wait after a commit that failed.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// The partitions in which something is to be committed, and when. One commit is under way
/// at a time.
#[derive(Debug, Default)]
pub(super) struct Commits {
    pending: BTreeSet<TopicPartition>,
    due: Option<Instant>,
    under_way: bool,
}

impl Commits {
    pub(super) fn add(&mut self, at: TopicPartition, now: Instant) {
        self.pending.insert(at);
        self.due.get_or_insert(now + GATHER);
    }

    /// Whether one is under way.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// When [`Commits::take`] has something.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
            .filter(|_| !self.under_way && !self.pending.is_empty())
    }

    /// Where to commit now; nothing else is due until that ended.
    pub(super) fn take(&mut self) -> BTreeSet<TopicPartition> {
        self.due = None;
        self.under_way = true;
        std::mem::take(&mut self.pending)
    }

    /// The commit under way ended; where it failed it is tried again.
    pub(super) fn ended(&mut self, failed: Vec<TopicPartition>, now: Instant) {
        self.under_way = false;
        if failed.is_empty() {
            return;
        }
        self.pending.extend(failed);
        self.due = Some(now + TRY_AGAIN);
    }

    /// The partition is not ours any more.
    pub(super) fn forget(&mut self, at: &TopicPartition) {
        self.pending.remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition::new("orders", partition)
    }

    #[test]
    fn finished_records_gather_and_one_commit_is_under_way_at_a_time() {
        let now = Instant::now();
        let mut commits = Commits::default();
        assert_eq!(commits.due(), None);
        commits.add(at(0), now);
        commits.add(at(0), now + GATHER / 2);
        assert_eq!(commits.due(), Some(now + GATHER));
        assert_eq!(commits.take(), BTreeSet::from([at(0)]));

        commits.add(at(0), now + GATHER);
        assert_eq!(commits.due(), None, "the first is still under way");
        commits.ended(Vec::new(), now + GATHER);
        assert!(commits.due().is_some());
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
        let taken = commits.take();
        commits.ended(taken.into_iter().collect(), now);
        assert_eq!(commits.due(), Some(now + TRY_AGAIN));
        commits.forget(&at(1));
        assert_eq!(commits.take(), BTreeSet::from([at(0)]));
    }
}
