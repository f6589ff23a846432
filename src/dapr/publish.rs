//! From Dapr's publish requests to records.

use std::{collections::HashMap, time::SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use tonic::Status;

use super::{escape, event, schema};
use crate::{
    kafka::Outgoing,
    metadata::Headers,
    model::{
        Header,
        dead_letter::{self, Facts, Failure},
        topic,
    },
};

/// Metadata that gives a record its key, the first that is there. If both are, the
/// built-in takes one by chance.
const KEYS: [&str; 2] = ["partitionKey", "__key"];

/// Metadata that names a record's partition, as the built-in has it from Dapr 1.18
/// on.
const PARTITION: &str = "partitionNumber";

/// Metadata by which a publish joins the transaction of a delivery, in the built-in component
/// from Dapr 1.19 on (components-contrib#4508).
const TRANSACTION: &str = "__txnToken";

/// Who publishes, for what a dead letter says of itself.
pub(super) struct Publisher<'a> {
    pub(super) component: &'a str,
    pub(super) group: Option<&'a str>,
    pub(super) headers: &'a Headers,
}

/// The record for a publish: every metadata pair becomes a header, as with the
/// built-in component, but those that steer this program. `schema` is the `valueSchemaType` that was asked for.
pub(super) fn outgoing(
    publisher: &Publisher<'_>,
    topic: &str,
    value: Bytes,
    mut metadata: HashMap<String, String>,
    schema: Option<&str>,
) -> Result<Outgoing, Status> {
    check_topic(topic)?;
    let facts = dead_letter(publisher, topic, &metadata);
    let value = value_of(value);
    if facts.is_some() {
        // Which partition it had says nothing of this topic.
        if let Some(number) = metadata.remove(PARTITION) {
            // An app that passes on all metadata that it received looks the same.
            tracing::debug!(
                component = publisher.component,
                "publishing to {topic}: {PARTITION} \"{number}\" is dropped, since __topic, \
                 __partition and __offset make this a dead letter of daprd's; leave one of them \
                 out to name a partition"
            );
        }
    } else {
        // A record's own header of that name comes back with daprd's dead letter of it, and
        // asks for nothing.
        check_transaction(topic, &metadata)?;
        // A dead letter's bytes were not decoded, so there is nothing to encode.
        if value.is_some() {
            schema::check("publishing to", topic, schema)?;
        }
    }
    let partition = partition(topic, &metadata)?;
    // What daprd gives back is what it was handed.
    let was_escaped = publisher.headers.escape && facts.is_some();
    let bytes = |text: &str| {
        if was_escaped {
            escape::unescape(text).into()
        } else {
            Bytes::copy_from_slice(text.as_bytes())
        }
    };
    let key = KEYS
        .iter()
        .find_map(|name| metadata.get(*name))
        .map(|key| bytes(key))
        .or_else(|| encoded_key(&metadata));
    // A dead letter of daprd's has those of its record, which become the facts' own.
    let is_letter = facts.is_some();
    let passes = |name: &str| is_letter || !dead_letter::steers(name);
    let mut headers: Vec<_> = metadata
        .into_iter()
        .filter(|(name, _)| passes(name) && !publisher.headers.excludes(name))
        .map(|(name, value)| Header {
            name,
            value: Some(bytes(&value)),
        })
        .collect();
    headers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if let Some(facts) = facts {
        headers = facts.headers(headers);
    }
    Ok(Outgoing {
        topic: topic.to_owned(),
        partition,
        key,
        value,
        headers,
        timestamp: None,
    })
}

/// Refuses a name that no Kafka topic can have, before a broker is asked.
pub(super) fn check_topic(topic: &str) -> Result<(), Status> {
    topic::check_topic(topic).map_err(Status::invalid_argument)
}

/// Refuses to publish outside the transaction that a publish asks for: the app relies on the
/// record not being read if its delivery fails.
fn check_transaction(topic: &str, metadata: &HashMap<String, String>) -> Result<(), Status> {
    if metadata.contains_key(TRANSACTION) {
        return Err(Status::invalid_argument(format!(
            "publishing to {topic}: {TRANSACTION} asks to publish in a delivery's transaction, and \
             this component has none; leave {TRANSACTION} out to publish the message at once, or \
             stay with the built-in pubsub.kafka"
        )));
    }
    Ok(())
}

/// The data `null` is a tombstone, as with the built-in component. Empty data is an
/// empty value: daprd makes no difference between none and empty.
fn value_of(data: Bytes) -> Option<Bytes> {
    (data != event::NULL).then_some(data)
}

/// The partition that a publish names.
fn partition(topic: &str, metadata: &HashMap<String, String>) -> Result<Option<i32>, Status> {
    let Some(text) = metadata.get(PARTITION) else {
        return Ok(None);
    };
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.map(Some).ok_or_else(|| {
        Status::invalid_argument(format!(
            "publishing to {topic}: {PARTITION} \"{text}\" is no partition; expected a whole number \
             from 0 on, or no {PARTITION}"
        ))
    })
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
    use crate::{metadata, model::dead_letter::text};

    fn publish(
        given: &[(&str, &str)],
        value: &'static [u8],
        metadata: &[(&str, &str)],
    ) -> Result<Outgoing, Status> {
        let map = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
            let pairs = pairs.iter();
            pairs
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        let required = [("brokers", "a:9092"), ("authType", "none")];
        let resolved = metadata::resolve(&map(&[&required, given].concat()));
        let settings = resolved.expect("the settings are right").settings;
        let publisher = Publisher {
            component: "todo-pubsub",
            group: Some("group"),
            headers: &settings.headers,
        };
        let metadata = map(metadata);
        let schema = schema::named(&metadata).map(str::to_owned);
        let value = Bytes::from_static(value);
        outgoing(&publisher, "orders", value, metadata, schema.as_deref())
    }

    fn record(metadata: &[(&str, &str)]) -> Outgoing {
        publish(&[], b"v", metadata).expect("it is right")
    }

    /// What daprd gives back of a record of another topic.
    const DAPRDS: [(&str, &str); 3] = [
        ("__topic", "tasks"),
        ("__partition", "2"),
        ("__offset", "7"),
    ];

    fn names(record: &Outgoing) -> Vec<&str> {
        let headers = record.headers.iter();
        headers.map(|header| &*header.name).collect()
    }

    #[test]
    fn null_is_a_tombstone_and_nothing_is_empty() {
        let value = |data| publish(&[], data, &[]).expect("it is right").value;
        assert_eq!(value(b"null"), None);
        assert_eq!(value(b"").as_deref(), Some(&b""[..]));
        assert_eq!(value(b" null").as_deref(), Some(&b" null"[..]));
    }

    #[test]
    fn a_partition_number_is_honoured_and_stands_in_a_header() {
        let named = record(&[("partitionNumber", "3"), ("partitionKey", "k")]);
        assert_eq!(named.partition, Some(3));
        assert_eq!(names(&named), ["partitionKey", "partitionNumber"]);
        assert_eq!(record(&[("partitionKey", "k")]).partition, None);
        for wrong in ["-1", "x", "", "2147483648", "1.0"] {
            let refused = publish(&[], b"v", &[("partitionNumber", wrong)]);
            let refused = refused.expect_err(wrong);
            let told = format!("partitionNumber \"{wrong}\"");
            assert!(refused.message().contains(&told), "{refused}");
        }
    }

    #[test]
    fn what_daprd_gave_up_goes_to_no_partition_of_its_sources() {
        let letter = record(&[&DAPRDS[..], &[("partitionNumber", "3")]].concat());
        assert_eq!(letter.partition, None);
        assert_eq!(text(&letter.headers, "partitionNumber"), None);
        assert_eq!(text(&letter.headers, "__dlq.errors.partition"), Some("2"));
    }

    #[test]
    fn what_daprd_gave_up_has_its_bytes_again() {
        let escaped = [("__key", "a+%FF"), ("trace", "%0A")];
        let metadata = [&DAPRDS[..], &escaped].concat();
        let escape = [("escapeHeaders", "true")];
        let letter = publish(&escape, b"v", &metadata).expect("it is right");
        assert_eq!(letter.key.as_deref(), Some(&b"a \xff"[..]));
        assert_eq!(text(&letter.headers, "trace"), Some("\n"));
        // What an app publishes is not unescaped, as with the built-in.
        let own = publish(&escape, b"v", &escaped).expect("it is right");
        assert_eq!(own.key.as_deref(), Some(&b"a+%FF"[..]));
        let unescaped = publish(&[], b"v", &metadata).expect("it is right");
        assert_eq!(unescaped.key.as_deref(), Some(&b"a+%FF"[..]));
    }

    #[test]
    fn what_is_excluded_has_its_effect_and_no_header() {
        let given = [("excludeHeaderMetaRegex", "^partition|^x-")];
        let pairs = [
            ("partitionKey", "k"),
            ("partitionNumber", "1"),
            ("x-a", "1"),
            ("ax-", "2"),
        ];
        let record = publish(&given, b"v", &pairs).expect("it is right");
        assert_eq!(names(&record), ["ax-"]);
        assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(record.partition, Some(1));
    }

    #[test]
    fn what_steers_this_program_is_not_for_publishers() {
        let steering = [
            ("dapr-redrive-group", "others"),
            ("dapr-dlq-redrives", "3"),
            ("dapr-dlq-failure", "rejected"),
            ("__dlq.errors.topic", "payments"),
            ("__dlq.errors.group", "others"),
        ];
        let own = [("dapr-other", "1"), ("__key", "k"), ("__dlq.other", "2")];
        let published = record(&[&steering[..], &own].concat());
        assert_eq!(names(&published), ["__dlq.other", "__key", "dapr-other"]);
        // What daprd gives up says how often it was sent back, and is for every group again.
        let letter = record(&[&DAPRDS[..], &steering].concat());
        assert_eq!(text(&letter.headers, "dapr-dlq-redrives"), Some("3"));
        assert_eq!(text(&letter.headers, "__dlq.errors.topic"), Some("tasks"));
        assert_eq!(text(&letter.headers, "dapr-redrive-group"), None);
    }

    #[test]
    fn only_what_would_have_to_be_encoded_is_refused() {
        let avro = [("valueSchemaType", "Avro")];
        publish(&[], b"{}", &avro).expect_err("it can't be encoded");
        publish(&[], b"null", &avro).expect("a tombstone is not encoded");
        let letter = [&DAPRDS[..], &avro].concat();
        publish(&[], b"{}", &letter).expect("it is what was received");
        publish(&[], b"{}", &[("valueSchemaType", "none")]).expect("as it is");
    }

    #[test]
    fn a_publish_in_a_transaction_is_refused_by_name() {
        let token = [("__txnToken", "5f0c")];
        for data in [&b"{}"[..], b"null"] {
            let refused = publish(&[], data, &token).expect_err("there is no transaction");
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
            for part in ["orders", "__txnToken", "leave __txnToken out"] {
                assert!(refused.message().contains(part), "{part}: {refused}");
            }
            assert!(!refused.message().contains("5f0c"), "{refused}");
        }
    }

    #[test]
    fn a_dead_letter_of_daprds_keeps_its_records_header_of_any_name() {
        let letter = record(&[&DAPRDS[..], &[("__txnToken", "5f0c")]].concat());
        assert_eq!(text(&letter.headers, "__txnToken"), Some("5f0c"));
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
