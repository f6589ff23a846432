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

use crate::metadata::component::{Component, Document, documents};

/// The types whose metadata this is about.
const TYPES: [&str; 2] = ["pubsub.kafka", "pubsub.rdkafka"];

/// What a file holds.
enum Held {
    /// A Component of one of the types.
    Component(Component),
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
    let held = documents(&text)?
        .into_iter()
        .map(|document| match document {
            Document::PubSub(component) if TYPES.contains(&component.of.as_str()) => {
                Held::Component(component)
            }
            Document::PubSub(Component { name, of, .. }) => {
                Held::Skipped(format!("Component {name} ({of})"))
            }
            Document::Other(what) => Held::Skipped(what),
        });
    Ok(held.collect())
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
