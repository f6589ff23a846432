use std::time::Duration;

use harness::ledger::{Finding, Invariant, Ledger, Summary, report};
use serde::{Deserialize, Serialize};

use super::PARTITIONS;
use crate::Side;

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Messages that were attempted.
    pub messages: usize,
    /// Of those that Publish acknowledged: neither acknowledged by the app nor dead letters,
    /// or not as they were published (I1).
    pub lost: usize,
    /// Handings of records that had been handed out before and that nobody had refused.
    pub duplicates: usize,
    /// How many of those all faults together allow (I5).
    pub bound: usize,
    /// Equal keys out of order, or two at once (I3).
    pub order_breaks: usize,
    /// Whatever else the judge finds.
    pub other: usize,
    /// Faults in the run.
    pub faults: usize,
    /// Dead letters.
    pub dead_letters: usize,
    /// How long each heal took, in seconds; `None` is longer than anyone waited.
    pub heals: Vec<Option<f64>>,
    /// How long all of it took, in seconds.
    pub seconds: f64,
    /// What the judge has to say, or why the run did not come to its end.
    pub remarks: Vec<String>,
    /// Whether the run came to its end: what it was to see happened, and everything was
    /// committed.
    pub complete: bool,
}

/// How soon after a fault's end everything must go again, in seconds.
pub const HEALS_WITHIN: f64 = 10.0;

impl Outcome {
    /// A run that could not even begin.
    pub(super) fn failed(error: &str) -> Self {
        Self {
            remarks: vec![error.to_owned()],
            ..Self::default()
        }
    }

    pub(super) fn of(ledger: &Ledger, findings: &[Finding], heals: &[Option<Duration>]) -> Self {
        let count = |wanted: Invariant| {
            let of = |finding: &&Finding| finding.invariant == wanted;
            findings.iter().filter(of).count()
        };
        let summary = Summary::of(ledger);
        let (lost, order_breaks) = (count(Invariant::I1), count(Invariant::I3));
        Self {
            messages: summary.messages,
            lost,
            duplicates: summary.again,
            bound: summary.allowed * PARTITIONS.unsigned_abs() as usize,
            order_breaks,
            other: findings.len() - lost - order_breaks,
            faults: summary.faults.len(),
            dead_letters: summary.dead_letters,
            heals: heals
                .iter()
                .map(|heal| heal.map(|heal| (heal.as_secs_f64() * 10.0).round() / 10.0))
                .collect(),
            seconds: 0.0,
            remarks: if findings.is_empty() {
                Vec::new()
            } else {
                vec![report(findings)]
            },
            complete: true,
        }
    }

    /// Whether it is as it must be. The built-in's figures are figures.
    pub fn is_fine(&self, side: Side) -> bool {
        let healed = |heal: &Option<f64>| heal.is_some_and(|heal| heal <= HEALS_WITHIN);
        side == Side::BuiltIn
            || self.complete
                && self.lost + self.order_breaks + self.other == 0
                && self.heals.iter().all(healed)
    }

    /// The longest heal; infinite if one never came.
    pub fn longest_heal(&self) -> Option<f64> {
        let heals = self.heals.iter().map(|heal| heal.unwrap_or(f64::INFINITY));
        heals.reduce(f64::max)
    }
}
