//! From Dapr's publish requests to records.

use std::{collections::HashMap, time::SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use tonic::Status;

use crate::{
    kafka::Outgoing,
    model::{
        Header,
        dead_letter::{Facts, Failure},
        topic,
    },
};

/// Metadata that gives a record its key, the first that is there. The built-in
/// takes both, in no order.
const KEYS: [&str; 2] = ["partitionKey", "__key"];

/// Who publishes, for what a dead letter says of itself.
pub(super) struct Publisher<'a> {
    pub(super) component: &'a str,
    pub(super) group: Option<&'a str>,
}

/// The record for a publish: every metadata pair becomes a header, as with the
/// built-in component.
pub(super) fn outgoing(
    publisher: &Publisher<'_>,
    topic: &str,
    value: Bytes,
    metadata: HashMap<String, String>,
) -> Result<Outgoing, Status> {
    check_topic(topic)?;
    let facts = dead_letter(publisher, topic, &metadata);
    let key = KEYS
        .iter()
        .find_map(|name| metadata.get(*name))
        .map(|key| Bytes::copy_from_slice(key.as_bytes()))
        .or_else(|| encoded_key(&metadata));
    let mut headers: Vec<_> = metadata
        .into_iter()
        .map(|(name, value)| Header {
            name,
            value: Some(value.into()),
        })
        .collect();
    headers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if let Some(facts) = facts {
        headers = facts.headers(headers);
    }
    Ok(Outgoing {
        topic: topic.to_owned(),
        key,
        value: Some(value),
        headers,
        timestamp: None,
    })
}

/// Refuses a name that no Kafka topic can have, before a broker is asked.
pub(super) fn check_topic(topic: &str) -> Result<(), Status> {
    topic::check_topic(topic).map_err(Status::invalid_argument)
}

/// What a publish says of the record that it is a dead letter of. For a
/// `deadLetterTopic` of a Subscription daprd itself publishes the record, with the
/// metadata that it came with (dapr/dapr v1.16.5,
/// `pkg/runtime/subscription/subscription.go`, `sendToDeadLetter`).
fn dead_letter<'a>(
    publisher: &Publisher<'a>,
    topic: &str,
    metadata: &HashMap<String, String>,
) -> Option<Facts<'a>> {
    // An app that passes on what it received names its source, too; but daprd does
    // not give a record up to the topic that it came from.
    let source = metadata.get("__topic").filter(|source| *source != topic)?;
    Some(Facts {
        topic: source.clone(),
        partition: metadata.get("__partition")?.clone(),
        offset: metadata.get("__offset")?.clone(),
        group: publisher.group,
        deliveries: None,
        message: "daprd gave it up, as the Subscription's deadLetterTopic says",
        component: publisher.component,
        failure: Failure::DeadLetteredByDaprd,
        timestamp: metadata
            .get("__timestamp")
            .and_then(|time| time.parse().ok()),
        first_failure: None,
        last_failure: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
    })
}

/// A key that is no text, as we handed it to daprd.
fn encoded_key(metadata: &HashMap<String, String>) -> Option<Bytes> {
    let encoded = metadata.get("__key.base64")?;
    Some(BASE64_STANDARD.decode(encoded).ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dead_letter::text;

    fn record(metadata: &[(&str, &str)]) -> Outgoing {
        let pairs = metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let publisher = Publisher {
            component: "todo-pubsub",
            group: Some("group"),
        };
        let value = Bytes::from_static(b"v");
        outgoing(&publisher, "orders", value, pairs.collect()).expect("it is right")
    }

    #[test]
    fn what_daprd_gave_up_gets_the_headers_of_a_dead_letter() {
        let record = record(&[
            ("__topic", "tasks"),
            ("__partition", "2"),
            ("__offset", "7"),
            ("__key.base64", "AGs="),
            ("trace", "t"),
        ]);
        assert_eq!(record.key.as_deref(), Some(&b"\0k"[..]));
        for (name, value) in [
            ("trace", "t"),
            ("__dlq.errors.topic", "tasks"),
            ("__dlq.errors.partition", "2"),
            ("__dlq.errors.offset", "7"),
            ("__dlq.errors.group", "group"),
            ("dapr-dlq-component", "todo-pubsub"),
            ("dapr-dlq-failure", "dead-lettered-by-daprd"),
        ] {
            assert_eq!(text(&record.headers, name), Some(value), "{name}");
        }
    }

    #[test]
    fn the_partition_key_is_the_key_and_every_pair_a_header() {
        let record = record(&[("partitionKey", "k1"), ("a", "b")]);
        assert_eq!(record.key.as_deref(), Some(&b"k1"[..]));
        let names: Vec<_> = record.headers.iter().map(|header| &*header.name).collect();
        assert_eq!(names, ["a", "partitionKey"]);
    }

    #[test]
    fn a_missing_key_is_null_and_an_empty_one_is_empty() {
        assert_eq!(record(&[]).key, None);
        assert_eq!(record(&[("__key", "")]).key.as_deref(), Some(&b""[..]));
        let both = [("__key", "b"), ("partitionKey", "a")];
        assert_eq!(record(&both).key.as_deref(), Some(&b"a"[..]));
    }
}
