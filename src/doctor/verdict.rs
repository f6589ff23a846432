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
            Self::Fine if counts.is_empty() => counts.push("nothing is wrong".into()),
            _ => {}
        }
        let counts = counts.join(", ");
        match findings.first().and_then(|check| check.finding()) {
            Some(first) => format!("{counts}: {}", first.row.title),
            None => counts,
        }
    }
}
