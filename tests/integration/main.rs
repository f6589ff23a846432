//! The tests that need more than one process: the component as it is built, on
//! the embedded broker or a real Kafka, with a client that plays daprd or the
//! real daprd.
//!
//! `cargo test --test integration -- --skip system` runs the fast ones alone.

mod doctor;
mod embedded;
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
use support::{Fixture, Test};

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    harness::container::enter_if_asked();
    let arguments = Arguments::from_args();
    let fixture = Arc::new(Fixture::new().expect("a runtime"));
    let trials = [
        rooms::TESTS,
        operations::TESTS,
        packages::TESTS,
        reliability::TESTS,
        samples::TESTS,
        monitoring::TESTS,
        embedded::TESTS,
        system::TESTS,
        system::topics::TESTS,
        &doctor::tests(),
        #[cfg(target_os = "linux")]
        pods::TESTS,
    ]
    .concat()
    .into_iter()
    .map(|Test { name, run }| {
        let fixture = fixture.clone();
        Trial::test(name, move || fixture.run(run).map_err(Into::into))
    })
    .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    conclusion.exit_code()
}
