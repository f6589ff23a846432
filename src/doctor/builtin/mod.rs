//! Why Dapr's built-in component fails where this one works: what it asks each broker, and
//! whether that serves it. Only from the ranges that brokers told.

mod sarama;

use std::fmt::Write as _;

use kafka_protocol::messages::ApiKey;
use sarama::{Behaviour, OLDEST, RELEASES, Release, Version};
use serde::Serialize;

use super::{
    BrokerSeen, Report, Stage,
    wire::{self, Ranges},
};

/// The `version` that the built-in takes if none is given.
const DEFAULT: &str = "2.0.0";

/// Whether the built-in could talk to a broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The brokers, as checks call them; all serve the same.
    pub brokers: Vec<String>,
    /// Dapr's releases that behave alike, such as `1.14 to 1.17`.
    pub dapr: String,
    /// The `version` that is looked at: the configured one, or the default.
    pub version: String,
    /// Whether it works with that.
    pub works: bool,
    /// What becomes of each `version`, the oldest first.
    pub versions: Vec<Span>,
    /// All of it in a sentence.
    pub text: String,
}

/// Values of `version` with which the same happens, up to the next one's first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The first of them.
    pub from: String,
    /// The request that the broker ends the connection at; `None` if it serves all.
    pub cut_off: Option<CutOff>,
    #[serde(skip)]
    first: Version,
}

/// A request in a version that the broker does not serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CutOff {
    /// Its name.
    pub request: String,
    /// The version that is asked.
    pub asked: i16,
    /// The oldest and the newest version that are served, if any are.
    pub served: Option<(i16, i16)>,
}

/// What the section about the built-in says: a verdict for each kind of broker and
/// of Dapr. `version` is the component's metadata of that name, `dapr` the release of the
/// daprd that is asked about; without it, all that are known.
pub fn section(report: &Report, version: Option<&str>, dapr: Option<&str>) -> Vec<Verdict> {
    let mut kinds: Vec<Vec<&BrokerSeen>> = Vec::new();
    for broker in &report.brokers {
        let alike = |kind: &&mut Vec<&BrokerSeen>| {
            let first = kind[0];
            first.ranges == broker.ranges && first.login == broker.login
        };
        match kinds.iter_mut().find(alike) {
            Some(kind) => kind.push(broker),
            None => kinds.push(vec![broker]),
        }
    }
    let releases = releases(dapr);
    let each = kinds.iter().flat_map(|kind| {
        let each = releases.iter();
        each.map(|releases| verdict(kind, releases, version.unwrap_or(DEFAULT)))
    });
    each.collect()
}

/// The same as lines to read.
pub fn lines(report: &Report, version: Option<&str>, dapr: Option<&str>) -> Vec<String> {
    let verdicts = section(report, version, dapr);
    let mut lines: Vec<_> = verdicts
        .iter()
        .map(|verdict| {
            let word = if verdict.works { "works" } else { "fails" };
            // Where it works nobody has to look for another `version`.
            let text = match verdict.text.split_once("; ") {
                Some((first, _)) if verdict.works => first,
                _ => &verdict.text,
            };
            format!("{word}: {}: {text}", verdict.brokers.join(", "))
        })
        .collect();
    if report.brokers.iter().any(|broker| broker.tls) {
        lines.push(
            "works by TLS alone: with `authType` none, or `disableTls`, the built-in speaks \
             plaintext and gets EOF"
                .to_owned(),
        );
    }
    if let Some(known) = dapr.filter(|_| verdicts.is_empty() && !report.brokers.is_empty()) {
        lines.push(format!("unknown: what Dapr {known} asks is not known here"));
    }
    if report.brokers.is_empty()
        && let Some(check) = report.findings().first()
        && let Some(finding) = check.finding()
        && (Stage::Names..=Stage::Sasl).contains(&check.stage)
    {
        lines.push(format!(
            "fails: no broker told what it serves; what keeps this component from it keeps the built-in \
             from it too: {} ({})",
            finding.row.title, finding.row.code
        ));
    }
    lines
}

/// The releases of Dapr that are looked at, those together that behave alike.
fn releases(dapr: Option<&str>) -> Vec<Vec<&'static Release>> {
    let wanted = |release: &&Release| {
        let rest = dapr.map(|dapr| dapr.trim_start_matches('v').strip_prefix(release.dapr));
        // 1.1 is no 1.18.
        rest.is_none_or(|rest| rest.is_some_and(|rest| !rest.starts_with(char::is_numeric)))
    };
    let mut alike: Vec<Vec<&Release>> = Vec::new();
    for release in RELEASES.iter().filter(wanted) {
        match alike.last_mut() {
            Some(last) if last[0].behaviour == release.behaviour => last.push(release),
            _ => alike.push(vec![release]),
        }
    }
    alike
}

fn verdict(brokers: &[&BrokerSeen], releases: &[&Release], version: &str) -> Verdict {
    let behaviour = releases[0].behaviour;
    let (ranges, login) = (&brokers[0].ranges, brokers[0].login);
    let spans = spans(ranges, behaviour, login);
    let configured = Version::parse(version);
    // Older ones ask what the oldest here does.
    let at = configured.map(|configured| configured.max(OLDEST));
    let here = at.and_then(|at| spans.iter().rev().find(|span| span.first <= at));
    let here = here.and_then(|span| span.cut_off.clone());
    let dapr = named(releases, |release| release.dapr);
    let sarama = named(releases, |release| release.sarama);
    let what = if configured.is_some() {
        words(&spans, version, here.as_ref())
    } else {
        format!("refuses `version` {version} at Init: it is none")
    };
    let text = format!("Dapr {dapr}'s built-in (Sarama {sarama}) {what}");
    Verdict {
        brokers: brokers.iter().map(|one| one.subject.clone()).collect(),
        dapr,
        version: version.to_owned(),
        works: configured.is_some() && here.is_none(),
        versions: spans,
        text,
    }
}

/// The first and the last of them.
fn named(releases: &[&Release], name: impl Fn(&Release) -> &'static str) -> String {
    let first = releases.first().map(|release| name(release));
    let last = releases.last().map(|release| name(release));
    match (first, last) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (first, _) => first.unwrap_or_default().to_owned(),
    }
}

fn words(spans: &[Span], version: &str, here: Option<&CutOff>) -> String {
    let mut words = match here {
        None => format!("can talk to it at `version` {version}"),
        Some(cut_off) => format!(
            "asks {} v{} at `version` {version}, {}, and a broker closes the connection at what it \
             does not serve: EOF",
            cut_off.request,
            cut_off.asked,
            served(cut_off.served)
        ),
    };
    if spans.len() == 1 {
        words.push_str(", and so at every other");
        return words;
    }
    for (index, span) in spans.iter().enumerate() {
        let until = spans
            .get(index + 1)
            .map(|next| format!(" to below {}", next.from));
        let until = until.unwrap_or_else(|| " and later".to_owned());
        let _ = match &span.cut_off {
            None => write!(words, "; {}{until} works", span.from),
            Some(cut_off) => write!(
                words,
                "; {}{until} asks {} v{}, {}",
                span.from,
                cut_off.request,
                cut_off.asked,
                served(cut_off.served)
            ),
        };
    }
    words
}

fn served(range: Option<(i16, i16)>) -> String {
    match range {
        Some((first, last)) => format!("this broker serves v{first} to v{last}"),
        None => "this broker does not serve it".to_owned(),
    }
}

/// What happens at each `version`.
fn spans(ranges: &Ranges, behaviour: Behaviour, login: bool) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for first in sarama::turns() {
        let asked = behaviour.asks(first, login);
        let cut_off = asked
            .into_iter()
            .find_map(|(key, version)| cut_off(ranges, behaviour, key, version));
        if spans.last().is_none_or(|last| last.cut_off != cut_off) {
            let from = first.to_string();
            spans.push(Span {
                from,
                cut_off,
                first,
            });
        }
    }
    spans
}

/// Whether the broker ends the connection at this request.
fn cut_off(ranges: &Ranges, behaviour: Behaviour, key: ApiKey, wanted: i16) -> Option<CutOff> {
    let served = ranges.of(key as i16);
    let asked = match served {
        Some((_, newest)) if behaviour.negotiates() => wanted.min(newest),
        _ => wanted,
    };
    let is_served = served.is_some_and(|(oldest, newest)| (oldest..=newest).contains(&asked));
    (!is_served).then(|| CutOff {
        request: wire::name(key as i16),
        asked,
        served,
    })
}

#[cfg(test)]
mod tests;
