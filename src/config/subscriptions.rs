//! What a Subscription beside its Component means here.

use crate::{
    metadata::{self, Findings, Problem},
    resources::{Component, Subscription},
};

const SCHEMA: &str = "valueSchemaType";
const GROUP: &str = "consumerGroup";

/// What is wrong with a Subscription of a Component, and what its author should know.
pub(super) fn findings(subscription: &Subscription, component: &Component) -> Findings {
    let notes = [
        dead_letters(subscription),
        bulk(subscription),
        group(subscription),
    ];
    Findings {
        problems: problems(subscription, component),
        notes: notes.into_iter().flatten().collect(),
    }
}

/// What a subscribe would refuse.
fn problems(subscription: &Subscription, component: &Component) -> Vec<Problem> {
    let problem = |key: &str, message: String| Problem {
        key: key.into(),
        value: None,
        message,
    };
    let mut problems = Vec::new();
    let schema = value(subscription, SCHEMA);
    if let Some(schema) = schema.filter(|schema| !schema.eq_ignore_ascii_case("none")) {
        let message =
            format!("\"{schema}\" needs a schema registry, which this version does not use");
        problems.push(problem(SCHEMA, message));
    }
    // The Component's own problems are told with it.
    let of = component.of.strip_prefix("pubsub.").unwrap_or_default();
    if let Ok(resolved) = metadata::resolve_for(of, &component.properties) {
        let Subscription {
            topic, metadata, ..
        } = subscription;
        if let Err(message) = resolved.settings.policy(topic, metadata) {
            problems.push(problem("metadata", message));
        }
    }
    problems
}

fn value<'a>(subscription: &'a Subscription, name: &str) -> Option<&'a str> {
    let mut metadata = subscription.metadata.iter();
    let found = metadata.find(|(key, _)| key.eq_ignore_ascii_case(name));
    let found = found.map(|(_, value)| value.as_str());
    found.filter(|value| !value.is_empty())
}

/// dapr/dapr v1.18.3, `pkg/runtime/subscription/subscription.go`.
fn dead_letters(subscription: &Subscription) -> Option<String> {
    let letters = subscription.dead_letter_topic.as_deref()?;
    Some(format!(
        "daprd publishes a message to deadLetterTopic {letters} at the first error, also while the \
         app is down. A deadLetterTopic in the Subscription's metadata leaves that to this \
         component, which retries first"
    ))
}

/// Release notes of Dapr 1.17.14 and 1.18.4.
fn bulk(subscription: &Subscription) -> Option<String> {
    subscription.bulk.then(|| {
        "with bulkSubscribe Dapr 1.16.0 to 1.17.13 and 1.18.0 to 1.18.3 hand over one message at a \
         time, each after maxAwaitDurationMs. Use Dapr 1.17.14 or 1.18.4, or no bulkSubscribe"
            .to_owned()
    })
}

fn group(subscription: &Subscription) -> Option<String> {
    let group = value(subscription, GROUP)?;
    Some(format!(
        "consumerGroup {group} has no effect in a Subscription: the group is the Component's. \
         Another group needs another Component"
    ))
}
