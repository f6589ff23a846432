//! A record as the message that daprd gets.

use std::collections::HashMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use prost::Message;

use super::proto::PullMessagesResponse;
use crate::{
    delivery::Delivery,
    model::{Header, Record},
};

/// daprd dials with gRPC's default receive limit. A larger message breaks the
/// stream for good: daprd does not open it again.
pub(super) const LARGEST: usize = 4 * 1024 * 1024;

/// The message for a delivery; `topic_name` is the stream's own.
pub(super) fn message(delivery: &Delivery, topic_name: &str) -> PullMessagesResponse {
    let record = &delivery.record;
    PullMessagesResponse {
        data: record.value.clone().unwrap_or_default(),
        topic_name: topic_name.to_owned(),
        metadata: metadata(record),
        content_type: String::new(),
        id: delivery.id.0.to_string(),
    }
}

/// Whether daprd can receive the message.
pub(super) fn fits(message: &PullMessagesResponse) -> bool {
    message.encoded_len() <= LARGEST
}

/// The built-in component's metadata of a record: where it stands, its key, and
/// its headers, which win when names clash.
fn metadata(record: &Record) -> HashMap<String, String> {
    let mut metadata = HashMap::from([
        ("__topic".to_owned(), record.at.topic.to_string()),
        ("__partition".to_owned(), record.at.partition.to_string()),
        ("__offset".to_owned(), record.offset.to_string()),
    ]);
    if let Some(timestamp) = record.timestamp {
        metadata.insert("__timestamp".to_owned(), timestamp.to_string());
    }
    if let Some(key) = &record.key {
        match header_value(key) {
            Some(text) => metadata.insert("__key".to_owned(), text.to_owned()),
            None => metadata.insert("__key.base64".to_owned(), BASE64_STANDARD.encode(key)),
        };
    }
    for Header { name, value } in &record.headers {
        let value = value.as_ref().map_or(Some(""), header_value);
        match value {
            Some(value) if is_token(name) => {
                metadata.insert(name.clone(), value.to_owned());
            }
            _ => tracing::debug!(
                "{} offset {}: header {name:?} can't be an HTTP header and is left out",
                record.at,
                record.offset
            ),
        }
    }
    metadata
}

/// daprd hands metadata on as HTTP headers, and Go refuses control characters
/// there: the message would be refused for ever.
fn header_value(bytes: &Bytes) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let fits = |byte: u8| byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
    text.bytes().all(fits).then_some(text)
}

/// Whether a name is a token of RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        engine::DeliveryId,
        model::{Offset, TopicPartition},
    };

    fn delivery(key: &'static [u8], headers: &[(&str, Option<&'static [u8]>)]) -> Delivery {
        let headers = headers.iter().map(|(name, value)| Header {
            name: (*name).to_owned(),
            value: value.map(Bytes::from_static),
        });
        let record = Record {
            at: TopicPartition::new("orders", 2),
            offset: Offset(7),
            timestamp: Some(1_700_000_000_000),
            appended: false,
            key: Some(Bytes::from_static(key)),
            value: Some(Bytes::from_static(b"{}")),
            headers: headers.collect(),
        };
        Delivery {
            id: DeliveryId(42),
            record: Arc::new(record),
        }
    }

    #[test]
    fn a_message_carries_what_the_built_in_gives() {
        let delivery = delivery(b"k", &[("trace", Some(b"t")), ("empty", None)]);
        let message = message(&delivery, "ns-orders");
        assert_eq!(message.topic_name, "ns-orders");
        assert_eq!(message.id, "42");
        assert_eq!(message.data.as_ref(), b"{}");
        let mut metadata: Vec<_> = message.metadata.into_iter().collect();
        metadata.sort_unstable();
        let expected = [
            ("__key", "k"),
            ("__offset", "7"),
            ("__partition", "2"),
            ("__timestamp", "1700000000000"),
            ("__topic", "orders"),
            ("empty", ""),
            ("trace", "t"),
        ];
        assert_eq!(
            metadata,
            expected.map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn headers_win_over_what_is_generated() {
        let message = message(&delivery(b"k", &[("__key", Some(b"header"))]), "orders");
        assert_eq!(message.metadata["__key"], "header");
    }

    #[test]
    fn what_no_http_header_can_carry_is_left_out() {
        let java_long = b"\0\0\0\0\0\0\0\x07";
        let headers: [(&str, Option<&'static [u8]>); 5] = [
            ("fine", Some(b"tab\tand \xc3\xa9")),
            ("control", Some(b"a\nb")),
            ("delete", Some(b"\x7f")),
            ("binary", Some(b"\xff")),
            ("odd name", Some(b"x")),
        ];
        let metadata = message(&delivery(java_long, &headers), "orders").metadata;
        assert_eq!(metadata["fine"], "tab\tand \u{e9}");
        for name in ["control", "delete", "binary", "odd name", "__key"] {
            assert!(!metadata.contains_key(name), "{name}");
        }
        assert_eq!(metadata["__key.base64"], "AAAAAAAAAAc=");
    }

    #[test]
    fn a_message_over_daprds_limit_does_not_fit() {
        let mut message = message(&delivery(b"k", &[]), "orders");
        message.data = vec![0; LARGEST - 1024].into();
        assert!(fits(&message));
        message.data = vec![0; LARGEST].into();
        assert!(!fits(&message));
    }
}
