//! What stands in `deploy/monitoring` fits together, and fits the program. What a real
//! Prometheus makes of it is in `system/monitoring.rs`.

pub mod expressions;
pub mod files;

use std::{collections::BTreeSet, future::ready};

use harness::Result;
use regex::Regex;
use serde_json::Value;

use crate::{ensure, support::Test};
use expressions::{is_exported, kept};
use files::{Variable, alerts, dashboard, targets, variables, yaml};

/// The tests of this file; nothing in them waits.
pub const TESTS: &[Test] = &[
    Test {
        name: "monitoring::the_dashboard_holds_together",
        run: |_| Box::pin(ready(the_dashboard_holds_together())),
    },
    Test {
        name: "monitoring::what_is_asked_for_is_exported",
        run: |_| Box::pin(ready(what_is_asked_for_is_exported())),
    },
    Test {
        name: "monitoring::an_alert_says_what_it_is_about_and_is_tested",
        run: |_| Box::pin(ready(an_alert_says_what_it_is_about_and_is_tested())),
    },
    Test {
        name: "monitoring::the_ways_to_scrape_are_one",
        run: |_| Box::pin(ready(the_ways_to_scrape_are_one())),
    },
];

/// The alerts that the runbook has a section for.
const ALERTS: [&str; 14] = [
    "DaprRdkafkaDown",
    "DaprRdkafkaNotInitialised",
    "DaprRdkafkaConsumerLag",
    "DaprRdkafkaStalled",
    "DaprRdkafkaLittleMemory",
    "DaprRdkafkaDrainTooShort",
    "DaprRdkafkaOpenTransaction",
    "DaprRdkafkaRecordBreaksApp",
    "DaprRdkafkaOldestUnfinished",
    "DaprRdkafkaDeadLetters",
    "DaprRdkafkaDeadLetterPublishFailing",
    "DaprRdkafkaBreakerOpen",
    "DaprRdkafkaBrokerProblem",
    "DaprRdkafkaPublishFailing",
];

/// Ids are unique, panels do not overlap, and every variable that is used is there.
fn the_dashboard_holds_together() -> Result<()> {
    let dashboard = dashboard()?;
    for key in ["uid", "title", "schemaVersion", "time", "templating"] {
        ensure!(!dashboard[key].is_null(), "it has no {key}");
    }
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().ok_or("no panels")? {
        let title = panel["title"].as_str().ok_or("a panel has no title")?;
        let id = panel["id"]
            .as_u64()
            .ok_or_else(|| format!("{title} has no id"))?;
        ensure!(ids.insert(id), "{title}: the id {id} is another's");
        let at = |key: &str| {
            panel["gridPos"][key]
                .as_u64()
                .ok_or_else(|| format!("{title}: no {key}"))
        };
        let (x, y, w, h) = (at("x")?, at("y")?, at("w")?, at("h")?);
        ensure!(x + w <= 24, "{title} is too wide");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            ensure!(taken.insert(cell), "{title} lies on another");
        }
        is_a_panel(panel).map_err(|error| format!("{title}: {error}"))?;
    }
    let known = variables(&dashboard)?.into_iter().map(|it| it.name);
    let known: BTreeSet<_> = known
        .chain(["__rate_interval", "__all"].map(str::to_owned))
        .collect();
    let used = Regex::new(r"\$\{?(\w+)\}?")?;
    for found in used.captures_iter(&dashboard.to_string()) {
        ensure!(
            known.contains(&found[1]),
            "there is no variable {}",
            &found[1]
        );
    }
    Ok(())
}

fn is_a_panel(panel: &Value) -> Result<()> {
    if panel["type"] == "row" {
        return Ok(());
    }
    let source = |value: &Value| value["datasource"]["uid"] == "${datasource}";
    ensure!(source(panel), "another data source");
    ensure!(
        panel["description"]
            .as_str()
            .is_some_and(|it| it.ends_with('.')),
        "no description"
    );
    ensure!(
        panel["fieldConfig"]["defaults"]["unit"].is_string(),
        "no unit"
    );
    let targets = panel["targets"].as_array().ok_or("no targets")?;
    ensure!(!targets.is_empty(), "no targets");
    let mut letters = BTreeSet::new();
    for target in targets {
        ensure!(source(target), "another data source");
        let letter = target["refId"].as_str().ok_or("no refId")?;
        ensure!(letters.insert(letter), "the refId {letter} is another's");
    }
    Ok(())
}

/// Every metric is in the program's table, with every label that is asked for.
fn what_is_asked_for_is_exported() -> Result<()> {
    let dashboard = dashboard()?;
    let placeholder = Regex::new(r"\{\{\s*(\w+)\s*\}\}")?;
    for target in targets(&dashboard)? {
        let named = is_exported(&target.expression)
            .map_err(|error| format!("{}: {error}", target.panel))?;
        let kept = kept(&target.expression);
        for found in placeholder.captures_iter(&target.legend) {
            let label = &found[1];
            let is_there = kept.as_ref().map_or_else(
                || named.iter().all(|metric| metric.has(label)),
                |kept| kept.contains(label),
            );
            ensure!(
                is_there,
                "{}: {} has no label {label}",
                target.panel,
                target.expression
            );
        }
    }
    for Variable { name, labels } in variables(&dashboard)? {
        if let Some((series, label)) = labels
            && !series.starts_with('{')
        {
            let named = is_exported(&series)?;
            ensure!(
                named.iter().all(|metric| metric.has(&label)),
                "{name}: no label {label}"
            );
        }
    }
    for alert in alerts()? {
        is_exported(&alert.expression).map_err(|error| format!("{}: {error}", alert.name))?;
    }
    is_exported(&files::keda()?)?;
    Ok(())
}

fn an_alert_says_what_it_is_about_and_is_tested() -> Result<()> {
    let alerts = alerts()?;
    let names: Vec<_> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    ensure!(names == ALERTS, "{names:?}");
    let tests = yaml("alerts.test.yaml")?;
    let tests = tests["tests"].as_array().ok_or("no tests")?;
    let tests = tests
        .iter()
        .filter_map(|test| test["alert_rule_test"].as_array());
    let tested: Vec<_> = tests.flatten().collect();
    for alert in &alerts {
        let name = &alert.name;
        let rule = &alert.rule;
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        ensure!(
            ["warning", "critical"].contains(&severity),
            "{name}: severity {severity:?}"
        );
        ensure!(rule["for"].is_string(), "{name} has no for");
        let annotation = |key: &str| {
            rule["annotations"][key]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let text = annotation("summary") + &annotation("description");
        for label in kept(&alert.expression).unwrap_or_default() {
            ensure!(
                text.contains(&format!("$labels.{label}")),
                "{name}: its text has no {label}"
            );
        }
        let page = format!("docs/operations.md#{}", name.to_lowercase());
        ensure!(
            annotation("runbook_url").ends_with(&page),
            "{name}: no {page}"
        );
        for fires in [true, false] {
            let of = |test: &&&Value| {
                let expected = test["exp_alerts"]
                    .as_array()
                    .is_some_and(|all| !all.is_empty());
                test["alertname"] == name.as_str() && expected == fires
            };
            let count = tested.iter().filter(of).count();
            // Before `for` is over, and when it has ended.
            let least = if fires { 1 } else { 2 };
            ensure!(
                count >= least,
                "{name}: {count} tests in which it fires: {fires}"
            );
        }
    }
    Ok(())
}

/// With the operator and without it the same port is scraped into the same job.
fn the_ways_to_scrape_are_one() -> Result<()> {
    let monitor = yaml("podmonitor.yaml")?;
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    ensure!(
        endpoint["port"] == "rdkafka-admin" && endpoint["path"] == "/metrics",
        "{endpoint}"
    );
    let job = &endpoint["relabelings"][0];
    ensure!(
        job["targetLabel"] == "job" && job["replacement"] == "dapr-rdkafka",
        "{job}"
    );
    let plain = yaml("prometheus.yml")?;
    let scraped = &plain["scrape_configs"][0];
    ensure!(scraped["job_name"] == "dapr-rdkafka", "{scraped}");
    let relabelled = &scraped["relabel_configs"][0];
    ensure!(
        relabelled["regex"] == "rdkafka-admin" && relabelled["action"] == "keep",
        "{relabelled}"
    );
    ensure!(
        scraped["scrape_timeout"] == endpoint["scrapeTimeout"],
        "{scraped}"
    );
    Ok(())
}
