//! Leaders and replicas.

use std::collections::BTreeSet;

use kafka_protocol::messages::metadata_response::MetadataResponsePartition;

use super::Topic;
use crate::doctor::{Finding, Fix, rows};

/// From how many brokers on a single replica is a choice that somebody should know of.
const SEVERAL: usize = 3;

/// The most numbers that are listed.
const SHOWN: usize = 10;

/// What is known of the cluster and wanted of it.
#[derive(Clone, Debug)]
pub(super) struct Around {
    /// The brokers that are there.
    pub(super) brokers: BTreeSet<i32>,
    /// Publish waits for all replicas in sync.
    pub(super) acks_all: bool,
}

impl Topic {
    /// The replicas of a partition.
    pub(super) fn replicas(&self) -> usize {
        let each = self.partitions.iter();
        each.map(|one| one.replica_nodes.len()).min().unwrap_or(0)
    }

    fn min_in_sync(&self) -> Option<usize> {
        self.config("min.insync.replicas")?.parse().ok()
    }
}

/// What is wrong with a topic's partitions.
pub(super) fn judge(topic: &Topic, around: &Around) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(leaders(topic, around));
    let writes = topic.wish.publish || !topic.wish.sources.is_empty();
    if writes && around.acks_all {
        found.extend(in_sync(topic, around));
    }
    let replicas = topic.replicas();
    if replicas == 1 && around.brokers.len() >= SEVERAL {
        let cause = format!(
            "a partition of {} has one replica, in a cluster of {} brokers",
            topic.name,
            around.brokers.len()
        );
        let fix = Fix::words(format!(
            "give {} three replicas, by kafka-reassign-partitions.sh or by making it anew",
            topic.name
        ));
        found.push(Finding::new(&rows::topics::ONE_REPLICA, cause, fix));
    }
    found
}

fn leaders(topic: &Topic, around: &Around) -> Option<Finding> {
    let without: Vec<_> = topic
        .partitions
        .iter()
        .filter(|one| one.leader_id.0 < 0)
        .collect();
    let (first, count) = (without.first()?, topic.partitions.len());
    let away = away(first, around);
    let cause = format!(
        "{} of {count} partitions of {} have no leader: {}; partition {} is held by {}",
        without.len(),
        topic.name,
        numbers(without.iter().map(|one| one.partition_index)),
        first.partition_index,
        brokers(first.replica_nodes.iter().map(|id| id.0)),
    );
    let fix = Fix::words(if away.is_empty() {
        format!(
            "see in the logs of {} why it is not led",
            brokers(first.replica_nodes.iter().map(|id| id.0))
        )
    } else {
        format!("start {}", brokers(away))
    });
    Some(Finding::new(&rows::topics::NO_LEADER, cause, fix))
}

fn in_sync(topic: &Topic, around: &Around) -> Option<Finding> {
    let least = topic.min_in_sync()?;
    let replicas = topic.replicas();
    if least > replicas && replicas > 0 {
        let cause = format!(
            "min.insync.replicas of {} is {least}, and it has {replicas} replicas",
            topic.name
        );
        let to = replicas.saturating_sub(1).max(1);
        let fix = Fix::words("ask for less, or give the topic more replicas").run(super::alter(
            &topic.name,
            &format!("min.insync.replicas={to}"),
        ));
        return Some(Finding::new(&rows::topics::MIN_ABOVE_REPLICAS, cause, fix));
    }
    let few: Vec<_> = topic
        .partitions
        .iter()
        .filter(|one| one.leader_id.0 >= 0 && one.isr_nodes.len() < least)
        .collect();
    let first = few.first()?;
    let missing = first
        .replica_nodes
        .iter()
        .filter(|id| !first.isr_nodes.contains(id));
    let missing: Vec<_> = missing.map(|id| id.0).collect();
    let cause = format!(
        "{} of {} partitions of {} have fewer replicas in sync than its min.insync.replicas, \
         {least}: {}; partition {} has {}, and not {}",
        few.len(),
        topic.partitions.len(),
        topic.name,
        numbers(few.iter().map(|one| one.partition_index)),
        first.partition_index,
        brokers(first.isr_nodes.iter().map(|id| id.0)),
        brokers(missing.iter().copied()),
    );
    let away = away(first, around);
    let fix = Fix::words(if away.is_empty() {
        format!(
            "see in the logs of {} why they do not follow",
            brokers(missing)
        )
    } else {
        format!("start {}", brokers(away))
    });
    Some(Finding::new(&rows::topics::FEW_IN_SYNC, cause, fix))
}

/// The brokers with replicas that are not there.
fn away(partition: &MetadataResponsePartition, around: &Around) -> Vec<i32> {
    let replicas = partition.replica_nodes.iter().map(|id| id.0);
    replicas.filter(|id| !around.brokers.contains(id)).collect()
}

fn brokers(ids: impl IntoIterator<Item = i32>) -> String {
    let ids: Vec<_> = ids.into_iter().collect();
    match ids.as_slice() {
        [] => "no broker".into(),
        [one] => format!("broker {one}"),
        _ => format!("brokers {}", numbers(ids)),
    }
}

/// Some of them.
fn numbers(all: impl IntoIterator<Item = i32>) -> String {
    let all: Vec<_> = all.into_iter().collect();
    let shown: Vec<_> = all.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if all.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
