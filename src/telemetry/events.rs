//! What is worth telling, one struct each; `emit` writes its log line.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::model::{Offset, TopicPartition};

/// Partitions with their offsets, as a reader of the log likes them.
fn positions(offsets: &[(TopicPartition, Offset)]) -> String {
    let each = offsets.iter().map(|(at, offset)| format!("{at}@{offset}"));
    each.collect::<Vec<_>>().join(" ")
}

/// A broker could not be reached, or ended the connection.
#[derive(Debug)]
pub struct BrokerFailed<'a> {
    /// The component instance.
    pub instance: &'a str,
    /// What librdkafka saw; it names the broker.
    pub reason: &'a str,
}

impl BrokerFailed<'_> {
    /// Logs it.
    pub fn emit(self) {
        warn!(
            instance = %self.instance,
            "broker connection failed: {}", self.reason
        );
    }
}

/// Records were not acknowledged by a broker. The publisher is told the same.
#[derive(Debug)]
pub struct PublishFailed<'a> {
    /// The component instance.
    pub instance: &'a str,
    /// Topic, cause and remedy.
    pub reason: &'a str,
}

impl PublishFailed<'_> {
    /// Logs it.
    pub fn emit(self) {
        warn!(instance = %self.instance, "{}", self.reason);
    }
}

/// The group was given partitions, with the positions they start from.
#[derive(Debug)]
pub struct Assigned<'a> {
    /// The component instance.
    pub instance: &'a str,
    /// The partitions and where they start.
    pub starts: &'a [(TopicPartition, Offset)],
}

impl Assigned<'_> {
    /// Logs it.
    pub fn emit(self) {
        info!(
            instance = %self.instance,
            "assigned {} partitions: {}",
            self.starts.len(),
            positions(self.starts)
        );
    }
}

/// Partitions were taken away.
#[derive(Debug)]
pub struct Revoked<'a> {
    /// The component instance.
    pub instance: &'a str,
    /// How many.
    pub partitions: usize,
    /// Records that were delivered, and not answered in time: they will be
    /// delivered again, by whoever gets the partition.
    pub unanswered: usize,
}

impl Revoked<'_> {
    /// Logs it.
    pub fn emit(self) {
        info!(
            instance = %self.instance,
            unanswered = self.unanswered,
            "revoked {} partitions",
            self.partitions
        );
    }
}

/// The app refused a record; it will be tried again.
#[derive(Debug)]
pub struct Refused<'a> {
    /// The component instance.
    pub instance: &'a str,
    /// The record's partition.
    pub at: &'a TopicPartition,
    /// The record's offset.
    pub offset: Offset,
    /// How many attempts have failed.
    pub attempts: u32,
    /// When the next one comes.
    pub delay: Duration,
    /// What the app, or daprd, said.
    pub reason: &'a str,
}

impl Refused<'_> {
    /// Logs it.
    pub fn emit(self) {
        warn!(
            instance = %self.instance,
            attempts = self.attempts,
            "{} offset {} was refused, next attempt in {:?}; the records of its key wait: {}",
            self.at,
            self.offset,
            self.delay,
            self.reason
        );
    }
}

/// A record came back without a verdict.
#[derive(Debug)]
pub struct Returned<'a> {
    /// The component instance.
    pub instance: &'a str,
    /// Why there is none.
    pub reason: &'a str,
}

impl Returned<'_> {
    /// Logs it.
    pub fn emit(self) {
        debug!(
            instance = %self.instance,
            "a record came back without a verdict and is delivered again: {}", self.reason
        );
    }
}

/// A partition reached `maxUncommitted`: one record holds its commit point.
#[derive(Debug)]
pub struct Held<'a> {
    /// The component instance.
    pub instance: &'a str,
    /// The partition.
    pub at: &'a TopicPartition,
    /// The offset of the record that holds it.
    pub by: Offset,
    /// Its key, as far as it is text.
    pub key: &'a str,
}

impl Held<'_> {
    /// Logs it.
    pub fn emit(self) {
        warn!(
            instance = %self.instance,
            "{} is paused: maxUncommitted records are finished or waiting above offset {} \
             (key {:?}), which the app has not acknowledged",
            self.at,
            self.by,
            self.key
        );
    }
}

/// Committing offsets failed; it is tried again as long as the partitions are
/// ours.
#[derive(Debug)]
pub struct CommitFailed<'a> {
    /// The component instance.
    pub instance: &'a str,
    /// What was to be committed.
    pub offsets: &'a [(TopicPartition, Offset)],
    /// Why.
    pub reason: &'a str,
}

impl CommitFailed<'_> {
    /// Logs it.
    pub fn emit(self) {
        warn!(
            instance = %self.instance,
            "committing {} failed: {}",
            positions(self.offsets),
            self.reason
        );
    }
}

/// A partition's position no longer exists on the broker.
#[derive(Debug)]
pub struct OutOfRange<'a> {
    /// The component instance.
    pub instance: &'a str,
    /// The partition.
    pub at: &'a TopicPartition,
}

impl OutOfRange<'_> {
    /// Logs it.
    pub fn emit(self) {
        error!(
            instance = %self.instance,
            "{}: the committed offset is out of range (retention removed the records, or the \
             topic was recreated); going on from the earliest offset left",
            self.at
        );
    }
}

/// Something in a background loop failed and is tried again.
#[derive(Debug)]
pub struct TriesAgain<'a> {
    /// The component instance.
    pub instance: &'a str,
    /// What was tried.
    pub what: &'a str,
    /// What happened.
    pub reason: &'a str,
}

impl TriesAgain<'_> {
    /// Logs it.
    pub fn emit(self) {
        warn!(
            instance = %self.instance,
            "{} failed, trying again: {}", self.what, self.reason
        );
    }
}
