//! Which heavy runs `LOAD` asks for.

use std::{collections::BTreeSet, sync::Arc};

use harness::Result;

use super::TESTS as RUNS;
use crate::{
    ensure,
    support::{Fixture, Test},
    tests,
};

tests!("load::choice", a_name_that_no_run_has_is_refused);

/// What the names of heavy runs begin with.
const ROOM: &str = "load::";

/// Asks for all of them.
const ALL: &str = "all";

/// The heavy runs that a name stands for: `all`, the runs of one file (`memory`), or one run
/// (`memory::ratio_5`).
///
/// # Errors
/// When no run has that name: otherwise nothing would be run, and that would pass.
pub fn chosen(name: &str) -> Result<Vec<Test>> {
    let is_chosen = |test: &&Test| {
        let rest = short(test).strip_prefix(name);
        name == ALL || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let chosen: Vec<_> = RUNS.iter().filter(is_chosen).copied().collect();
    if chosen.is_empty() {
        let files = RUNS
            .iter()
            .filter_map(|test| short(test).split("::").next());
        let files: BTreeSet<_> = files.collect();
        let known = files.into_iter().chain(RUNS.iter().map(short));
        let known = known.collect::<Vec<_>>().join(", ");
        return Err(format!(
            "no heavy run is named {name:?}. Use {ALL}, simulation (by make load), or one of {known}"
        )
        .into());
    }
    Ok(chosen)
}

/// A run's name without its room.
fn short(test: &Test) -> &'static str {
    test.name.trim_start_matches(ROOM)
}

async fn a_name_that_no_run_has_is_refused(_: Arc<Fixture>) -> Result<()> {
    let count = |name: &str| chosen(name).map(|runs| runs.len());
    ensure!(count("all")? == RUNS.len(), "not all were chosen");
    ensure!(count("memory::ratio_5")? == 1, "one name is one run");
    let memory = count("memory")?;
    ensure!(
        1 < memory && memory < RUNS.len(),
        "{memory} runs of memory.rs"
    );
    for unknown in ["memry", "mem", "memory::ratio", ""] {
        let error = chosen(unknown).err().map(|error| error.to_string());
        let names_them =
            |error: &String| error.contains("memory, ") && error.contains("simulation");
        ensure!(
            error.as_ref().is_some_and(names_them),
            "{unknown:?}: {error:?}"
        );
    }
    Ok(())
}
