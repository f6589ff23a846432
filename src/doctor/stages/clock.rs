//! Stage `clock`.

use crate::doctor::{context::Context, stages::Cluster};

/// Checks it.
pub(in crate::doctor) async fn check(_context: &Context<'_>, _cluster: &mut Cluster) {}
