//! `dapr-rdkafka config`: what a component's metadata means, without any broker.

mod check;
mod diff;
mod reference;
mod schema;

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
    metadata::{
        self, Findings, Problem,
        component::{Component, Document, documents},
    },
    model::text::on_one_line,
};

/// The types whose metadata this is about.
const TYPES: [&str; 2] = ["pubsub.kafka", "pubsub.rdkafka"];

/// What a file holds.
enum Held {
    /// A Component of one of the types.
    Component(Component),
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
    let shapes = component.shapes.iter();
    let elsewhere = component.elsewhere.iter().map(|(key, _)| key).chain(shapes);
    let elsewhere: Vec<_> = elsewhere.cloned().collect();
    let mut findings = metadata::check(of, &component.properties, &elsewhere);
    let shapes = component.shapes.iter().map(|key| {
        let message = "its value is a list or a map; write a text, a number or a flag";
        (key, message)
    });
    let twice = component.twice.iter();
    let twice = twice.map(|key| (key, "given twice; daprd takes the last, keep one"));
    let problems = shapes.chain(twice).map(|(key, message)| Problem {
        key: key.clone(),
        value: None,
        message: message.into(),
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
