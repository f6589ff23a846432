//! `dapr-rdkafka config`: what a component's metadata means, without any broker.

mod check;
mod diff;
mod reference;
mod schema;
mod subscriptions;

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

pub use check::check;
pub use diff::diff;
pub use reference::reference;
pub use schema::schema;

use crate::{
    metadata::{self, Findings, Problem},
    model::text::on_one_line,
    resources::{Component, Document, Subscription, documents},
};

/// The types whose metadata this is about.
const TYPES: [&str; 2] = ["pubsub.kafka", "pubsub.rdkafka"];

/// What a file holds.
enum Held {
    /// A Component of one of the types.
    Component(Component),
    /// A Subscription, of whatever Component.
    Subscription(Subscription),
    /// What is wrong with what may be one.
    Broken(String),
    /// Anything else, in words.
    Skipped(String),
}

/// Reads a file with YAML; `-` is the standard input.
fn held(file: &Path) -> Result<Vec<Held>, String> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text = text.map_err(|error| format!("it can't be read: {error}"))?;
    let of_ours = |of: &str| TYPES.contains(&of);
    let held = documents(&text).into_iter().map(|document| match document {
        Document::PubSub(component) if of_ours(&component.of) => Held::Component(component),
        Document::Broken {
            of: Some(of),
            problem,
        } if !of_ours(&of) => Held::Skipped(format!("Component ({of}): {problem}")),
        Document::Broken { problem, .. } => Held::Broken(problem),
        Document::Skipped { what, why } => Held::Broken(format!("daprd skips {what}: {why}")),
        Document::Subscription(subscription) => Held::Subscription(subscription),
        Document::PubSub(Component { name, of, .. }) => {
            Held::Skipped(format!("Component {name} ({of})"))
        }
        Document::Other(what) => Held::Skipped(what),
    });
    Ok(held.collect())
}

/// What Init would say of a Component, and what its YAML says wrongly.
fn findings(component: &Component) -> Findings {
    let of = component.of.strip_prefix("pubsub.").unwrap_or_default();
    let elsewhere = component.elsewhere.iter().map(|(key, _)| key.clone());
    let elsewhere: Vec<_> = elsewhere.collect();
    let mut findings = metadata::check(of, &component.properties, &elsewhere);
    let problems = component.twice.iter().map(|key| Problem {
        key: key.clone(),
        value: None,
        message: "given twice; daprd takes the last, keep one".into(),
    });
    findings.problems.extend(problems);
    findings
}

/// Writes a line that steers no terminal, whatever the YAML holds.
fn line(out: &mut impl io::Write, text: &str) -> io::Result<()> {
    writeln!(out, "{}", on_one_line(text))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Requires that a file is what the program makes; with `UPDATE_DOCS` it is made so.
    pub(super) fn same(file: &str, made: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, made).expect("the file is written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written, made,
            "{file} is outdated; `UPDATE_DOCS=1 cargo test --lib docs` writes it anew"
        );
    }
}
