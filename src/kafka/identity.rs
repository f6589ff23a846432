//! What tells a topic from another one of the same name.

use std::{
    collections::HashMap,
    ffi::{CStr, CString, c_int},
    fmt, slice,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rdkafka::{
    bindings,
    error::KafkaError,
    types::{RDKafka, RDKafkaErrorCode},
};

use super::Cause;

/// What a topic has as long as it exists, and no other topic ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicId(pub(crate) i64, pub(crate) i64);

impl fmt::Display for TopicId {
    /// As Kafka's tools print it (KIP-516).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.to_be_bytes().to_vec();
        bytes.extend(self.1.to_be_bytes());
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for TopicId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(drop)?;
        let bytes = <[u8; 16]>::try_from(bytes).map_err(drop)?;
        let half = |from| i64::from_be_bytes(std::array::from_fn(|n| bytes[from + n]));
        Ok(Self(half(0), half(8)))
    }
}

/// What brokers tell that give topics no ids.
const NONE: TopicId = TopicId(0, 0);

/// What librdkafka gave out, and how it wants it back.
struct Owned<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it is what librdkafka's counterpart of this function returned, and
            // nothing uses it after its owner.
            unsafe { (self.1)(self.0) };
        }
    }
}

/// Asks a broker for the ids of topics, each named once. A topic that does not exist, and
/// one that has no id (Kafka before 2.8, Redpanda), is left out.
///
/// rdkafka has no function for it (0.39).
pub(super) fn ids(
    client: *mut RDKafka,
    topics: &[Arc<str>],
    within: Duration,
) -> Result<HashMap<Arc<str>, TopicId>, Cause> {
    let event = describe(client, topics, within)?;
    // SAFETY: the event is not null and lives to the end of this function; what is asked of
    // it lives as long.
    let error = unsafe { bindings::rd_kafka_event_error(event.0) };
    if error != bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(KafkaError::AdminOp(RDKafkaErrorCode::from(error)).into());
    }
    let mut count = 0;
    // SAFETY: as above; `count` outlives the call. The array has so many elements.
    let described = unsafe {
        let result = bindings::rd_kafka_event_DescribeTopics_result(event.0);
        if result.is_null() {
            return Err(Cause::other("librdkafka answered something else"));
        }
        let described = bindings::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if count == 0 {
            return Ok(HashMap::new());
        }
        slice::from_raw_parts(described, count)
    };
    let ids = described.iter().filter_map(|one| {
        // SAFETY: an element that is not null is a description.
        let (name, id) = unsafe { identity(*one) }?;
        let topic = topics
            .iter()
            .find(|topic| topic.as_bytes() == name.to_bytes())?;
        (id != NONE).then(|| (topic.clone(), id))
    });
    Ok(ids.collect())
}

/// A topic's name and id, if it exists.
///
/// # Safety
/// It must be null or a description; the name lives as long as that.
unsafe fn identity<'a>(
    one: *const bindings::rd_kafka_TopicDescription_t,
) -> Option<(&'a CStr, TopicId)> {
    // SAFETY: a description has a name and an id in any case; its error may be null.
    unsafe {
        if one.is_null() || !bindings::rd_kafka_TopicDescription_error(one).is_null() {
            return None;
        }
        let id = bindings::rd_kafka_TopicDescription_topic_id(one);
        let id = TopicId(
            bindings::rd_kafka_Uuid_most_significant_bits(id),
            bindings::rd_kafka_Uuid_least_significant_bits(id),
        );
        let name = bindings::rd_kafka_TopicDescription_name(one);
        Some((CStr::from_ptr(name), id))
    }
}

/// Waits for a broker's description of topics; it is not null.
fn describe(
    client: *mut RDKafka,
    topics: &[Arc<str>],
    within: Duration,
) -> Result<Owned<bindings::rd_kafka_event_t>, Cause> {
    let names = topics.iter().map(|topic| CString::new(topic.as_bytes()));
    let names = names.collect::<Result<Vec<_>, _>>().map_err(Cause::other)?;
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let millis = c_int::try_from(within.as_millis()).unwrap_or(c_int::MAX);
    let mut why = [0; 512];
    // SAFETY: the client outlives this function. The names are C strings, the array has as
    // many as it is told, and librdkafka copies them; the buffer for the error has its
    // length. The queue, the options and the names are freed after the last call that gets
    // them. An answer comes within the timeout that the request has, be it an error.
    let event = unsafe {
        let wanted = Owned(
            bindings::rd_kafka_TopicCollection_of_topic_names(
                pointers.as_mut_ptr(),
                pointers.len(),
            ),
            bindings::rd_kafka_TopicCollection_destroy,
        );
        let options = Owned(
            bindings::rd_kafka_AdminOptions_new(
                client,
                bindings::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            ),
            bindings::rd_kafka_AdminOptions_destroy,
        );
        let queue = Owned(
            bindings::rd_kafka_queue_new(client),
            bindings::rd_kafka_queue_destroy,
        );
        bindings::rd_kafka_AdminOptions_set_request_timeout(
            options.0,
            millis,
            why.as_mut_ptr(),
            why.len(),
        );
        bindings::rd_kafka_DescribeTopics(client, wanted.0, options.0, queue.0);
        Owned(
            bindings::rd_kafka_queue_poll(queue.0, millis.saturating_mul(2)),
            bindings::rd_kafka_event_destroy,
        )
    };
    if event.0.is_null() {
        return Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut).into());
    }
    Ok(event)
}
