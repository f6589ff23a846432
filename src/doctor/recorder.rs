use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::{BrokerSeen, Check, Finding, Outcome, Report, Row, Seen, Severity, Stage};

/// Who is told of each check.
type Watch = Box<dyn Fn(&Check) + Send + Sync>;

/// Keeps what came of each check, and tells whoever watches. Brokers are examined side by
/// side, so the checks are put in order at the end.
#[derive(Default)]
pub struct Recorder {
    checks: Mutex<Vec<Check>>,
    brokers: Mutex<BTreeMap<String, BrokerSeen>>,
    daprd: OnceLock<String>,
    bootstrap: OnceLock<String>,
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

    /// Keeps where the brokers are: commands of fixes name them.
    pub(super) fn knows(&self, brokers: &[String]) {
        let brokers = brokers.join(",");
        // No shell makes anything else of these.
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-:,".contains(c);
        if !brokers.is_empty() && brokers.chars().all(plain) {
            // The settings are known once.
            let _ = self.bootstrap.set(brokers);
        }
    }

    pub(super) fn found(&self, subject: impl Into<String>, mut finding: Finding) {
        if let (Some(command), Some(brokers)) = (&mut finding.fix.command, self.bootstrap.get()) {
            *command = command.replace("<bootstrap>", brokers);
        }
        self.note(finding.row.stage, subject.into(), Outcome::Found(finding));
    }

    /// The same, unless it was found of this subject before.
    pub(super) fn found_once(&self, subject: &str, finding: Finding) {
        let is_known = |check: &Check| {
            let known = check.finding().map(|known| known.row.code);
            check.subject == subject && known == Some(finding.row.code)
        };
        let known = self.checks().iter().any(is_known);
        if !known {
            self.found(subject, finding);
        }
    }

    pub(super) fn skipped(&self, stage: Stage, subject: impl Into<String>, why: impl Into<String>) {
        self.note(stage, subject.into(), Outcome::Skipped(why.into()));
    }

    /// What was asked for and not answered: as long as that is so, not all is well.
    pub(super) fn unanswered(
        &self,
        stage: Stage,
        subject: impl Into<String>,
        why: impl Into<String>,
    ) {
        self.note(stage, subject.into(), Outcome::Unanswered(why.into()));
    }

    /// Notes that nothing is asked after the last stage that came to something.
    pub(super) fn stopped(&self, round_trip: bool) {
        let last = self.report().last();
        let left = "topics, permissions, group, limits, clock";
        let trip = if round_trip { ", round trip" } else { "" };
        let why = format!("what follows {} was not checked: {left}{trip}", last.name());
        self.unanswered(last, "brokers", why);
        if round_trip {
            self.unanswered(Stage::RoundTrip, "temporary topic", "no broker was reached");
        }
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

    /// Takes a subject's problems for warnings: it can be done without.
    pub(super) fn ease(&self, subject: &str) {
        self.findings_of(subject, |outcome, finding| {
            let severity = finding.severity.max(Severity::Warning);
            *outcome = Outcome::Found(finding.as_bad_as(severity));
        });
    }

    /// Takes what was found of a subject for what follows from something else, which is
    /// found next.
    pub(super) fn explain(&self, subject: &str, by: &Row) {
        self.findings_of(subject, |outcome, finding| {
            *outcome = Outcome::Skipped(format!("{}: follows from {}", finding.cause, by.code));
        });
    }

    fn findings_of(&self, subject: &str, change: impl Fn(&mut Outcome, Finding)) {
        let mut checks = self.checks();
        for check in checks.iter_mut().filter(|check| check.subject == subject) {
            if let Outcome::Found(finding) = check.outcome.clone() {
                change(&mut check.outcome, finding);
            }
        }
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
            given: BTreeSet::new(),
            daprd: self.daprd.get().cloned(),
        }
    }

    fn checks(&self) -> MutexGuard<'_, Vec<Check>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Fix, rows};

    fn with(subjects: &[&str]) -> Recorder {
        let recorder = Recorder::default();
        for subject in subjects {
            let finding = Finding::new(&rows::cluster::LOOPBACK, "seen", Fix::default());
            recorder.found(*subject, finding);
        }
        recorder
    }

    #[test]
    fn what_can_be_done_without_is_a_warning_at_most() {
        let recorder = with(&["a:1", "b:1"]);
        let note = Finding::new(&rows::cluster::LOOPBACK, "seen", Fix::default());
        recorder.found("a:1", note.as_bad_as(Severity::Note));
        recorder.ease("a:1");
        let report = recorder.report();
        let severities: Vec<_> = report
            .findings()
            .iter()
            .filter_map(|check| check.finding())
            .map(|finding| finding.severity)
            .collect();
        assert_eq!(
            severities,
            [Severity::Problem, Severity::Warning, Severity::Note]
        );
        assert_eq!(report.findings()[0].subject, "b:1");
    }

    #[test]
    fn what_follows_is_no_finding_and_keeps_its_words() {
        let recorder = with(&["a:1", "b:1"]);
        recorder.explain("a:1", &rows::cluster::TWO_CLUSTERS);
        let report = recorder.report();
        assert_eq!(report.findings().len(), 1);
        assert!(report.checks.iter().any(|check| matches!(&check.outcome,
            Outcome::Skipped(why) if why == "seen: follows from RDK-CLU-08")));
    }
}
