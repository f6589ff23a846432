//! What stands on the broker, and everything together.

use std::{collections::BTreeMap, fmt};

use serde_json::{Value, json};

use super::Entry;

/// A message as its publisher made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who published it.
    pub producer: u64,
    /// Its key, if any.
    pub key: Option<String>,
    /// Its number among the producer's messages of this key.
    pub seq: u64,
    /// What names it.
    pub uuid: String,
}

impl Message {
    /// As it is published.
    pub fn to_json(&self) -> Value {
        json!({ "producer": self.producer, "key": self.key, "seq": self.seq, "uuid": self.uuid })
    }

    /// The id of a published message; `None` if it is none of ours.
    pub fn uuid_in(data: &Value) -> Option<String> {
        Some(data.get("uuid")?.as_str()?.to_owned())
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_deref().unwrap_or("(null)");
        let (producer, seq, uuid) = (self.producer, self.seq, &self.uuid);
        write!(f, "message {uuid} (producer {producer}, key {key}, #{seq})")
    }
}

/// Where a record stands in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} offset {}", self.partition, self.offset)
    }
}

/// A record as a separate client read it from a topic.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where.
    pub at: Place,
    /// Its key's bytes.
    pub key: Option<Vec<u8>>,
    /// Its value's bytes.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Stored {
    /// The id of the message in it, which may stand in a `CloudEvent`.
    pub fn uuid(&self) -> Option<String> {
        let value: Value = serde_json::from_slice(self.value.as_deref()?).ok()?;
        Message::uuid_in(&value).or_else(|| Message::uuid_in(value.get("data")?))
    }

    /// The text of the last header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rev().find(|header| header.0 == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }
}

/// A record of the dead-letter topic.
///
/// The names are written out here, and not taken from the component, so that a
/// name that changes there by accident is seen.
#[derive(Clone, Debug)]
pub struct DeadLetter(pub Stored);

/// The headers that the component writes; all others are the message's own.
const WRITTEN: [&str; 2] = ["__dlq.errors.", "dapr-dlq-"];

impl DeadLetter {
    /// Where the record stood that it was made of.
    pub fn source(&self) -> Option<Place> {
        let number = |name| self.0.header(name)?.parse::<i64>().ok();
        Some(Place {
            partition: number("__dlq.errors.partition")?.try_into().ok()?,
            offset: number("__dlq.errors.offset")?,
        })
    }

    /// The topic that it was read from.
    pub fn topic(&self) -> Option<&str> {
        self.0.header("__dlq.errors.topic")
    }

    /// The group that could not process it.
    pub fn group(&self) -> Option<&str> {
        self.0.header("__dlq.errors.group")
    }

    /// How often it was handed out, as it says.
    pub fn deliveries(&self) -> Option<usize> {
        self.0.header("__dlq.errors.delivery.count")?.parse().ok()
    }

    /// The kind of failure.
    pub fn failure(&self) -> Option<&str> {
        self.0.header("dapr-dlq-failure")
    }

    /// The headers that are not about the failure.
    pub fn own_headers(record: &Stored) -> Vec<&(String, Option<Vec<u8>>)> {
        let own = |name: &str| !WRITTEN.iter().any(|prefix| name.starts_with(prefix));
        let headers = record.headers.iter();
        headers.filter(|header| own(&header.0)).collect()
    }
}

/// What the run was set up to keep to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How often the app must have refused a record before it is dead-lettered.
    pub attempts: usize,
}

/// Everything that the judge reads.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The topic that was published to.
    pub topic: String,
    /// The consumer group that is judged.
    pub group: String,
    /// Every message that was attempted, by id.
    pub messages: BTreeMap<String, Message>,
    /// What happened, in order.
    pub journal: Vec<Entry>,
    /// What stands in the topic at the end.
    pub source: Vec<Stored>,
    /// What stands in the dead-letter topic at the end.
    pub dead_letters: Vec<DeadLetter>,
    /// What to keep to.
    pub bounds: Bounds,
}
