//! Half an hour of faults at random, and what the component takes of the machine meanwhile.

use std::time::Duration;

use harness::{DaprdBuild, Direction, Result, Weather};
use tokio::time::{Instant, interval, sleep};

use super::Fault;
use crate::{
    Side,
    run::{Conditions, Moods},
    scene::{BOUND, PLAIN, Place, Shape, Stage},
};

/// How long it lasts unless `MINUTES` says otherwise.
const MINUTES: u32 = 30;

/// How many messages a second.
const RATE: u32 = 500;

/// How long nothing breaks between two faults, at most.
const PAUSE: u64 = 15;

/// How long most of the faults last.
const LASTS: Duration = Duration::from_secs(5);

/// The soak: not one of the table.
pub fn soak() -> Fault {
    Fault {
        name: "soak",
        what: "faults at random, one after the other, at 500 messages a second",
        sides: &[Side::Component],
        daprds: &[DaprdBuild::USUAL],
        seeds: 1,
        shape: Shape {
            place: Place::Rough,
            rate: RATE,
            // Faults take longer than they last.
            longest: minutes() * 60 + 600,
            keys: 2000,
            members: 2,
            moods: Moods {
                poison: 1,
                refused: 10,
                slow: 10,
            },
            ..PLAIN
        },
        run: |stage| Box::pin(run(stage)),
        file: "soak.rs",
    }
}

fn minutes() -> u32 {
    let given = std::env::var("MINUTES").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(MINUTES)
}

/// The first member is there from the start to the end; it is the one that is measured.
async fn run(stage: &mut Stage) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(u64::from(minutes()) * 60);
    stage.sample()?;
    let mut turn = 0;
    while Instant::now() < end {
        turn += 1;
        let pause = stage.rolls.below(PAUSE, ("pause", turn));
        sleep(Duration::from_secs(pause)).await;
        one(stage, turn).await?;
        stage.heals().await?;
    }
    Ok(())
}

async fn one(stage: &mut Stage, turn: u64) -> Result<()> {
    match stage.rolls.below(8, ("soak", turn)) {
        0 => closed(stage).await,
        1 => weather(stage, "nothing passes to the broker", Direction::Cut, true).await,
        2 => {
            weather(
                stage,
                "nothing passes from the broker",
                Direction::Cut,
                false,
            )
            .await
        }
        3 => {
            let late = Direction::Late(Duration::from_secs(1));
            weather(stage, "answers come late", late, false).await
        }
        4 => member(stage, true).await,
        5 => member(stage, false).await,
        6 => {
            stage.begins("the app hangs", 0);
            let hangs = Conditions {
                hangs: true,
                ..Conditions::default()
            };
            stage.app.change(hangs);
            sleep(LASTS).await;
            stage.app.change(Conditions::default());
            Ok(())
        }
        _ => {
            stage.begins("the broker is killed", BOUND);
            stage.brokers.single()?.down().await?;
            sleep(LASTS).await;
            stage.brokers.single()?.up().await?;
            stage.leads().await
        }
    }
}

async fn closed(stage: &mut Stage) -> Result<()> {
    stage.begins("connections are closed every second", BOUND);
    let mut every = interval(Duration::from_secs(1));
    for _ in 0..LASTS.as_secs() {
        every.tick().await;
        stage.brokers.way()?.close();
    }
    Ok(())
}

async fn weather(stage: &mut Stage, what: &str, direction: Direction, there: bool) -> Result<()> {
    let mut weather = Weather::default();
    if there {
        weather.there = direction;
    } else {
        weather.back = direction;
    }
    stage.begins(what, BOUND);
    stage.brokers.way()?.change(weather);
    sleep(LASTS).await;
    stage.brokers.way()?.change(Weather::default());
    Ok(())
}

/// The second member is killed, or leaves, and another takes its place.
async fn member(stage: &mut Stage, killed: bool) -> Result<()> {
    let member = stage.members.remove(1);
    let name = member.name.clone();
    if killed {
        stage.begins("a member is killed", BOUND);
        member.kill().await?;
        stage.join().await?;
        stage.is_missed(&name).await
    } else {
        stage.begins("a member leaves", BOUND);
        member.leave().await?;
        stage.join().await
    }
}
