//! The vocabulary of the other rooms: plain values without wire types.
//!
//! Nothing here knows Dapr's protocol or librdkafka, so that a change in either
//! stops at the room that speaks it.

mod position;
mod record;

pub use position::{Epoch, Offset, TopicPartition};
pub use record::{Header, Ordering, Outcome, Record};
