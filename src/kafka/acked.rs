//! Records that are acknowledged one by one, without a thread that waits for it.
//!
//! rdkafka's `FutureProducer` (0.39) has a thread of its own that polls: each
//! acknowledgement wakes that thread, which wakes the runtime, which answers. Here librdkafka's
//! thread wakes the runtime itself (docs/performance.md has what that gives).

use std::{
    ffi::c_void,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    Message as _, bindings,
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseProducer, Producer as _, ProducerContext},
    types::{RDKafka, RDKafkaQueue},
};
use tokio::sync::{Notify, oneshot};

use super::{Cause, Kind, Outgoing, context::Context, convert, logged_in::LoggedIn};

/// How long a full queue is left alone before a record is tried again.
const FULL: Duration = Duration::from_millis(100);

/// Events between which others on the runtime have their turn.
const IN_A_ROW: usize = 64;

/// Where the answer to a record goes; with an error by which it may be sent again comes its value.
type Answer = oneshot::Sender<Result<(), (KafkaError, Option<Bytes>)>>;

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Answer>;

    fn delivery(&self, result: &DeliveryResult<'_>, answer: Box<Answer>) {
        let result = result.as_ref().map(drop);
        let result = result.map_err(|(error, message)| {
            let too_large = Cause::from(error.clone()).kind == Kind::BatchTooLarge;
            let value = message.payload().filter(|_| too_large);
            (error.clone(), value.map(Bytes::copy_from_slice))
        });
        // Whoever sent it may have stopped waiting.
        let _ = answer.send(result);
    }
}

/// Why a record was not acknowledged.
pub(super) enum Unsent {
    /// librdkafka did not take it.
    Here(KafkaError),
    /// A broker's answer, or that there is none.
    There(KafkaError),
}

/// A producer that is polled when there is something. Dropping the last handle waits for
/// librdkafka's threads.
pub(super) struct AckedProducer {
    // Fields are dropped in this order: the events go before their producer.
    events: Events,
    producer: BaseProducer<Context>,
}

impl LoggedIn<BaseProducer<Context>> {
    /// Begins to poll. Must be called on the runtime.
    pub(super) fn acked(self) -> LoggedIn<Arc<AckedProducer>> {
        let acked = self.map(|producer| {
            Arc::new(AckedProducer {
                events: Events::of(producer.client().native_ptr()),
                producer,
            })
        });
        tokio::spawn(poll(Arc::downgrade(&acked), acked.events.come.clone()));
        acked
    }
}

impl AckedProducer {
    /// Sends a record, and waits for its acknowledgement. As long as the queue is full it is
    /// tried again, until `full_until`. Dropping the future gives nothing up.
    ///
    /// The record's value is let go when librdkafka has a copy, so that a record that waits
    /// for brokers is in memory once. A record that may be sent again has it back.
    pub(super) async fn send(
        &self,
        outgoing: &mut Outgoing,
        full_until: Instant,
    ) -> Result<(), Unsent> {
        loop {
            let (answer, answered) = oneshot::channel();
            let full = RDKafkaErrorCode::QueueFull;
            match self
                .producer
                .send(convert::base_record(outgoing, Box::new(answer)))
            {
                Ok(()) => {
                    outgoing.value = None;
                    let canceled = Err((KafkaError::Canceled, None));
                    return answered
                        .await
                        .unwrap_or(canceled)
                        .map_err(|(error, value)| {
                            outgoing.value = value;
                            Unsent::There(error)
                        });
                }
                Err((error, _))
                    if error.rdkafka_error_code() == Some(full) && Instant::now() < full_until =>
                {
                    tokio::time::sleep(FULL).await;
                }
                Err((error, _)) => return Err(Unsent::Here(error)),
            }
        }
    }

    /// rdkafka's producer, for everything but sending.
    pub(super) fn base(&self) -> &BaseProducer<Context> {
        &self.producer
    }

    /// Waits until everything sent so far was acknowledged or failed. It blocks.
    pub(super) fn flush(&self, timeout: Duration) -> Result<(), Cause> {
        self.producer.flush(timeout).map_err(Cause::from)
    }
}

/// Hands answers on as long as the producer lives.
async fn poll(producer: Weak<AckedProducer>, come: Arc<Notify>) {
    loop {
        come.notified().await;
        let Some(producer) = producer.upgrade() else {
            return;
        };
        let mut in_a_row = 0;
        while !producer.events.are_none() {
            producer.producer.poll(Duration::ZERO);
            in_a_row += 1;
            if in_a_row % IN_A_ROW == 0 {
                tokio::task::yield_now().await;
            }
        }
        // Others may have dropped theirs meanwhile, and the last one waits.
        if let Some(last) = Arc::into_inner(producer) {
            tokio::task::spawn_blocking(move || drop(last));
            return;
        }
    }
}

/// A client's queue of events, which tells when it has some.
struct Events {
    queue: *mut RDKafkaQueue,
    come: Arc<Notify>,
}

// SAFETY: librdkafka's functions may be called from any thread (rdkafka.h, "Threads").
unsafe impl Send for Events {}
// SAFETY: the same.
unsafe impl Sync for Events {}

impl Events {
    /// The main queue of a client, which must outlive this.
    fn of(client: *mut RDKafka) -> Self {
        let come = Arc::new(Notify::new());
        // SAFETY: the client is alive. Every client has a main queue (the call never returns
        // null), and the reference to it that the call makes is given back by `drop`.
        let queue = unsafe { bindings::rd_kafka_queue_get_main(client) };
        // SAFETY: `tell` takes what it is given for a `Notify`, which `come` keeps alive
        // until `drop` has taken the callback away.
        unsafe {
            let opaque = Arc::as_ptr(&come).cast_mut().cast::<c_void>();
            bindings::rd_kafka_queue_cb_event_enable(queue, Some(tell), opaque);
        }
        // It is told of what comes from now on; something may have come before.
        come.notify_one();
        Self { queue, come }
    }

    fn are_none(&self) -> bool {
        // SAFETY: the reference is given back in `drop` only.
        unsafe { bindings::rd_kafka_queue_length(self.queue) == 0 }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // SAFETY: librdkafka calls back, and takes callbacks away, under the queue's lock
        // (`rd_kafka_q_io_event` and `rd_kafka_q_cb_event_enable` in rdkafka_queue.h), so
        // nobody calls any more when the first call returns; the second gives the
        // reference back.
        unsafe {
            bindings::rd_kafka_queue_cb_event_enable(self.queue, None, std::ptr::null_mut());
            bindings::rd_kafka_queue_destroy(self.queue);
        }
        // Whoever polls finds no producer any more, and ends.
        self.come.notify_one();
    }
}

/// Called by librdkafka's threads when a queue that was empty no longer is.
unsafe extern "C" fn tell(_: *mut RDKafka, opaque: *mut c_void) {
    // SAFETY: see `Events::of`.
    let come = unsafe { &*opaque.cast_const().cast::<Notify>() };
    come.notify_one();
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use futures_util::future::join_all;

    use super::*;
    use crate::{
        kafka::{EmbeddedBroker, Producers},
        metadata::resolve,
    };

    const MANY: usize = 1000;

    #[tokio::test]
    async fn all_are_answered_and_nobody_polls_for_a_producer_that_is_gone() {
        let broker = EmbeddedBroker::start(["orders"]).expect("a broker");
        let address = broker.address().expect("an address");
        let given = [("brokers", address.as_str()), ("authType", "none")];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let resolved = resolve(&HashMap::from(given)).expect("it is right");
        let before = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        let producer = Producers::new(&resolved.settings, "todo-pubsub".into());
        let producer = producer.expect("a producer");
        let record = Outgoing {
            topic: "orders".into(),
            partition: None,
            key: None,
            value: Some("v".into()),
            headers: Vec::new(),
            timestamp: None,
        };
        let sent = (0..MANY).map(|_| {
            let mut record = record.clone();
            let producer = &producer;
            async move { producer.send(&mut record).await }
        });
        for answer in join_all(sent).await {
            answer.expect("acknowledged");
        }
        drop(producer);
        let gone = || async {
            let tasks = tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks();
            (tasks == before).then_some(())
        };
        let gone = harness::eventually("the polling ends", Duration::from_secs(20), gone);
        gone.await.expect("in time");
    }
}
