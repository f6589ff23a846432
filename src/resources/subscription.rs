//! Dapr's Subscriptions, in the forms `v1alpha1` and `v2alpha1`.

use std::collections::HashMap;

use serde::Deserialize;

use super::yaml::Node;

/// A subscription, as daprd knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The name of the Component that it is of; empty where a process tells of its own.
    #[serde(default)]
    pub component: String,
    /// The topic, or a lane of one.
    pub topic: String,
    /// The topic to which daprd itself publishes what it gives up.
    pub dead_letter_topic: Option<String>,
    /// Whether daprd hands several messages to the app at once.
    #[serde(default)]
    pub bulk: bool,
    /// Its own metadata.
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

/// Reads a Subscription.
///
/// # Errors
/// Names the field that daprd can't read, without its value.
pub(super) fn read(document: &Node) -> Result<Subscription, String> {
    let nothing = Node::Null;
    let spec = document.get("spec").unwrap_or(&nothing);
    let text = |name: &str| match spec.get(name) {
        None => Ok(None),
        Some(value) => match value.text() {
            Some(text) => Ok(Some(text)),
            None => Err(format!("spec.{name} is no text")),
        },
    };
    let topic = text("topic")?.unwrap_or_default();
    if topic.is_empty() {
        return Err("spec.topic is missing".into());
    }
    let bulk = spec.get("bulkSubscribe").and_then(|it| it.get("enabled"));
    Ok(Subscription {
        component: text("pubsubname")?.unwrap_or_default(),
        topic,
        dead_letter_topic: text("deadLetterTopic")?.filter(|topic| !topic.is_empty()),
        bulk: bulk == Some(&Node::Bool(true)),
        metadata: metadata(spec)?,
    })
}

fn metadata(spec: &Node) -> Result<HashMap<String, String>, String> {
    let members = match spec.get("metadata") {
        None => return Ok(HashMap::new()),
        Some(Node::Map(members)) => members,
        Some(_) => return Err("spec.metadata is no map of names to texts".into()),
    };
    let text = |(key, value): &(String, Node)| {
        let value = value.text();
        let value = value.ok_or_else(|| format!("spec.metadata.{key} is no text"));
        Ok((key.clone(), value?))
    };
    members.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Document, documents};

    const TWO: &str = "
apiVersion: dapr.io/v1alpha1
kind: Subscription
metadata: {name: a}
spec: {topic: orders, route: /orders, pubsubname: todo-pubsub, deadLetterTopic: bad}
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata: {name: b}
spec:
  topic: tasks#1
  routes: {default: /tasks}
  pubsubname: todo-pubsub
  bulkSubscribe: {enabled: true}
  metadata: {deadLetterTopic: worse, maxDeliveryAttempts: 3}
";

    #[test]
    fn both_forms_are_read() {
        let read = documents(TWO);
        let [
            Document::Subscription(first),
            Document::Subscription(second),
        ] = &read[..]
        else {
            panic!("{read:?}");
        };
        assert_eq!(first.component, "todo-pubsub");
        assert_eq!(
            (&*first.topic, first.dead_letter_topic.as_deref()),
            ("orders", Some("bad"))
        );
        assert_eq!(
            (&*second.topic, &second.dead_letter_topic, second.bulk),
            ("tasks#1", &None, true)
        );
        let metadata = [("deadLetterTopic", "worse"), ("maxDeliveryAttempts", "3")];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(second.metadata, metadata.into());
    }

    #[test]
    fn what_daprd_cannot_read_is_named() {
        for (wrong, says) in [
            ("topic: [orders]", "spec.topic is no text"),
            ("other: x", "spec.topic is missing"),
            ("topic: t, metadata: [x]", "spec.metadata is no map"),
            (
                "topic: t, metadata: {a: [hunter2]}",
                "spec.metadata.a is no text",
            ),
        ] {
            let text = format!(
                "apiVersion: dapr.io/v1alpha1\nkind: Subscription\nspec: {{pubsubname: p, {wrong}}}\n"
            );
            let read = documents(&text);
            let [Document::Broken { problem, .. }] = &read[..] else {
                panic!("{read:?}");
            };
            assert!(
                problem.contains(says) && !problem.contains("hunter2"),
                "{problem}"
            );
        }
    }
}
