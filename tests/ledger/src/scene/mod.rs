//! How a run with a fault goes: brokers, a group of members, publishers and probes, the
//! fault in the middle, and the verdict.

mod brokers;
mod heal;
mod outcome;
mod sample;
mod shape;
mod stage;
mod verdict;

pub use brokers::{Brokers, Place};
pub use outcome::{DRAINS_WITHIN, HEALS_WITHIN, Outcome};
pub use sample::{Sample, is_flat, quarters};
pub use shape::{BOUND, LANES, PLAIN, Shape};
pub use stage::Stage;
pub use verdict::Evidence;

/// The topic that is published to.
pub const TOPIC: &str = "ledger";
/// Where its dead letters go.
pub const DEAD_LETTERS: &str = "ledger.dlq";
/// The consumer group, which is the app's id.
pub const GROUP: &str = "ledger-app";
/// Of either topic.
pub const PARTITIONS: i32 = 6;
