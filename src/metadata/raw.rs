//! From the map of strings to settings, with every problem at once.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use super::{
    Settings,
    keys::{self, Key, Kind, Support},
    security::Access,
    spelling, unknown,
};
use crate::model::{Ordering, text::on_one_line};

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

/// On one line, and without what could steer a terminal.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, message, .. } = self;
        let text = match &self.value {
            Some(value) => format!("{key}: \"{value}\": {message}"),
            None => format!("{key}: {message}"),
        };
        f.write_str(&on_one_line(&text))
    }
}

/// Everything that is wrong with a component's metadata.
#[derive(Debug, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the component's metadata can't be used:")?;
        for problem in &self.0 {
            write!(f, " [{problem}]")?;
        }
        Ok(())
    }
}

/// Resolves a component's metadata, as that of a `pubsub.rdkafka`.
///
/// # Errors
/// All problems at once: keys that are missing, given twice or refused, and values
/// that can't be read.
pub fn resolve(properties: &HashMap<String, String>) -> Result<Resolved, Problems> {
    resolve_for("rdkafka", properties)
}

/// Resolves the metadata of a component of the type `pubsub.{name}`. As `kafka` it
/// takes the built-in's place, and keeps that one's order unless it is told
/// another.
///
/// # Errors
/// Those of [`resolve`].
pub fn resolve_for(name: &str, properties: &HashMap<String, String>) -> Result<Resolved, Problems> {
    let (settings, Findings { problems, notes }) = read(name, properties, &[]);
    if problems.is_empty() {
        Ok(Resolved { settings, notes })
    } else {
        Err(Problems(problems))
    }
}

/// What is to be said about a component's metadata.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong, as [`resolve`] reports it.
    pub problems: Vec<Problem>,
    /// What was accepted and has no effect, one sentence each.
    pub notes: Vec<String>,
}

/// Checks the metadata of a component of the type `pubsub.{name}` as far as that is
/// possible without the values of the keys in `elsewhere`: they count as given, and as right.
pub fn check(name: &str, properties: &HashMap<String, String>, elsewhere: &[String]) -> Findings {
    read(name, properties, elsewhere).1
}

fn read(
    name: &str,
    properties: &HashMap<String, String>,
    elsewhere: &[String],
) -> (Settings, Findings) {
    let mut reading = Reading::new(properties, elsewhere);
    for key in keys::all() {
        reading.read(key);
    }
    let built_in = name == "kafka" && !reading.given.contains_key("ordering");
    let (mut settings, mut findings) = reading.end();
    if built_in {
        settings.ordering = Ordering::Partition;
        findings.notes.push(
            "ordering is \"partition\", as pubsub.kafka has it: one record of a partition at a \
             time. Set ordering to \"key\" for those of different keys at once"
                .into(),
        );
    }
    (settings, findings)
}

/// The key that daprd sets to the app's id, unless it is given in these letters.
const GROUP: &str = "consumerID";

/// Stands for a value that is not known. It is never shown.
const ELSEWHERE: &str = "from elsewhere";

/// A key as it was given.
#[derive(Clone, Copy)]
struct Given<'a> {
    written: &'a str,
    value: &'a str,
    /// Of a key's names the one with the least rank wins.
    rank: usize,
    /// Whether the value is not known.
    elsewhere: bool,
}

struct Reading<'a> {
    given: HashMap<&'static str, Given<'a>>,
    settings: Settings,
    access: Access,
    problems: Vec<Problem>,
    /// Problems of keys that some `authType`s do not read.
    of_login: Vec<(&'static Key, Problem)>,
    notes: Vec<String>,
}

impl<'a> Reading<'a> {
    /// Sorts what was given by the table's names.
    fn new(properties: &'a HashMap<String, String>, elsewhere: &'a [String]) -> Self {
        let mut reading = Self {
            given: HashMap::new(),
            settings: Settings::blank(),
            access: Access::default(),
            problems: Vec::new(),
            of_login: Vec::new(),
            notes: Vec::new(),
        };
        let known = properties
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str(), false));
        let unknown_values = elsewhere.iter().map(|key| (key.as_str(), ELSEWHERE, true));
        let mut sorted: Vec<_> = known.chain(unknown_values).collect();
        sorted.sort_unstable();
        // daprd adds its own to what the user wrote in other letters.
        let is_of_group = |key: &str| key.eq_ignore_ascii_case(GROUP);
        if sorted.iter().filter(|(key, ..)| is_of_group(key)).count() > 1 {
            sorted.retain(|(key, ..)| *key != GROUP);
        }
        let mut spellings = HashMap::new();
        for (written, value, elsewhere) in sorted {
            let Some((key, name)) = keys::find(written) else {
                reading.notes.push(unknown::note(written));
                continue;
            };
            if let Some(first) = spellings.insert(name, written) {
                let message = format!("given twice, as {first} and as {written}; keep one");
                reading.problems.push(problem(key, written, None, message));
            }
            // An empty value is the default.
            if !value.is_empty() {
                let rank = key.aliases.iter().position(|alias| *alias == name);
                let given = Given {
                    written,
                    value,
                    rank: rank.unwrap_or(key.aliases.len()),
                    elsewhere,
                };
                reading.give(key, given);
            }
        }
        reading
    }

    fn give(&mut self, key: &Key, mut new: Given<'a>) {
        let Some(old) = self.given.get_mut(key.name) else {
            self.given.insert(key.name, new);
            return;
        };
        if new.rank < old.rank {
            std::mem::swap(old, &mut new);
        }
        if key.names_agree {
            let known = !old.elsewhere && !new.elsewhere;
            if known && !old.value.eq_ignore_ascii_case(new.value) {
                let message = format!(
                    "{} is given too, with the value \"{}\", and means the same; keep one of both",
                    old.written, old.value
                );
                let value = Some(new.value);
                self.problems
                    .push(problem(key, new.written, value, message));
            }
        } else if new.rank != old.rank {
            let (loser, winner) = (new.written, old.written);
            let note = format!("{loser} has no effect: {winner} is given too, and wins");
            self.notes.push(note);
        }
    }

    fn read(&mut self, key: &'static Key) {
        let given = self.given.get(key.name);
        let value = given.map(|given| given.value).or(key.default);
        let written = given.map_or(key.name, |given| given.written);
        let elsewhere = given.is_some_and(|given| given.elsewhere);
        if let Some(given) = given.filter(|given| !given.elsewhere) {
            self.notes.extend(spelling::note(key, written, given.value));
        }
        // Blanks beside a word or a number mean nothing, and templates and secrets often bring some.
        let value = match key.kind {
            Kind::Text => value,
            _ => value.map(str::trim),
        };
        let failed = match (&key.support, value) {
            (Support::Honoured(_), Some(_)) if elsewhere => None,
            (Support::Access(set), Some(value)) if elsewhere => {
                // Some keys mean something by being there; what this one can't read is
                // taken for right.
                let _ = set(value, &mut self.access);
                None
            }
            (Support::Honoured(set), Some(value)) => set(value, &mut self.settings)
                .err()
                .map(|message| problem(key, written, Some(value), message)),
            (Support::Access(set), Some(value)) => set(value, &mut self.access)
                .err()
                .map(|message| problem(key, written, Some(value), message)),
            (Support::Refused(reason), Some(_)) => {
                let message = format!("known from pubsub.kafka and refused: {reason}");
                Some(problem(key, written, None, message))
            }
            (Support::Inert, Some(_)) => {
                self.notes
                    .push(format!("{written} has no effect: {}", key.doc));
                None
            }
            (Support::Honoured(_), None) if key.required => {
                let message = "required, but missing or empty; for example \"kafka:9092\"";
                Some(problem(key, written, None, message.into()))
            }
            (Support::Daprd, Some(_)) | (_, None) => None,
        };
        let Some(problem) = failed else { return };
        if key.auth_types.is_empty() {
            self.problems.push(problem);
        } else {
            self.of_login.push((key, problem));
        }
    }

    /// What the keys mean together.
    fn end(mut self) -> (Settings, Findings) {
        if let Some(auth_type) = self.given.get("authType") {
            // It is not known, and what stood for it before there was one is no help.
            if self.access.auth_type.is_none() {
                self.access.auth_required = None;
            }
            if auth_type.elsewhere {
                self.of_login.clear();
            }
        }
        let given = |name: &str| self.given.get(name).map(|given| given.written);
        self.notes.extend(self.access.notes(given));
        let unused = |key: &Key| self.access.unused(key).is_some();
        let of_login = std::mem::take(&mut self.of_login).into_iter();
        self.problems.extend(
            of_login
                .filter(|(key, _)| !unused(key))
                .map(|(_, problem)| problem),
        );
        let reported: HashSet<_> = self
            .problems
            .iter()
            .map(|problem| problem.key.to_ascii_lowercase())
            .collect();
        let elsewhere = |name: &str| {
            let given = self.given.get(name);
            given.is_some_and(|given| given.elsewhere)
        };
        let may_log_in = elsewhere("authType") || elsewhere("authRequired");
        // What was given and can't be read, or stands elsewhere, is not missing.
        let fresh = |Problem { key, .. }: &Problem| {
            let unread = reported.contains(&key.to_ascii_lowercase()) || elsewhere(key);
            let known = key != "authType" || !may_log_in;
            known && !unread
        };
        match self.access.resolve() {
            Ok(security) => self.settings.security = security,
            Err(missing) => self.problems.extend(missing.into_iter().filter(fresh)),
        }
        let conflicts = self.settings.conflicts().into_iter();
        self.problems.extend(conflicts.filter(fresh));
        self.notes.extend(self.settings.without_effect());
        let Self {
            settings,
            problems,
            notes,
            ..
        } = self;
        (settings, Findings { problems, notes })
    }
}

fn problem(key: &Key, written: &str, value: Option<&str>, message: String) -> Problem {
    // PEM may hold a private key, whatever it was given as.
    let shown = value.filter(|value| !key.secret && !value.contains("-----BEGIN"));
    Problem {
        key: written.to_owned(),
        value: shown.map(|value| match key.name {
            "brokers" => super::parse::without_logins(value),
            _ => value.to_owned(),
        }),
        message,
    }
}

#[cfg(test)]
mod secrets;
#[cfg(test)]
mod tests;
