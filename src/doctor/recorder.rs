use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::{BrokerSeen, Check, Finding, Outcome, Report, Seen, Stage};

/// Who is told of each check.
type Watch = Box<dyn Fn(&Check) + Send + Sync>;

/// Keeps what came of each check, and tells whoever watches. Brokers are examined side by
/// side, so the checks are put in order at the end.
#[derive(Default)]
pub struct Recorder {
    checks: Mutex<Vec<Check>>,
    brokers: Mutex<BTreeMap<String, BrokerSeen>>,
    daprd: OnceLock<String>,
    watch: Option<Watch>,
}

impl Recorder {
    /// One that tells each check as it is made.
    pub fn watched(watch: impl Fn(&Check) + Send + Sync + 'static) -> Self {
        Self {
            watch: Some(Box::new(watch)),
            ..Self::default()
        }
    }

    pub(super) fn fine(&self, stage: Stage, subject: impl Into<String>, seen: Seen) {
        self.note(stage, subject.into(), Outcome::Fine(seen));
    }

    pub(super) fn found(&self, subject: impl Into<String>, finding: Finding) {
        self.note(finding.row.stage, subject.into(), Outcome::Found(finding));
    }

    pub(super) fn skipped(&self, stage: Stage, subject: impl Into<String>, why: impl Into<String>) {
        self.note(stage, subject.into(), Outcome::Skipped(why.into()));
    }

    /// Keeps what a broker told of itself; the last that is said of it counts.
    pub(super) fn saw(&self, broker: BrokerSeen) {
        let mut brokers = self.brokers.lock().unwrap_or_else(PoisonError::into_inner);
        brokers.insert(broker.subject.clone(), broker);
    }

    /// Keeps which release of daprd answered.
    pub(super) fn saw_daprd(&self, release: &str) {
        // One daprd is asked, once.
        let _ = self.daprd.set(release.to_owned());
    }

    fn note(&self, stage: Stage, subject: String, outcome: Outcome) {
        let check = Check {
            stage,
            subject,
            outcome,
        };
        if let Some(watch) = &self.watch {
            watch(&check);
        }
        self.checks().push(check);
    }

    /// What is known so far, by stages.
    pub fn report(&self) -> Report {
        let mut checks = self.checks().clone();
        checks.sort_by_key(|check| check.stage);
        let brokers = self.brokers.lock().unwrap_or_else(PoisonError::into_inner);
        let brokers = brokers.values().cloned().collect();
        Report {
            checks,
            brokers,
            version: None,
            daprd: self.daprd.get().cloned(),
        }
    }

    fn checks(&self) -> MutexGuard<'_, Vec<Check>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
