//! What the benchmarks have in common: the app, the load, what processes use, and the page
//! that tells what was measured.
//!
//! All of a benchmark runs on one machine, drivers and brokers too, so absolute figures
//! say little and pairs from one run say much.

pub mod app;
pub mod figures;
pub mod kafka;
pub mod load;
pub mod machine;
pub mod page;
pub mod player;
pub mod plot;
pub mod targets;
pub mod usage;

use std::{path::PathBuf, process::ExitCode};

use harness::{DaprdBuild, Result, root};

/// The daprds on which `make bench` measures, in the order of the page: a concurrent one, which is a
/// reconstruction (tests/README.md), and a serial one.
pub const DAPRDS: [DaprdBuild; 2] = [DaprdBuild::V1_18_4, DaprdBuild::V1_16_5];

/// The program that is measured: what `PROGRAM` names, or the release.
pub fn program() -> Result<PathBuf> {
    let release = || root().join("target/release/dapr-rdkafka");
    let program = std::env::var_os("PROGRAM").map_or_else(release, PathBuf::from);
    match program.is_file() {
        true => Ok(program),
        false => Err(format!("{} is not there: run `make build`", program.display()).into()),
    }
}

/// The daprds of this run: the one whose version `DAPRD_VERSION` names, or all of [`DAPRDS`]. Fails
/// for a version that is not among them.
pub fn daprds() -> Result<Vec<DaprdBuild>> {
    chosen_daprds(&std::env::var("DAPRD_VERSION").unwrap_or_default())
}

/// The daprds that a version chooses; an empty version chooses all.
fn chosen_daprds(version: &str) -> Result<Vec<DaprdBuild>> {
    if version.is_empty() {
        return Ok(DAPRDS.to_vec());
    }
    match DAPRDS.into_iter().find(|daprd| daprd.version() == version) {
        Some(daprd) => Ok(vec![daprd]),
        None => {
            let known = DAPRDS.map(DaprdBuild::version).join(" or ");
            let remedy = format!("Use {known}, or leave it empty for both.");
            Err(format!("DAPRD_VERSION={version} is not measured. {remedy}").into())
        }
    }
}

/// Whether `ONLY` leaves this scenario out; empty takes all.
pub fn is_left_out(scenario: &str) -> bool {
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut parts = only
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .peekable();
    parts.peek().is_some() && !parts.any(|part| scenario.contains(part))
}

/// How often everything is measured: what `ROUNDS` says.
pub fn rounds(default: usize) -> Result<usize> {
    match std::env::var("ROUNDS") {
        Ok(rounds) => match rounds.parse() {
            Ok(rounds) if rounds > 0 => Ok(rounds),
            _ => Err(format!("ROUNDS is {rounds:?}: give a number above 0").into()),
        },
        Err(_) => Ok(default),
    }
}

/// Whether less is measured than the page is made of.
pub fn is_partial(rounds_of_all: usize) -> bool {
    std::env::var("ONLY").is_ok()
        || rounds(rounds_of_all).is_ok_and(|rounds| rounds < rounds_of_all)
}

/// Runs a benchmark until its end or Ctrl-C; either way its children end with it.
pub fn run(benchmark: impl Future<Output = Result<()>>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = benchmark => ended,
            _ = tokio::signal::ctrl_c() => Err("interrupted before its figures were written".into()),
        }
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_chooses_one_of_the_measured_daprds() {
        let chosen = |version| chosen_daprds(version).map_err(|error| error.to_string());
        assert_eq!(chosen(""), Ok(DAPRDS.to_vec()));
        assert_eq!(chosen("1.16.5"), Ok(vec![DaprdBuild::V1_16_5]));
        let reconstruction = "1.18.4+reconstruction";
        assert_eq!(chosen(reconstruction), Ok(vec![DaprdBuild::V1_18_4]));
        let refused = "DAPRD_VERSION=1.18.3 is not measured. \
            Use 1.18.4+reconstruction or 1.16.5, or leave it empty for both.";
        assert_eq!(chosen("1.18.3"), Err(refused.to_owned()));
    }
}
