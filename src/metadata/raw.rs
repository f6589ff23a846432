//! From the map of strings to settings, with every problem at once.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use super::{
    Settings,
    keys::{self, Key, Support},
    security::Access,
};
use crate::model::Ordering;

/// How alike (0 to 1) an unknown key must be to a known one to be taken for its
/// misspelling; below this, suggestions mislead more than they help.
const ALIKE: f64 = 0.85;

/// Settings, and what a reader of the log should know about them.
#[derive(Debug)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// What was accepted and has no effect, one sentence each.
    pub notes: Vec<String>,
}

/// Something wrong with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, as it was written.
    pub key: String,
    /// The value, unless it is a secret or there is none.
    pub value: Option<String>,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Everything that is wrong with a component's metadata.
#[derive(Debug, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the component's metadata can't be used:")?;
        for Problem {
            key,
            value,
            message,
        } in &self.0
        {
            match value {
                Some(value) => write!(f, " [{key}: \"{value}\": {message}]")?,
                None => write!(f, " [{key}: {message}]")?,
            }
        }
        Ok(())
    }
}

/// Resolves a component's metadata.
///
/// # Errors
/// All problems at once: keys that are missing, given twice, or known and not
/// honoured yet, and values that can't be read.
pub fn resolve(properties: &HashMap<String, String>) -> Result<Resolved, Problems> {
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    let mut settings = Settings::blank();
    let mut access = Access::default();
    let mut given = by_key(properties, &mut problems, &mut notes);

    for key in keys::all() {
        // An empty value is the default, as in the built-in component.
        let given = given
            .remove(key.name)
            .filter(|(_, value)| !value.is_empty());
        let value = given.map(|(_, value)| value).or(key.default);
        let written = given.map_or(key.name, |(written, _)| written);
        match (&key.support, value) {
            (Support::Honoured(set), Some(value)) => {
                if let Err(message) = set(value, &mut settings) {
                    problems.push(problem(key, written, Some(value), message));
                }
            }
            (Support::Access(set), Some(value)) => {
                if let Err(message) = set(value, &mut access) {
                    problems.push(problem(key, written, Some(value), message));
                }
            }
            (Support::NotYet, Some(value)) => {
                let message = "known from pubsub.kafka, but not honoured by this version; \
                               remove it, or stay with the built-in component until it is";
                problems.push(problem(key, written, Some(value), message.into()));
            }
            (Support::Inert, Some(_)) => {
                notes.push(format!("{written} has no effect: {}", key.doc));
            }
            (_, None) if key.name == "brokers" => {
                let message = "required, but missing or empty; for example \"kafka:9092\"";
                problems.push(problem(key, written, None, message.into()));
            }
            (Support::Daprd, Some(_)) | (_, None) => {}
        }
    }

    match access.resolve() {
        Ok(security) => settings.security = security,
        // What was given and can't be read is not missing.
        Err(missing) => {
            let reported: HashSet<_> = problems.iter().map(|problem| problem.key.clone()).collect();
            problems.extend(missing.into_iter().filter(|problem| {
                !reported
                    .iter()
                    .any(|key| key.eq_ignore_ascii_case(&problem.key))
            }));
        }
    }
    notes.extend(settings.without_effect());
    if problems.is_empty() {
        Ok(Resolved { settings, notes })
    } else {
        Err(Problems(problems))
    }
}

/// Resolves the metadata of a component of the type `pubsub.{name}`. As `kafka` it
/// takes the built-in's place, and keeps that one's order unless it is told
/// another.
///
/// # Errors
/// Those of [`resolve`].
pub fn resolve_for(name: &str, properties: &HashMap<String, String>) -> Result<Resolved, Problems> {
    let mut resolved = resolve(properties)?;
    let given = properties
        .iter()
        .any(|(key, value)| key.eq_ignore_ascii_case("ordering") && !value.is_empty());
    if name == "kafka" && !given {
        resolved.settings.ordering = Ordering::Partition;
        resolved.notes.push(
            "ordering is \"partition\", as pubsub.kafka has it: one record of a partition at a \
             time. Set ordering to \"key\" for those of different keys at once"
                .into(),
        );
    }
    Ok(resolved)
}

/// Sorts what was given by the table's names.
fn by_key<'a>(
    properties: &'a HashMap<String, String>,
    problems: &mut Vec<Problem>,
    notes: &mut Vec<String>,
) -> HashMap<&'static str, (&'a str, &'a str)> {
    let mut sorted: Vec<_> = properties.iter().collect();
    sorted.sort_unstable();
    let mut given = HashMap::new();
    for (written, value) in sorted {
        let Some(key) = find(written) else {
            notes.push(unknown(written));
            continue;
        };
        if let Some((first, _)) = given.insert(key.name, (written.as_str(), value.as_str())) {
            let message = format!("given twice, as {first} and as {written}; keep one");
            problems.push(problem(key, written, None, message));
        }
    }
    given
}

fn find(written: &str) -> Option<&'static Key> {
    keys::all().find(|key| key.name.eq_ignore_ascii_case(written))
}

fn unknown(written: &str) -> String {
    let lower = written.to_ascii_lowercase();
    let alike = keys::all()
        .map(|key| {
            (
                strsim::jaro_winkler(&lower, &key.name.to_ascii_lowercase()),
                key,
            )
        })
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(alike, _)| *alike >= ALIKE);
    match alike {
        Some((_, key)) => format!(
            "{written} is no known key and has no effect; did you mean {}?",
            key.name
        ),
        None => format!("{written} is no known key and has no effect"),
    }
}

fn problem(key: &Key, written: &str, value: Option<&str>, message: String) -> Problem {
    Problem {
        key: written.to_owned(),
        value: value.filter(|_| !key.secret).map(str::to_owned),
        message,
    }
}

#[cfg(test)]
mod tests;
