//! What came of runs, kept as files, so that a ledger that was interrupted goes on.

mod about;
mod kept;
mod source;

use std::path::PathBuf;

use harness::root;

pub use about::About;
pub use kept::{Kept, Summary};
pub use source::source;

/// The component's program under test: what `PROGRAM` names, else the release.
pub fn program() -> PathBuf {
    match std::env::var_os("PROGRAM").filter(|program| !program.is_empty()) {
        Some(program) => PathBuf::from(program),
        None => root().join("target/release/dapr-rdkafka"),
    }
}
