use std::{iter, time::Duration};

use harness::ledger::{Finding, Invariant, Ledger, Summary, report};
use serde::{Deserialize, Serialize};

use super::{Sample, heal::Heal, is_flat};
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
    /// How long after each fault's end the group was last seen in a rebalance, in seconds. Empty if no
    /// fault of the run contains a rebalance, and in results from before this was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drains: Vec<f64>,
    /// How long all of it took, in seconds.
    pub seconds: f64,
    /// What the judge has to say, or why the run did not come to its end.
    pub remarks: Vec<String>,
    /// Whether the run came to its end: what it was to see happened, and everything was
    /// committed.
    pub complete: bool,
    /// What the component took of the machine, if that was looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
}

/// How soon after a fault's end everything must go again, in seconds; after the drain's end if the
/// fault contains a rebalance.
pub const HEALS_WITHIN: f64 = 10.0;

/// How much of a heal counts as the drain at most, in seconds. The app of a run answers within 60 ms,
/// so members drain long before `rebalanceDrain` (60 s) is over: a group that rebalances for longer
/// than this does not drain, it is slow.
pub const DRAINS_WITHIN: f64 = 10.0;

impl Outcome {
    /// A run that could not even begin.
    pub(super) fn failed(error: &str) -> Self {
        Self {
            remarks: vec![error.to_owned()],
            ..Self::default()
        }
    }

    /// Adds what a ledger says.
    pub(super) fn add(&mut self, ledger: &Ledger, findings: &[Finding], partitions: i32) {
        let count = |wanted: &dyn Fn(&Finding) -> bool| {
            findings.iter().filter(|finding| wanted(finding)).count()
        };
        let summary = Summary::of(ledger);
        // What nobody published through a daprd can't be lost: the rest of an aborted
        // transaction that was handed out is something else.
        let is_lost =
            |finding: &Finding| finding.invariant == Invariant::I1 && finding.message.is_some();
        let lost = count(&is_lost);
        let order_breaks = count(&|finding| finding.invariant == Invariant::I3);
        self.messages += summary.messages;
        self.lost += lost;
        self.duplicates += summary.again;
        self.bound += summary.allowed * partitions.unsigned_abs() as usize;
        self.order_breaks += order_breaks;
        self.other += findings.len() - lost - order_breaks;
        self.faults += summary.faults.len();
        self.dead_letters += summary.dead_letters;
        if !findings.is_empty() {
            self.remarks.push(report(findings));
        }
    }

    pub(super) fn healed(&mut self, heals: &[Heal]) {
        let tenths = |heal: Duration| (heal.as_secs_f64() * 10.0).round() / 10.0;
        self.heals = heals.iter().map(|heal| heal.took.map(tenths)).collect();
        if heals.iter().any(|heal| !heal.drain.is_zero()) {
            self.drains = heals.iter().map(|heal| tenths(heal.drain)).collect();
        }
    }

    /// How long each heal took from the drain's end, in seconds; from the fault's end if the run has
    /// no drains. A drain ends after [`DRAINS_WITHIN`] at the latest.
    pub fn heals_after_drain(&self) -> impl Iterator<Item = Option<f64>> {
        let drains = self.drains.iter().map(|drain| drain.min(DRAINS_WITHIN));
        let heals = self.heals.iter().zip(drains.chain(iter::repeat(0.0)));
        heals.map(|(heal, drain)| heal.map(|heal| heal - drain))
    }

    /// Whether it is as it must be. The built-in's figures are figures.
    pub fn is_fine(&self, side: Side) -> bool {
        let healed = |heal: Option<f64>| heal.is_some_and(|heal| heal <= HEALS_WITHIN);
        side == Side::BuiltIn
            || self.complete
                && self.lost + self.order_breaks + self.other == 0
                && self.heals_after_drain().all(healed)
                && (self.samples.is_empty() || is_flat(&self.samples))
    }

    /// The longest heal; infinite if one never came.
    pub fn longest_heal(&self) -> Option<f64> {
        let heals = self.heals.iter().map(|heal| heal.unwrap_or(f64::INFINITY));
        heals.reduce(f64::max)
    }
}
