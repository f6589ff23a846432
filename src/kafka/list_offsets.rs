//! Where partitions begin and end, whatever transactions are open.

use std::{collections::HashMap, ffi::CStr, slice, time::Duration};

use rdkafka::{
    bindings,
    error::KafkaError,
    types::{RDKafka, RDKafkaErrorCode},
};

use super::{
    Cause,
    admin_request::{Answer, Owned, request},
    convert,
};
use crate::{
    metadata::Isolation,
    model::{Offset, TopicPartition},
};

/// Which end of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// Its first offset.
    First,
    /// The offset after its last record, also of one whose transaction is open.
    Last,
    /// The offset after the last record that a reader of committed records may see: the first
    /// one of an open transaction, if there is any.
    LastStable,
}

impl End {
    /// The newest offset that a group may see.
    pub(super) fn newest(isolation: Isolation) -> Self {
        match isolation {
            Isolation::ReadCommitted => Self::LastStable,
            Isolation::ReadUncommitted => Self::Last,
        }
    }
}

/// A result for each partition that was asked for, and that a broker spoke of.
pub(super) type Offsets = HashMap<TopicPartition, Result<Offset, Cause>>;

/// Asks the leaders of partitions, each named once, for one end of each: one request per
/// broker (`ListOffsets`).
///
/// The consumer's own `query_watermark_offsets` would answer with the last stable offset
/// instead of the end, because it asks with the consumer's isolation level.
pub(super) fn list_offsets(
    client: *mut RDKafka,
    partitions: &[TopicPartition],
    end: End,
    within: Duration,
) -> Result<Offsets, Cause> {
    if partitions.is_empty() {
        return Ok(Offsets::new());
    }
    let spec = match end {
        End::First => bindings::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST,
        End::Last | End::LastStable => bindings::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST,
    };
    // Negative numbers stand for ends here: rdkafka's `Offset` has no such values.
    let list = convert::list(partitions.iter().map(|at| (at, Offset(0))))?;
    let operation = bindings::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;
    // SAFETY: the caller's client is alive. The list is alive for the whole call, has so many
    // elements, and librdkafka copies it. Read uncommitted is the default.
    let answer = unsafe {
        let native = list.ptr();
        let count = usize::try_from((*native).cnt).unwrap_or_default();
        for element in slice::from_raw_parts_mut((*native).elems, count) {
            element.offset = i64::from(spec as i32);
        }
        request(client, operation, within, |options, queue| {
            if matches!(end, End::LastStable) {
                let level =
                    bindings::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED;
                // Null, unless the level were none.
                drop(Owned(
                    bindings::rd_kafka_AdminOptions_set_isolation_level(options, level),
                    bindings::rd_kafka_error_destroy,
                ));
            }
            bindings::rd_kafka_ListOffsets(client, native, options, queue);
        })?
    };
    read(&answer)
}

fn read(answer: &Answer) -> Result<Offsets, Cause> {
    let mut count = 0;
    // SAFETY: the answer is alive to the end of this function, and what is asked of it lives
    // as long. The array has `count` elements.
    let infos = unsafe {
        let result = bindings::rd_kafka_event_ListOffsets_result(answer.0);
        if result.is_null() {
            return Err(Cause::other("librdkafka answered something else"));
        }
        let infos = bindings::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
        if count == 0 {
            return Ok(Offsets::new());
        }
        slice::from_raw_parts(infos, count)
    };
    let offsets = infos.iter().map(|info| {
        // SAFETY: each element is a result and has a partition, whose topic is a C string.
        let (topic, element) = unsafe {
            let element = &*bindings::rd_kafka_ListOffsetsResultInfo_topic_partition(*info);
            (CStr::from_ptr(element.topic), element)
        };
        let at = TopicPartition::new(topic.to_string_lossy().as_ref(), element.partition);
        let none = bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        let offset = if element.err != none {
            let code = RDKafkaErrorCode::from(element.err);
            Err(KafkaError::OffsetFetch(code).into())
        } else if element.offset < 0 {
            // Kafka's "unknown offset": no offset to start at.
            Err(Cause::other(format!(
                "no broker knows yet where {at} begins or ends"
            )))
        } else {
            Ok(Offset(element.offset))
        };
        (at, offset)
    });
    Ok(offsets.collect())
}
