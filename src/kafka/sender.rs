use std::sync::{Arc, atomic::AtomicBool};

use rdkafka::producer::{DeliveryFuture, FutureProducer};

use super::{
    Cause, SendError,
    batch_limit::BatchSize,
    classify::Kind,
    context::{Context, Failures},
    convert,
    logged_in::LoggedIn,
    producer::Outgoing,
    producers::over_limit,
};
use crate::{
    metadata::{Settings, librdkafka},
    model::Offset,
};

/// An idempotent producer for many records in a row: each is confirmed, and those of
/// one partition keep their order, without waiting for each.
pub struct Sender {
    inner: LoggedIn<FutureProducer<Context>>,
}

/// Where the broker has put a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The partition of its topic.
    pub partition: i32,
    /// Its offset there.
    pub offset: Offset,
}

/// The answer to a record that is on its way.
pub struct Confirmation {
    sent: DeliveryFuture,
    bytes: usize,
}

impl Sender {
    /// A sender for these settings. It connects in the background.
    pub fn new(settings: &Settings, instance: Arc<str>) -> Result<Self, Cause> {
        let context = Context {
            instance,
            failures: Failures::default(),
            signals: None,
            closing: AtomicBool::new(false),
        };
        // The broker's limit counts for a record that stands on it already, not the
        // component's for Publish.
        let settings = super::of_any_size(settings);
        // A refused batch could not be sent again without changing the order of its keys.
        let pairs = librdkafka::producer(&settings, BatchSize::Single.bytes());
        let inner = super::create(&settings, pairs, context)?;
        Ok(Self { inner })
    }

    /// Puts a record behind those that were sent before. How many are on their way at
    /// once is for the caller to bound.
    ///
    /// # Errors
    /// When it can't be sent at all.
    pub fn send(&self, outgoing: &Outgoing) -> Result<Confirmation, SendError> {
        let record = convert::future_record(outgoing);
        match self.inner.send_result::<[u8], [u8]>(record) {
            Ok(sent) => Ok(Confirmation {
                sent,
                bytes: outgoing.bytes(),
            }),
            Err((error, _)) => Err(SendError {
                cause: error.into(),
                may_arrive: false,
            }),
        }
    }
}

impl Confirmation {
    /// Waits for the broker's acknowledgement, at most a second longer than the setting
    /// `publishTimeout`. Nothing is lost if the future is dropped.
    pub async fn confirmed(&mut self) -> Result<Placed, SendError> {
        let error = match (&mut self.sent).await {
            Ok(Ok(delivery)) => {
                return Ok(Placed {
                    partition: delivery.partition,
                    offset: Offset(delivery.offset),
                });
            }
            Ok(Err((error, _))) => SendError::from(Cause::from(error)),
            Err(_) => SendError::from(Cause::other("the producer is gone")),
        };
        // Each record is a batch of its own.
        Err(match error.cause.kind {
            Kind::BatchTooLarge => over_limit(self.bytes, None),
            _ => error,
        })
    }
}
