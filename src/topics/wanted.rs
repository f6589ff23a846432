//! A topic as the file wants it.

use std::collections::BTreeMap;

/// Kafka's name of how long records are kept, in milliseconds; -1 is for ever.
pub(super) const RETENTION: &str = "retention.ms";

/// Kafka's name of what becomes of old records.
pub(super) const CLEANUP: &str = "cleanup.policy";

/// Kafka's name of how many replicas a write with `acks=all` waits for.
pub(super) const MIN_IN_SYNC: &str = "min.insync.replicas";

/// Kafka's name of the largest batch that a topic takes, in bytes.
pub(super) const LARGEST: &str = "max.message.bytes";

/// Kafka's name of which time counts for retention.
pub(super) const TIMESTAMP: &str = "message.timestamp.type";

/// A topic as it should be. What is `None` or not named is the brokers' choice, and never
/// touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) partitions: Option<i32>,
    pub(super) replication: Option<i16>,
    /// Kafka's own names and values.
    pub(super) config: BTreeMap<String, String>,
}

impl Wanted {
    /// The least number of replicas that must have a write.
    pub(super) fn min_in_sync(&self) -> Option<i16> {
        self.config.get(MIN_IN_SYNC)?.parse().ok()
    }
}
