//! What whoever can open a socket may make this process hold. Each limit is far above
//! what daprd asks for, and its error says which one it is.
//!
//! The sizes of requests are `--max-request-mib`'s; those of the admin endpoints stand
//! in `admin/server.rs`.

use std::collections::HashMap;

use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tonic::Status;

use super::{proto::BulkMessageEntry, server::CONCURRENT_CALLS};
use crate::model::text::beginning;

/// Connections at once, of all sockets together: daprd makes one per component, and
/// one to look for services. A process usually may have 1,024 files, and those to the
/// brokers count too.
pub(super) const CONNECTIONS: usize = 512;

/// The headers of one call, in bytes: daprd sends a few hundred. hyper's own limit,
/// named here so that it stays.
pub(super) const CALL_HEADERS: u32 = 16 * 1024;

/// Component instances: each has threads and connections of its own, a producer's
/// and a consumer's, for each broker.
pub(super) const INSTANCES: usize = 256;

/// The longest name of a component, in bytes: Kubernetes' own bound for names.
pub(super) const NAME: usize = 253;

/// A component's metadata: the built-in knows fewer than a hundred keys.
const PROPERTIES: usize = 1024;

/// A component's metadata in bytes, names and values: room for long chains of
/// certificates, which are the longest values. etcd takes no larger Component either.
const PROPERTIES_BYTES: usize = 1024 * 1024;

/// Calls of daprd's one connection that streams leave to Publish. It holds a call only
/// until Kafka has acknowledged, so it needs few of them.
const PUBLISHES: usize = 128;

/// Streams of one instance: a subscribed topic or lane each, 896 of them. Each is a call
/// that does not end. It is enough for 56 topics of 16 lanes each.
pub const MOST_STREAMS: usize = CONCURRENT_CALLS as usize - PUBLISHES;

/// The longest name that is subscribed to, in bytes: a topic's, and as much again
/// for its lane's.
const SUBSCRIBED: usize = 2 * crate::model::topic::LONGEST_TOPIC;

/// Metadata pairs of one message, which become headers: each costs librdkafka an
/// allocation, and each member that reads it one more.
const PAIRS: usize = 16 * 1024;

/// The same in bytes, names and values: with more daprd could never receive the record,
/// since it takes 4 MiB per message.
const PAIRS_BYTES: usize = 4 * 1024 * 1024;

/// Entries of one bulk publish.
const ENTRIES: usize = 64 * 1024;

/// What the metadata of a bulk publish comes to in its entries, in bytes: that of the
/// request goes into each, so that a small request could become very large.
const ENTRIES_BYTES: usize = 256 * 1024 * 1024;

/// The same in pairs: a header costs far more memory than the few bytes that a short
/// pair has.
const ENTRIES_PAIRS: usize = 1024 * 1024;

fn size(pairs: &HashMap<String, String>) -> usize {
    pairs
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum()
}

fn bounded(
    what: &str,
    pairs: &HashMap<String, String>,
    (most, most_bytes): (usize, usize),
) -> Result<(), Status> {
    let (count, bytes) = (pairs.len(), size(pairs));
    if count > most {
        return Err(Status::invalid_argument(format!(
            "{what} has {count} metadata pairs; the limit is {most}"
        )));
    }
    if bytes > most_bytes {
        return Err(Status::invalid_argument(format!(
            "{what} has {bytes} bytes of metadata, names and values; the limit is {most_bytes}"
        )));
    }
    Ok(())
}

/// The name of a component, from a call's header.
pub(super) fn name(name: &str) -> Result<(), Status> {
    if name.len() <= NAME {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "the component's name {:?}… has {} bytes; the limit is {NAME}",
        beginning(name, 64),
        name.len()
    )))
}

/// The metadata of Init.
pub(super) fn properties(properties: &HashMap<String, String>) -> Result<(), Status> {
    bounded("the component", properties, (PROPERTIES, PROPERTIES_BYTES))
}

/// The name and metadata of a subscription.
pub(super) fn subscription(name: &str, metadata: &HashMap<String, String>) -> Result<(), Status> {
    if name.len() > SUBSCRIBED {
        return Err(Status::invalid_argument(format!(
            "the name {:?}… has {} bytes; the limit for a topic with its lane is {SUBSCRIBED}",
            beginning(name, 64),
            name.len()
        )));
    }
    let what = format!("the subscription to {name:?}");
    bounded(&what, metadata, (PROPERTIES, PROPERTIES_BYTES))
}

/// The metadata of a message.
pub(super) fn message(metadata: &HashMap<String, String>) -> Result<(), Status> {
    bounded("the message", metadata, (PAIRS, PAIRS_BYTES))
}

/// The entries of a bulk publish, and the metadata that goes into each. Nothing of it
/// is published if one is over its limit.
pub(super) fn bulk(
    entries: &[BulkMessageEntry],
    metadata: &HashMap<String, String>,
) -> Result<(), Status> {
    let count = entries.len();
    if count > ENTRIES {
        return Err(Status::invalid_argument(format!(
            "the bulk publish has {count} entries; the limit is {ENTRIES}"
        )));
    }
    bounded("the bulk publish", metadata, (PAIRS, PAIRS_BYTES))?;
    let (mut total, mut bytes) = (count * metadata.len(), count * size(metadata));
    for entry in entries {
        let what = format!("entry {:?}", beginning(&entry.entry_id, 64));
        let most = PAIRS.saturating_sub(metadata.len());
        bounded(&what, &entry.metadata, (most, PAIRS_BYTES))?;
        total += entry.metadata.len();
        bytes += size(&entry.metadata);
    }
    if total > ENTRIES_PAIRS {
        return Err(Status::invalid_argument(format!(
            "the metadata of the bulk publish comes to {total} pairs in its {count} entries, since \
             the request's goes into each; the limit is {ENTRIES_PAIRS}"
        )));
    }
    if bytes > ENTRIES_BYTES {
        return Err(Status::invalid_argument(format!(
            "the metadata of the bulk publish comes to {bytes} bytes in its {count} entries, since \
             the request's goes into each; the limit is {ENTRIES_BYTES}"
        )));
    }
    Ok(())
}

/// Whether there is room for those instances that are being started, this one among
/// them, beside those that are `there`.
pub(super) fn instance(there: usize, starting: usize) -> Result<(), Status> {
    if there + starting <= INSTANCES {
        return Ok(());
    }
    Err(Status::resource_exhausted(format!(
        "there are {there} component instances in this process; the limit is {INSTANCES}. Serve \
         some of them by a process of their own, with another --socket-folder"
    )))
}

/// Room for one more stream of an instance; it is taken until the answer is dropped.
pub(super) fn stream(open: &TaskTracker) -> Result<TaskTrackerToken, Status> {
    let taken = open.token();
    if open.len() <= MOST_STREAMS {
        return Ok(taken);
    }
    Err(Status::resource_exhausted(format!(
        "the component has {MOST_STREAMS} streams (subscribed topics and lanes) open, which is the limit"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(count: usize, bytes: usize) -> HashMap<String, String> {
        let mut pairs: HashMap<_, _> = (0..count)
            .map(|n| (format!("{n:08}"), String::new()))
            .collect();
        if let Some(value) = pairs.values_mut().next() {
            *value = "x".repeat(bytes - 8 * count);
        }
        pairs
    }

    fn entry(metadata: HashMap<String, String>) -> BulkMessageEntry {
        BulkMessageEntry {
            entry_id: "e1".into(),
            metadata,
            ..Default::default()
        }
    }

    /// At the limit it is taken; one over it the error names the limit.
    fn is_the_limit(limit: usize, check: impl Fn(usize) -> Result<(), Status>) {
        check(limit).expect("at the limit");
        let status = check(limit + 1).expect_err("one over the limit");
        let text = status.message();
        assert!(text.contains(&limit.to_string()), "{text}");
    }

    #[test]
    fn each_limit_is_one_and_its_error_names_it() {
        let none = HashMap::new();
        is_the_limit(NAME, |n| name(&"n".repeat(n)));
        is_the_limit(PROPERTIES, |n| properties(&pairs(n, 8 * n)));
        is_the_limit(PROPERTIES_BYTES, |n| properties(&pairs(1, n)));
        is_the_limit(SUBSCRIBED, |n| subscription(&"n".repeat(n), &none));
        is_the_limit(PROPERTIES, |n| subscription("t", &pairs(n, 8 * n)));
        is_the_limit(PROPERTIES_BYTES, |n| subscription("t", &pairs(1, n)));
        is_the_limit(PAIRS, |n| message(&pairs(n, 8 * n)));
        is_the_limit(PAIRS_BYTES, |n| message(&pairs(1, n)));
    }

    #[test]
    fn a_bulk_publish_has_limits_of_its_own() {
        let none = HashMap::new();
        is_the_limit(ENTRIES, |n| bulk(&vec![entry(none.clone()); n], &none));
        is_the_limit(PAIRS, |n| bulk(&[], &pairs(n, 8 * n)));
        is_the_limit(PAIRS - 3, |n| {
            bulk(&[entry(pairs(n, 8 * n))], &pairs(3, 24))
        });
        // 64 entries of 4 MiB each are 256 MiB.
        let request = pairs(1, PAIRS_BYTES);
        let entries = ENTRIES_BYTES / PAIRS_BYTES;
        let mut all = vec![entry(none.clone()); entries];
        bulk(&all, &request).expect("at the limit");
        all[0].metadata = pairs(1, 8);
        let status = bulk(&all, &request).expect_err("over the limit");
        assert!(
            status.message().contains(&ENTRIES_BYTES.to_string()),
            "{status}"
        );
        // 128 entries of 8,192 pairs each are a mebipair, of 8 MiB.
        let request = pairs(PAIRS / 2, 8 * PAIRS / 2);
        let mut all = vec![entry(none.clone()); 2 * ENTRIES_PAIRS / PAIRS];
        bulk(&all, &request).expect("at the limit");
        all[0].metadata = pairs(1, 8);
        let status = bulk(&all, &request).expect_err("over the limit");
        let told = format!("the limit is {ENTRIES_PAIRS}");
        assert!(status.message().contains(&told), "{status}");
        let wrong = bulk(&[entry(pairs(1, PAIRS_BYTES + 1))], &none).expect_err("too large");
        assert!(wrong.message().contains("entry \"e1\""), "{wrong}");
    }

    #[test]
    fn instances_that_are_being_started_count() {
        instance(INSTANCES - 1, 1).expect("one more");
        let status = instance(INSTANCES - 1, 2).expect_err("none more");
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert!(status.message().contains("the limit is 256"), "{status}");
    }

    #[test]
    fn streams_are_counted_until_they_are_dropped() {
        let open = TaskTracker::new();
        let mut all: Vec<_> = (0..MOST_STREAMS)
            .map(|_| stream(&open).expect("room"))
            .collect();
        let status = stream(&open).expect_err("no room");
        assert!(status.message().contains("896 streams"), "{status}");
        all.pop();
        assert!(stream(&open).is_ok(), "one was dropped");
    }
}
