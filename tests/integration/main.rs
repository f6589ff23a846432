//! The tests that need more than one process: the component as it is built, on
//! the embedded broker or a real Kafka, with a client that plays daprd or the
//! real daprd.
//!
//! `cargo test --test integration -- --skip system` runs the fast ones alone.

mod doctor;
mod embedded;
mod load;
mod matrix;
mod monitoring;
mod operations;
mod packages;
#[cfg(target_os = "linux")]
mod pods;
mod reliability;
mod rooms;
mod samples;
mod support;
mod system;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};
use support::{Shared, Test};

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    harness::container::enter_if_asked();
    let arguments = Arguments::from_args();
    let tests = match load::tests() {
        Ok(heavy) => heavy.unwrap_or_else(usual_tests),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let shared = Arc::new(Shared::new().expect("a runtime"));
    let trials = tests.into_iter().flat_map(|test| {
        let shared = shared.clone();
        matrix::trials(test.name)
            .into_iter()
            .map(move |(name, daprd)| {
                let shared = shared.clone();
                Trial::test(name, move || shared.run(test, daprd).map_err(Into::into))
            })
    });
    let trials = trials.collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    conclusion.exit_code()
}

/// All but the heavy runs.
fn usual_tests() -> Vec<Test> {
    [
        rooms::TESTS,
        matrix::TESTS,
        operations::TESTS,
        packages::TESTS,
        reliability::TESTS,
        samples::TESTS,
        monitoring::TESTS,
        embedded::TESTS,
        system::TESTS,
        system::topics::TESTS,
        &doctor::tests(),
        load::choice::TESTS,
        #[cfg(target_os = "linux")]
        pods::TESTS,
    ]
    .concat()
}
