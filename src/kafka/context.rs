//! What librdkafka calls back, for producers and consumers alike.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc;

use super::{Signal, connection, convert, watch};
use crate::telemetry::events::BrokerFailed;

/// One client's context. Everything here is called from librdkafka's threads or
/// from within a poll, so it only notes and hands on.
pub(super) struct Context {
    pub(super) instance: Arc<str>,
    pub(super) failures: Failures,
    /// Where a consumer's rebalances go: to its owner.
    pub(super) signals: Option<mpsc::Sender<Signal>>,
    /// The consumer is being closed: nobody listens to `signals` any more.
    pub(super) closing: AtomicBool,
}

/// librdkafka tells a failure that lasts once in so long
/// (`rd_kafka_broker_set_error` in its `rdkafka_broker.c`).
const REPEATED: Duration = Duration::from_secs(30);

/// The last failure of a client's connections, for errors that only know that
/// nothing was heard.
#[derive(Clone, Default)]
pub(super) struct Failures(Arc<Mutex<Option<(Instant, String)>>>);

impl Failures {
    pub(super) fn note(&self, reason: &str) {
        *self.lock() = Some((Instant::now(), reason.to_owned()));
    }

    /// The last failure and when it was, if that may be why nothing was heard since
    /// `begun`.
    pub(super) fn since(&self, begun: Instant) -> Option<String> {
        let (when, reason) = self.lock().clone()?;
        let before = begun.saturating_duration_since(when);
        if before.is_zero() {
            Some(format!("meanwhile: {reason}"))
        } else if before <= REPEATED {
            Some(format!("{before:.0?} before: {reason}"))
        } else {
            None
        }
    }

    fn last_was(&self, reason: &str) -> bool {
        let last = self.lock();
        last.as_ref().is_some_and(|(_, last)| last == reason)
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Hands a rebalance to the owner. False if it can't be: then nobody would
    /// answer it, and librdkafka would wait for ever.
    fn signal(&self, signal: Signal) -> bool {
        let open = !self.closing.load(Ordering::Acquire);
        let owner = self.signals.as_ref().filter(|_| open);
        owner.is_some_and(|owner| owner.try_send(signal).is_ok())
    }
}

impl ClientContext for Context {
    /// librdkafka's own log is for those who ask for it, except what it says of a
    /// broker's connection: it logs each failure, but makes an event of few.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        if let Some(reason) = connection::failure(facility, line) {
            let instance = &self.instance;
            BrokerFailed { instance, reason }.emit();
            self.failures.note(reason);
            if let Some((address, node)) = connection::broker(reason) {
                watch::failed(instance, address, node);
            }
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

    /// What the log did not say already, such as what is about a topic, a partition or
    /// a group; it is named there. A refused login comes both ways.
    fn error(&self, error: KafkaError, reason: &str) {
        // A connection that is closed before it is of use gets no line in the log.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            watch::all_failed(&self.instance);
        } else if let Some((address, node)) = connection::broker(reason) {
            watch::failed(&self.instance, address, node);
        }
        let told = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::Resolve
                    | RDKafkaErrorCode::OperationTimedOut
                    // A missing topic is asked for every second already.
                    | RDKafkaErrorCode::UnknownTopicOrPartition
            )
        );
        if told || self.failures.last_was(reason) {
            tracing::debug!(instance = %self.instance, "librdkafka: {error}: {reason}");
        } else {
            tracing::warn!(instance = %self.instance, "librdkafka: {reason}");
        }
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
        let lost = consumer.assignment_lost();
        let taken = self.signal(match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                Signal::Assigned(convert::partitions(partitions))
            }
            _ => Signal::Revoked { lost },
        });
        if !taken && let Err(error) = consumer.unassign() {
            tracing::warn!(instance = %self.instance, "unassign while closing: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_counts_as_long_as_it_may_last_untold() {
        let failures = Failures::default();
        let begun = Instant::now();
        assert_eq!(failures.since(begun), None);
        failures.note("refused");
        let told = |begun| failures.since(begun);
        assert_eq!(told(begun).as_deref(), Some("meanwhile: refused"));
        let later = begun + Duration::from_secs(9);
        assert_eq!(told(later).as_deref(), Some("9s before: refused"));
        assert_eq!(told(begun + REPEATED + Duration::from_secs(1)), None);
    }
}
