//! Stage `limits`.

use crate::doctor::{context::Context, run::Wanted, stages::Cluster};

/// Checks it.
pub(in crate::doctor) async fn check(
    _context: &Context<'_>,
    _cluster: &mut Cluster,
    _wanted: &Wanted,
) {
}
