//! The ledger: what was published, handed to the app, answered, committed and
//! dead-lettered in a run, and a judge that says afterwards which promise was
//! broken, for which message.
//!
//! Three parts that know nothing of each other: a run writes [`Event`]s into a
//! [`Journal`]; what stands on the broker at the end is added to make a
//! [`Ledger`]; [`judge`] reads it, pure data in, findings out.

mod events;
mod journal;
mod judge;
mod rolls;
mod stored;

pub use events::{APP_KILLED, Answer, Committed, Ended, Entry, Event};
pub use journal::Journal;
pub use judge::{Aftermath, Finding, Invariant, Summary, judge, report};
pub use rolls::Rolls;
pub use stored::{Bounds, DeadLetter, Ledger, Message, Place, Stored};
