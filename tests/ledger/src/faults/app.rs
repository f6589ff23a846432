//! An app that is not well.

use std::time::Duration;

use harness::{DaprdBuild, Result, ledger::APP_KILLED};
use tokio::time::sleep;

use super::faults;
use crate::{
    Side,
    run::Conditions,
    scene::{LANES, PLAIN, Shape, Stage},
};

/// So long that its backlog is large, and not so fast that it takes hours to work off.
const SLOWLY: Shape = Shape {
    rate: 4,
    longest: 1200,
    ..PLAIN
};

/// What daprd says of a call that failed depends on how it makes calls, so each kind of daprd has
/// these faults.
const DAPRDS: &[DaprdBuild] = &[
    DaprdBuild::V1_16_5,
    DaprdBuild::V1_18_3,
    DaprdBuild::V1_18_4,
];

faults! { "app.rs", DAPRDS;
    hangs: "app-hangs", Side::BOTH, 3, PLAIN,
        "for 30 s the app takes calls and answers none";
    restarts: "app-restarts", Side::BOTH, 3, PLAIN,
        "the app is killed with what it has in hand, and listens again after 20 s";
    is_down: "app-down", Side::BOTH, 1, SLOWLY,
        "the app is killed, and listens again after 10 min; 4 messages a second";
    is_slow: "slow-handler", Side::BOTH, 1, SLOWLY,
        "for 310 s, longer than max.poll.interval.ms (5 min), the app answers nothing; 4 messages a second";
}

/// How many records of one partition a killed app may have had in flight: one of each lane, or
/// without lanes one of each key, and one of those without a key.
fn in_flight(stage: &Stage) -> usize {
    if stage.daprd.is_serial() {
        LANES
    } else {
        usize::try_from(stage.shape.keys).unwrap_or(usize::MAX) + 1
    }
}

async fn hangs(stage: &mut Stage) -> Result<()> {
    hangs_for(stage, Duration::from_secs(30)).await
}

async fn is_slow(stage: &mut Stage) -> Result<()> {
    hangs_for(stage, Duration::from_secs(310)).await
}

async fn hangs_for(stage: &mut Stage, lasts: Duration) -> Result<()> {
    let hangs = Conditions {
        hangs: true,
        ..Conditions::default()
    };
    stage.begins("the app answers nothing", 0);
    stage.app.change(hangs);
    sleep(lasts).await;
    stage.app.change(Conditions::default());
    stage.heals().await
}

async fn restarts(stage: &mut Stage) -> Result<()> {
    down_for(stage, Duration::from_secs(20)).await
}

async fn is_down(stage: &mut Stage) -> Result<()> {
    down_for(stage, Duration::from_secs(600)).await
}

async fn down_for(stage: &mut Stage, lasts: Duration) -> Result<()> {
    stage.begins(APP_KILLED, in_flight(stage));
    for member in &mut stage.members {
        member.app_down();
    }
    sleep(lasts).await;
    for member in &mut stage.members {
        member.app_up().await?;
    }
    stage.heals().await
}
