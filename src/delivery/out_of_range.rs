//! Partitions whose position a broker calls out of range.
//!
//! librdkafka stops fetching such a partition and does not seek by itself, but it takes a new
//! assignment. Each assignment stops and starts all partitions, so those that are found within a
//! moment share one.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    kafka::Cause,
    model::{
        Continue, Epoch, Evidence, Log, Offset, Progress, Reason, SameTopic, TopicPartition, resume,
    },
};

/// How long partitions gather: librdkafka reports one after the other.
const GATHER: Duration = Duration::from_millis(50);

/// How long to wait before something is asked for again that a broker did not say.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The partitions whose logs are to be asked for.
#[derive(Debug, Default)]
pub(super) struct OutOfRange {
    partitions: BTreeMap<TopicPartition, Epoch>,
    due: Option<Instant>,
}

impl OutOfRange {
    /// A broker called a partition's position out of range.
    pub(super) fn add(&mut self, at: TopicPartition, epoch: Epoch, now: Instant) {
        self.partitions.insert(at, epoch);
        self.due.get_or_insert(now + GATHER);
    }

    /// It could not be decided where a partition continues.
    pub(super) fn again(&mut self, at: TopicPartition, epoch: Epoch, now: Instant) {
        self.partitions.insert(at, epoch);
        self.due.get_or_insert(now + ASK_AGAIN);
    }

    /// When [`OutOfRange::take`] has something.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The partitions whose logs are to be asked for now.
    pub(super) fn take(&mut self) -> BTreeMap<TopicPartition, Epoch> {
        self.due = None;
        std::mem::take(&mut self.partitions)
    }
}

/// What became of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Not known yet, because of this.
    AskAgain { what: String, cause: Cause },
    /// The position is there: read on.
    ReadOn,
    /// Read on at the first offset that is left; records that were received stay.
    SkipTo { to: Offset, reason: Reason },
    /// What was read from there on is not in the log any more: start there, or at what is
    /// unfinished before it ([`start`]).
    StartAt { to: Offset, reason: Reason },
}

/// Where a partition starts whose position is beyond what is left of its log, given the commit
/// point that it had.
///
/// A log that was cut keeps its records before the cut: what is unfinished of them is read again.
/// Where the cut was is not known, because other records may have been written since. What was
/// finished above the commit point may name these, so it counts for nothing: rather deliver a
/// record twice than pass one over.
pub(super) fn start(commit_point: Option<Offset>, to: Offset, reason: Reason) -> Progress {
    let start = match (commit_point, reason) {
        (Some(point), Reason::Truncated(_)) => point.min(to),
        _ => to,
    };
    start.into()
}

/// Decides where a partition continues, given its position, its log, and whether the topic that
/// is there now is the one that was read (an error if no broker said).
pub(super) fn decide(
    at: &TopicPartition,
    position: Offset,
    log: Result<Log, Cause>,
    topic: Result<SameTopic, &Cause>,
) -> Decision {
    let log = match log {
        Ok(log) => log,
        Err(cause) => {
            let what = format!("finding where {at} begins and ends");
            return Decision::AskAgain { what, cause };
        }
    };
    let topic = match topic {
        Ok(topic) => topic,
        // Without an answer a log that was cut looks like another topic's.
        Err(cause) if log.end < position => {
            let (what, cause) = (
                format!("asking for the id of topic {}", at.topic),
                cause.clone(),
            );
            return Decision::AskAgain { what, cause };
        }
        Err(_) => SameTopic::Unknown,
    };
    let log = Some(log);
    match resume(position, Evidence { topic, log }) {
        Continue::Here | Continue::AskForLog => Decision::ReadOn,
        Continue::Moved(to, reason @ Reason::Removed(_)) => Decision::SkipTo { to, reason },
        Continue::Moved(to, reason) => Decision::StartAt { to, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Log = Log {
        first: Offset(10),
        end: Offset(20),
    };

    #[test]
    fn partitions_gather_for_a_moment() {
        let (mut lost, now) = (OutOfRange::default(), Instant::now());
        assert_eq!(lost.due(), None);
        let at = |partition| TopicPartition::new("orders", partition);
        lost.add(at(0), Epoch(1), now);
        lost.add(at(1), Epoch(2), now + GATHER / 2);
        assert_eq!(lost.due(), Some(now + GATHER));
        let taken = lost.take();
        assert_eq!(
            taken,
            BTreeMap::from([(at(0), Epoch(1)), (at(1), Epoch(2))])
        );
        assert_eq!(lost.due(), None);
        lost.again(at(0), Epoch(1), now);
        assert_eq!(lost.due(), Some(now + ASK_AGAIN));
    }

    #[test]
    fn what_is_unfinished_before_a_cut_is_read_again() {
        let start = |point, to, reason| start(Some(Offset(point)), Offset(to), reason);
        let cut = Reason::Truncated(5);
        // Nothing is finished above: records that were written since may have these offsets.
        assert_eq!(start(12, 20, cut), Offset(12).into());
        assert_eq!(start(25, 20, cut), Offset(20).into(), "all is finished");
        for reason in [Reason::Recreated, Reason::BeyondEnd(LOG)] {
            assert_eq!(start(12, 10, reason), Offset(10).into(), "{reason:?}");
        }
    }

    #[test]
    fn what_is_in_hand_stays_unless_its_offsets_are_gone() {
        let at = TopicPartition::new("orders", 0);
        let silent = Cause::ended_early();
        let decide = |position, log, topic| decide(&at, Offset(position), log, topic);
        assert_eq!(decide(15, Ok(LOG), Ok(SameTopic::Yes)), Decision::ReadOn);
        let (to, reason) = (Offset(10), Reason::Removed(5));
        let skip = Decision::SkipTo { to, reason };
        assert_eq!(decide(5, Ok(LOG), Ok(SameTopic::Yes)), skip);
        let (to, reason) = (Offset(20), Reason::Truncated(5));
        let cut = Decision::StartAt { to, reason };
        assert_eq!(decide(25, Ok(LOG), Ok(SameTopic::Yes)), cut);
        // Who the topic is decides only beyond the end.
        assert_eq!(decide(15, Ok(LOG), Err(&silent)), Decision::ReadOn);
        let asks = |decision| matches!(decision, Decision::AskAgain { .. });
        assert!(asks(decide(25, Ok(LOG), Err(&silent))));
        assert!(asks(decide(15, Err(silent.clone()), Ok(SameTopic::Yes))));
    }
}
