//! A place in the file, and what is wrong there.

use std::collections::BTreeMap;

use serde_norway::Value;

use super::Problem;
use crate::model::text::{beginning, on_one_line};

/// The most of a value that is shown, in bytes.
const SHOWN: usize = 100;

/// How alike a field must be to one that is known, to be meant as that.
const ALIKE: f64 = 0.8;

/// What was found to be wrong, in the order in which it was.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn at(&mut self, node: &Node, text: impl Into<String>) {
        self.add(&node.at, text);
    }

    pub(super) fn add(&mut self, at: &str, text: impl Into<String>) {
        let problem = Problem {
            at: at.to_owned(),
            text: text.into(),
        };
        // What stands among the defaults is met with each topic.
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    pub(super) fn all(self) -> Vec<Problem> {
        self.0
    }
}

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) at: String,
    pub(super) value: &'a Value,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self {
            at: String::new(),
            value,
        }
    }

    /// The same value, called otherwise.
    pub(super) fn called(self, at: String) -> Self {
        Self { at, ..self }
    }

    /// The fields of a mapping by their names; all others are refused.
    pub(super) fn fields(
        &self,
        known: &[&'static str],
        problems: &mut Problems,
    ) -> Option<BTreeMap<&'static str, Node<'a>>> {
        let mut fields = BTreeMap::new();
        for (name, node) in self.entries(known, problems)? {
            match known.iter().find(|known| **known == name) {
                Some(known) => {
                    fields.insert(*known, node);
                }
                None => problems.at(&node, unknown(&name, known)),
            }
        }
        Some(fields)
    }

    /// The entries of a mapping, whatever their names are.
    pub(super) fn entries(
        &self,
        known: &[&'static str],
        problems: &mut Problems,
    ) -> Option<Vec<(String, Node<'a>)>> {
        let Value::Mapping(mapping) = self.value else {
            let with = if known.is_empty() {
                "names with values".to_owned()
            } else {
                known.join(", ")
            };
            let text = format!("{} is no mapping; write one, of {with}", self.shown());
            problems.at(self, text);
            return None;
        };
        let mut entries = Vec::new();
        for (name, value) in mapping {
            let Some(name) = scalar(name) else {
                problems.at(self, "a name is no text; write plain names");
                continue;
            };
            let dot = if self.at.is_empty() { "" } else { "." };
            let at = format!("{}{dot}{}", self.at, shorten(&name));
            entries.push((name, Node { at, value }));
        }
        Some(entries)
    }

    /// The items of a list.
    pub(super) fn items(&self, problems: &mut Problems) -> Option<Vec<Node<'a>>> {
        let Value::Sequence(items) = self.value else {
            problems.at(self, format!("{} is no list; write one", self.shown()));
            return None;
        };
        if items.is_empty() {
            problems.at(self, "the list is empty; name at least one");
        }
        let each = items.iter().enumerate().map(|(number, value)| Node {
            at: format!("{}[{number}]", self.at),
            value,
        });
        Some(each.collect())
    }

    /// A text, number or flag as text.
    pub(super) fn scalar(&self) -> Option<String> {
        scalar(self.value)
    }

    /// The value, short and on one line.
    pub(super) fn shown(&self) -> String {
        match self.value {
            Value::Null => "nothing".into(),
            Value::Sequence(_) => "a list".into(),
            Value::Mapping(_) => "a mapping".into(),
            Value::Tagged(_) => "a tagged value".into(),
            _ => format!("\"{}\"", shorten(&self.scalar().unwrap_or_default())),
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => {
            // `1e6` is read as a fraction, and brokers want whole numbers without one.
            let text = number.to_string();
            Some(text.strip_suffix(".0").unwrap_or(&text).to_owned())
        }
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

pub(super) fn shorten(text: &str) -> String {
    beginning(&on_one_line(beginning(text, SHOWN)), SHOWN).to_owned()
}

fn unknown(name: &str, known: &[&'static str]) -> String {
    let alike = known.iter().map(|known| {
        let lower = [known.to_lowercase(), name.to_lowercase()];
        (strsim::jaro_winkler(&lower[0], &lower[1]), known)
    });
    let nearest = alike.max_by(|one, other| one.0.total_cmp(&other.0));
    match nearest.filter(|(alike, _)| *alike >= ALIKE) {
        Some((_, known)) => format!("there is no such field; \"{known}\" may be meant"),
        None => format!("there is no such field; known are {}", known.join(", ")),
    }
}
