//! The consumer group.

mod described;
mod finding;
mod offsets;
mod room;
#[cfg(test)]
mod tests;

pub(super) use finding::{Coordinator, find as coordinator};

use crate::doctor::{
    Finding, Fix, Stage, context::Context, rows::group as rows, run::Wanted, stages::Cluster,
};

/// Looks whether the group can be joined, and where it is.
pub(in crate::doctor) async fn check(
    context: &Context<'_>,
    cluster: &mut Cluster,
    wanted: &Wanted,
) {
    let Some(group) = &wanted.group else {
        let why = "it is not known which group the component uses";
        return context
            .recorder
            .skipped(Stage::Group, "consumer group", why);
    };
    let subject = subject(group);
    let skipped = |why: String| context.recorder.skipped(Stage::Group, &*subject, why);
    match coordinator(context, cluster, group).await {
        Coordinator::Forbidden => skipped("it may not be looked at: see the permissions".into()),
        Coordinator::Unknown(why) => skipped(why),
        Coordinator::Unmade(finding) => context.recorder.found(subject, *finding),
        Coordinator::Missing(cause) => {
            let fix = "See in the brokers' logs why the group's partition of __consumer_offsets \
                       has no leader";
            let finding = Finding::new(&rows::COORDINATOR, cause, Fix::words(fix));
            context.recorder.found(subject, finding);
        }
        Coordinator::At(id) => {
            let Some(wire) = cluster.at(id) else {
                let why = format!("its coordinator, broker {id}, is not reached: see the cluster");
                return skipped(why);
            };
            if described::check(context, wire, id, group).await {
                offsets::check(context, cluster, id, group, &wanted.topics).await;
            }
        }
    }
}

/// What checks call a group.
pub(super) fn subject(group: &str) -> String {
    format!("group {group}")
}
