//! What happens to records that the app refuses for good.

use std::{sync::Arc, time::Duration};

use metrics::{Label, counter};
use tracing::{error, info, warn};

use super::{
    super::{Member, metrics as names},
    of_topic, topic_labels,
};
use crate::model::{Offset, TopicPartition, dead_letter::Failure};

/// A dead letter is on the broker.
#[derive(Debug)]
pub struct DeadLettered<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The source's partition.
    pub at: &'a TopicPartition,
    /// The source's offset.
    pub offset: Offset,
    /// The dead-letter topic.
    pub topic: &'a str,
    /// Why.
    pub failure: Failure,
    /// How often the record was handed to the app.
    pub deliveries: u32,
    /// What was said last.
    pub reason: &'a str,
}

impl DeadLettered<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let mut labels = topic_labels(self.instance, &self.at.topic);
        labels.push(Label::new("reason", self.failure.name()));
        counter!(names::DLQ_PUBLISHED, labels).increment(1);
        warn!(
            instance = %self.instance,
            deliveries = self.deliveries,
            "{} offset {} is a dead letter in {} now ({}): {}",
            self.at,
            self.offset,
            self.topic,
            self.failure.name(),
            self.reason
        );
    }
}

/// A dead letter could not be written; its source stays uncommitted.
#[derive(Debug)]
pub struct DeadLetterDelayed<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The source's partition.
    pub at: &'a TopicPartition,
    /// The source's offset.
    pub offset: Offset,
    /// The dead-letter topic.
    pub topic: &'a str,
    /// How often it could not be written.
    pub failed: u32,
    /// When the next attempt comes.
    pub delay: Duration,
    /// What went wrong, and what to do about it.
    pub reason: &'a str,
}

impl DeadLetterDelayed<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        of_topic(names::DLQ_PUBLISH_FAILURES, self.instance, self.at);
        error!(
            instance = %self.instance,
            failed = self.failed,
            "the dead letter of {} offset {} can't be written to {}, next attempt in {:?}; the \
             records of its key wait, and nothing is lost: {}",
            self.at,
            self.offset,
            self.topic,
            self.delay,
            self.reason
        );
    }
}

/// A topic's breaker opened or closed.
#[derive(Debug)]
pub struct BreakerChanged<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The topic.
    pub topic: &'a str,
    /// Whether it is open now.
    pub open: bool,
}

impl BreakerChanged<'_> {
    /// Logs it.
    pub fn emit(self) {
        let Self {
            instance, topic, ..
        } = self;
        if self.open {
            error!(
                %instance,
                "the app fails most records of {topic}: it gets one at a time until it is well, \
                 and none becomes a dead letter meanwhile"
            );
        } else {
            info!(%instance, "the app processes records of {topic} again: it gets all of them");
        }
    }
}

/// A dead-letter topic does not exist.
#[derive(Debug)]
pub struct DeadLetterTopicMissing<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The dead-letter topic.
    pub topic: &'a str,
    /// The partitions of its source.
    pub partitions: usize,
    /// The replicas of each.
    pub replication: usize,
}

impl DeadLetterTopicMissing<'_> {
    /// Logs it.
    pub fn emit(self) {
        warn!(
            instance = %self.instance,
            "the dead-letter topic {topic} does not exist: what would go there waits. Create it, \
             or set topicCreation to dlq: kafka-topics.sh --bootstrap-server BROKER --create --topic \
             {topic} --partitions {} --replication-factor {} --config retention.ms=1209600000 \
             --config message.timestamp.type=LogAppendTime (Redpanda: rpk topic create {topic} \
             -p {} -r {} -c retention.ms=1209600000 -c message.timestamp.type=LogAppendTime)",
            self.partitions,
            self.replication,
            self.partitions,
            self.replication,
            topic = self.topic,
        );
    }
}

/// A record that was sent back from a dead-letter topic for another group.
#[derive(Debug)]
pub struct PassedOver<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The record's partition.
    pub at: &'a TopicPartition,
    /// The record's offset.
    pub offset: Offset,
}

impl PassedOver<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        of_topic(names::PASSED_OVER, self.instance, self.at);
        tracing::debug!(
            instance = %self.instance,
            "{} offset {} was sent back for another group and is passed over",
            self.at,
            self.offset
        );
    }
}

/// daprd gave a record up, for a `deadLetterTopic` of its own, and the dead letter
/// is on the broker.
#[derive(Debug)]
pub struct DaprdDeadLettered<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The source's topic.
    pub topic: &'a Arc<str>,
}

impl DaprdDeadLettered<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let mut labels = topic_labels(self.instance, self.topic);
        labels.push(Label::new("reason", Failure::DeadLetteredByDaprd.name()));
        counter!(names::DLQ_PUBLISHED, labels).increment(1);
        info!(instance = %self.instance, "daprd gave up a record of {}", self.topic);
    }
}
