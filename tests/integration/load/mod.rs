//! Heavy runs that are no part of `make test`: `make load` runs them, one after the other, and each
//! prints its figures.
//!
//! With `LOAD=all` the list of tests has them and no others, with `LOAD=memory` those of one file. `make
//! load` also plays a million schedules of the simulation, which is a unit test
//! (`src/delivery/simulation/`).

mod app;
pub mod choice;
mod memory;
mod mixed;
mod versions;

use std::time::Duration;

use harness::{DaprdBuild, Result};

use crate::{support::Test, tests};

tests!("load":
    memory::ratio_1,
    memory::ratio_5,
    memory::ratio_20,
    memory::ratio_100,
    memory::partitions_200,
    memory::partitions_1000,
    app::fifty_restarts_under_a_living_daprd_make_no_dead_letter,
    app::an_app_that_is_killed_in_a_loop_makes_no_dead_letter,
    mixed::a_built_in_that_joins_waits_for_handlers_of_40_s,
    versions::an_upgrade_and_the_way_back_lose_nothing,
);

/// How long any one of them may take.
pub const LIMIT: Duration = Duration::from_secs(1800);

/// Those that the environment variable `LOAD` asks for; `None` without it.
///
/// # Errors
/// When `LOAD` names none of them.
pub fn tests() -> Result<Option<Vec<Test>>> {
    match std::env::var("LOAD") {
        Ok(name) if !name.is_empty() => Ok(Some(choice::chosen(&name)?)),
        _ => Ok(None),
    }
}

/// The daprd that `DAPRD_VERSION` names, else the usual one.
pub fn daprd() -> Result<DaprdBuild> {
    match std::env::var("DAPRD_VERSION") {
        Ok(version) if !version.is_empty() => {
            let unknown = || format!("DAPRD_VERSION={version}: the tests have no such daprd");
            Ok(DaprdBuild::of_version(&version).ok_or_else(unknown)?)
        }
        _ => Ok(DaprdBuild::USUAL),
    }
}

/// Whether a test is one of these.
pub fn is_one(name: &str) -> bool {
    TESTS.iter().any(|test| test.name == name)
}
