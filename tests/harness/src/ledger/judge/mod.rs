//! What a ledger says about the invariants of ARCHITECTURE.md.

mod commits;
mod dead_letters;
mod finding;
mod index;
mod losses;
mod order;
mod repeats;
mod summary;
#[cfg(test)]
mod tests;

pub use finding::{Finding, Invariant, report};
pub use summary::{Aftermath, Summary};

use super::Ledger;
use index::Index;

/// Everything that a ledger proves to be wrong; nothing if all promises that can
/// be seen from outside were kept.
pub fn judge(ledger: &Ledger) -> Vec<Finding> {
    let index = Index::of(ledger);
    [
        losses::find(&index),
        commits::find(&index),
        order::find(&index),
        repeats::find(&index),
        dead_letters::find(&index),
    ]
    .concat()
}
