use std::collections::{BTreeMap, BTreeSet};

use super::{
    Finding, Seen, Severity, Stage,
    wire::{self, Ranges},
};

/// All that was checked, in the order of the checks.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each check and what came of it.
    pub checks: Vec<Check>,
    /// The brokers that told what they serve, by their names.
    pub brokers: Vec<BrokerSeen>,
    /// The component's `version`, which matters to the built-in component alone.
    pub version: Option<String>,
    /// The keys that the component's metadata has, in lower case.
    pub given: BTreeSet<String>,
    /// The release of the daprd that answered, as it says itself.
    pub daprd: Option<String>,
}

/// A broker as it told of itself.
#[derive(Clone, Debug)]
pub struct BrokerSeen {
    /// Which one, as checks call it.
    pub subject: String,
    /// What it seems to be, by its own words and ranges; to be shown, not to judge by.
    pub product: String,
    /// Whether it was spoken to by TLS.
    pub tls: bool,
    /// Whether the settings have a login.
    pub login: bool,
    /// The versions of each request that it serves.
    pub(super) ranges: Ranges,
}

impl BrokerSeen {
    /// The oldest and the newest version of each request that it serves, by their names.
    pub fn serves(&self) -> BTreeMap<String, (i16, i16)> {
        let each = self.ranges.iter();
        each.map(|(key, first, last)| (wire::name(key), (first, last)))
            .collect()
    }
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// What it is about.
    pub stage: Stage,
    /// Which broker, topic or group.
    pub subject: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a check.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is fine: this was seen.
    Fine(Seen),
    /// It is not.
    Found(Finding),
    /// It was not checked, and why: nothing is known.
    Skipped(String),
    /// It was asked for and no answer came, and why: what it would tell is not known.
    Unanswered(String),
}

impl Report {
    /// What was found, worst first; of equal ones the earlier stage first.
    pub fn findings(&self) -> Vec<&Check> {
        let mut found: Vec<_> = self
            .checks
            .iter()
            .filter(|check| check.finding().is_some())
            .collect();
        found.sort_by_key(|check| (check.finding().map(|found| found.severity), check.stage));
        found
    }

    /// How far the checks came.
    pub(super) fn last(&self) -> Stage {
        let done = self.checks.iter();
        let done =
            done.filter(|check| matches!(check.outcome, Outcome::Fine(_) | Outcome::Found(_)));
        done.map(|check| check.stage)
            .max()
            .unwrap_or(Stage::Settings)
    }

    /// How bad the worst finding is.
    pub fn worst(&self) -> Option<Severity> {
        let findings = self.checks.iter().filter_map(Check::finding);
        findings.map(|found| found.severity).min()
    }
}

impl Check {
    /// What was found, if anything was.
    pub fn finding(&self) -> Option<&Finding> {
        match &self.outcome {
            Outcome::Found(finding) => Some(finding),
            Outcome::Fine(_) | Outcome::Skipped(_) | Outcome::Unanswered(_) => None,
        }
    }
}
