//! What is said of a topic's dead-letter topic.

use super::{
    fields::{self, Fields, Given},
    node::{Node, Problems},
};

/// What may be said of a dead-letter topic. It is never compacted: each record counts.
const FIELDS: [&str; 6] = [
    "name",
    "partitions",
    "replication",
    "retention",
    "minInSync",
    "config",
];

/// What stands in a name for that of the source, as in the metadata key `deadLetterTopic`.
pub(super) const SOURCE: &str = "{topic}";

/// Whether there is one, and what it is like.
#[derive(Clone, Debug)]
pub(super) enum DeadLetter {
    /// There is none.
    No,
    /// There is one.
    Yes {
        /// Its name, in which [`SOURCE`] may stand.
        name: Option<Given<String>>,
        /// What else is said of it.
        fields: Box<Fields>,
    },
}

/// Reads `true`, `false`, or fields.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<DeadLetter> {
    match node.value.as_bool() {
        Some(false) => return Some(DeadLetter::No),
        Some(true) => {
            let fields = Box::new(Fields {
                at: node.at.clone(),
                ..Fields::default()
            });
            return Some(DeadLetter::Yes { name: None, fields });
        }
        None => {}
    }
    if !node.value.is_mapping() {
        let text = format!(
            "{} can't be; write true, false, or fields of the dead-letter topic: {}",
            node.shown(),
            FIELDS.join(", ")
        );
        problems.at(node, text);
        return None;
    }
    let mut parts = node.fields(&FIELDS, problems)?;
    let name = parts.remove("name").and_then(|node| {
        let text = node.scalar();
        if text.is_none() {
            problems.at(&node, format!("{} is no name; write one", node.shown()));
        }
        let at = node.at.clone();
        text.map(|value| Given { at, value })
    });
    let fields = Box::new(fields::fields(&node.at, parts, problems));
    Some(DeadLetter::Yes { name, fields })
}
