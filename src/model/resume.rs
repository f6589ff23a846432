//! Where a partition continues: one decision for the start of a partition, for a position that
//! a broker calls out of range, and for a partition from which nothing comes.

use super::Offset;

/// Whether the topic that is there now is the one that a position belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameTopic {
    /// Its id is the same.
    Yes,
    /// It was deleted and created again in the same cluster.
    No,
    /// Nothing tells: a broker without topic ids, a commit of another client, or a commit that
    /// was copied from another cluster.
    Unknown,
}

/// The offsets that a partition's leader has, those of open transactions included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The first offset that is left.
    pub first: Offset,
    /// The offset after the last record.
    pub end: Offset,
}

/// What is known of a partition when it is decided where it continues.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Whether the position belongs to this topic.
    pub topic: SameTopic,
    /// The partition's offsets; `None` if the brokers were not asked.
    pub log: Option<Log>,
}

/// Where a partition continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continue {
    /// At the position.
    Here,
    /// At another offset.
    Moved(Offset, Reason),
    /// The log must be asked for before it can be decided.
    AskForLog,
}

/// Why a partition does not continue at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Retention, or somebody, removed so many offsets from the position on. It continues at the
    /// first that is left.
    Removed(i64),
    /// The log of the same topic ends so many offsets before the position: brokers lost them (an
    /// unclean leader election, or a crash before records were flushed). It continues at the end.
    Truncated(i64),
    /// The topic was deleted and created again. It continues at the first record.
    Recreated,
    /// The log ends before the position, and whether it is the same topic is unknown. It continues
    /// at the first record: records may be redelivered, and none is skipped.
    BeyondEnd(Log),
}

/// Decides where a partition continues whose position, or committed offset, is this one.
///
/// Without a log the position is trusted: if it is out of range, a fetch fails with that error.
pub fn resume(position: Offset, evidence: Evidence) -> Continue {
    let Some(log) = evidence.log else {
        return match evidence.topic {
            SameTopic::No => Continue::AskForLog,
            SameTopic::Yes | SameTopic::Unknown => Continue::Here,
        };
    };
    let Log { first, end } = log;
    match evidence.topic {
        SameTopic::No => Continue::Moved(first, Reason::Recreated),
        _ if position < first => Continue::Moved(first, Reason::Removed(first.0 - position.0)),
        _ if position <= end => Continue::Here,
        SameTopic::Yes => Continue::Moved(end, Reason::Truncated(position.0 - end.0)),
        SameTopic::Unknown => Continue::Moved(first, Reason::BeyondEnd(log)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Continue::{AskForLog, Here, Moved};
    use SameTopic::{No, Unknown, Yes};

    const LOG: Log = Log {
        first: Offset(100),
        end: Offset(200),
    };

    #[test]
    fn a_position_is_kept_unless_the_log_or_the_topic_is_known_to_have_lost_it() {
        let removed = |n| Moved(Offset(100), Reason::Removed(n));
        let recreated = Moved(Offset(100), Reason::Recreated);
        let beyond = Moved(Offset(100), Reason::BeyondEnd(LOG));
        let truncated = |n| Moved(Offset(200), Reason::Truncated(n));
        for (position, topic, log, wanted) in [
            // At start the brokers are not asked for the log.
            (150, Yes, None, Here),
            (150, Unknown, None, Here),
            (150, No, None, AskForLog),
            // Inside the log, and at both of its ends.
            (100, Yes, Some(LOG), Here),
            (150, Yes, Some(LOG), Here),
            (200, Yes, Some(LOG), Here),
            (100, Unknown, Some(LOG), Here),
            (200, Unknown, Some(LOG), Here),
            // Before it.
            (99, Yes, Some(LOG), removed(1)),
            (0, Unknown, Some(LOG), removed(100)),
            // Beyond it.
            (201, Yes, Some(LOG), truncated(1)),
            (250, Yes, Some(LOG), truncated(50)),
            (201, Unknown, Some(LOG), beyond),
            // Another topic, wherever its log is.
            (0, No, Some(LOG), recreated),
            (150, No, Some(LOG), recreated),
            (250, No, Some(LOG), recreated),
        ] {
            let evidence = Evidence { topic, log };
            let got = resume(Offset(position), evidence);
            assert_eq!(got, wanted, "{position} with {evidence:?}");
        }
    }
}
