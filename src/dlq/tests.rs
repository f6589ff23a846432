//! What the room's unit tests share.

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};

use crate::model::{Header, Offset, Record, TopicPartition, dead_letter};

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

/// A record as anyone may write it.
pub(super) fn any_record() -> impl Strategy<Value = Record> {
    let bytes = || option::of(vec(any::<u8>(), 0..40));
    let known = prop::sample::select(vec![
        dead_letter::TOPIC,
        dead_letter::GROUP,
        dead_letter::FAILURE,
        dead_letter::LAST_FAILURE,
        dead_letter::REDRIVES,
    ]);
    let name = prop_oneof![
        ".{0,20}",
        known.prop_map(str::to_owned),
        Just("n".repeat(70_000))
    ];
    let headers = vec((name, bytes()), 0..8);
    (bytes(), bytes(), option::of(any::<i64>()), headers).prop_map(
        |(key, value, timestamp, headers)| {
            let headers = headers.into_iter().map(|(name, value)| Header {
                name,
                value: value.map(Bytes::from),
            });
            Record {
                key: key.map(Bytes::from),
                value: value.map(Bytes::from),
                timestamp,
                headers: headers.collect(),
                ..letter(&[])
            }
        },
    )
}
