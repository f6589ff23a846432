//! What is worth telling, one struct each; `emit` writes its log line and moves its
//! metric, where a figure says more than the lines do.

mod app;
mod brokers;
mod clients;
mod dead_letters;
mod headers;
mod instances;
mod lanes;
mod topics;

pub use app::{AppPresence, SuspectAcks};
pub use brokers::{BrokerFound, BrokerProblem, BrokerWell, broker_problems};
pub use clients::{MadeAnew, TokenFailed, TokenRenewed};
pub use dead_letters::{
    BreakerChanged, DaprdDeadLettered, DeadLetterDelayed, DeadLetterTopicMissing, DeadLettered,
    PassedOver,
};
pub use headers::HeadersLeftOut;
pub use instances::served;
pub use lanes::{Answered, OneSerialLane, Stalled};
pub use topics::TopicNotCreated;

use std::{fmt, sync::Arc, time::Duration};

use metrics::{Label, counter, histogram};
use tracing::{debug, error, info, trace, warn};

use super::{Member, metrics as names};
use crate::model::{Offset, Progress, Reason, TopicPartition};

/// The label `result`.
const OK: &str = "ok";
const FAILED: &str = "failed";

/// Partitions that one line of the log names.
const NAMED: usize = 20;

/// Partitions with their offsets, as a reader of the log likes them.
fn positions(offsets: &[(TopicPartition, Progress)]) -> String {
    let each = offsets.iter().take(NAMED);
    let each = each.map(|(at, progress)| match progress.count_above() {
        0 => format!("{at}@{}", progress.point),
        above => format!("{at}@{} (but {above} later are done)", progress.point),
    });
    let named = each.collect::<Vec<_>>().join(", ");
    match offsets.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A publish was refused because those that are under way take all the room there is.
pub fn publish_without_room() {
    counter!(names::PUBLISHES_WITHOUT_ROOM).increment(1);
}

fn commit(member: &Member, result: &'static str) {
    let Member { component, group } = member.clone();
    counter!(names::COMMITS, "component" => component, "group" => group, "result" => result)
        .increment(1);
}

fn rebalanced(member: &Member, event: &'static str) {
    let Member { component, group } = member.clone();
    counter!(names::REBALANCES, "component" => component, "group" => group, "event" => event)
        .increment(1);
}

/// The labels of what happened to a record of a topic.
fn topic_labels(member: &Member, topic: &Arc<str>) -> Vec<Label> {
    let Member { component, group } = member.clone();
    vec![
        Label::new("component", component),
        Label::new("topic", topic.clone()),
        Label::new("group", group),
    ]
}

/// Counts something that happened to a record of a topic.
fn of_topic(name: &'static str, member: &Member, at: &TopicPartition) {
    counter!(name, topic_labels(member, &at.topic)).increment(1);
}

/// A broker could not be reached, or ended the connection.
#[derive(Debug)]
pub struct BrokerFailed<'a> {
    /// The component instance.
    pub instance: &'a Arc<str>,
    /// What librdkafka saw; it names the broker.
    pub reason: &'a str,
}

impl BrokerFailed<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        counter!(names::BROKER_FAILURES, "component" => self.instance.clone()).increment(1);
        warn!(
            instance = %self.instance,
            "broker connection failed: {}", self.reason
        );
    }
}

/// A record was acknowledged by the broker.
#[derive(Debug)]
pub struct Published<'a> {
    /// The component instance.
    pub instance: &'a Arc<str>,
    /// The topic.
    pub topic: &'a str,
    /// How long that took.
    pub took: Duration,
}

impl Published<'_> {
    /// Logs, counts and measures it.
    pub fn emit(self) {
        trace!(instance = %self.instance, "published to {} within {:?}", self.topic, self.took);
        published(self.instance, self.topic, OK, self.took);
    }
}

/// A record was not acknowledged by a broker. The publisher is told the same.
#[derive(Debug)]
pub struct PublishFailed<'a> {
    /// The component instance.
    pub instance: &'a Arc<str>,
    /// The topic, if a record ever got there: the names that callers make up have
    /// no bound.
    pub topic: Option<&'a str>,
    /// How long it was tried.
    pub took: Duration,
    /// Topic, cause and remedy.
    pub reason: &'a str,
}

impl PublishFailed<'_> {
    /// Logs, counts and measures it.
    pub fn emit(self) {
        warn!(instance = %self.instance, "{}", self.reason);
        published(
            self.instance,
            self.topic.unwrap_or_default(),
            FAILED,
            self.took,
        );
    }
}

fn published(component: &Arc<str>, topic: &str, result: &'static str, took: Duration) {
    let labels = [
        Label::new("component", component.clone()),
        Label::new("topic", topic.to_owned()),
        Label::new("result", result),
    ];
    counter!(names::PUBLISHED, labels.iter()).increment(1);
    histogram!(names::PUBLISH_DURATION, labels.iter()).record(took);
}

/// The group was given partitions, with the positions they start from.
#[derive(Debug)]
pub struct Assigned<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The partitions and where they start.
    pub starts: &'a [(TopicPartition, Progress)],
}

impl Assigned<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        rebalanced(self.instance, "assigned");
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
    pub instance: &'a Member,
    /// How many.
    pub partitions: usize,
    /// Records that were delivered, and not answered in time: they will be
    /// delivered again, by whoever gets the partition.
    pub unanswered: usize,
}

impl Revoked<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        rebalanced(self.instance, "revoked");
        let Member { component, group } = self.instance;
        counter!(
            names::DRAIN_UNANSWERED,
            "component" => component.clone(),
            "group" => group.clone()
        )
        .increment(self.unanswered as u64);
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
    pub instance: &'a Member,
    /// The record's partition.
    pub at: &'a TopicPartition,
    /// The record's offset.
    pub offset: Offset,
    /// How many attempts have failed.
    pub failed: u32,
    /// When the next one comes.
    pub delay: Duration,
    /// What that means for the record: a sentence's end.
    pub standing: &'a str,
    /// What the app, or daprd, said.
    pub reason: &'a str,
}

impl Refused<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        of_topic(names::RETRIES, self.instance, self.at);
        warn!(
            instance = %self.instance,
            failed = self.failed,
            "{} offset {} was refused, next attempt in {:?}; {}: {}",
            self.at,
            self.offset,
            self.delay,
            self.standing,
            self.reason
        );
    }
}

/// A record came back without a verdict.
#[derive(Debug)]
pub struct Returned<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The topic.
    pub topic: &'a Arc<str>,
    /// Why there is none.
    pub reason: &'a str,
}

impl Returned<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Member { component, group } = self.instance.clone();
        counter!(names::REDELIVERIES, "component" => component, "topic" => self.topic.clone(), "group" => group)
            .increment(1);
        debug!(
            instance = %self.instance, topic = %self.topic,
            "a record came back without a verdict and is delivered again: {}", self.reason
        );
    }
}

/// A partition reached `maxUncommitted`: one record holds its commit point.
#[derive(Debug)]
pub struct Held<'a> {
    /// The component instance.
    pub instance: &'a Member,
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

/// Offsets were committed.
#[derive(Debug)]
pub struct Committed<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// Which.
    pub offsets: &'a [(TopicPartition, Progress)],
}

impl Committed<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        commit(self.instance, OK);
        trace!(instance = %self.instance, "committed {}", positions(self.offsets));
    }
}

/// Committing offsets failed; it is tried again as long as the partitions are
/// ours.
#[derive(Debug)]
pub struct CommitFailed<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// What was to be committed.
    pub offsets: &'a [(TopicPartition, Progress)],
    /// Why.
    pub reason: &'a str,
}

impl CommitFailed<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        commit(self.instance, FAILED);
        warn!(
            instance = %self.instance,
            "committing {} failed: {}",
            positions(self.offsets),
            self.reason
        );
    }
}

/// A transaction that is open keeps a partition's next records from the group.
#[derive(Debug)]
pub struct OpenTransaction<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The partition.
    pub at: &'a TopicPartition,
    /// The first offset that is not handed out.
    pub position: Offset,
}

impl OpenTransaction<'_> {
    /// Logs it; a gauge shows how many partitions wait.
    pub fn emit(self) {
        let Self { at, position, .. } = self;
        warn!(
            instance = %self.instance,
            "{at}: a transaction is open at offset {position}, and nothing behind it is delivered \
             before it ends: `kafka-transactions.sh describe-producers --topic {} --partition {}` names \
             its producer, and `abort` ends one that hangs",
            at.topic, at.partition
        );
    }
}

/// What was fetched of one partition alone exceeds the memory for reading ahead.
#[derive(Debug)]
pub struct ReadAheadExceeded<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The partition.
    pub at: &'a TopicPartition,
    /// What was fetched takes so many bytes.
    pub bytes: usize,
    /// It may take so many.
    pub limit: usize,
}

impl ReadAheadExceeded<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Member { component, group } = self.instance;
        counter!(
            names::READ_AHEAD_EXCEEDED,
            "component" => component.clone(),
            "topic" => self.at.topic.clone(),
            "group" => group.clone()
        )
        .increment(1);
        warn!(
            instance = %self.instance,
            "one fetch of {} takes about {} MiB of memory, and {} MiB are for reading ahead (a quarter \
             of the process's memory): raise the container's memory limit (--memory-mib without one), \
             or lower consumerFetchDefault",
            self.at,
            mib(self.bytes),
            mib(self.limit)
        );
    }
}

/// More partitions were assigned than fit into the memory for reading ahead at a time, even if
/// their records are not compressed.
#[derive(Debug)]
pub struct LittleMemory<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// Partitions that are assigned.
    pub partitions: usize,
    /// How many are fetched at a time, at the most, while all have a backlog.
    pub at_a_time: usize,
    /// So many bytes are for reading ahead.
    pub limit: usize,
}

impl LittleMemory<'_> {
    /// Logs it.
    pub fn emit(self) {
        warn!(
            instance = %self.instance,
            "{} partitions are assigned, and {} MiB are for reading ahead (a quarter of the process's \
             memory): while all have a backlog, at most {} are fetched at a time, in turns. More \
             memory makes that faster: raise the container's limit (--memory-mib without one)",
            self.partitions,
            mib(self.limit),
            self.at_a_time
        );
    }
}

fn mib(bytes: usize) -> usize {
    bytes.div_ceil(1024 * 1024)
}

/// The brokers refused a commit for the size of its metadata. From now on commits have less.
#[derive(Debug)]
pub struct MetadataRefused<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// How many bytes of metadata a partition's offset has from now on; 0 is none.
    pub room: usize,
}

impl MetadataRefused<'_> {
    /// Logs it.
    pub fn emit(self) {
        warn!(
            instance = %self.instance,
            "the brokers refuse the metadata of a commit (offset.metadata.max.bytes, 4096 by default). \
             Offsets are committed with at most {} bytes of metadata: records that were finished above the \
             committed offset and are not named in them are redelivered after a rebalance",
            self.room
        );
    }
}

/// A partition does not continue at the group's position.
#[derive(Debug)]
pub struct OutOfRange<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The partition.
    pub at: &'a TopicPartition,
    /// The group's position.
    pub from: Offset,
    /// The offset at which the partition continues.
    pub to: Offset,
    /// Why.
    pub reason: Reason,
}

impl OutOfRange<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        of_topic(names::OUT_OF_RANGE, self.instance, self.at);
        let (instance, text) = (self.instance, self.text());
        match self.reason {
            Reason::Recreated => warn!(%instance, "{text}"),
            Reason::Removed(_) | Reason::Truncated(_) | Reason::BeyondEnd(_) => {
                error!(%instance, "{text}");
            }
        }
    }

    fn text(&self) -> String {
        let Self { at, from, to, .. } = self;
        let position = format!("{at}: offset {from} is out of range");
        match self.reason {
            Reason::Removed(count) => format!(
                "{position}: {count} offsets from there on were removed (retention, or deleted records). \
                 Continuing at {to}, the first record that is left"
            ),
            Reason::Truncated(count) => {
                let end = Offset(from.0 - count);
                let there = if *to < end {
                    "the commit point: records that were finished after it are redelivered, because others \
                     may have their offsets by now"
                } else {
                    "the log's end"
                };
                format!(
                    "{position}: the topic is the same, but its log ends at {end}. The brokers have lost \
                     {count} offsets (an unclean leader election, or a crash before records were flushed). \
                     Continuing at {to}, {there}"
                )
            }
            Reason::Recreated => format!(
                "{position}: the topic was deleted and created again. Continuing at {to}, its first record"
            ),
            Reason::BeyondEnd(log) => format!(
                "{position}: the log has the offsets {} to {}, and nothing tells whether the topic was \
                 created again (its brokers give topics no ids, or the group's offset was committed by \
                 another client). Continuing at {to}: messages may be redelivered",
                log.first, log.end
            ),
        }
    }
}

/// Something in a background loop failed and is tried again.
pub struct TriesAgain<'a> {
    /// The component instance.
    pub instance: &'a dyn fmt::Display,
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

/// daprd was asked to shut down (`--heal-daprd`).
#[derive(Debug)]
pub struct DaprdShutdown<'a> {
    /// Where its API is.
    pub daprd: &'a str,
    /// What proves that it has to be started afresh.
    pub proof: &'a str,
    /// What went wrong, if anything did.
    pub failed: Option<&'a str>,
}

impl DaprdShutdown<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let Self { daprd, proof, .. } = self;
        match self.failed {
            None => warn!(
                "asked the daprd at {daprd} to shut down, so that it is started afresh: {proof}"
            ),
            Some(error) => error!(
                "the daprd at {daprd} must be restarted ({proof}), and could not be asked to \
                 shut down: {error}"
            ),
        }
        let result = if self.failed.is_none() { OK } else { FAILED };
        counter!(names::DAPRD_SHUTDOWNS, "result" => result).increment(1);
    }
}

#[cfg(test)]
mod tests;
