//! Brokers that fail.

use std::time::Duration;

use harness::Result;
use tokio::time::sleep;

use super::faults;
use crate::{
    Side, admin,
    scene::{BOUND, PARTITIONS, PLAIN, Place, Shape, Stage, TOPIC},
};

const THREE: Shape = Shape {
    place: Place::Three,
    members: 2,
    ..PLAIN
};

faults! { "brokers.rs":
    leader_killed: "leader-killed", Side::BOTH, 3, THREE,
        "three brokers; the leader of a random partition is killed, and started again after 10 s";
    coordinator_killed: "coordinator-moved", Side::BOTH, 3, THREE,
        "three brokers; the group's coordinator is killed, so that another takes over, and started again after 10 s";
    stopped: "broker-stopped", Side::BOTH, 3, THREE,
        "three brokers; a random one is stopped (SIGSTOP) for 30 s";
    all_down: "brokers-down", Side::BOTH, 3, THREE,
        "three brokers; all are killed, and started again after 60 s";
}

/// How long a single broker is gone: longer than the others take to notice (6 s).
const GONE: Duration = Duration::from_secs(10);

async fn leader_killed(stage: &mut Stage) -> Result<()> {
    let partitions = PARTITIONS.unsigned_abs().into();
    let partition = stage.rolls.below(partitions, "partition").try_into()?;
    let leader = admin::leader(&stage.brokers.own(), TOPIC, partition).await?;
    killed(stage, leader, "a leader is killed").await
}

async fn coordinator_killed(stage: &mut Stage) -> Result<()> {
    // It has one partition only here.
    let coordinator = admin::leader(&stage.brokers.own(), "__consumer_offsets", 0).await?;
    killed(stage, coordinator, "the coordinator is killed").await
}

async fn killed(stage: &mut Stage, node: i32, what: &str) -> Result<()> {
    let node = usize::try_from(node)?;
    stage.begins(what, BOUND);
    stage.brokers.cluster()?.down(node).await?;
    sleep(GONE).await;
    // The others lead by now: the end of the outage, though not of the fault.
    stage.heals().await?;
    stage.begins("it comes back", BOUND);
    stage.brokers.cluster()?.up(node).await?;
    stage.heals().await
}

async fn stopped(stage: &mut Stage) -> Result<()> {
    let node = usize::try_from(stage.rolls.below(3, "node"))? + 1;
    stage.begins("a broker is stopped", BOUND);
    stage.brokers.cluster()?.node(node).signal("STOP").await?;
    sleep(Duration::from_secs(30)).await;
    stage.brokers.cluster()?.node(node).signal("CONT").await?;
    stage.heals().await
}

async fn all_down(stage: &mut Stage) -> Result<()> {
    stage.begins("all brokers are killed", BOUND);
    stage.brokers.cluster()?.all_down().await?;
    sleep(Duration::from_secs(60)).await;
    stage.brokers.cluster()?.all_up().await?;
    stage.leads().await?;
    stage.heals().await
}
