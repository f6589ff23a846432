//! `make bench-core`: the component through its socket, and librdkafka alone.

mod component;
mod counted;
mod counts;
mod raw;
mod scale;
mod speed;

use std::process::ExitCode;

use benches::{
    figures::{Figures, Kind},
    is_partial,
    machine::Circumstances,
    page::{CORE, Report},
    rounds, run,
};
use harness::{Kafka, Result};

const ROUNDS: usize = 5;

/// The sides that speed is compared of.
const ALONE: &str = "librdkafka alone";
const SOCKET: &str = "through the socket";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some(raw::COMMAND) => run(raw::run(arguments.collect())),
        Some(counted::COMMAND) => counted::run(),
        _ => run(bench()),
    }
}

/// What is measured, and where.
struct World {
    kafka: Kafka,
    round: usize,
    figures: Figures,
}

impl World {
    fn add(&mut self, scenario: &str, kind: Kind, side: &str, sample: f64) {
        println!(
            "  {scenario}: {side}: {} {sample:.2} {}",
            kind.name, kind.unit
        );
        self.figures.add(scenario, kind, side, sample);
    }
}

async fn bench() -> Result<()> {
    let rounds = rounds(ROUNDS)?;
    let circumstances = Circumstances::of_now(rounds)?;
    let mut world = World {
        kafka: Kafka::start().await?,
        round: 0,
        figures: Figures::default(),
    };
    for round in 0..rounds {
        world.round = round;
        println!("round {} of {rounds}", round + 1);
        speed::all(&mut world).await?;
        counts::all(&mut world).await?;
        scale::all(&mut world).await?;
    }
    world.kafka.stop().await?;
    let report = Report {
        daprd: None,
        circumstances,
        figures: world.figures,
    };
    report.finish(&CORE, is_partial(ROUNDS))
}
