//! A report as it is written.

use serde_json::{Value, json};

use super::{Outcome, Report, builtin};

/// JSON for scripts; codes are stable.
pub fn json(component: &str, report: &Report) -> Value {
    let checks: Vec<_> = report
        .checks
        .iter()
        .map(|check| {
            let (outcome, words) = match &check.outcome {
                Outcome::Fine(seen) => ("fine", seen.words()),
                Outcome::Found(finding) => ("found", finding.cause.as_str()),
                Outcome::Skipped(why) => ("skipped", why.as_str()),
            };
            json!({
                "stage": check.stage,
                "subject": check.subject,
                "outcome": outcome,
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
    json!({
        "component": component,
        "findings": findings,
        "checks": checks,
        "brokers": brokers,
        "built_in": {
            "verdicts": builtin::section(report, None, None),
            "lines": builtin::lines(report, None, None),
        },
    })
}
