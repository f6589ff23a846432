//! Which components this process serves.

use metrics::gauge;

use super::super::metrics as names;

/// How many instances there are, and how many components have none because daprd never
/// initialised them in this process.
#[allow(
    clippy::cast_precision_loss,
    reason = "a gauge is a float, and both numbers are small"
)]
pub fn served(instances: usize, uninitialised: usize) {
    gauge!(names::INSTANCES).set(instances as f64);
    gauge!(names::UNINITIALISED).set(uninitialised as f64);
}
