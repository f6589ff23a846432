//! Ways to a broker on which something happens.

use std::time::Duration;

use harness::{Direction, Result, Weather};
use tokio::time::{interval, sleep};

use super::{faults, members::come_and_go};
use crate::{
    Side,
    scene::{BOUND, PLAIN, Place, Shape, Stage},
};

const ROUGH: Shape = Shape {
    place: Place::Rough,
    members: 2,
    ..PLAIN
};

const THREE: Shape = Shape {
    place: Place::ThreeWays,
    members: 2,
    ..PLAIN
};

faults! { "network.rs":
    closed: "connections-closed", Side::BOTH, 3, ROUGH,
        "all connections to the broker are closed every second, for 30 s";
    one_way: "one-way-cut", Side::BOTH, 4, ROUGH,
        "for 20 s nothing passes in one direction (the seed says which), and connections stay open";
    silent: "one-broker-silent", Side::BOTH, 3, THREE,
        "three brokers; for 20 s nothing passes to or from one of them (the seed says which), and its connections stay open";
    late: "latency", Side::BOTH, 3, ROUGH,
        "for 30 s everything that the broker sends comes 2 s later";
    revoked_in_commit: "revoked-in-commit", Side::BOTH, 3, ROUGH,
        "for 30 s what the broker sends comes 500 ms later, so that commits are under way whenever members join and leave";
}

async fn closed(stage: &mut Stage) -> Result<()> {
    stage.begins("connections are closed every second", BOUND);
    let mut every = interval(Duration::from_secs(1));
    for _ in 0..30 {
        every.tick().await;
        stage.brokers.way()?.close();
    }
    stage.heals().await
}

async fn one_way(stage: &mut Stage) -> Result<()> {
    let weather = if stage.rolls.seed.is_multiple_of(2) {
        Weather {
            there: Direction::Cut,
            ..Weather::default()
        }
    } else {
        Weather {
            back: Direction::Cut,
            ..Weather::default()
        }
    };
    stage.begins("nothing passes in one direction", BOUND);
    stage.brokers.way()?.change(weather);
    sleep(Duration::from_secs(20)).await;
    stage.brokers.way()?.change(Weather::default());
    stage.heals().await
}

async fn silent(stage: &mut Stage) -> Result<()> {
    let node = usize::try_from(stage.rolls.below(3, "node"))?;
    let silent = Weather {
        there: Direction::Cut,
        back: Direction::Cut,
    };
    stage.begins("a broker is silent", BOUND);
    stage.brokers.ways()?[node].change(silent);
    sleep(Duration::from_secs(20)).await;
    stage.brokers.ways()?[node].change(Weather::default());
    stage.heals().await
}

/// Answers come late until all members have come and gone: that is when the fault ends.
async fn revoked_in_commit(stage: &mut Stage) -> Result<()> {
    stage.brokers.way()?.change(Weather {
        back: Direction::Late(Duration::from_millis(500)),
        ..Weather::default()
    });
    come_and_go(stage, Duration::from_secs(30), 3).await?;
    stage.brokers.way()?.change(Weather::default());
    stage.heals_after_drain().await
}

async fn late(stage: &mut Stage) -> Result<()> {
    stage.begins("answers come 2 s later", BOUND);
    stage.brokers.way()?.change(Weather {
        back: Direction::Late(Duration::from_secs(2)),
        ..Weather::default()
    });
    sleep(Duration::from_secs(30)).await;
    stage.brokers.way()?.change(Weather::default());
    stage.heals().await
}
