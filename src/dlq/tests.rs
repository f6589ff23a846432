//! What the room's unit tests share.

use bytes::Bytes;

use crate::model::{Header, Offset, Record, TopicPartition};

/// A record at `orders.dlq/0@5`.
pub(super) fn letter(headers: &[(&str, &'static [u8])]) -> Record {
    let headers = headers.iter().map(|(name, value)| Header {
        name: (*name).to_owned(),
        value: Some(Bytes::from_static(value)),
    });
    Record {
        at: TopicPartition::new("orders.dlq", 0),
        offset: Offset(5),
        timestamp: Some(1_000),
        appended: false,
        key: Some(Bytes::from_static(b"k\xff")),
        value: Some(Bytes::from_static(b"{}")),
        headers: headers.collect(),
    }
}
