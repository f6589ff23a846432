//! `make ledger`: runs the faults, and writes docs/reliability.md.

use std::{env, process::ExitCode, time::Duration};

use harness::Result;
use ledger::{
    Side,
    faults::{self, Fault},
    page,
    results::{About, Kept, Summary},
    scene::{Outcome, Stage},
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

const USAGE: &str =
    "ledger [soak|missing|page|render]; FAULT=name, SEED=n and SIDE=component|built-in choose";

/// How long is waited for a thread that asks a broker, when the broker is gone already.
const LEFT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        tokio::select! {
            done = ledger() => done,
            // Whatever runs ends with its handle.
            interrupted = interrupted() => Err(interrupted),
        }
    });
    runtime.shutdown_timeout(LEFT);
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn interrupted() -> harness::Error {
    let waited = async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        std::io::Result::Ok(())
    };
    match waited.await {
        Ok(()) => "interrupted; what was kept is kept".into(),
        Err(error) => error.into(),
    }
}

/// Whether everything was as it must be.
async fn ledger() -> Result<bool> {
    match env::args().nth(1).as_deref() {
        None => run(&Chosen::from_env()?).await,
        Some("soak") => run(&Chosen::soak()?).await,
        Some("missing") => {
            for (fault, side, seed) in Chosen::from_env()?.runs() {
                if Kept::read(&fault, side, seed)?.is_none() {
                    println!("FAULT={} SIDE={side} SEED={seed}", fault.name);
                }
            }
            Ok(true)
        }
        Some("page") => {
            page::write(&Summary::collect()?)?;
            Ok(true)
        }
        Some("render") => {
            let numbers = std::fs::read_to_string(page::numbers())?;
            page::write(&serde_json::from_str(&numbers)?)?;
            Ok(true)
        }
        Some(other) => Err(format!("{other}? {USAGE}").into()),
    }
}

/// Which runs are wanted.
struct Chosen {
    faults: Vec<Fault>,
    side: Option<Side>,
    seed: Option<u64>,
    /// Not chosen at all: everything.
    all: bool,
}

impl Chosen {
    fn from_env() -> Result<Self> {
        let given = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let mut faults = faults::all();
        let (fault, side, seed) = (given("FAULT"), given("SIDE"), given("SEED"));
        if let Some(name) = &fault {
            let names: Vec<_> = faults.iter().map(|fault| fault.name).collect();
            if !names.contains(&name.as_str()) {
                return Err(
                    format!("no fault is named {name}; there are {}", names.join(", ")).into(),
                );
            }
            faults.retain(|fault| fault.name == name);
        }
        Ok(Self {
            faults,
            all: fault.is_none() && side.is_none() && seed.is_none(),
            side: side.map(|side| side.parse()).transpose()?,
            seed: seed.map(|seed| seed.parse()).transpose()?,
        })
    }

    fn soak() -> Result<Self> {
        Ok(Self {
            faults: vec![faults::soak()],
            ..Self::from_env()?
        })
    }

    fn runs(&self) -> Vec<(Fault, Side, u64)> {
        let mut runs = Vec::new();
        for fault in &self.faults {
            for side in fault.sides {
                if self.side.is_some_and(|only| only != *side) {
                    continue;
                }
                let seeds = match self.seed {
                    Some(seed) => seed..=seed,
                    None => 1..=fault.seeds,
                };
                runs.extend(seeds.map(|seed| (*fault, *side, seed)));
            }
        }
        runs
    }
}

async fn run(chosen: &Chosen) -> Result<bool> {
    let mut failed = Vec::new();
    for (fault, side, seed) in chosen.runs() {
        let kept = Kept::read(&fault, side, seed)?;
        // Whoever names a seed wants to see it again.
        let kept = match kept.filter(|_| chosen.seed.is_none()) {
            Some(kept) => kept,
            None => perform(&fault, side, seed).await?,
        };
        tell(&kept);
        if !kept.outcome.is_fine(side) {
            failed.push(again(&fault, side, seed));
        }
    }
    if chosen.all {
        page::write(&Summary::collect()?)?;
    }
    if !failed.is_empty() {
        eprintln!("not as it must be; each alone:\n  {}", failed.join("\n  "));
    }
    Ok(failed.is_empty())
}

/// How to run it again alone.
fn again(fault: &Fault, side: Side, seed: u64) -> String {
    match fault.name {
        "soak" => format!("make soak SEED={seed}"),
        name => format!("make ledger FAULT={name} SIDE={side} SEED={seed}"),
    }
}

async fn perform(fault: &Fault, side: Side, seed: u64) -> Result<Kept> {
    println!("{:<22} {side:<9} seed {seed}: {}", fault.name, fault.what);
    let about = About::now()?;
    let (outcome, evidence) = Stage::perform(fault, side, seed).await;
    let kept = Kept {
        fault: fault.name.to_owned(),
        side,
        seed,
        about,
        outcome,
    };
    kept.write(fault, &evidence)?;
    Ok(kept)
}

fn tell(kept: &Kept) {
    let Outcome {
        messages,
        lost,
        duplicates,
        bound,
        order_breaks,
        other,
        seconds,
        ..
    } = kept.outcome;
    let heal = match kept.outcome.longest_heal() {
        Some(heal) => format!("{heal:.1} s to heal"),
        None => "no heal".to_owned(),
    };
    let end = if kept.outcome.complete {
        ""
    } else {
        ", NOT COMPLETE"
    };
    println!(
        "{:<22} {:<9} seed {}: {messages} messages, {lost} lost, {duplicates} duplicates (bound {bound}), \
         {order_breaks} order breaks, {other} other, {heal}, {seconds} s in all{end}",
        kept.fault, kept.side, kept.seed
    );
    if kept.side == Side::Component || !kept.outcome.complete {
        for remark in &kept.outcome.remarks {
            println!("  {}", remark.replace('\n', "\n  "));
        }
    }
}
