//! What stands at a consumer's positions, as a fresh client finds.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
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
    list_offsets::{End, list_offsets},
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
    /// Nothing: the partition ends before it.
    EndsBefore,
    /// No record up to this end, where the partition ends for the group: what stands there are
    /// markers of transactions, or records of aborted ones.
    NoRecordBefore(Offset),
}

/// Finds what stands at these positions, with one client for all of them. Positions of which no
/// broker says it in time are left out.
pub async fn at_positions(
    settings: &Settings,
    positions: Vec<(TopicPartition, Offset)>,
) -> Result<HashMap<TopicPartition, AtPosition>, Cause> {
    let mut pairs = librdkafka::client(settings);
    // A group is asked for, and never joined.
    pairs.push(("group.id", "dapr-rdkafka-probe".into()));
    pairs.push(("enable.partition.eof", "true".into()));
    // What the group's own consumer may not see is no record here either.
    pairs.push(("isolation.level", settings.isolation.name().into()));
    // One record is enough.
    pairs.push(("max.partition.fetch.bytes", "1024".into()));
    let (newest, settings) = (End::newest(settings.isolation), settings.clone());
    let probe = tokio::task::spawn_blocking(move || {
        let consumer: LoggedIn<BaseConsumer> =
            super::create(&settings, pairs, DefaultConsumerContext)?;
        let client = consumer.client().native_ptr();
        let places: Vec<_> = positions.iter().map(|(at, _)| at.clone()).collect();
        // Not the newest alone: with an open transaction that is below the position.
        let last = list_offsets(client, &places, End::Last, REQUEST_TIMEOUT)?;
        let newest = list_offsets(client, &places, newest, REQUEST_TIMEOUT)?;
        let mut found = HashMap::new();
        let mut to_read: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, from) in positions {
            let (Some(Ok(last)), Some(Ok(newest))) = (last.get(&at), newest.get(&at)) else {
                continue;
            };
            if *last < from {
                found.insert(at, AtPosition::EndsBefore);
            } else {
                let of_topic = to_read.entry(at.topic.clone()).or_default();
                of_topic.push((at, from, *newest));
            }
        }
        // librdkafka names an end by its partition's number alone.
        for of_topic in to_read.into_values() {
            read(&consumer, of_topic, &mut found)?;
        }
        Ok(found)
    });
    probe.await.unwrap_or_else(|ended| Err(Cause::other(ended)))
}

/// Reads partitions of one topic, each with its position and its newest offset, until a record or
/// the end of each has come.
fn read(
    consumer: &LoggedIn<BaseConsumer>,
    partitions: Vec<(TopicPartition, Offset, Offset)>,
    found: &mut HashMap<TopicPartition, AtPosition>,
) -> Result<(), Cause> {
    let positions = partitions.iter().map(|(at, from, _)| (at, *from));
    consumer.assign(&convert::list(positions)?)?;
    let mut left: BTreeMap<_, _> = partitions
        .into_iter()
        .map(|(at, _, newest)| (at.partition, (at, newest)))
        .collect();
    let until = Instant::now() + REQUEST_TIMEOUT;
    while !left.is_empty() {
        let time = until.saturating_duration_since(Instant::now());
        match consumer.poll(time) {
            Some(Ok(record)) => {
                if let Some((at, _)) = left.remove(&record.partition()) {
                    found.insert(at, AtPosition::Record);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if let Some((at, newest)) = left.remove(&partition) {
                    found.insert(at, AtPosition::NoRecordBefore(newest));
                }
            }
            Some(Err(error)) => return Err(error.into()),
            None => break,
        }
    }
    Ok(())
}
