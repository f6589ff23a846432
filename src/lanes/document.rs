//! A lane as a document of Dapr's declarative form, for `kubectl apply` and for the resources
//! folder of a self-hosted daprd.

use std::{fmt::Write as _, hash::Hasher as _};

use fnv::FnvHasher;

use super::Subscription;
use crate::model::{text::in_yaml, topic};

/// The longest beginning of a name, in bytes: with the rest it stays below the 253 bytes that
/// Kubernetes allows.
const LONGEST_STEM: usize = 220;

/// The YAML of a topic's lane. `topic` is the app's own subscription; `number` counts its lanes from 1.
///
/// All values from outside stand in quotes.
pub(super) fn document(topic: &Subscription, number: u16, app_ids: &[String]) -> String {
    let mut yaml = format!(
        "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata:\n  name: {}\nspec:\n  \
         pubsubname: {}\n  topic: {}\n  routes:\n",
        name(topic, number, app_ids),
        in_yaml(&topic.pubsub),
        in_yaml(&topic::lane(&topic.topic, number)),
    );
    // An empty value begins a block. Writing to a String never fails.
    let mut line = |indent: usize, key: &str, value: &str| {
        let space = if value.is_empty() { "" } else { " " };
        let _ = writeln!(yaml, "{:indent$}{key}:{space}{value}", "");
    };
    if !topic.rules.is_empty() {
        line(4, "rules", "");
    }
    for rule in &topic.rules {
        line(4, "- match", &in_yaml(&rule.condition));
        line(6, "path", &in_yaml(&rule.path));
    }
    if !topic.default_route.is_empty() {
        line(4, "default", &in_yaml(&topic.default_route));
    }
    if !topic.metadata.is_empty() {
        line(2, "metadata", "");
    }
    for (key, value) in &topic.metadata {
        line(4, &in_yaml(key), &in_yaml(value));
    }
    if !topic.dead_letter_topic.is_empty() {
        line(2, "deadLetterTopic", &in_yaml(&topic.dead_letter_topic));
    }
    if let Some(bulk) = topic.bulk {
        line(2, "bulkSubscribe", "");
        line(4, "enabled", "true");
        for (key, value) in [
            ("maxMessagesCount", bulk.max_messages),
            ("maxAwaitDurationMs", bulk.max_await_ms),
        ] {
            if value != 0 {
                line(4, key, &value.to_string());
            }
        }
    }
    if !app_ids.is_empty() {
        line(0, "scopes", "");
    }
    for app_id in app_ids {
        let _ = writeln!(yaml, "- {}", in_yaml(app_id));
    }
    yaml
}

/// The Subscription's name, the same in each run: the topic in lower case with `-` in the
/// place of other characters, the lane, and a hash. The hash tells apart what would share a
/// name: topics that differ in those characters, the same topic of two Components, and of
/// two apps in one namespace.
fn name(topic: &Subscription, number: u16, app_ids: &[String]) -> String {
    let plain = topic.topic.chars().take(LONGEST_STEM);
    let stem: String = plain
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let mut hasher = FnvHasher::default();
    let parts = [&topic.pubsub, &topic.topic].into_iter().chain(app_ids);
    for part in parts {
        hasher.write(part.as_bytes());
        hasher.write(&[0]);
    }
    let hash = hasher.finish();
    // Both halves count: of 64 bits, 32 are enough for the topics of a namespace.
    let hash = (hash >> 32) ^ (hash & 0xffff_ffff);
    let name = format!("{stem}-lane-{number}-{hash:08x}");
    name.trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests;
