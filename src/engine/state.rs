//! What can be seen of the engine from outside, for metrics and the log.

use std::{sync::Arc, time::Instant};

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
}

/// The record that a partition's commit point stands at, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The record.
    pub record: Arc<Record>,
    /// When it was received.
    pub since: Instant,
    /// What it waits for.
    pub waits_for: &'static str,
}

impl Engine {
    /// How each subscription is doing.
    pub fn topics(&self) -> impl Iterator<Item = TopicState> {
        self.topics.iter().map(|(name, topic)| TopicState {
            topic: name.clone(),
            lanes: topic.lanes.count(),
            in_flight: topic.in_flight,
            breaker_open: topic.breaker.is_open(),
        })
    }

    /// Records of this partition that are received and not below the offset that
    /// the broker has confirmed.
    pub fn uncommitted(&self, at: &TopicPartition) -> usize {
        self.partitions
            .get(at)
            .map_or(0, |partition| partition.offsets.uncommitted())
    }

    /// Records of this partition that are received and not finished.
    pub fn unfinished(&self, at: &TopicPartition) -> usize {
        self.partitions.get(at).map_or(0, Partition::unfinished)
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

    /// What holds a partition's commit point; `None` if everything that was
    /// received is finished, or the partition is not ours.
    pub fn hold(&self, at: &TopicPartition) -> Option<Hold> {
        let partition = self.partitions.get(at)?;
        let since = partition.offsets.oldest_since()?;
        let (record, failures) = partition.holder()?;
        let topic = self.topics.get(&at.topic)?;
        let with_app = self
            .in_flight
            .values()
            .any(|in_flight| in_flight.ready.at == *at && in_flight.record.offset == record.offset);
        let waits_for = match self.letters.failed(at, record.offset) {
            Some(0) => "the confirmation of its dead letter",
            Some(_) => "its dead letter, which can't be written",
            None if with_app => "the app's answer",
            None if topic.lanes.count() == 0 => "a subscriber: there is no stream",
            None if self.absence.is_some() => "the app, which can't be reached",
            None if self.paused => "daprd, which has paused the component",
            None if topic.breaker.is_open() => "the app, which is failing as a whole",
            None if failures.all > 0 => "its next attempt, after the app refused it",
            None => "a free place on a stream",
        };
        Some(Hold {
            record,
            since,
            waits_for,
        })
    }
}
