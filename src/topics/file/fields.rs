//! The fields of a topic, of the defaults, and of a dead-letter topic.

use std::collections::BTreeMap;

use super::{
    dead_letter::{self, DeadLetter},
    node::{Node, Problems, shorten},
    values,
};
use crate::{
    model::topic::check_topic,
    topics::wanted::{CLEANUP, MIN_IN_SYNC, RETENTION},
};

/// What may be said of every topic.
const FIELDS: [&str; 7] = [
    "partitions",
    "replication",
    "retention",
    "compaction",
    "minInSync",
    "deadLetter",
    "config",
];

/// Topics that the brokers keep for themselves.
const INTERNAL: [&str; 4] = [
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
    "__cluster_metadata",
];

/// Kafka's configs that have a field of their own here.
const OWN: [(&str, &str); 3] = [
    (RETENTION, "retention"),
    (CLEANUP, "compaction"),
    (MIN_IN_SYNC, "minInSync"),
];

/// The most partitions and replicas that are read; brokers have lower bounds of their own.
const MOST_PARTITIONS: i64 = 100_000;
const MOST_REPLICAS: i64 = 100;

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given<T> {
    pub(super) at: String,
    pub(super) value: T,
}

/// What was said of a topic; what was not is `None`.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) at: String,
    pub(super) partitions: Option<Given<i32>>,
    pub(super) replication: Option<Given<i16>>,
    /// In milliseconds, as Kafka has it.
    pub(super) retention: Option<Given<i64>>,
    /// Kafka's `cleanup.policy`.
    pub(super) compaction: Option<Given<&'static str>>,
    pub(super) min_in_sync: Option<Given<i16>>,
    pub(super) dead_letter: Option<DeadLetter>,
    pub(super) config: BTreeMap<String, String>,
}

/// What holds for all topics.
pub(super) fn defaults(node: &Node, problems: &mut Problems) -> Fields {
    match node.fields(&FIELDS, problems) {
        Some(parts) => fields(&node.at, parts, problems),
        None => Fields::default(),
    }
}

/// A topic of the list, and its name; `None` if it has none that can be used.
pub(super) fn topic(node: Node, problems: &mut Problems) -> Option<(String, Fields)> {
    // Whoever reads of a problem finds a name sooner than a number.
    let name = node.value.get("name").and_then(serde_norway::Value::as_str);
    let at = match name {
        Some(name) => format!("{} ({})", node.at, shorten(name)),
        None => node.at.clone(),
    };
    let node = node.called(at);
    let known = [&["name"][..], &FIELDS].concat();
    let mut parts = node.fields(&known, problems)?;
    let name = name_of(&node, parts.remove("name").as_ref(), problems);
    let fields = fields(&node.at, parts, problems);
    Some((name?, fields))
}

fn name_of(topic: &Node, name: Option<&Node>, problems: &mut Problems) -> Option<String> {
    let Some(name) = name else {
        problems.at(topic, "`name` is missing; write the topic's name");
        return None;
    };
    let text = name.value.as_str();
    let Some(text) = text else {
        let text = format!("{} is no name; write it in quotes", name.shown());
        problems.at(name, text);
        return None;
    };
    legal(text, &name.at, problems).then(|| text.to_owned())
}

/// Whether a topic may have this name.
pub(super) fn legal(name: &str, at: &str, problems: &mut Problems) -> bool {
    if let Err(error) = check_topic(name) {
        problems.add(at, format!("{error}; write another name"));
        return false;
    }
    if INTERNAL.contains(&name) {
        let text = format!("{name} is the brokers' own; leave it out");
        problems.add(at, text);
        return false;
    }
    true
}

/// What these parts say; the name is none of them.
pub(super) fn fields(
    at: &str,
    parts: BTreeMap<&'static str, Node>,
    problems: &mut Problems,
) -> Fields {
    let mut fields = Fields {
        at: at.to_owned(),
        ..Fields::default()
    };
    for (name, node) in parts {
        match name {
            "partitions" => fields.partitions = whole(&node, MOST_PARTITIONS, problems),
            "replication" => fields.replication = whole(&node, MOST_REPLICAS, problems),
            "minInSync" => fields.min_in_sync = whole(&node, MOST_REPLICAS, problems),
            "retention" => fields.retention = word(&node, values::retention, problems),
            "compaction" => fields.compaction = word(&node, values::compaction, problems),
            "deadLetter" => fields.dead_letter = dead_letter::read(&node, problems),
            _ => fields.config = config(&node, problems),
        }
    }
    fields
}

/// A whole number from 1 to `most`.
fn whole<T: TryFrom<i64>>(node: &Node, most: i64, problems: &mut Problems) -> Option<Given<T>> {
    let number = node.value.as_i64().filter(|it| (1..=most).contains(it));
    let Some(value) = number.and_then(|number| T::try_from(number).ok()) else {
        let text = format!(
            "{} can't be; write a whole number from 1 to {most}, without quotes",
            node.shown()
        );
        problems.at(node, text);
        return None;
    };
    let at = node.at.clone();
    Some(Given { at, value })
}

/// A text that means something.
fn word<T>(
    node: &Node,
    read: fn(&str) -> Result<T, String>,
    problems: &mut Problems,
) -> Option<Given<T>> {
    match read(&node.scalar().unwrap_or_default()) {
        Ok(value) => {
            let at = node.at.clone();
            Some(Given { at, value })
        }
        Err(expected) => {
            problems.at(node, format!("{} can't be; {expected}", node.shown()));
            None
        }
    }
}

/// Any other configs, by Kafka's names.
fn config(node: &Node, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut config = BTreeMap::new();
    for (name, node) in node.entries(&[], problems).unwrap_or_default() {
        let own = OWN.iter().find(|(kafkas, _)| *kafkas == name);
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        match (own, node.scalar()) {
            (Some((_, field)), _) => {
                let text = format!("{name} has a field of its own; write `{field}` instead");
                problems.at(&node, text);
            }
            _ if name.is_empty() || !name.bytes().all(plain) => {
                let text = "no config has such a name; write one as Kafka does, such as segment.ms";
                problems.at(&node, text);
            }
            (None, Some(value)) => {
                config.insert(name, value);
            }
            (None, None) => {
                let text = format!("{} is no value; write a text, number or flag", node.shown());
                problems.at(&node, text);
            }
        }
    }
    config
}
