use serde::Serialize;

use super::{Outcome, Report, Severity, Stage};

/// What a report comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Something does not work.
    Problems,
    /// It works, and may not always.
    Warnings,
    /// Nothing is wrong.
    Fine,
    /// Nothing was found, and not everything that matters was seen.
    Unknown,
}

impl Verdict {
    /// Of this report; `ended` if all checks came to their end.
    pub(super) fn of(report: &Report, ended: bool) -> Self {
        // Without an answer from any broker nothing is known.
        let answered = report
            .checks
            .iter()
            .any(|check| check.stage > Stage::Names && matches!(check.outcome, Outcome::Fine(_)));
        let silent = report.checks.iter();
        let silent = silent.filter(|check| matches!(check.outcome, Outcome::Unanswered(_)));
        let answered = answered && silent.count() == 0;
        match report.worst() {
            Some(Severity::Problem) => Self::Problems,
            _ if !ended || !answered => Self::Unknown,
            Some(Severity::Warning) => Self::Warnings,
            Some(Severity::Note) | None => Self::Fine,
        }
    }

    /// One line: how many of what, and the first.
    pub(super) fn summary(self, report: &Report) -> String {
        let findings = report.findings();
        let count = |severity, one: &str| {
            let found = findings.iter().filter_map(|check| check.finding());
            let count = found.filter(|found| found.severity == severity).count();
            let ending = if count == 1 { "" } else { "s" };
            (count > 0).then(|| format!("{count} {one}{ending}"))
        };
        let counts = [
            count(Severity::Problem, "problem"),
            count(Severity::Warning, "warning"),
            count(Severity::Note, "note"),
        ];
        let mut counts: Vec<_> = counts.into_iter().flatten().collect();
        match self {
            Self::Unknown => counts.push("not everything could be checked".into()),
            Self::Fine if counts.is_empty() => counts.push(fine(report)),
            _ => {}
        }
        let counts = counts.join(", ");
        match findings.first().and_then(|check| check.finding()) {
            Some(first) => format!("{counts}: {}", first.row.title),
            None => counts,
        }
    }
}

/// That nothing is wrong, and of what nothing is known: stages where no check came to an end.
fn fine(report: &Report) -> String {
    let unknown = Stage::ALL.into_iter().filter(|stage| {
        let mut checks = report.checks.iter().filter(|check| check.stage == *stage);
        let mut any = checks.clone();
        any.next().is_some() && checks.all(|check| matches!(check.outcome, Outcome::Skipped(_)))
    });
    // Of the metadata only notes are skipped.
    let unknown = unknown.filter(|stage| *stage > Stage::Settings);
    let unknown: Vec<_> = unknown.map(Stage::name).collect();
    if unknown.is_empty() {
        return "nothing is wrong".into();
    }
    let unknown = unknown.join(", ");
    format!("nothing is wrong in what was checked; not checked: {unknown}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Recorder, Seen, wire::Answered};

    fn reached() -> Recorder {
        let recorder = Recorder::default();
        let answer = Answered {
            value: (),
            version: 0,
        };
        recorder.fine(Stage::Cluster, "a:1", Seen::by(&answer, "it answers"));
        recorder
    }

    fn of(recorder: &Recorder) -> (Verdict, String) {
        let report = recorder.report();
        let verdict = Verdict::of(&report, true);
        (verdict, verdict.summary(&report))
    }

    #[test]
    fn what_was_not_asked_for_is_told_and_what_is_not_answered_is_not_fine() {
        let recorder = reached();
        assert_eq!(of(&recorder), (Verdict::Fine, "nothing is wrong".into()));
        recorder.skipped(Stage::Topics, "topics", "none is known");
        recorder.skipped(Stage::Cluster, "brokers", "there are more");
        let words = "nothing is wrong in what was checked; not checked: topics";
        assert_eq!(of(&recorder), (Verdict::Fine, words.into()));
        recorder.unanswered(Stage::Group, "a:1", "no answer came in time");
        let words = "not everything could be checked";
        assert_eq!(of(&recorder), (Verdict::Unknown, words.into()));
    }
}
