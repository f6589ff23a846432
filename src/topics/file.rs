//! The file: what is read, and all that is wrong with it at once.

mod checks;
mod dead_letter;
mod fields;
mod node;
mod resolve;
mod values;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Deserialize as _;
use serde_norway::Value;

use self::{
    fields::Fields,
    node::{Node, Problems},
};
use super::wanted::Wanted;

pub(super) use self::values::written;

/// The largest file that is read, in bytes: thousands of topics.
pub(super) const LARGEST: usize = 4 * 1024 * 1024;

/// Something in the file that can't be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Where it stands: `topics[2] (orders).retention`.
    at: String,
    /// The value, and what to do about it.
    text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.as_str() {
            "" => f.write_str(&self.text),
            at => write!(f, "{at}: {}", self.text),
        }
    }
}

/// Reads a file's text: the topics that it wants, dead-letter topics behind their sources.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Wanted>, Vec<Problem>> {
    let document = document(text).map_err(|text| {
        vec![Problem {
            at: String::new(),
            text,
        }]
    })?;
    let mut problems = Problems::default();
    let wanted = topics(&Node::root(&document), &mut problems);
    let problems = problems.all();
    if problems.is_empty() {
        Ok(wanted)
    } else {
        Err(problems)
    }
}

fn document(text: &str) -> Result<Value, String> {
    if text.len() > LARGEST {
        return Err(format!(
            "the file has {} bytes, and {LARGEST} are the most that is read; split it",
            text.len()
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    for document in serde_norway::Deserializer::from_str(text) {
        let read = Value::deserialize(document).and_then(|mut document| {
            document.apply_merge()?;
            Ok(document)
        });
        let document = read.map_err(|error| format!("no YAML: {error}; mend its syntax"))?;
        if !document.is_null() {
            documents.push(document);
        }
    }
    match (documents.pop(), documents.len()) {
        (Some(document), 0) => Ok(document),
        (None, _) => Err("the file is empty; list topics under `topics:`".into()),
        (Some(_), more) => Err(format!(
            "{} YAML documents, and one is read; write one file for each",
            more + 1
        )),
    }
}

/// The topics of a document, as far as they can be read.
fn topics(document: &Node, problems: &mut Problems) -> Vec<Wanted> {
    let Some(mut parts) = document.fields(&["defaults", "topics"], problems) else {
        return Vec::new();
    };
    let defaults = parts.remove("defaults");
    let defaults = defaults.map(|node| fields::defaults(&node, problems));
    let defaults = defaults.unwrap_or_default();
    let Some(list) = parts.remove("topics") else {
        let text = "`topics` is missing; list the topics under it, each with its name";
        problems.at(document, text);
        return Vec::new();
    };
    let Some(items) = list.items(problems) else {
        return Vec::new();
    };
    let each = items.into_iter().map(|item| fields::topic(item, problems));
    let read: Vec<(String, Fields)> = each.flatten().collect();
    let resolved = resolve::all(read, &defaults, problems);
    checks::check(&resolved, problems);
    resolved.into_iter().map(|topic| topic.wanted).collect()
}
