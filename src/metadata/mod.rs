//! A component's metadata: from the map of strings that daprd sends at Init to
//! typed settings and to librdkafka's own configuration.
//!
//! Pure, no IO. [`keys::all`] is the one table: a row per key, with its
//! default, its documentation and what is done with it. [`raw::resolve`] reports
//! every problem at once, each with its key.

pub mod duration;
pub mod headers;
pub mod keys;
pub mod librdkafka;
mod parse;
mod policy;
pub mod raw;
pub mod security;
mod settings;
mod spelling;
mod unknown;

pub use headers::Headers;
pub use raw::{Findings, Problem, Problems, Resolved, check, resolve, resolve_for};
pub use settings::{
    Acks, Breaker, Compression, DeadLetterHeaders, Group, InitialOffset, Isolation, Network,
    Rebalance, Settings, TopicCreation,
};

#[cfg(test)]
mod tests;
