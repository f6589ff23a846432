//! What a component is used for: topics that are published and subscribed to.

use std::collections::HashMap;

use serde::Deserialize;
use serde_norway::Value;

/// What a component is used for, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Uses {
    /// Topics that were published to.
    #[serde(default)]
    pub published: Vec<String>,
    /// What is subscribed to.
    #[serde(default)]
    pub subscriptions: Vec<Subscription>,
}

/// A subscription, as daprd knows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The topic, or a lane of one.
    pub topic: String,
    /// The topic to which daprd itself publishes what it gives up.
    pub dead_letter_topic: Option<String>,
    /// Its own metadata.
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

/// Something, and the component that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Of<T> {
    component: String,
    it: T,
}

impl Uses {
    /// What these Subscriptions say of a component.
    pub(super) fn of(all: Vec<Of<Subscription>>, component: &str) -> Self {
        let its = all.into_iter().filter(|of| of.component == component);
        Self {
            published: Vec::new(),
            subscriptions: its.map(|of| of.it).collect(),
        }
    }
}

/// Dapr's Subscriptions in a text of YAML documents, in the forms `v1alpha1` and
/// `v2alpha1`: they differ in routes only.
pub(super) fn subscriptions(text: &str) -> Vec<Of<Subscription>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = serde_norway::Deserializer::from_str(text);
    // Where one is no YAML, the reading of Components says so.
    let documents = documents.map_while(|document| Value::deserialize(document).ok());
    documents
        .filter_map(|document| subscription(&document))
        .collect()
}

fn subscription(document: &Value) -> Option<Of<Subscription>> {
    let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
    let is_daprs = text(document, "apiVersion").is_some_and(|of| of.starts_with("dapr.io/"));
    if !is_daprs || text(document, "kind").as_deref() != Some("Subscription") {
        return None;
    }
    let spec = document.get("spec")?;
    let metadata = spec.get("metadata").and_then(Value::as_mapping);
    let metadata = metadata.into_iter().flatten();
    let metadata = metadata
        .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.as_str()?.to_owned())));
    Some(Of {
        component: text(spec, "pubsubname")?,
        it: Subscription {
            topic: text(spec, "topic")?,
            dead_letter_topic: text(spec, "deadLetterTopic").filter(|topic| !topic.is_empty()),
            metadata: metadata.collect(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
  metadata: {deadLetterTopic: worse, maxDeliveryAttempts: '3'}
---
apiVersion: dapr.io/v1alpha1
kind: Subscription
spec: {topic: other, pubsubname: other}
---
apiVersion: messaging.knative.dev/v1
kind: Subscription
spec: {topic: foreign, pubsubname: todo-pubsub}
---
apiVersion: dapr.io/v1alpha1
kind: Subscription
spec: {pubsubname: todo-pubsub}
";

    #[test]
    fn both_forms_are_read_and_belong_to_their_component() {
        let uses = Uses::of(subscriptions(TWO), "todo-pubsub");
        let [first, second] = &uses.subscriptions[..] else {
            panic!("{uses:?}");
        };
        assert_eq!(
            (&*first.topic, first.dead_letter_topic.as_deref()),
            ("orders", Some("bad"))
        );
        assert_eq!(
            (&*second.topic, &second.dead_letter_topic),
            ("tasks#1", &None)
        );
        assert_eq!(second.metadata.len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_written_breaks_it(text in "(?s).{0,200}") {
            subscriptions(&text);
            subscriptions(&TWO.replace("orders", &text));
        }
    }
}
