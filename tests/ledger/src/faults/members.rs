//! Members of the group that come, go and are killed.

use std::time::Duration;

use harness::Result;
use tokio::time::{Instant, sleep};

use super::faults;
use crate::{
    Side,
    run::Moods,
    scene::{BOUND, PLAIN, Shape, Stage},
};

const TWO: Shape = Shape {
    members: 2,
    ..PLAIN
};

const BUSY: Shape = Shape { rate: 200, ..TWO };

/// The app refuses a third of everything once or twice.
const REFUSING: Shape = Shape {
    moods: Moods {
        poison: 0,
        refused: 330,
        slow: 60,
    },
    ..TWO
};

/// Much becomes a dead letter.
const POISONED: Shape = Shape {
    moods: Moods {
        poison: 150,
        refused: 40,
        slow: 60,
    },
    ..TWO
};

faults! { "members.rs":
    component_killed: "component-killed", Side::BOTH, 3, TWO,
        "seven times, at random points: SIGKILL to one of two members (component and daprd; daprd alone for the built-in), and another takes its place";
    terminated: "terminated", Side::BOTH, 3, BUSY,
        "four times, under load: SIGTERM to component and daprd of one of two members at once, and another takes its place";
    daprd_killed: "daprd-killed", &[Side::Component], 3, TWO,
        "five times, at random points: SIGKILL to the daprd of one of two members, and another daprd takes its place (for the built-in that is component-killed)";
    storm: "rebalance-storm", Side::BOTH, 3, TWO,
        "for 40 s members join and leave in random order, one to four at a time";
    revoked_in_retry: "revoked-in-retry", Side::BOTH, 3, REFUSING,
        "the app refuses a third of all records once or twice; for 30 s members join and leave";
    revoked_in_dead_letter: "revoked-in-dead-letter", &[Side::Component], 3, POISONED,
        "15 % of all records become dead letters; for 30 s members join and leave";
}

/// Kills in a run: three runs make more than twenty.
const KILLS: u64 = 7;

async fn component_killed(stage: &mut Stage) -> Result<()> {
    for turn in 0..KILLS {
        random_point(stage, turn).await?;
        let victim = victim(stage, turn)?;
        let member = stage.members.remove(victim);
        let name = member.name.clone();
        stage.begins("a member is killed", BOUND);
        member.kill().await?;
        stage.join().await?;
        // The session of who was killed is Kafka's to end.
        stage.is_missed(&name).await?;
        stage.heals_after_drain().await?;
    }
    Ok(())
}

async fn terminated(stage: &mut Stage) -> Result<()> {
    for turn in 0..4 {
        random_point(stage, turn).await?;
        let victim = victim(stage, turn)?;
        let member = stage.members.remove(victim);
        stage.begins("a member is terminated", BOUND);
        let (left, joined) = tokio::join!(member.leave(), stage.join());
        joined?;
        // How the built-in's daprd ends is its own affair.
        if stage.side == Side::Component {
            left?;
        }
        stage.heals_after_drain().await?;
    }
    Ok(())
}

async fn daprd_killed(stage: &mut Stage) -> Result<()> {
    for turn in 0..5 {
        random_point(stage, turn).await?;
        let victim = victim(stage, turn)?;
        let member = stage.members.remove(victim);
        let successor = stage.next_name();
        stage.begins("a daprd is killed", BOUND);
        let member = member.kill_daprd(&successor).await?;
        stage.members.push(member);
        stage.heals_after_drain().await?;
    }
    Ok(())
}

async fn storm(stage: &mut Stage) -> Result<()> {
    come_and_go(stage, Duration::from_secs(40), 4).await?;
    stage.heals_after_drain().await
}

async fn revoked_in_retry(stage: &mut Stage) -> Result<()> {
    come_and_go(stage, Duration::from_secs(30), 3).await?;
    stage.heals_after_drain().await
}

async fn revoked_in_dead_letter(stage: &mut Stage) -> Result<()> {
    come_and_go(stage, Duration::from_secs(30), 3).await?;
    stage.heals_after_drain().await
}

/// For so long members join and leave; there is always one, and never more than `most`.
pub(super) async fn come_and_go(stage: &mut Stage, lasts: Duration, most: usize) -> Result<()> {
    let end = Instant::now() + lasts;
    let mut turn = 0;
    while Instant::now() < end {
        turn += 1;
        let there = stage.members.len();
        let joins = stage.rolls.below(2, ("joins", turn)) == 0;
        if there == 1 || (joins && there < most) {
            stage.begins("a member joins", BOUND);
            stage.join().await?;
        } else {
            let victim = victim(stage, turn)?;
            let member = stage.members.remove(victim);
            stage.begins("a member leaves", BOUND);
            let left = member.leave().await;
            if stage.side == Side::Component {
                left?;
            }
        }
    }
    Ok(())
}

/// A while that the seed says.
async fn random_point(stage: &Stage, turn: u64) -> Result<()> {
    stage.goes_on(50).await?;
    let millis = stage.rolls.below(2000, ("point", turn));
    sleep(Duration::from_millis(millis)).await;
    Ok(())
}

fn victim(stage: &Stage, turn: u64) -> Result<usize> {
    let members = stage.members.len() as u64;
    Ok(stage.rolls.below(members, ("victim", turn)).try_into()?)
}
