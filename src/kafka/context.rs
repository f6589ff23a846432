//! What librdkafka calls back, for producers and consumers alike.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc;

use super::{Signal, classify, convert};
use crate::telemetry::events::BrokerFailed;

/// One client's context. Everything here is called from librdkafka's threads or
/// from within a poll, so it only notes and hands on.
pub(super) struct Context {
    pub(super) instance: Arc<str>,
    /// Where a consumer's rebalances go: to its owner.
    pub(super) signals: Option<mpsc::Sender<Signal>>,
    /// The consumer is being closed: nobody listens to `signals` any more.
    pub(super) closing: AtomicBool,
}

impl Context {
    fn signal(&self, signal: Signal) {
        let Some(signals) = &self.signals else {
            return;
        };
        // librdkafka has one rebalance under way at a time, and the channel
        // holds several.
        if let Err(lost) = signals.try_send(signal) {
            tracing::error!(instance = %self.instance, "a consumer signal was lost: {lost}");
        }
    }
}

impl ClientContext for Context {
    /// librdkafka's own log is for those who ask for it, except what it says of a
    /// broker's connection: it logs each failure, but makes an event of few.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        if let Some(reason) = classify::connection_failure(facility, line) {
            let instance = &self.instance;
            BrokerFailed { instance, reason }.emit();
            return;
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "librdkafka", instance = %self.instance, "{facility} {line}");
            }
            _ => {
                tracing::debug!(target: "librdkafka", instance = %self.instance, "{facility} {line}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(instance = %self.instance, "librdkafka: {error}: {reason}");
    }
}

impl ConsumerContext for Context {
    /// The owner answers a rebalance with assign or unassign when it is ready;
    /// librdkafka waits for that, and keeps up the heartbeats meanwhile.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Acquire) {
            if let Err(error) = consumer.unassign() {
                tracing::warn!(instance = %self.instance, "unassign while closing: {error}");
            }
            return;
        }
        let partitions = convert::partitions(partitions);
        let lost = consumer.assignment_lost();
        self.signal(match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Signal::Assigned(partitions),
            _ => Signal::Revoked { partitions, lost },
        });
    }
}
