//! `PromQL`, as far as the names in it go.

use std::{collections::BTreeSet, sync::LazyLock};

use dapr_rdkafka::telemetry::metrics::{Kind, METRICS, Metric};
use regex::Regex;

/// The labels that a target has, by `podmonitor.yaml`.
const OF_TARGET: [&str; 6] = [
    "namespace",
    "pod",
    "container",
    "endpoint",
    "instance",
    "job",
];

/// A metric, maybe with a selector behind it.
static SELECTOR: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b(dapr_rdkafka_\w+|up)\b(\{[^}]*\})?"));

/// A label in a selector.
static MATCHER: LazyLock<Regex> = LazyLock::new(|| regex(r#"(\w+)\s*(?:=~|!~|!=|=)\s*""#));

/// The labels that a result is left with.
static GROUPED: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(?:by|on)\s*\(([^)]*)\)"));

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("it is right")
}

/// A metric that an expression names.
#[derive(Clone, Debug)]
pub struct Named {
    /// The series' name, such as `…_bucket`.
    pub series: String,
    /// Its row in the table; none is Prometheus' own `up`.
    pub metric: Option<&'static Metric>,
    /// The labels that are selected by.
    pub selected: BTreeSet<String>,
}

impl Named {
    /// Whether its series have a label.
    pub fn has(&self, label: &str) -> bool {
        let own = self
            .metric
            .is_some_and(|metric| metric.labels.contains(&label));
        own || OF_TARGET.contains(&label) || (label == "le" && self.series.ends_with("_bucket"))
    }
}

/// All metrics that an expression names.
///
/// # Errors
/// When there is no such metric, or it has no such series.
pub fn named(expression: &str) -> Result<Vec<Named>, String> {
    let found = SELECTOR.captures_iter(expression).map(|found| {
        let series = found[1].to_owned();
        let selector = found.get(2).map_or("", |selector| selector.as_str());
        let labels = MATCHER
            .captures_iter(selector)
            .map(|label| label[1].to_owned());
        Ok(Named {
            metric: if series == "up" {
                None
            } else {
                Some(metric(&series)?)
            },
            series,
            selected: labels.collect(),
        })
    });
    found.collect()
}

/// The row of a series: a histogram has three, and none by its own name.
fn metric(series: &str) -> Result<&'static Metric, String> {
    let endings = ["_bucket", "_count", "_sum"];
    let is_of = |metric: &&Metric| match metric.kind {
        Kind::Histogram => endings
            .iter()
            .any(|ending| series.strip_suffix(ending) == Some(metric.name)),
        Kind::Counter | Kind::Gauge => series == metric.name,
    };
    let found = METRICS.iter().find(is_of);
    found.ok_or_else(|| format!("the program has no series {series}"))
}

/// The labels that the result keeps; none says that it keeps all.
pub fn kept(expression: &str) -> Option<BTreeSet<String>> {
    let all = GROUPED.captures_iter(expression);
    let labels = all.flat_map(|found| {
        let labels = found[1].split(',').map(|label| label.trim().to_owned());
        labels.filter(|label| !label.is_empty()).collect::<Vec<_>>()
    });
    GROUPED.is_match(expression).then(|| labels.collect())
}

/// Every metric of an expression is there, with the labels that it is selected and grouped
/// by.
///
/// # Errors
/// What is not there.
pub fn is_exported(expression: &str) -> Result<Vec<Named>, String> {
    let named = named(expression)?;
    if named.is_empty() {
        return Err(format!("{expression}: it names no metric"));
    }
    for metric in &named {
        let wanted = metric
            .selected
            .iter()
            .cloned()
            .chain(kept(expression).unwrap_or_default());
        for label in wanted {
            if !metric.has(&label) {
                return Err(format!(
                    "{expression}: {} has no label {label}",
                    metric.series
                ));
            }
        }
    }
    Ok(named)
}
