use std::{collections::BTreeMap, time::Duration};

use super::Place;

/// Offsets by partition: what a separate client read.
pub type Committed = BTreeMap<i32, i64>;

/// How an attempt to publish ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Publish said that it is done. From here on nothing may lose the message.
    Acked,
    /// Publish said that it failed; the message may still have been stored.
    Failed,
    /// There was no answer.
    Unknown,
}

/// How the app answered one handing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Processed.
    Ack,
    /// Refused.
    Nack,
    /// Nobody waited for the answer any more.
    Gone,
}

/// The name of the fault that ends the app with whatever it has accepted.
pub const APP_KILLED: &str = "the app is killed";

/// One thing that was seen to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message was published, and this is how that ended.
    Published {
        /// The message's id.
        uuid: String,
        /// How.
        ended: Ended,
    },
    /// A fault began.
    Fault {
        /// Its name.
        what: String,
        /// How many records of each partition may be handed out again because of
        /// it. What comes again is counted for the last fault, so a run waits
        /// until things go on before it makes the next.
        again: usize,
    },
    /// A record was handed to the app.
    Handed {
        /// The attempt, which the answer names.
        attempt: u64,
        /// Which member's app it was: one component and daprd from start to end.
        /// What is restarted has another name.
        member: String,
        /// Where the record stands, as its metadata said.
        at: Place,
        /// The id in its body, if the body was one of ours.
        uuid: Option<String>,
    },
    /// The app answered. It is recorded before the answer leaves the app.
    Answered {
        /// Of [`Event::Handed`].
        attempt: u64,
        /// What.
        answer: Answer,
    },
    /// The offsets that the group had committed: recorded after they were read.
    Committed(Committed),
    /// Where the dead-letter topic ended: read after the offsets of the
    /// [`Event::Committed`] before it.
    DeadLettersEnd(BTreeMap<i32, i64>),
}

/// An event, and when it was recorded. The order of entries is the order of
/// events; the time is for people.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Since the run's start.
    pub at: Duration,
    /// What happened.
    pub event: Event,
}
