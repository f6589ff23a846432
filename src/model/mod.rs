//! The vocabulary of the other rooms: plain values without wire types.
//!
//! Nothing here knows Dapr's protocol or librdkafka, so that a change in either
//! stops at the room that speaks it.

pub mod dead_letter;
mod policy;
mod position;
mod progress;
mod record;
mod resume;
pub mod text;
pub mod time;
pub mod topic;

pub use policy::{Backoff, Policy};
pub use position::{Epoch, Offset, TopicPartition};
pub use progress::Progress;
pub use record::{Header, Ordering, Outcome, Record};
pub use resume::{Continue, Evidence, Log, Reason, SameTopic, resume};
