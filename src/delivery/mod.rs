//! The async shell around the engine: one owner task per consumer group.
//!
//! The owner alone holds the consumer, the engine and the lanes. Whatever
//! happens (a record, an answer, a rebalance, a deadline) becomes an event for
//! the engine, and the engine's actions are performed before the next event is
//! looked at. Calls that wait for a broker run beside it, and come back as
//! events too.

mod actions;
mod asks;
mod assignment;
mod broker_calls;
mod calls;
mod commands;
mod commits;
mod dead_letters;
mod gauges;
mod group;
mod membership;
mod owner;
mod readers;
mod recreated;
mod renewal;
mod subscription;
mod watch;

pub use group::{Closed, Conflict, Delivery, Drained, Group, Lane, Refused, Subscriber};
