//! `make ledger`: runs the faults, and writes docs/reliability.md.

use std::{env, process::ExitCode, time::Duration};

use harness::{DaprdBuild, Result};
use ledger::{
    Side,
    faults::{self, Case, Fault},
    page,
    results::{About, Kept},
    scene::{Outcome, Stage},
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

const USAGE: &str = "ledger [soak|missing|page|render]; FAULT=name, SEED=n, SIDE=component|built-in and DAPRD_VERSION=version choose";

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
            for case in Chosen::from_env()?.cases() {
                if Kept::read(&case)?.is_none() {
                    println!("{case}");
                }
            }
            Ok(true)
        }
        Some("page") => {
            page::write(&page::published()?.updated()?)?;
            Ok(true)
        }
        Some("render") => {
            page::write(&page::published()?)?;
            Ok(true)
        }
        Some(other) => Err(format!("{other}? {USAGE}").into()),
    }
}

/// Which runs are wanted.
struct Chosen {
    faults: Vec<Fault>,
    side: Option<Side>,
    daprd: Option<DaprdBuild>,
    seed: Option<u64>,
}

impl Chosen {
    fn from_env() -> Result<Self> {
        let given = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let mut faults = faults::all();
        if let Some(name) = given("FAULT") {
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
            side: given("SIDE").map(|side| side.parse()).transpose()?,
            daprd: given("DAPRD_VERSION")
                .map(|version| daprd(&version))
                .transpose()?,
            seed: given("SEED").map(|seed| seed.parse()).transpose()?,
        })
    }

    fn soak() -> Result<Self> {
        Ok(Self {
            faults: vec![faults::soak()],
            ..Self::from_env()?
        })
    }

    /// Whether nothing was left out.
    fn is_all(&self) -> bool {
        let none = self.side.is_none() && self.daprd.is_none() && self.seed.is_none();
        none && self.faults.len() == faults::all().len()
    }

    /// The runs. A daprd or a seed that is named is taken for each fault, also where the page
    /// has none of it.
    fn cases(&self) -> Vec<Case> {
        let mut faults = self.faults.clone();
        for fault in &mut faults {
            if let Some(daprd) = self.daprd {
                fault.daprds = daprd.alone();
            }
        }
        let mut cases: Vec<_> = faults.iter().flat_map(Fault::cases).collect();
        cases.retain(|case| self.side.is_none_or(|only| only == case.side));
        if let Some(seed) = self.seed {
            cases.retain(|case| case.seed == 1);
            cases.iter_mut().for_each(|case| case.seed = seed);
        }
        cases
    }
}

/// The build of a version that `DAPRD_VERSION` names.
fn daprd(version: &str) -> Result<DaprdBuild> {
    let known = DaprdBuild::ALL.map(DaprdBuild::version).join(", ");
    let unknown =
        || format!("DAPRD_VERSION={version}: the tests have no such daprd; they have {known}");
    Ok(DaprdBuild::of_version(version).ok_or_else(unknown)?)
}

async fn run(chosen: &Chosen) -> Result<bool> {
    let mut failed = Vec::new();
    for case in chosen.cases() {
        let kept = Kept::read(&case)?;
        // Whoever names a seed wants to see it again.
        let kept = match kept.filter(|_| chosen.seed.is_none()) {
            Some(kept) => kept,
            None => perform(&case).await?,
        };
        tell(&kept);
        if !kept.outcome.is_fine(case.side) {
            failed.push(again(&case));
        }
    }
    if chosen.is_all() {
        page::write(&page::published()?.updated()?)?;
    }
    if !failed.is_empty() {
        eprintln!("not as it must be; each alone:\n  {}", failed.join("\n  "));
    }
    Ok(failed.is_empty())
}

/// How to run it again alone.
fn again(case: &Case) -> String {
    match case.fault.name {
        "soak" => format!(
            "make soak DAPRD_VERSION={} SEED={}",
            case.daprd.version(),
            case.seed
        ),
        _ => format!("make ledger {case}"),
    }
}

async fn perform(case: &Case) -> Result<Kept> {
    println!("{case}: {}", case.fault.what);
    let about = About::now()?;
    let (outcome, evidence) = Stage::perform(case).await;
    let kept = Kept {
        fault: case.fault.name.to_owned(),
        side: case.side,
        daprd: case.daprd.version().to_owned(),
        seed: case.seed,
        about,
        outcome,
    };
    kept.write(case, &evidence)?;
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
    let after_drain = kept.outcome.heals_after_drain().flatten();
    let heal = match after_drain.reduce(f64::max) {
        Some(longest) if !kept.outcome.drains.is_empty() => {
            format!("{heal}, {longest:.1} s from the drain's end")
        }
        _ => heal,
    };
    let end = if kept.outcome.complete {
        ""
    } else {
        ", NOT COMPLETE"
    };
    println!(
        "{:<22} {:<9} daprd {} seed {}: {messages} messages, {lost} lost, {duplicates} duplicates (bound {bound}), \
         {order_breaks} order breaks, {other} other, {heal}, {seconds} s in all{end}",
        kept.fault, kept.side, kept.daprd, kept.seed
    );
    if kept.side == Side::Component || !kept.outcome.complete {
        for remark in &kept.outcome.remarks {
            println!("  {}", remark.replace('\n', "\n  "));
        }
    }
}
