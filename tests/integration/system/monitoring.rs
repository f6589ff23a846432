//! `deploy/monitoring` with the real Prometheus: its rules' own tests, and what it sees of
//! components that run.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use dapr_rdkafka::telemetry::metrics as names;
use harness::{Process, Prometheus, Result, eventually, prometheus_program};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    ensure,
    monitoring::{
        expressions::named,
        files::{
            self, Alert, Variable, alerts, dashboard, filled, path, rules, targets, variables, yaml,
        },
    },
    support::{Fixture, SOON, troubled::Troubled},
};

/// What the test makes no series of, since each takes what can't be had in seconds: a client
/// that is broken for good, a login by token, retention that overtakes a reader, and a daprd
/// that is shut down. They are in the table all the same: see
/// `monitoring::what_is_asked_for_is_exported`.
const NOT_MADE: [&str; 5] = [
    names::CLIENTS_MADE_ANEW,
    names::TOKENS,
    names::OUT_OF_RANGE,
    names::DAPRD_SHUTDOWNS,
    names::READ_AHEAD_EXCEEDED,
];

/// Runs promtool, and fails with what it printed.
async fn promtool(arguments: &[&str], folder: &Path) -> Result<()> {
    let mut command = Command::new(prometheus_program("promtool"));
    command.args(arguments).current_dir(folder);
    let stopped = Process::start("promtool", command)?.wait(SOON).await?;
    ensure!(
        stopped.status.success(),
        "{arguments:?}: {}",
        stopped.output
    );
    Ok(())
}

/// A folder with the rules as Prometheus reads them.
fn with_rules(name: &str, rules: &Value) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join(name);
    // JSON is YAML.
    std::fs::write(&file, rules.to_string())?;
    Ok((folder, file))
}

pub async fn the_alerts_pass_their_tests(_: Arc<Fixture>) -> Result<()> {
    let (folder, _file) = with_rules("alerts.rules.yaml", &rules()?)?;
    let folder = folder.path();
    promtool(
        &["check", "rules", "--lint-fatal", "alerts.rules.yaml"],
        folder,
    )
    .await?;
    std::fs::copy(path("alerts.test.yaml"), folder.join("alerts.test.yaml"))?;
    promtool(&["test", "rules", "alerts.test.yaml"], folder).await
}

/// The sample for a Prometheus without its operator, with the rules where it looks for them.
pub async fn the_plain_configuration_is_right(_: Arc<Fixture>) -> Result<()> {
    let (folder, _file) = with_rules("dapr-rdkafka.rules.yaml", &rules()?)?;
    let folder = folder.path();
    let configuration = configuration(&[])?.to_string();
    std::fs::write(folder.join("prometheus.yml"), configuration)?;
    let check = ["check", "config", "--lint-fatal", "prometheus.yml"];
    promtool(&check, folder).await
}

/// That sample with these targets: a pod, its port's name, and where that is. Debian's
/// Prometheus has no discovery of its own for Kubernetes, so they stand there as discovered.
fn configuration(targets: &[(&str, &str, &str)]) -> Result<Value> {
    let mut configuration = yaml("prometheus.yml")?;
    let targets = targets.iter().map(|(pod, port, admin)| {
        json!({
            "targets": [admin.trim_start_matches("http://")],
            "labels": {
                "__meta_kubernetes_namespace": "production",
                "__meta_kubernetes_pod_container_name": "rdkafka",
                "__meta_kubernetes_pod_container_port_name": port,
                "__meta_kubernetes_pod_name": pod,
                "__meta_kubernetes_pod_phase": "Running",
            },
        })
    });
    let scraped = configuration["scrape_configs"][0].as_object_mut();
    let scraped = scraped.ok_or("nothing is scraped")?;
    let discovery = scraped.remove("kubernetes_sd_configs");
    ensure!(discovery.is_some(), "it discovers no pods");
    scraped.insert("static_configs".into(), targets.collect());
    Ok(configuration)
}

/// The rules, with no more patience than this test has.
fn impatient() -> Result<Value> {
    let mut rules = rules()?;
    for rule in rules["groups"][0]["rules"]
        .as_array_mut()
        .ok_or("no rules")?
    {
        rule["for"] = json!("1s");
    }
    Ok(rules)
}

pub async fn a_real_prometheus_sees_what_is_asked_for(fixture: Arc<Fixture>) -> Result<()> {
    let mut troubled = Troubled::start(&fixture).await?;
    let (folder, file) = with_rules("rules.yaml", &impatient()?)?;
    let mut config = configuration(&[
        ("todo-1", "rdkafka-admin", &troubled.admin),
        ("todo-2", "rdkafka-admin", &troubled.forgotten_admin),
        ("todo-1", "http", "127.0.0.1:1"),
    ])?;
    config["rule_files"] = json!([file]);
    config["global"] = json!({ "scrape_interval": "1s", "evaluation_interval": "1s" });
    config["scrape_configs"][0]["scrape_timeout"] = json!("1s");
    let path = folder.path().join("prometheus.json");
    std::fs::write(&path, config.to_string())?;
    let prometheus = Prometheus::start(&path, &folder.path().join("data")).await?;

    every_metric_is_there(&prometheus).await?;
    // What failed before Prometheus looked is no rise to it.
    troubled.publishes_in_vain().await?;
    only_the_named_port_is_scraped(&prometheus).await?;
    every_panel_has_something_to_show(&prometheus, &troubled).await?;
    rules_are_evaluated(&prometheus).await?;
    let (topic, group) = (troubled.topic.as_str(), troubled.group.as_str());
    let of_topic = [
        ("component", "todo-pubsub"),
        ("topic", topic),
        ("group", group),
    ];
    fires(&prometheus, "DaprRdkafkaDeadLetters", &of_topic).await?;
    let held = [
        ("component", "todo-pubsub"),
        ("topic", &*troubled.held),
        ("group", group),
    ];
    fires(&prometheus, "DaprRdkafkaDeadLetterPublishFailing", &held).await?;
    fires(
        &prometheus,
        "DaprRdkafkaNotInitialised",
        &[("pod", "todo-2")],
    )
    .await?;
    fires(
        &prometheus,
        "DaprRdkafkaBrokerProblem",
        &[("component", "lonely")],
    )
    .await?;
    fires(
        &prometheus,
        "DaprRdkafkaPublishFailing",
        &[("component", "todo-pubsub")],
    )
    .await?;
    troubled.forgotten.process.kill().await?;
    fires(&prometheus, "DaprRdkafkaDown", &[("pod", "todo-2")]).await
}

async fn only_the_named_port_is_scraped(prometheus: &Prometheus) -> Result<()> {
    let up = || prometheus.query("count by (namespace, pod, job) (up == 1)");
    eventually("both pods are scraped", SOON, || async {
        (up().await.ok()?.len() == 2).then_some(())
    })
    .await?;
    let up = up().await?;
    let of = |pod: &str| {
        let metric = json!({ "namespace": "production", "pod": pod, "job": "dapr-rdkafka" });
        up.iter()
            .any(|one| one["metric"] == metric && one["value"][1] == "1")
    };
    ensure!(of("todo-1") && of("todo-2"), "{up:?}");
    ensure!(
        prometheus.query("up").await?.len() == 2,
        "the app's own port is scraped"
    );
    Ok(())
}

/// Whether a query's result may be empty here.
fn is_not_made(expression: &str) -> Result<bool> {
    let named = named(expression)?;
    let not_made = |name: &str| NOT_MADE.contains(&name);
    Ok(named.iter().any(|metric| not_made(&metric.series)))
}

/// Each metric of dashboard, alerts and scaler has series.
async fn every_metric_is_there(prometheus: &Prometheus) -> Result<()> {
    let mut wanted = BTreeSet::new();
    let shown = targets(&dashboard()?)?
        .into_iter()
        .map(|target| target.expression);
    let alerts = alerts()?.into_iter().map(|alert| alert.expression);
    for expression in shown.chain(alerts).chain([files::keda()?]) {
        let named = named(&expression)?;
        wanted.extend(named.into_iter().map(|metric| metric.series));
    }
    wanted.retain(|name| !NOT_MADE.contains(&name.as_str()));
    let missing = || async {
        let seen = prometheus.ask("label/__name__/values", &[]).await?;
        let seen = seen.as_array().cloned().unwrap_or_default();
        let is_missing = |name: &&String| !seen.iter().any(|there| there == name.as_str());
        Ok::<Vec<_>, harness::Error>(wanted.iter().filter(is_missing).collect())
    };
    let all = eventually("Prometheus has all metrics", SOON, || async {
        missing().await.ok()?.is_empty().then_some(())
    });
    if let Err(error) = all.await {
        return Err(format!("{error}; it has no {:?}", missing().await?).into());
    }
    Ok(())
}

/// Each query, with everything selected, gives a result; so does each variable, and the
/// scaler's query.
async fn every_panel_has_something_to_show(
    prometheus: &Prometheus,
    troubled: &Troubled,
) -> Result<()> {
    let dashboard = dashboard()?;
    let variables = variables(&dashboard)?;
    for target in targets(&dashboard)? {
        let expression = filled(&target.expression, &variables, "1m");
        if is_not_made(&expression)? {
            prometheus.query(&expression).await?;
        } else {
            gives(prometheus, &target.panel, &expression).await?;
        }
    }
    for Variable { name, labels } in &variables {
        if let Some((series, label)) = labels {
            let expression = format!("count by ({label}) ({})", filled(series, &variables, "1m"));
            let found = gives(prometheus, name, &expression).await?;
            ensure!(found[0]["metric"][label].is_string(), "{name}: {found:?}");
        }
    }
    let group = format!("group=\"{}\"", troubled.group);
    let query = files::keda()?.replace("group=\"todo\"", &group);
    let found = gives(prometheus, "keda.yaml", &query).await?;
    ensure!(found.len() == 1, "KEDA takes one figure: {found:?}");
    Ok(())
}

async fn gives(prometheus: &Prometheus, what: &str, expression: &str) -> Result<Vec<Value>> {
    // What it can't read it never will.
    prometheus.query(expression).await?;
    eventually(&format!("{what}: {expression}"), SOON, || async {
        let found = prometheus.query(expression).await.ok()?;
        (!found.is_empty()).then_some(found)
    })
    .await
}

/// Prometheus evaluates each rule without an error.
async fn rules_are_evaluated(prometheus: &Prometheus) -> Result<()> {
    for Alert { expression, .. } in alerts()? {
        prometheus.query(&expression).await?;
    }
    eventually("all rules are well", SOON, || async {
        let groups = prometheus.ask("rules", &[]).await.ok()?;
        let rules = groups["groups"][0]["rules"].as_array()?.clone();
        let well = |rule: &Value| rule["health"] == "ok" && rule["lastError"].is_null();
        rules.iter().all(well).then_some(())
    })
    .await
}

/// Waits until an alert with these labels fires.
async fn fires(prometheus: &Prometheus, alert: &str, labels: &[(&str, &str)]) -> Result<()> {
    let is_it = |one: &Value| {
        one["labels"]["alertname"] == alert
            && one["state"] == "firing"
            && labels
                .iter()
                .all(|(name, value)| one["labels"][name] == *value)
    };
    let what = format!("{alert} {labels:?} fires");
    // The depth of dead-letter topics is asked for every 30 s.
    let fired = eventually(&what, 2 * SOON, || async {
        let all = prometheus.ask("alerts", &[]).await.ok()?;
        let one = all["alerts"]
            .as_array()?
            .iter()
            .find(|one| is_it(one))?
            .clone();
        Some(one)
    });
    let one = match fired.await {
        Ok(one) => one,
        Err(error) => {
            let all = prometheus.ask("alerts", &[]).await?;
            return Err(format!("{error}; there are {all:#}").into());
        }
    };
    let text = one["annotations"].to_string();
    ensure!(!text.contains("<no value>"), "{text}");
    for (name, value) in labels {
        ensure!(text.contains(value), "{alert} does not name {name}: {text}");
    }
    Ok(())
}
