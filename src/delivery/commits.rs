//! Offsets on their way to the broker.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::model::{Offset, TopicPartition};

/// How long commit points gather before they are sent: one request for many
/// acks, and little to deliver again after a crash.
const GATHER: Duration = Duration::from_millis(200);

/// How long to wait after a commit that failed.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// What is to be committed, and when. One commit is under way at a time.
#[derive(Debug, Default)]
pub(super) struct Commits {
    pending: BTreeMap<TopicPartition, Offset>,
    due: Option<Instant>,
    under_way: bool,
}

impl Commits {
    pub(super) fn add(&mut self, at: TopicPartition, offset: Offset, now: Instant) {
        self.pending.insert(at, offset);
        self.due.get_or_insert(now + GATHER);
    }

    /// When [`Commits::take`] has something.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
            .filter(|_| !self.under_way && !self.pending.is_empty())
    }

    /// What to commit now; nothing else is due until it ended.
    pub(super) fn take(&mut self) -> Vec<(TopicPartition, Offset)> {
        self.due = None;
        self.under_way = true;
        std::mem::take(&mut self.pending).into_iter().collect()
    }

    /// The commit under way ended; what failed is tried again, unless it is
    /// outdated by now.
    pub(super) fn ended(&mut self, failed: Vec<(TopicPartition, Offset)>, now: Instant) {
        self.under_way = false;
        if failed.is_empty() {
            return;
        }
        for (at, offset) in failed {
            self.pending.entry(at).or_insert(offset);
        }
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
    fn commit_points_gather_and_one_commit_is_under_way_at_a_time() {
        let now = Instant::now();
        let mut commits = Commits::default();
        assert_eq!(commits.due(), None);
        commits.add(at(0), Offset(1), now);
        commits.add(at(0), Offset(2), now + GATHER / 2);
        assert_eq!(commits.due(), Some(now + GATHER));
        assert_eq!(commits.take(), [(at(0), Offset(2))]);

        commits.add(at(0), Offset(3), now + GATHER);
        assert_eq!(commits.due(), None, "the first is still under way");
        commits.ended(Vec::new(), now + GATHER);
        assert!(commits.due().is_some());
    }

    #[test]
    fn when_all_was_forgotten_nothing_is_due() {
        let now = Instant::now();
        let mut commits = Commits::default();
        commits.add(at(0), Offset(1), now);
        commits.forget(&at(0));
        assert_eq!(commits.due(), None);
    }

    #[test]
    fn what_failed_is_tried_again_unless_outdated_or_gone() {
        let now = Instant::now();
        let mut commits = Commits::default();
        commits.add(at(0), Offset(1), now);
        commits.add(at(1), Offset(1), now);
        commits.add(at(2), Offset(1), now);
        let taken = commits.take();
        commits.add(at(1), Offset(5), now);
        commits.ended(taken, now);
        commits.forget(&at(2));
        let again = [(at(0), Offset(1)), (at(1), Offset(5))];
        assert_eq!(commits.take(), again);
    }
}
