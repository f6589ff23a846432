//! What stands in `deploy/monitoring`.

use std::{fs, path::PathBuf};

use harness::{Result, root};
use serde_json::Value;

/// One alert.
pub struct Alert {
    pub name: String,
    pub expression: String,
    pub rule: Value,
}

/// One query of the dashboard.
pub struct Target {
    pub panel: String,
    pub expression: String,
    pub legend: String,
}

pub fn path(name: &str) -> PathBuf {
    root().join("deploy/monitoring").join(name)
}

pub fn yaml(name: &str) -> Result<Value> {
    let text = fs::read_to_string(path(name))?;
    Ok(serde_norway::from_str(&text).map_err(|error| format!("{name}: {error}"))?)
}

pub fn dashboard() -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(path("dashboard.json"))?)?)
}

/// The rules as Prometheus reads them without its operator.
pub fn rules() -> Result<Value> {
    Ok(yaml("alerts.yaml")?["spec"].take())
}

pub fn alerts() -> Result<Vec<Alert>> {
    let rules = rules()?;
    let rules = rules["groups"][0]["rules"].as_array().ok_or("no rules")?;
    let alert = |rule: &Value| {
        let text = |key: &str| {
            rule[key]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("no {key}: {rule}"))
        };
        Ok(Alert {
            name: text("alert")?,
            expression: text("expr")?,
            rule: rule.clone(),
        })
    };
    rules.iter().map(alert).collect()
}

/// The query of KEDA's scaler.
pub fn keda() -> Result<String> {
    let keda = yaml("keda.yaml")?;
    let query = keda["spec"]["triggers"][0]["metadata"]["query"].as_str();
    Ok(query.ok_or("no query")?.to_owned())
}

pub fn targets(dashboard: &Value) -> Result<Vec<Target>> {
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().ok_or("no panels")? {
        let name = panel["title"].as_str().ok_or("a panel has no title")?;
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |key: &str| target[key].as_str().map(str::to_owned);
            all.push(Target {
                panel: name.to_owned(),
                expression: text("expr").ok_or_else(|| format!("{name}: no expr"))?,
                legend: text("legendFormat").unwrap_or_default(),
            });
        }
    }
    Ok(all)
}

/// One of the dashboard's variables.
pub struct Variable {
    pub name: String,
    /// Of which series it takes its values, and of which label, unless it has them otherwise.
    pub labels: Option<(String, String)>,
}

pub fn variables(dashboard: &Value) -> Result<Vec<Variable>> {
    let list = dashboard["templating"]["list"]
        .as_array()
        .ok_or("no variables")?;
    let variable = |it: &Value| {
        let name = it["name"].as_str().ok_or("a variable has no name")?;
        let labels = it["query"]["query"].as_str().map(|query| {
            let inner = query.strip_prefix("label_values(");
            let inner = inner.and_then(|rest| rest.strip_suffix(')'));
            let parts = inner.and_then(|inner| inner.rsplit_once(", "));
            let parts = parts.map(|(series, label)| (series.to_owned(), label.to_owned()));
            parts.ok_or_else(|| format!("{name}: {query}"))
        });
        Ok(Variable {
            name: name.to_owned(),
            labels: labels.transpose()?,
        })
    };
    list.iter().map(variable).collect()
}

/// An expression with something in the place of Grafana's variables.
pub fn filled(expression: &str, variables: &[Variable], interval: &str) -> String {
    let filled = expression.replace("$__rate_interval", interval);
    variables.iter().fold(filled, |text, variable| {
        text.replace(&format!("${}", variable.name), ".*")
    })
}
