//! The async shell around the engine: one owner task per consumer group.
//!
//! The owner alone holds the consumer, the engine and the lanes. Whatever
//! happens (a record, an answer, a rebalance, a deadline) becomes an event for
//! the engine, and the engine's actions are performed before the next event is
//! looked at. Calls that wait for a broker run beside it, and come back as
//! events too.

mod broker_calls;
mod budget;
mod calls;
mod commits;
mod dead_letters;
mod group;
mod inbox;
mod lanes;
mod machines;
mod membership;
mod out_of_range;
mod owner;
mod question;
mod read_ahead;
mod readers;
mod report;
#[cfg(test)]
mod simulation;
mod stall;
mod subscription;
mod topic_ids;

pub use budget::Budget;
pub use group::{Closed, Group, Refused};
pub use inbox::Drained;
pub use lanes::{Conflict, Delivery, Lane, Subscriber};
pub use owner::start;
