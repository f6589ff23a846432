use std::time::Duration;

use crate::model::Ordering;

/// A component's resolved settings. Every field is documented, with its default
/// and bounds, at its row in [`super::keys::KEYS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `brokers`: the bootstrap brokers, each `host:port`.
    pub brokers: Vec<String>,
    /// `consumerGroup`, else `consumerID`. daprd always sends one.
    pub consumer_group: Option<String>,
    /// `clientID`.
    pub client_id: String,
    /// `initialOffset`.
    pub initial_offset: InitialOffset,
    /// `maxMessageBytes`.
    pub max_message_bytes: usize,
    /// `compression`.
    pub compression: Compression,
    /// `ordering`.
    pub ordering: Ordering,
    /// `maxInFlight`.
    pub max_in_flight: usize,
    /// `maxInFlightBytes`.
    pub max_in_flight_bytes: usize,
    /// `maxUncommitted`.
    pub max_uncommitted: usize,
    /// `publishTimeout`.
    pub publish_timeout: Duration,
    /// `startWithoutBrokers`.
    pub start_without_brokers: bool,
}

/// Where a group starts in a partition that it never committed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialOffset {
    /// After the newest record.
    Newest,
    /// At the oldest record that is left.
    Oldest,
}

/// How the producer compresses batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the codecs' own")]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    /// Kafka's name of the codec.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl Settings {
    /// What the table's defaults are applied to; none of these values is one.
    pub(super) fn blank() -> Self {
        Self {
            brokers: Vec::new(),
            consumer_group: None,
            client_id: String::new(),
            initial_offset: InitialOffset::Newest,
            max_message_bytes: 0,
            compression: Compression::None,
            ordering: Ordering::Key,
            max_in_flight: 0,
            max_in_flight_bytes: 0,
            max_uncommitted: 0,
            publish_timeout: Duration::ZERO,
            start_without_brokers: false,
        }
    }
}
