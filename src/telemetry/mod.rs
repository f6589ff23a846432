//! What the process says about itself.
//!
//! [`events`] may be used by every room from kafka upward; [`logging`] and
//! [`metrics`] are set up by the command line.

pub mod events;
pub mod group_state;
pub mod logging;
mod member;
pub mod metrics;
pub mod readiness;

pub use member::Member;
