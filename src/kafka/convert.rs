//! Between librdkafka's types and the model's.

use std::{collections::HashMap, ffi::CStr, ptr, slice, sync::Arc};

use bytes::Bytes;
use rdkafka::{
    IntoOpaque, Message, Timestamp, TopicPartitionList, bindings,
    error::KafkaError,
    message::{BorrowedHeaders, BorrowedMessage, Headers, OwnedHeaders},
    producer::{BaseRecord, FutureRecord},
    topic_partition_list::TopicPartitionListElem,
};

use super::{Cause, Outgoing, identity::Origin, progress};
use crate::model::{Header, Offset, Progress, Record, TopicPartition};

/// Copies a record out of librdkafka's memory.
pub(super) fn record(at: &TopicPartition, message: &BorrowedMessage<'_>) -> Record {
    Record {
        at: at.clone(),
        offset: Offset(message.offset()),
        timestamp: message.timestamp().to_millis(),
        appended: matches!(message.timestamp(), Timestamp::LogAppendTime(_)),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: message.headers().map_or_else(Vec::new, headers),
    }
}

fn headers(headers: &BorrowedHeaders) -> Vec<Header> {
    (0..headers.count())
        .filter_map(|index| header(headers, index))
        .collect()
}

/// rdkafka's own reading panics at a header name that is not UTF-8 (0.39,
/// message.rs), and the record must not be lost for it: what is no UTF-8 in a name
/// becomes U+FFFD, as Kafka's Java client reads it.
fn header(headers: &BorrowedHeaders, index: usize) -> Option<Header> {
    let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
    // SAFETY: a `BorrowedHeaders` is librdkafka's headers by another name (rdkafka
    // casts one to the other), and the three places outlive the call.
    let error = unsafe {
        let native = ptr::from_ref(headers).cast();
        bindings::rd_kafka_header_get_all(
            native,
            index,
            &raw mut name,
            &raw mut value,
            &raw mut size,
        )
    };
    if error != bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return None;
    }
    // SAFETY: without an error the name is a C string, and a value that is not null
    // has so many bytes; both live as long as the headers.
    let (name, value) = unsafe {
        let bytes = |value| slice::from_raw_parts(value, size);
        (
            CStr::from_ptr(name),
            (!value.is_null()).then(|| bytes(value.cast::<u8>())),
        )
    };
    Some(Header {
        name: name.to_string_lossy().into_owned(),
        value: value.map(Bytes::copy_from_slice),
    })
}

/// Headers for a record to be sent.
fn owned_headers(headers: &[Header]) -> OwnedHeaders {
    let mut owned = OwnedHeaders::new_with_capacity(headers.len());
    for Header { name, value } in headers {
        owned = owned.insert(rdkafka::message::Header {
            key: name,
            value: value.as_deref(),
        });
    }
    owned
}

/// A record to be sent, as rdkafka takes it.
pub(super) fn future_record(outgoing: &Outgoing) -> FutureRecord<'_, [u8], [u8]> {
    FutureRecord {
        topic: &outgoing.topic,
        partition: outgoing.partition,
        payload: outgoing.value.as_deref(),
        key: outgoing.key.as_deref(),
        timestamp: outgoing.timestamp,
        headers: Some(owned_headers(&outgoing.headers)),
    }
}

/// The same, as rdkafka takes it with what is given back with its answer.
pub(super) fn base_record<T: IntoOpaque>(
    outgoing: &Outgoing,
    opaque: T,
) -> BaseRecord<'_, [u8], [u8], T> {
    let mut record = BaseRecord::with_opaque_to(&outgoing.topic, opaque);
    record.partition = outgoing.partition;
    record.payload = outgoing.value.as_deref();
    record.key = outgoing.key.as_deref();
    record.timestamp = outgoing.timestamp;
    record.headers = Some(owned_headers(&outgoing.headers));
    record
}

/// The partitions of a list.
pub(super) fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(partition).collect()
}

/// An offset that a group has committed, and what it has said of it.
#[derive(Clone, Debug)]
pub(super) struct Committed {
    pub(super) offset: Offset,
    pub(super) metadata: Vec<u8>,
}

/// What a group has committed for each partition of a list. librdkafka tells an
/// error of one partition there, with no offset: that is not "never committed".
pub(super) fn committed(
    list: &TopicPartitionList,
) -> HashMap<TopicPartition, Result<Option<Committed>, Cause>> {
    let committed = |(element, metadata): (&TopicPartitionListElem<'_>, Vec<u8>)| {
        element.error()?;
        Ok(match element.offset() {
            rdkafka::Offset::Offset(offset) => Some(Committed {
                offset: Offset(offset),
                metadata,
            }),
            _ => None,
        })
    };
    // Before its elements are lent out.
    let metadata = metadata(list);
    let elements = list.elements();
    let elements = elements.iter().zip(metadata);
    elements
        .map(|(element, metadata)| (partition(element), committed((element, metadata))))
        .collect()
}

/// The metadata of each partition of a list. rdkafka's own reading panics at what is not
/// UTF-8 (0.39, `topic_partition_list.rs`), and any client of the group may have written it.
fn metadata(list: &TopicPartitionList) -> Vec<Vec<u8>> {
    // SAFETY: the list is alive, and has so many elements, whose metadata is so long or null.
    let elements = unsafe {
        let native = &*list.ptr();
        let count = usize::try_from(native.cnt).unwrap_or_default();
        if count == 0 {
            return Vec::new();
        }
        slice::from_raw_parts(native.elems, count)
    };
    let metadata = elements.iter().map(|element| {
        if element.metadata.is_null() {
            return Vec::new();
        }
        // SAFETY: the same.
        unsafe { slice::from_raw_parts(element.metadata.cast(), element.metadata_size) }.to_vec()
    });
    metadata.collect()
}

fn partition(element: &TopicPartitionListElem<'_>) -> TopicPartition {
    TopicPartition::new(element.topic(), element.partition())
}

/// A list of partitions with a group's progress, with at most so many bytes of metadata for each;
/// without metadata if that is nothing, or the topic has no id.
pub(super) fn progress_list(
    progress: &[(TopicPartition, Progress)],
    origins: &HashMap<Arc<str>, Origin>,
    room: usize,
) -> Result<TopicPartitionList, KafkaError> {
    let with_ranges = progress
        .iter()
        .filter(|(_, progress)| !progress.above.is_empty());
    let bound = progress::bound(progress.len(), with_ranges.count()).min(room);
    let mut list = TopicPartitionList::new();
    for (at, progress) in progress {
        let mut element = list.add_partition(&at.topic, at.partition);
        element.set_offset(rdkafka::Offset::Offset(progress.point.0))?;
        if let Some(origin) = origins.get(&at.topic).filter(|_| room > 0) {
            element.set_metadata(progress::metadata(progress, origin, bound));
        }
    }
    Ok(list)
}

/// A list of partitions with their offsets.
pub(super) fn list<'a>(
    offsets: impl IntoIterator<Item = (&'a TopicPartition, Offset)>,
) -> Result<TopicPartitionList, Cause> {
    let mut list = TopicPartitionList::new();
    for (at, offset) in offsets {
        list.add_partition_offset(&at.topic, at.partition, rdkafka::Offset::Offset(offset.0))?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_name_that_is_no_text_costs_no_header() {
        let owned = OwnedHeaders::new().insert(rdkafka::message::Header {
            key: "null",
            value: None::<&[u8]>,
        });
        let name = b"n\xffm";
        let borrowed = owned.as_borrowed();
        // SAFETY: as in `header`; librdkafka copies name and value.
        let error = unsafe {
            bindings::rd_kafka_header_add(
                ptr::from_ref(borrowed).cast_mut().cast(),
                name.as_ptr().cast(),
                3,
                name.as_ptr().cast(),
                0,
            )
        };
        assert_eq!(
            error,
            bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        );
        let header = |name: &str, value| Header {
            name: name.to_owned(),
            value,
        };
        let empty = Some(Bytes::new());
        assert_eq!(
            headers(owned.as_borrowed()),
            [header("null", None), header("n\u{fffd}m", empty)]
        );
    }
}
