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

/// That nothing is wrong, and of what nothing is known, or not everything: stages where no
/// check came to an end, or not all.
fn fine(report: &Report) -> String {
    // Of the metadata only notes are skipped.
    let stages = Stage::ALL.into_iter().filter(|one| *one > Stage::Settings);
    let (mut unknown, mut in_part) = (Vec::new(), Vec::new());
    for stage in stages {
        let checks = report.checks.iter().filter(|check| check.stage == stage);
        let (skipped, done): (Vec<_>, Vec<_>) =
            checks.partition(|check| matches!(check.outcome, Outcome::Skipped(_)));
        match (skipped.is_empty(), done.is_empty()) {
            (true, _) => {}
            (false, true) => unknown.push(stage.name()),
            (false, false) => in_part.push(stage.name()),
        }
    }
    let left = [("not checked", unknown), ("in part", in_part)];
    let left = left
        .into_iter()
        .filter(|(_, stages)| !stages.is_empty())
        .map(|(how, stages)| format!("; {how}: {}", stages.join(", ")));
    let left: String = left.collect();
    if left.is_empty() {
        "nothing is wrong".into()
    } else {
        format!("nothing is wrong in what was checked{left}")
    }
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
        let words = "nothing is wrong in what was checked; not checked: topics; in part: cluster";
        assert_eq!(of(&recorder), (Verdict::Fine, words.into()));
        recorder.unanswered(Stage::Group, "a:1", "no answer came in time");
        let words = "not everything could be checked";
        assert_eq!(of(&recorder), (Verdict::Unknown, words.into()));
    }
}
