//! A record as the message that daprd gets.

mod metadata;

use bytes::Bytes;
use prost::Message;

pub(super) use self::metadata::LeftOut;
use super::proto::PullMessagesResponse;
use crate::{delivery::Delivery, metadata::Headers};

/// daprd dials with gRPC's default receive limit. A larger message breaks the
/// stream for good: daprd does not open it again.
pub(super) const LARGEST: usize = 4 * 1024 * 1024;

/// What stands for a tombstone in Dapr's data, as with the built-in component.
pub(super) const NULL: &[u8] = b"null";

/// The header with the type of a record's value (the `CloudEvents` Kafka protocol binding). From
/// Dapr 1.17 on daprd takes the type from the message alone, and reads a binary `CloudEvent` if it
/// is `application/octet-stream` (dapr/dapr v1.18.3, `pkg/runtime/subscription/subscription.go`).
const CONTENT_TYPE: &str = "content-type";

/// How a stream wants its messages.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// The stream's own name.
    pub(super) topic_name: String,
    /// Which headers pass, and how.
    pub(super) headers: Headers,
    /// `rawPayload` of the subscription: daprd reads no value as a `CloudEvent`.
    pub(super) raw: bool,
}

/// The message for a delivery, and the headers that it does not carry.
pub(super) fn message(delivery: &Delivery, style: &Style) -> (PullMessagesResponse, LeftOut) {
    let record = &delivery.record;
    let data = record.value.clone();
    let data = data.unwrap_or(Bytes::from_static(NULL));
    let is_null = !style.raw && data.trim_ascii() == NULL;
    let (metadata, left_out) = metadata::of(record, &style.headers, is_null);
    let message = PullMessagesResponse {
        data,
        topic_name: style.topic_name.clone(),
        content_type: metadata.get(CONTENT_TYPE).cloned().unwrap_or_default(),
        metadata,
        id: delivery.id.0.to_string(),
    };
    (message, left_out)
}

/// Whether daprd can receive the message.
pub(super) fn fits(message: &PullMessagesResponse) -> bool {
    message.encoded_len() <= LARGEST
}

#[cfg(test)]
mod tests;
