//! Three brokers, which speak no more than Redpanda does.

use std::sync::Arc;

use harness::{KafkaCluster, Lab, LabOptions, Result};

use super::Wanted;
use crate::{
    ensure,
    support::{Fixture, admin},
};

/// Kafka's `CreateTopics`, `IncrementalAlterConfigs`, `AlterPartitionReassignments`.
const USED: [i16; 3] = [19, 44, 45];

const MOVED: &str = "moved";

pub async fn the_samples_topics_and_their_replicas_come_in_redpandas_shape(
    _: Arc<Fixture>,
) -> Result<()> {
    let cluster = KafkaCluster::start().await?;
    let own = cluster.brokers();
    let labs = Lab::before_each(&cluster.addresses(), &LabOptions::redpanda()?).await?;
    let addresses: Vec<_> = labs.iter().map(|lab| lab.address.as_str()).collect();
    let shaped = addresses.join(",");

    let sample = Wanted::sample(&shaped)?;
    let applied = sample.run("apply", &[]).await?;
    ensure!(applied.code == Some(0), "{applied:?}");
    let lines = applied.json()?;
    ensure!(
        lines.len() == 12,
        "six topics and their dead-letter topics: {lines:?}"
    );
    for (topic, retention) in [
        ("task-created", "604800000"),
        ("task-updated", "604800000"),
        ("task-completed", "604800000"),
        ("task-deleted", "2592000000"),
        ("task-due-soon", "86400000"),
        ("recurring-task-due", "86400000"),
    ] {
        for (topic, retention) in [
            (topic.to_owned(), retention),
            (format!("{topic}.dlq"), "2592000000"),
        ] {
            let replicas = admin::replicas(&own, &topic).await?;
            ensure!(replicas == [3; 6], "{topic}: {replicas:?}");
            let settings = admin::topic_settings(&own, &topic).await?;
            ensure!(settings["min.insync.replicas"] == "2", "{settings:?}");
            ensure!(
                settings["retention.ms"] == retention,
                "{topic}: {settings:?}"
            );
        }
    }
    let (states, code) = sample.plan().await?;
    ensure!(code == Some(0), "{states:?}");

    replicas(&own, &shaped).await?;
    let asked: Vec<_> = labs.iter().flat_map(Lab::asked).collect();
    let cut: Vec<_> = labs.iter().flat_map(Lab::cut_off).collect();
    ensure!(
        cut.is_empty(),
        "only what Redpanda serves is asked: {cut:?}"
    );
    for key in USED {
        ensure!(
            asked.iter().any(|asked| asked.key == key),
            "{key}: {asked:?}"
        );
    }
    Ok(())
}

/// A topic gets more replicas, and loses them only if that is allowed.
async fn replicas(own: &str, shaped: &str) -> Result<()> {
    let alone = "topics: [{name: moved, partitions: 4, replication: 1}]";
    let refused = Wanted::new(shaped, alone)?.run("plan", &[]).await?;
    ensure!(
        refused.code == Some(1) && refused.out.contains("min.insync.replicas is 2"),
        "the brokers' default: {refused:?}"
    );
    let one = "topics: [{name: moved, partitions: 4, replication: 1, minInSync: 1}]";
    let one = Wanted::new(shaped, one)?;
    let created = one.run("apply", &[]).await?;
    ensure!(created.code == Some(0), "{created:?}");
    for number in 0..20 {
        admin::produce(own, MOVED, &number.to_string()).await?;
    }
    // Two in sync, of which there are not enough before the third has come.
    let three = "topics: [{name: moved, partitions: 5, replication: 3, minInSync: 2}]";
    let three = Wanted::new(shaped, three)?;
    let grown = three.run("apply", &["--allow", MOVED]).await?;
    ensure!(grown.code == Some(0), "{grown:?}");
    let replicas = admin::replicas(own, MOVED).await?;
    ensure!(replicas == [3; 5], "the new partition too: {replicas:?}");
    let (states, code) = three.plan().await?;
    ensure!(code == Some(0), "{states:?}");

    let fewer = "topics: [{name: moved, replication: 2, minInSync: 1}]";
    let fewer = Wanted::new(shaped, fewer)?;
    let refused = fewer.run("apply", &[]).await?;
    ensure!(refused.code == Some(3), "{refused:?}");
    ensure!(admin::replicas(own, MOVED).await? == [3; 5], "{refused:?}");
    let allowed = fewer.run("apply", &["--allow", MOVED]).await?;
    ensure!(allowed.code == Some(0), "{allowed:?}");
    let replicas = admin::replicas(own, MOVED).await?;
    ensure!(replicas == [2; 5], "{replicas:?}: {allowed:?}");
    let (states, code) = fewer.plan().await?;
    ensure!(code == Some(0), "{states:?}");
    Ok(())
}
