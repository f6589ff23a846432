//! A report as it is written.

mod text;

use serde_json::{Value, json};

use super::{Outcome, Report, Verdict, builtin};

pub use text::text;

/// The version of the value for scripts (docs/json.md). It grows when a field goes or changes its
/// meaning, not when one is added.
const VERSION: u32 = 1;

/// JSON for scripts; codes are stable.
pub fn json(component: &str, report: &Report, verdict: Verdict) -> Value {
    let checks: Vec<_> = report
        .checks
        .iter()
        .map(|check| {
            let (outcome, words) = match &check.outcome {
                Outcome::Fine(seen) => ("fine", seen.words()),
                Outcome::Found(finding) => ("found", finding.cause.as_str()),
                Outcome::Skipped(why) | Outcome::Unanswered(why) => ("skipped", why.as_str()),
            };
            json!({
                "stage": check.stage,
                "subject": check.subject,
                "outcome": outcome,
                "unanswered": matches!(check.outcome, Outcome::Unanswered(_)),
                "text": words,
                "code": check.finding().map(|found| found.row.code),
            })
        })
        .collect();
    let findings: Vec<_> = report
        .findings()
        .into_iter()
        .filter_map(|check| Some((check, check.finding()?)))
        .map(|(check, finding)| {
            json!({
                "code": finding.row.code,
                "severity": finding.severity,
                "stage": check.stage,
                "subject": check.subject,
                "title": finding.row.title,
                "why": finding.row.why,
                "cause": finding.cause,
                "fix": finding.fix,
            })
        })
        .collect();
    let brokers: Vec<_> = report
        .brokers
        .iter()
        .map(|broker| {
            json!({
                "broker": broker.subject,
                "product": broker.product,
                "serves": broker.serves(),
            })
        })
        .collect();
    let (version, daprd) = (report.version.as_deref(), report.daprd.as_deref());
    json!({
        "type": "diagnosis",
        "version": VERSION,
        "tool": { "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") },
        "component": component,
        "verdict": verdict,
        "summary": verdict.summary(report),
        "findings": findings,
        "checks": checks,
        "brokers": brokers,
        "built_in": {
            "verdicts": builtin::section(report, version, daprd),
            "lines": builtin::lines(report, version, daprd),
        },
    })
}
