use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    error::KafkaError,
    producer::{BaseProducer, Producer as _},
};
use tokio::time::error::Elapsed;

use super::{
    Cause, Health, Kind, Unreachable,
    acked::{AckedProducer, Unsent},
    batch_limit::BatchSize,
    classify,
    context::{Context, Failures},
    logged_in::LoggedIn,
    oauth, reach,
    topic_limit::topic_limit,
};
use crate::{
    metadata::{Settings, librdkafka},
    model::Header,
    telemetry::events::MadeAnew,
};

/// A record to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The partition; `None` leaves it to the key.
    pub partition: Option<i32>,
    /// The key, if any; it decides the partition if none is given.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers.
    pub headers: Vec<Header>,
    /// Milliseconds since the Unix epoch; `None` is now.
    pub timestamp: Option<i64>,
}

impl Outgoing {
    /// The bytes of its key, its value and its headers: in a batch it has a few more.
    pub fn bytes(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter();
        let headers = headers.map(|header| header.name.len() + length(&header.value));
        length(&self.key) + length(&self.value) + headers.sum::<usize>()
    }
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

/// librdkafka did not take a record, which may have `largest` bytes.
pub(super) fn not_taken(outgoing: &Outgoing, error: KafkaError, largest: usize) -> SendError {
    let cause = Cause::from(error);
    if cause.kind == Kind::BatchTooLarge {
        return too_large(outgoing, largest);
    }
    SendError {
        cause,
        may_arrive: false,
    }
}

/// A record is over `maxMessageBytes`.
pub(super) fn too_large(outgoing: &Outgoing, largest: usize) -> SendError {
    let bytes = outgoing.bytes();
    SendError {
        cause: Cause {
            kind: Kind::TooLarge,
            text: format!(
                "the record is too large: it has {bytes} bytes with its key and headers, and \
                 maxMessageBytes is {largest}"
            ),
        },
        may_arrive: false,
    }
}

/// The end of `publishTimeout` that is kept for telling that the queue was full
/// all the time.
const TELL: Duration = Duration::from_millis(100);

/// The end of `publishTimeout`, or half of it if that is less, in which it is looked
/// why nothing was heard. The checks take up to 3 s where brokers are silent.
const LOOK: Duration = Duration::from_secs(4);

/// librdkafka reconnects and sends again within this.
const RECOVERY: Duration = Duration::from_secs(5);

/// A producer with batches of one size that is made anew when it is broken. Cheap to clone;
/// dropping the last clone waits for its threads, so that is for where waiting is allowed.
#[derive(Clone)]
pub(super) struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    batch: BatchSize,
    instance: Arc<str>,
    failures: Failures,
    /// Somebody looks already why nothing is heard.
    looking: AtomicBool,
    client: RwLock<Client>,
    health: Mutex<Health>,
}

/// One of librdkafka's producers; its number tells it from the one before.
#[derive(Clone)]
struct Client {
    inner: LoggedIn<Arc<AckedProducer>>,
    number: u64,
}

impl Producer {
    /// A producer for these settings. It connects in the background.
    pub(super) fn new(
        settings: &Settings,
        batch: BatchSize,
        instance: Arc<str>,
    ) -> Result<Self, Cause> {
        let failures = Failures::default();
        let inner = create(settings, batch, instance.clone(), failures.clone())?;
        Ok(Self {
            shared: Arc::new(Shared {
                settings: settings.clone(),
                batch,
                instance,
                failures,
                looking: AtomicBool::new(false),
                client: RwLock::new(Client { inner, number: 0 }),
                health: Mutex::new(Health::new(settings.stall_timeout)),
            }),
        })
    }

    /// Sends a record and waits for the broker's acknowledgement, within the
    /// setting `publishTimeout` from `begun` on. Its value is let go, unless the batch was too
    /// large that it was in.
    pub(super) async fn send(
        &self,
        outgoing: &mut Outgoing,
        begun: Instant,
    ) -> Result<(), SendError> {
        let client = self.client();
        let error = match self.send_by(&client, outgoing, begun).await {
            Ok(Ok(())) => {
                self.health().succeeded();
                self.let_go(client);
                return Ok(());
            }
            Ok(Err(unsent)) => self.unsent(outgoing, unsent),
            Err(_) => self.timed_out(begun),
        };
        Err(self.examine(client, error))
    }

    async fn send_by(
        &self,
        client: &Client,
        outgoing: &mut Outgoing,
        begun: Instant,
    ) -> Result<Result<(), Unsent>, Elapsed> {
        let timeout = self.shared.settings.publish_timeout;
        let sent = client
            .inner
            .send(outgoing, begun + timeout.saturating_sub(TELL));
        let until = begun + timeout;
        let mut sent = pin!(tokio::time::timeout_at(until.into(), sent));
        let quiet = begun + timeout.saturating_sub(LOOK.min(timeout / 2));
        if let Ok(sent) = tokio::time::timeout_at(quiet.into(), &mut sent).await {
            return sent;
        }
        self.look(begun);
        sent.await
    }

    fn unsent(&self, outgoing: &Outgoing, unsent: Unsent) -> SendError {
        match unsent {
            Unsent::Here(error) => {
                not_taken(outgoing, error, self.shared.settings.max_message_bytes)
            }
            Unsent::There(error) => Cause::from(error).into(),
        }
    }

    /// Looks why nothing is heard of a record that was sent at `begun`, unless that is
    /// known: librdkafka may be silent about a connection for a long time.
    fn look(&self, begun: Instant) {
        let shared = self.shared.clone();
        let login = &shared.settings.security.login;
        let known = shared.failures.since(begun).is_some() || oauth::hindrance(login).is_some();
        if known || shared.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        tokio::spawn(async move {
            if let Err(unreachable) = reach::looked_at(&shared.settings).await {
                shared.failures.note(&unreachable.to_string());
            }
            shared.looking.store(false, Ordering::Release);
        });
    }

    /// Nothing was heard of a record that was sent at `begun`; perhaps something was
    /// of the brokers.
    fn timed_out(&self, begun: Instant) -> SendError {
        let timeout = self.shared.settings.publish_timeout;
        let login = &self.shared.settings.security.login;
        let hindrance = || oauth::hindrance(login).map(|why| format!("meanwhile: {why}"));
        let failure = self.shared.failures.since(begun).or_else(hindrance);
        let failure = failure.map_or_else(String::new, |told| format!("; {told}"));
        SendError {
            cause: Cause {
                kind: Kind::Unreachable,
                text: format!("no acknowledgement within publishTimeout ({timeout:?}){failure}"),
            },
            may_arrive: true,
        }
    }

    /// How many records were sent and not acknowledged yet, at this moment.
    pub(super) fn in_flight(&self) -> i32 {
        self.client().inner.base().in_flight_count()
    }

    /// Looks whether a failed send means that the client is broken.
    fn examine(&self, client: Client, error: SendError) -> SendError {
        let now = Instant::now();
        if let Some((code, reason)) = client.inner.base().client().fatal_error() {
            let may_arrive = error.may_arrive;
            let cause = classify::fatal(code, &reason);
            if self.health().may_make_anew(now) {
                self.make_anew(client, cause.text.clone());
            } else {
                self.let_go(client);
            }
            return SendError { cause, may_arrive };
        }
        if error.cause.kind == Kind::Unreachable {
            let mut health = self.health();
            health.failed(now);
            if health.is_suspect(now) {
                // The next probe comes later, also if this one gets no answer.
                health.made_anew(now);
                drop(health);
                tokio::spawn(self.clone().probe(client));
            }
        } else if error.cause.kind.shows_a_broker() {
            self.health().succeeded();
        }
        error
    }

    /// Drops a client where waiting is allowed, if it was replaced: this may be its
    /// last handle.
    fn let_go(&self, client: Client) {
        let current = self.shared.client.read();
        if current.unwrap_or_else(PoisonError::into_inner).number != client.number {
            tokio::task::spawn_blocking(move || drop(client));
        }
    }

    /// Makes the client anew if a fresh one gets an answer: then it is the client
    /// that hangs, and not the brokers.
    async fn probe(self, client: Client) {
        if !reach::broker_answers(&self.shared.settings).await {
            return;
        }
        // Brokers that have just come back may need a moment.
        tokio::time::sleep(RECOVERY).await;
        if self.health().is_failing() {
            let patience = self.shared.settings.stall_timeout;
            let reason = format!(
                "nothing was acknowledged for {patience:?}, and a fresh connection gets an answer"
            );
            self.make_anew(client, reason);
        }
    }

    /// Replaces the client, unless that was done already.
    fn make_anew(&self, old: Client, reason: String) {
        let shared = self.shared.clone();
        // Librdkafka waits for its threads when a client is dropped.
        tokio::task::spawn_blocking(move || {
            let (settings, instance) = (&shared.settings, shared.instance.clone());
            match create(settings, shared.batch, instance, shared.failures.clone()) {
                Ok(inner) => {
                    let current = shared.client.write();
                    let mut current = current.unwrap_or_else(PoisonError::into_inner);
                    if current.number != old.number {
                        return;
                    }
                    let number = old.number + 1;
                    let replaced = std::mem::replace(&mut *current, Client { inner, number });
                    drop(current);
                    let mut health = shared.health.lock().unwrap_or_else(PoisonError::into_inner);
                    health.made_anew(Instant::now());
                    drop(health);
                    MadeAnew {
                        instance: &shared.instance,
                        client: "producer",
                        reason: &reason,
                    }
                    .emit();
                    drop((replaced, old));
                }
                Err(cause) => tracing::error!(
                    instance = %shared.instance,
                    "making the producer anew failed: {cause}"
                ),
            }
        });
    }

    /// Waits until a broker answers that can be used where it is advertised, and returns
    /// how many there are. What is wrong with some of them is logged.
    pub(super) async fn reach(&self, timeout: Duration) -> Result<usize, Unreachable> {
        self.asked().reach(timeout, self.ask()).await
    }

    /// Waits until a broker answers, and returns how many there are: cheaper than
    /// [`reach`](Self::reach) as long as one does.
    pub(super) async fn answers(&self, timeout: Duration) -> Result<usize, Unreachable> {
        self.asked().answers(timeout, self.ask()).await
    }

    fn asked(&self) -> reach::Client {
        reach::Client {
            settings: self.shared.settings.clone(),
            instance: self.shared.instance.clone(),
            failures: self.shared.failures.clone(),
        }
    }

    /// Asks the client itself how many brokers there are.
    fn ask(&self) -> impl FnOnce(Duration) -> Option<usize> + Send + 'static {
        let producer = self.client().inner;
        move |timeout| {
            let metadata = producer
                .base()
                .client()
                .fetch_metadata(None, timeout)
                .ok()?;
            Some(metadata.brokers().len())
        }
    }

    /// How many partitions a topic has, if brokers tell within that time and know it.
    pub(super) async fn partitions(&self, topic: &str, within: Duration) -> Option<usize> {
        let (producer, topic) = (self.client().inner, topic.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            let client = producer.base().client();
            let metadata = client.fetch_metadata(Some(&topic), within).ok()?;
            let found = metadata
                .topics()
                .iter()
                .find(|found| found.name() == topic)?;
            found.error().is_none().then(|| found.partitions().len())
        });
        asked.await.ok()?
    }

    /// A function that asks for a topic's limit, and blocks meanwhile.
    pub(super) fn ask_limit(
        &self,
        topic: &str,
        within: Duration,
    ) -> impl FnOnce() -> Result<usize, Cause> + Send + 'static {
        let (producer, topic) = (self.client().inner, topic.to_owned());
        move || {
            let client = producer.base().client().native_ptr();
            topic_limit(client, &topic, within)
        }
    }

    /// Waits until everything sent so far was acknowledged or failed.
    pub(super) async fn flush(&self, timeout: Duration) -> Result<(), Cause> {
        let producer = self.client().inner;
        tokio::task::spawn_blocking(move || producer.flush(timeout))
            .await
            .unwrap_or_else(|ended| Err(Cause::other(ended)))
    }

    fn client(&self) -> Client {
        let client = self.shared.client.read();
        client.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.shared
            .health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn create(
    settings: &Settings,
    batch: BatchSize,
    instance: Arc<str>,
    failures: Failures,
) -> Result<LoggedIn<Arc<AckedProducer>>, Cause> {
    let context = Context {
        instance,
        failures,
        signals: None,
        closing: AtomicBool::new(false),
    };
    let client: LoggedIn<BaseProducer<Context>> = super::create(
        settings,
        librdkafka::producer(settings, batch.bytes()),
        context,
    )?;
    Ok(client.acked())
}
