//! What the answers to Metadata say by themselves.

use std::collections::BTreeMap;

use kafka_protocol::messages::metadata_response::MetadataResponseBroker;

use super::{Reached, id, shown};
use crate::doctor::{
    Finding, Fix,
    context::{Context, Target},
    rows,
};

/// The most addresses of one cluster that are examined.
const MOST: usize = 100;

/// What is known before the advertised addresses are examined.
pub(super) struct Listed {
    pub(super) id: Option<String>,
    pub(super) controller: Option<i32>,
    /// Each advertised address, and its host; a broker has several if bootstrap brokers
    /// tell different ones.
    pub(super) targets: Vec<(Target, String)>,
    /// How many more there are.
    pub(super) left: usize,
}

/// Looks for what is wrong in the answers. Those of another cluster are left out of what
/// follows.
pub(super) fn weigh(context: &Context<'_>, reached: &mut Vec<Reached>) -> Option<Listed> {
    one_cluster(context, reached);
    let first = reached.first()?;
    let names = first.target.subject();
    let id = id(&first.answer.value);
    let mut controllers = reached.iter().map(|one| one.answer.value.controller_id.0);
    let controller = controllers.find(|id| *id >= 0);
    let mut targets: Vec<(Target, String)> = Vec::new();
    for broker in reached.iter().flat_map(|one| &one.answer.value.brokers) {
        let target = target(broker);
        if !targets.iter().any(|(there, _)| *there == target) {
            targets.push((target, broker.host.to_string()));
        }
    }
    if targets.is_empty() {
        let finding = Finding::new(
            &rows::cluster::NO_BROKERS,
            "it answers Metadata, and lists no broker",
            Fix::words(
                "start the brokers, and see in their logs that they have registered with the \
                 controller",
            ),
        );
        context.recorder.found(names, finding);
        return None;
    }
    if controller.is_none() {
        let finding = Finding::new(
            &rows::cluster::NO_CONTROLLER,
            "it answers Metadata, and names no controller",
            Fix::words("see in the controllers' logs why none of them is elected"),
        );
        context.recorder.found(names, finding);
    }
    shared_addresses(context, &targets);
    let left = targets.len().saturating_sub(MOST);
    targets.truncate(MOST);
    Some(Listed {
        id,
        controller,
        targets,
        left,
    })
}

/// Requires that all bootstrap brokers are of one cluster, and keeps those of the first's.
fn one_cluster(context: &Context<'_>, reached: &mut Vec<Reached>) {
    let Some(first) = reached.first() else {
        return;
    };
    let Some(ours) = id(&first.answer.value) else {
        return;
    };
    let of = |one: &Reached| id(&one.answer.value).unwrap_or_else(|| ours.clone());
    let others: Vec<_> = reached.iter().filter(|one| of(one) != ours).collect();
    let Some(other) = others.first() else {
        return;
    };
    let theirs = of(other);
    // Those that were not reached may be of either.
    let brokers = context.settings.brokers.iter();
    let kept: Vec<_> = brokers
        .filter(|broker| !others.iter().any(|other| other.target.address == **broker))
        .map(String::as_str)
        .collect();
    let finding = Finding::new(
        &rows::cluster::TWO_CLUSTERS,
        format!(
            "{} is of the cluster {ours}, and {} of the cluster {theirs}",
            first.target.address, other.target.address
        ),
        Fix::words(format!(
            "keep the brokers of one cluster; these are those of {ours}"
        ))
        .set("brokers", kept.join(",")),
    );
    context.recorder.found("brokers", finding);
    reached.retain(|one| of(one) == ours);
}

/// Requires that no two brokers are said to be at one address.
fn shared_addresses(context: &Context<'_>, targets: &[(Target, String)]) {
    let mut by_address: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (target, _) in targets {
        let ids = by_address.entry(target.address.to_lowercase()).or_default();
        ids.extend(target.advertised);
    }
    for (address, mut ids) in by_address {
        ids.sort_unstable();
        ids.dedup();
        if ids.len() > 1 {
            let named: Vec<_> = ids.iter().take(10).map(ToString::to_string).collect();
            let finding = Finding::new(
                &rows::cluster::ONE_ADDRESS,
                format!("the brokers {} are all advertised there", named.join(", ")),
                Fix::words(
                    "give each broker an address of its own: `advertised.listeners` (Kafka), \
                     `advertised_kafka_api` (Redpanda)",
                ),
            );
            context.recorder.found(address, finding);
        }
    }
}

/// Where a broker is said to be.
fn target(broker: &MetadataResponseBroker) -> Target {
    let host = shown(&broker.host);
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    Target {
        address: format!("{host}:{}", broker.port),
        advertised: Some(broker.node_id.0),
    }
}
