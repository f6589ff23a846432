//! What is worth telling about streams to daprd.

use std::{sync::Arc, time::Duration};

use metrics::{Label, histogram};
use tracing::{trace, warn};

use super::{
    super::{Member, metrics as names},
    topic_labels,
};
use crate::model::{Offset, TopicPartition};

/// daprd answered for a record.
#[derive(Debug)]
pub struct Answered<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The record's topic.
    pub topic: &'a Arc<str>,
    /// The kind of answer.
    pub outcome: &'static str,
    /// How long it took.
    pub took: Duration,
}

impl Answered<'_> {
    /// Measures it.
    pub fn emit(self) {
        let mut labels = topic_labels(self.instance, self.topic);
        labels.push(Label::new("outcome", self.outcome));
        histogram!(names::PROCESS_DURATION, labels).record(self.took);
        trace!(instance = %self.instance, "{} of {} after {:?}", self.outcome, self.topic, self.took);
    }
}

/// One stream is all that a topic has, its daprd handles one message at a time,
/// and records wait.
#[derive(Debug)]
pub struct OneSerialLane<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The topic.
    pub topic: &'a str,
}

impl OneSerialLane<'_> {
    /// Logs it.
    pub fn emit(self) {
        warn!(
            instance = %self.instance,
            "records of {topic} wait: this daprd handles one message of a stream at a time (Dapr \
             1.16.0 to 1.17.13 and 1.18.0 to 1.18.3 do), and the app opens one stream. Upgrade Dapr \
             to 1.17.14, 1.18.4 or 1.19. If you can't, open lanes: `dapr-rdkafka lanes --pubsub \
             {component} --topic {topic} --route PATH`, with the app's own path for {topic}, prints \
             Subscriptions to apply; the app need not change (docs/lanes.md)",
            topic = self.topic,
            component = self.instance.component,
        );
    }
}

/// A partition has not progressed for long: one record holds it.
#[derive(Debug)]
pub struct Stalled<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The partition.
    pub at: &'a TopicPartition,
    /// The record's offset.
    pub offset: Offset,
    /// Its key, as far as it is text.
    pub key: &'a str,
    /// For how long.
    pub held: Duration,
    /// What the record waits for.
    pub waits_for: &'static str,
}

impl Stalled<'_> {
    /// Logs it.
    pub fn emit(self) {
        warn!(
            instance = %self.instance,
            "{} has not progressed for {} s: offset {} (key {:?}) waits for {}",
            self.at,
            self.held.as_secs(),
            self.offset,
            self.key,
            self.waits_for
        );
    }
}
