//! The fault ledger: a run publishes through real daprds while something breaks, and is
//! judged afterwards ([`harness::ledger`]).
//!
//! [`run`] is what a run is made of, [`scene`] how it goes, [`faults`] the table of what
//! may break, [`results`] what came of it, [`page`] docs/reliability.md.

pub mod admin;
pub mod faults;
pub mod idp;
pub mod page;
pub mod results;
pub mod run;
pub mod scene;
mod side;

pub use side::Side;

use std::time::Duration;

/// How long something may take that should happen at once, on a machine with two cores
/// that runs a Kafka and several daprds.
pub const SOON: Duration = Duration::from_secs(20);
