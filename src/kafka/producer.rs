use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::{
    Cause, Kind, Unreachable,
    context::{Context, Failures},
    convert, reach,
};
use crate::{
    metadata::{Settings, librdkafka},
    model::Header,
};

/// A record to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The key, if any; it decides the partition.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Bytes,
    /// The headers.
    pub headers: Vec<Header>,
}

/// A record was not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{cause}{}", if *.may_arrive { "; the record may still arrive" } else { "; the record was not written" })]
pub struct SendError {
    /// Why.
    pub cause: Cause,
    /// Whether the record may be on the broker, or get there yet.
    pub may_arrive: bool,
}

impl From<Cause> for SendError {
    fn from(cause: Cause) -> Self {
        // A broker's refusal is certain; a lost connection or a timeout is not.
        let may_arrive = matches!(cause.kind, Kind::Unreachable | Kind::Other);
        Self { cause, may_arrive }
    }
}

/// The end of `publishTimeout` that is kept for telling that the queue was full
/// all the time.
const TELL: Duration = Duration::from_millis(100);

/// An idempotent producer. Cheap to clone; dropping the last clone waits for its
/// threads, so that is for where waiting is allowed.
#[derive(Clone)]
pub struct Producer {
    inner: FutureProducer<Context>,
    settings: Settings,
    failures: Failures,
}

impl Producer {
    /// A producer for these settings. It connects in the background.
    pub fn new(settings: &Settings, instance: Arc<str>) -> Result<Self, Cause> {
        let failures = Failures::default();
        let context = Context {
            instance,
            failures: failures.clone(),
            signals: None,
            closing: AtomicBool::new(false),
        };
        Ok(Self {
            inner: super::create(librdkafka::producer(settings), context)?,
            settings: settings.clone(),
            failures,
        })
    }

    /// Sends a record and waits for the broker's acknowledgement, within the
    /// setting `publishTimeout`.
    pub async fn send(&self, outgoing: &Outgoing) -> Result<(), SendError> {
        let (begun, timeout) = (Instant::now(), self.settings.publish_timeout);
        let mut record = FutureRecord::to(&outgoing.topic)
            .payload(outgoing.value.as_ref())
            .headers(convert::owned_headers(&outgoing.headers));
        if let Some(key) = &outgoing.key {
            record = record.key(key.as_ref());
        }
        let sent = self
            .inner
            .send::<[u8], [u8], _>(record, timeout.saturating_sub(TELL));
        match tokio::time::timeout(timeout, sent).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => Err(SendError::from(Cause::from(error))),
            Err(_) => Err(self.timed_out(begun)),
        }
    }

    /// Nothing was heard of a record that was sent at `begun`; perhaps something was
    /// of the brokers.
    fn timed_out(&self, begun: Instant) -> SendError {
        let timeout = self.settings.publish_timeout;
        let since = match self.failures.since(begun) {
            Some(failure) => format!("; meanwhile: {failure}"),
            None => String::new(),
        };
        SendError {
            cause: Cause {
                kind: Kind::Unreachable,
                text: format!("no acknowledgement within publishTimeout ({timeout:?}){since}"),
            },
            may_arrive: true,
        }
    }

    /// Waits until one broker answers, and returns how many there are. An error
    /// names each bootstrap broker and what happened there.
    pub async fn reach(&self, timeout: Duration) -> Result<usize, Unreachable> {
        let producer = self.inner.clone();
        reach::reach(&self.settings, timeout, move |timeout| {
            let metadata = producer.client().fetch_metadata(None, timeout).ok()?;
            Some(metadata.brokers().len())
        })
        .await
    }

    /// Waits until everything sent so far was acknowledged or failed.
    pub async fn flush(&self, timeout: Duration) -> Result<(), Cause> {
        let producer = self.inner.clone();
        tokio::task::spawn_blocking(move || producer.flush(timeout).map_err(Cause::from))
            .await
            .unwrap_or_else(|ended| Err(Cause::other(ended)))
    }
}
