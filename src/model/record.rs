use bytes::Bytes;

use super::{Offset, TopicPartition};

/// What a record costs beside its bytes, so that a flood of empty records still
/// counts against a bound in bytes.
const OVERHEAD: usize = 64;

/// A record as it stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The partition that it was read from.
    pub at: TopicPartition,
    /// Its position there.
    pub offset: Offset,
    /// Milliseconds since the Unix epoch, when the record carries a time.
    pub timestamp: Option<i64>,
    /// The time is the broker's, of when the record arrived there, and not the
    /// producer's.
    pub appended: bool,
    /// The key; `None` is Kafka's null key, which is not the empty key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers, in the record's order; names may repeat.
    pub headers: Vec<Header>,
}

impl Record {
    /// About how many bytes of memory the record holds.
    pub fn size(&self) -> usize {
        let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self
            .headers
            .iter()
            .map(|header| header.name.len() + len(&header.value))
            .sum();
        OVERHEAD + len(&self.key) + len(&self.value) + headers
    }
}

/// A record's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value; Kafka allows none.
    pub value: Option<Bytes>,
}

/// What came of handing a record to the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The app is done with it.
    Ack,
    /// The app, or daprd for it, refused it: try again later. Holds the reason.
    Nack(String),
    /// The app did not answer within the time that a resiliency policy of daprd allows: try again
    /// later. It counts as an attempt, and does not show that the app lives. Holds the reason.
    TimedOut(String),
    /// The way to the app broke. That says something of the app, and nothing
    /// of the record: try again later, without counting an attempt. Holds the
    /// reason.
    Unreachable(String),
    /// The app was not called: nobody listens where it should. Like [`Outcome::Unreachable`], and
    /// this record has no part in it. Holds the reason.
    Absent(String),
    /// The app was not called: the circuit breaker of a resiliency policy of daprd forbids it for
    /// now. Like [`Outcome::Absent`], but the app's process may be there. Holds the reason.
    NotAsked(String),
    /// It can't be handed to daprd at all, now or later. Holds the reason.
    TooLarge(String),
    /// No verdict about the record (its stream closed, daprd is stopping):
    /// deliver it again, without counting an attempt. Holds the reason.
    Unknown(String),
}

impl Outcome {
    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Nack(_) => "nack",
            Self::TimedOut(_) => "timed-out",
            Self::Unreachable(_) | Self::Absent(_) | Self::NotAsked(_) => "unreachable",
            Self::TooLarge(_) => "too-large",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Which records wait for one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ordering {
    /// Records with equal keys; those without a key are one sequence per
    /// partition.
    #[default]
    Key,
    /// Records of one partition, as Dapr's built-in component does.
    Partition,
    /// None do.
    None,
}
