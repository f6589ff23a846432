//! What the process says about itself.
//!
//! [`events`] may be used by every room from kafka upward; [`logging`] is set up
//! by the command line.

pub mod events;
pub mod logging;
pub mod readiness;
