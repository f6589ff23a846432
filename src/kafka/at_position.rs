//! What stands at a consumer's positions, as a fresh client finds.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _,
    consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext},
    error::KafkaError,
};

use super::{
    Cause,
    consumer::REQUEST_TIMEOUT,
    convert,
    list_offsets::{End, Offsets, list_offsets},
    logged_in::LoggedIn,
};
use crate::{
    metadata::{Settings, librdkafka},
    model::{Offset, TopicPartition},
};

/// What a fresh client finds at a position from which nothing comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtPosition {
    /// A record, there or later.
    Record,
    /// Nothing: the first record that is left stands after it.
    BeginsAfter,
    /// Nothing: the partition ends before it.
    EndsBefore,
    /// No record up to this end, where the partition ends for the group: what stands there are
    /// markers of transactions, or records of aborted ones.
    NoRecordBefore(Offset),
}

/// How long all of it may take: nothing else is looked at meanwhile.
const WITHIN: Duration = Duration::from_secs(10);

/// Finds what stands at these positions, with one client for all of them. Left out are positions of
/// which no broker says it in time.
pub async fn at_positions(
    settings: &Settings,
    positions: Vec<(TopicPartition, Offset)>,
) -> Result<HashMap<TopicPartition, AtPosition>, Cause> {
    let mut pairs = librdkafka::client(settings);
    // A group is asked for, and never joined.
    pairs.push(("group.id", "dapr-rdkafka-probe".into()));
    pairs.push(("enable.partition.eof", "true".into()));
    // Else an offset that is out of range would look like the end.
    pairs.push(("auto.offset.reset", "error".into()));
    // Records that the group's consumer may not see do not count here either.
    pairs.push(("isolation.level", settings.isolation.name().into()));
    // One record is enough.
    pairs.push(("max.partition.fetch.bytes", "1024".into()));
    let (newest, settings) = (End::newest(settings.isolation), settings.clone());
    let probe = tokio::task::spawn_blocking(move || {
        let until = Instant::now() + WITHIN;
        let consumer: LoggedIn<BaseConsumer> =
            super::create(&settings, pairs, DefaultConsumerContext)?;
        let client = consumer.client().native_ptr();
        let places: Vec<_> = positions.iter().map(|(at, _)| at.clone()).collect();
        let ends = |end| list_offsets(client, &places, end, REQUEST_TIMEOUT);
        // Not the newest alone: with an open transaction that is below the position.
        let (first, last, before) = (ends(End::First)?, ends(End::Last)?, ends(newest)?);
        let mut found = HashMap::new();
        let mut to_read: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, from) in positions {
            let (Some(Ok(first)), Some(Ok(last))) = (first.get(&at), last.get(&at)) else {
                continue;
            };
            if *last < from {
                found.insert(at, AtPosition::EndsBefore);
            } else if from < *first {
                found.insert(at, AtPosition::BeginsAfter);
            } else {
                to_read
                    .entry(at.topic.clone())
                    .or_default()
                    .push((at, from));
            }
        }
        let mut without = Vec::new();
        // librdkafka names an end by its partition's number alone.
        for of_topic in to_read.into_values() {
            if let Err(cause) = read(&consumer, of_topic, until, &mut found, &mut without) {
                tracing::debug!("looking for records: {cause}");
            }
        }
        // A leader that has just changed may know of less than the one before: what both say is
        // without a record.
        let after = if without.is_empty() {
            Offsets::new()
        } else {
            ends(newest)?
        };
        for at in without {
            if let (Some(Ok(before)), Some(Ok(after))) = (before.get(&at), after.get(&at)) {
                found.insert(at, AtPosition::NoRecordBefore(*before.min(after)));
            }
        }
        Ok(found)
    });
    probe.await.unwrap_or_else(|ended| Err(Cause::other(ended)))
}

/// Reads partitions of one topic, each from its position, until a record or the end of each has
/// come; those that have no record are `without`.
fn read(
    consumer: &LoggedIn<BaseConsumer>,
    partitions: Vec<(TopicPartition, Offset)>,
    until: Instant,
    found: &mut HashMap<TopicPartition, AtPosition>,
    without: &mut Vec<TopicPartition>,
) -> Result<(), Cause> {
    let positions = partitions.iter().map(|(at, from)| (at, *from));
    consumer.assign(&convert::list(positions)?)?;
    let partitions = partitions.into_iter();
    let mut left: BTreeMap<_, _> = partitions.map(|(at, _)| (at.partition, at)).collect();
    while !left.is_empty() {
        let time = until.saturating_duration_since(Instant::now());
        match consumer.poll(time) {
            Some(Ok(record)) => {
                if let Some(at) = left.remove(&record.partition()) {
                    found.insert(at, AtPosition::Record);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                without.extend(left.remove(&partition));
            }
            // Others may still come: a broker that is away says nothing of theirs.
            Some(Err(error)) => tracing::debug!("looking for records: {error}"),
            None => break,
        }
    }
    Ok(())
}
