//! From Dapr's publish requests to records.

use std::collections::HashMap;

use bytes::Bytes;
use tonic::Status;

use crate::{kafka::Outgoing, model::Header};

/// Metadata that gives a record its key, the first that is there. The built-in
/// takes both, in no order.
const KEYS: [&str; 2] = ["partitionKey", "__key"];

/// Kafka's own bound (`org.apache.kafka.common.internals.Topic`).
const LONGEST_TOPIC: usize = 249;

/// The record for a publish: every metadata pair becomes a header, as with the
/// built-in component.
pub(super) fn outgoing(
    topic: &str,
    value: Bytes,
    metadata: HashMap<String, String>,
) -> Result<Outgoing, Status> {
    check_topic(topic)?;
    let key = KEYS
        .iter()
        .find_map(|name| metadata.get(*name))
        .map(|key| Bytes::copy_from_slice(key.as_bytes()));
    let mut headers: Vec<_> = metadata
        .into_iter()
        .map(|(name, value)| Header {
            name,
            value: Some(value.into()),
        })
        .collect();
    headers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(Outgoing {
        topic: topic.to_owned(),
        key,
        value,
        headers,
    })
}

/// Refuses a name that no Kafka topic can have, before a broker is asked.
pub(super) fn check_topic(topic: &str) -> Result<(), Status> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let named = !topic.is_empty() && topic != "." && topic != "..";
    if named && topic.len() <= LONGEST_TOPIC && topic.bytes().all(fits) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "{topic:?} can't be a Kafka topic: a name has 1 to {LONGEST_TOPIC} of a-z A-Z 0-9 . _ - \
         and is not . or .."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(metadata: &[(&str, &str)]) -> Outgoing {
        let pairs = metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        outgoing("orders", Bytes::from_static(b"v"), pairs.collect()).expect("it is right")
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

    #[test]
    fn names_that_no_topic_can_have_are_refused_by_name() {
        for topic in ["", ".", "..", "a b", "a#1", "é", &"x".repeat(250)] {
            let error = check_topic(topic).expect_err("not a topic's name");
            assert!(error.message().contains(&format!("{topic:?}")), "{error}");
        }
        for topic in ["orders", "a.b_c-D9", &"x".repeat(249)] {
            check_topic(topic).expect("a topic's name");
        }
    }
}
