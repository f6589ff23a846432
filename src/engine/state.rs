//! What can be seen of the engine from outside, for metrics and the log.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Engine, partition::Partition};
use crate::model::{Epoch, Record, TopicPartition};

/// How a subscription is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// The topic.
    pub topic: Arc<str>,
    /// Streams to daprd.
    pub lanes: usize,
    /// Records that they have and did not answer yet.
    pub in_flight: usize,
    /// The app as a whole is failing, and gets one record at a time.
    pub breaker_open: bool,
    /// Unfinished records that may be what breaks the app: their calls broke twice with others, or
    /// once alone.
    pub suspected: usize,
}

/// The record that a partition's commit point stands at, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The record.
    pub record: Arc<Record>,
    /// When it was received.
    pub since: Instant,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// How long that takes while nothing is wrong; zero if it is not known.
    pub takes: Duration,
}

/// What the record at a partition's commit point waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// The broker's confirmation of its dead letter.
    DeadLetter,
    /// The next attempt to write its dead letter, which failed.
    DeadLetterRetry,
    /// The app's answer.
    Answer,
    /// A stream: there is none.
    Stream,
    /// The app, which can't be reached.
    AbsentApp,
    /// daprd, which has paused the component.
    PausedDaprd,
    /// The app, which is failing as a whole: its breaker is open.
    FailingApp,
    /// The end of a test of records that may be what breaks the app, or its turn in one.
    Test,
    /// Its next attempt, after the app refused it.
    Retry,
    /// A free place on a stream.
    Place,
}

impl Engine {
    /// How each subscription is doing.
    pub fn topics(&self) -> impl Iterator<Item = TopicState> {
        self.topics.iter().map(|(name, topic)| TopicState {
            topic: name.clone(),
            lanes: topic.lanes.count(),
            in_flight: topic.in_flight,
            breaker_open: topic.breaker.is_open(),
            suspected: self.health.suspected(name),
        })
    }

    /// Records of this partition that are received and not below the offset that
    /// the broker has confirmed.
    pub fn uncommitted(&self, at: &TopicPartition) -> usize {
        self.partitions
            .get(at)
            .map_or(0, |partition| partition.offsets.uncommitted())
    }

    /// Whether records that may be what breaks the app have it to themselves now.
    pub fn is_isolating(&self) -> bool {
        self.health.is_isolating()
    }

    /// Records of this partition that are received and not finished.
    pub fn unfinished(&self, at: &TopicPartition) -> usize {
        self.partitions.get(at).map_or(0, Partition::unfinished)
    }

    /// The average size of this partition's unfinished records, in bytes; `None` if there is none.
    pub fn record_size(&self, at: &TopicPartition) -> Option<usize> {
        self.partitions.get(at)?.average()
    }

    /// The period of owning this partition, if it is ours.
    pub fn epoch(&self, at: &TopicPartition) -> Option<Epoch> {
        Some(self.partitions.get(at)?.epoch)
    }

    /// Whether this partition is being read from.
    pub fn is_reading(&self, at: &TopicPartition) -> bool {
        self.partitions
            .get(at)
            .is_some_and(|partition| partition.reading)
    }

    /// What holds each partition's commit point; those are left out of which everything that was
    /// received is finished.
    pub fn holds(&self) -> HashMap<TopicPartition, Hold> {
        let with_app: HashSet<_> = self
            .in_flight
            .values()
            .map(|in_flight| (&in_flight.ready.at, in_flight.record.offset))
            .collect();
        let letters: HashMap<_, _> = self
            .letters
            .failures()
            .map(|(at, offset, failed)| ((at, offset), failed))
            .collect();
        let partitions = self.partitions.iter();
        let holds = partitions.filter_map(|(at, partition)| {
            let since = partition.offsets.oldest_since()?;
            let (record, failures) = partition.holder()?;
            let topic = self.topics.get(&at.topic)?;
            let waits_for = match letters.get(&(at, record.offset)) {
                Some(0) => WaitsFor::DeadLetter,
                Some(_) => WaitsFor::DeadLetterRetry,
                None if with_app.contains(&(at, record.offset)) => WaitsFor::Answer,
                None if topic.lanes.count() == 0 => WaitsFor::Stream,
                None if self.health.is_absent() => WaitsFor::AbsentApp,
                None if self.paused => WaitsFor::PausedDaprd,
                None if topic.breaker.is_open() => WaitsFor::FailingApp,
                None if self.waits_for_test(&record) => WaitsFor::Test,
                None if failures.all > 0 => WaitsFor::Retry,
                None => WaitsFor::Place,
            };
            let takes = match waits_for {
                WaitsFor::Answer => topic.lanes.takes(),
                WaitsFor::Test => self.limits.isolation.longest_wait(),
                _ => Duration::ZERO,
            };
            let hold = Hold {
                record,
                since,
                waits_for,
                takes,
            };
            Some((at.clone(), hold))
        });
        holds.collect()
    }
}
