//! What this client may do, found out without effects.

#[cfg(test)]
pub(super) mod fake;
mod idempotence;
mod of_group;
mod of_topics;
mod principal;
#[cfg(test)]
mod tests;
mod words;

pub(in crate::doctor) use principal::allow;
pub(in crate::doctor) use words::told;
pub(super) use words::{error, shown};

use crate::doctor::{context::Context, run::Wanted, stages::Cluster};

/// Bits of the operations that an answer says are allowed: `AclOperation` in Kafka's
/// clients.
mod operation {
    pub(super) const READ: i32 = 1 << 3;
    pub(super) const WRITE: i32 = 1 << 4;
    /// Nothing is said of operations.
    pub(super) const UNTOLD: i32 = i32::MIN;
}

/// Asks what may be done with the topics and with the group.
pub(in crate::doctor) async fn check(
    context: &Context<'_>,
    cluster: &mut Cluster,
    wanted: &Wanted,
) {
    let writes = of_topics::check(context, cluster, &wanted.topics).await;
    idempotence::check(context, cluster, writes).await;
    if let Some(group) = &wanted.group {
        of_group::check(context, cluster, group).await;
    }
}
