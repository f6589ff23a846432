//! What tells a topic from another one of the same name.

use std::{
    collections::HashMap,
    ffi::{CStr, CString},
    fmt, slice,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rdkafka::{bindings, types::RDKafka};

use super::{
    Cause,
    admin_request::{Answer, Owned, request},
};
use crate::model::SameTopic;

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

/// The cached cluster id, if a commit's metadata can carry it. Sends no request.
pub(super) fn cluster(client: *mut RDKafka) -> Option<Arc<str>> {
    // SAFETY: the caller's client is alive. What is not null is a C string that belongs to the
    // caller, and is freed after the last use. (rdkafka's own `fetch_cluster_id` never frees it,
    // 0.39.)
    unsafe {
        let id = bindings::rd_kafka_clusterid(client, 0);
        if id.is_null() {
            return None;
        }
        let cluster = CStr::from_ptr(id).to_str().ok().and_then(Origin::fitting);
        bindings::rd_kafka_mem_free(client, id.cast());
        cluster
    }
}

/// A topic in a cluster: what a committed offset belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The cluster's id, if its brokers tell one that fits a commit's metadata: letters,
    /// digits, `.`, `_` and `-`, 2 to 64 bytes. Kafka's has 22 characters.
    pub cluster: Option<Arc<str>>,
    /// The topic's id.
    pub topic: TopicId,
}

impl Origin {
    /// Keeps a cluster's id if it can be written into a commit's metadata.
    pub(super) fn fitting(id: &str) -> Option<Arc<str>> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_short = (2..=64).contains(&id.len());
        (is_short && id.bytes().all(fits)).then(|| id.into())
    }
}

/// Whether a commit's topic is the one that is there now.
pub fn same_topic(committed: Option<&Origin>, now: Option<&Origin>) -> SameTopic {
    let (Some(committed), Some(now)) = (committed, now) else {
        return SameTopic::Unknown;
    };
    if committed.topic == now.topic {
        return SameTopic::Yes;
    }
    // Version 0.1 names no cluster, and another cluster's topic has another id in any case.
    if committed.cluster.is_some() && committed.cluster == now.cluster {
        return SameTopic::No;
    }
    SameTopic::Unknown
}

/// What brokers tell that give topics no ids.
const NONE: TopicId = TopicId(0, 0);

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
    let mut count = 0;
    // SAFETY: the event lives to the end of this function, and what is asked of it lives as
    // long; `count` outlives the call. The array has so many elements.
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

/// Waits for a broker's description of topics.
fn describe(client: *mut RDKafka, topics: &[Arc<str>], within: Duration) -> Result<Answer, Cause> {
    let names = topics.iter().map(|topic| CString::new(topic.as_bytes()));
    let names = names.collect::<Result<Vec<_>, _>>().map_err(Cause::other)?;
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let operation = bindings::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    // SAFETY: the client outlives this function. The names are C strings, the array has
    // `pointers.len()` of them, and librdkafka copies them before they are freed.
    unsafe {
        let wanted = Owned(
            bindings::rd_kafka_TopicCollection_of_topic_names(
                pointers.as_mut_ptr(),
                pointers.len(),
            ),
            bindings::rd_kafka_TopicCollection_destroy,
        );
        request(client, operation, within, |options, queue| {
            bindings::rd_kafka_DescribeTopics(client, wanted.0, options, queue);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SameTopic::{No, Unknown, Yes};

    #[test]
    fn a_topic_is_another_one_only_if_the_cluster_is_the_same() {
        let origin = |cluster: &str, topic| {
            let cluster = (!cluster.is_empty()).then(|| cluster.into());
            let topic = TopicId(topic, 0);
            Some(Origin { cluster, topic })
        };
        for (committed, now, wanted) in [
            (None, None, Unknown),
            (None, origin("a", 1), Unknown),
            (origin("a", 1), None, Unknown),
            (origin("a", 1), origin("a", 1), Yes),
            (origin("", 1), origin("a", 1), Yes),
            (origin("a", 1), origin("a", 2), No),
            (origin("a", 1), origin("b", 2), Unknown),
            (origin("", 1), origin("a", 2), Unknown),
            (origin("", 1), origin("", 2), Unknown),
            (origin("a", 1), origin("", 2), Unknown),
        ] {
            let got = same_topic(committed.as_ref(), now.as_ref());
            assert_eq!(got, wanted, "{committed:?}, {now:?}");
        }
    }
}
