//! Why a component can't connect, publish or subscribe, and what to change.
//!
//! The checks speak Kafka's protocol themselves, because a client library does not tell
//! what it saw. They go in [`Stage`]s, from a broker's name to a record's round trip, and
//! stop where the next one can't work. Everything they can find is a [`Row`] of the table
//! in `rows`, by its stable code; docs/doctor.md is made from it.
//!
//! A check is fine only by a [`Seen`], which is made where an answer was seen.

pub mod authorities;
mod brief;
mod builtin;
mod command;
mod context;
#[cfg(test)]
mod docs;
mod finding;
mod handshake;
mod progress;
mod quick;
mod recorder;
mod render;
mod report;
mod row;
mod rows;
mod run;
mod stage;
mod stages;
mod verdict;
mod wanted;
mod wire;

pub use command::{Diagnosed, Doctor, STAGES, command};
pub use context::{Patience, Token};
pub use finding::{Finding, Fix};
pub use quick::{Came, Condition, one, quick, unanswered};
pub use recorder::Recorder;
pub use report::{BrokerSeen, Check, Outcome, Report};
pub use row::{Row, Severity};
pub use rows::all as rows;
pub use run::{Options, Wanted, WantedTopic, full};
pub use stage::Stage;
pub use stages::dapr::{Component, Dapr, User, shut_out};
pub use verdict::Verdict;
pub use wire::Seen;
