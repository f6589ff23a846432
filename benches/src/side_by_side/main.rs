//! `make bench`: Dapr's built-in component and this one, in the same run.

mod consume;
mod latency;
mod publish;
mod rig;

use std::{process::ExitCode, time::Instant};

use benches::{
    daprds,
    figures::{Figures, Kind},
    is_partial,
    machine::Circumstances,
    page::{Report, SIDE_BY_SIDE},
    rounds, run,
};
use harness::{DaprdBuild, Kafka, Result};
use rig::Side;

const ROUNDS: usize = 5;

fn main() -> ExitCode {
    run(bench())
}

/// What a scenario is run with.
struct World {
    daprd: DaprdBuild,
    kafka: Kafka,
    round: usize,
    figures: Figures,
}

impl World {
    /// A name that nothing had before.
    fn name(&self, what: &str, side: Side) -> String {
        format!("{what}-{}-{}", self.round, side.slug())
    }

    fn add(&mut self, scenario: &str, kind: Kind, side: Side, sample: f64) {
        println!(
            "  {scenario}: {}: {} {sample:.2} {}",
            side.name, kind.name, kind.unit
        );
        self.figures.add(scenario, kind, side.name, sample);
    }

    /// The sides in this round's order.
    fn turn(&self, sides: &[Side]) -> Vec<Side> {
        let mut sides = sides.to_vec();
        if self.round % 2 == 1 {
            sides.reverse();
        }
        sides
    }
}

/// Measures on each chosen daprd, and keeps the figures of one before the next begins.
async fn bench() -> Result<()> {
    let rounds = rounds(ROUNDS)?;
    for daprd in daprds()? {
        let report = measure(daprd, rounds).await?;
        report.finish(&SIDE_BY_SIDE, is_partial(ROUNDS))?;
    }
    Ok(())
}

async fn measure(daprd: DaprdBuild, rounds: usize) -> Result<Report> {
    let circumstances = Circumstances::of_now(rounds)?;
    let mut world = World {
        daprd,
        kafka: Kafka::start().await?,
        round: 0,
        figures: Figures::default(),
    };
    let begun = Instant::now();
    for round in 0..rounds {
        world.round = round;
        let taken = begun.elapsed().as_secs();
        let version = daprd.version();
        println!(
            "Dapr {version}: round {} of {rounds}, after {taken} s",
            round + 1
        );
        publish::all(&mut world).await?;
        latency::all(&mut world).await?;
        consume::all(&mut world).await?;
    }
    world.kafka.stop().await?;
    Ok(Report {
        daprd: Some(daprd.version().to_owned()),
        circumstances,
        figures: world.figures,
    })
}
