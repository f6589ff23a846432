//! Whether a broker answers, and if none does, why not each of them.

use std::{
    collections::BTreeMap,
    fmt,
    future::pending,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{BaseProducer, Producer as _, ProducerContext},
};
use tokio::task::JoinSet;

use super::{
    connection::{self, Weight},
    logged_in::LoggedIn,
    oauth,
};
use crate::{
    doctor::handshake,
    metadata::{Settings, librdkafka},
};

/// How long the producer may look for a broker alone. librdkafka tries bootstrap
/// brokers one after the other; a cluster that is well answers far sooner.
const HEAD_START: Duration = Duration::from_millis(500);

/// How long a fresh client may take to get an answer.
const PROBE: Duration = Duration::from_secs(3);

/// The end of a probe's time, kept for hearing what went wrong.
const LISTEN: Duration = Duration::from_millis(200);

/// How much longer a verdict is waited for: a busy machine may tell it late.
const GRACE: Duration = Duration::from_secs(1);

/// The verdict on a broker of which nothing at all was heard.
const NO_ANSWER: &str = "no answer, and no failure either: DNS may not answer, or the broker is \
                         too slow";

/// A tenth of a second, in nanoseconds.
const TENTH: u32 = 100_000_000;

/// No bootstrap broker answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Unreachable {
    /// How long they were tried, in tenths of a second: less than there was if
    /// trying on would have been of no use.
    pub waited: Duration,
    /// Each broker and what happened there.
    pub brokers: BTreeMap<String, String>,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no broker answered within {:?}:", self.waited)?;
        for (broker, said) in &self.brokers {
            write!(f, " [{broker}: {said}]")?;
        }
        write!(
            f,
            " (check the component's `brokers`; `startWithoutBrokers: \"true\"` starts anyway)"
        )
    }
}

/// Waits until `ask` says how many brokers there are. If that takes long, each
/// bootstrap broker is tried for itself beside it, so that each has its own verdict.
pub(super) async fn reach(
    settings: &Settings,
    timeout: Duration,
    ask: impl FnOnce(Duration) -> Option<usize> + Send + 'static,
) -> Result<usize, Unreachable> {
    let begun = Instant::now();
    let end = begun + timeout;
    let asked = tokio::task::spawn_blocking(move || ask(timeout));
    let mut answer = pin!(async {
        match asked.await {
            Ok(Some(brokers)) => return brokers,
            // Why there is no answer is told broker by broker.
            Ok(None) => {}
            Err(ended) => tracing::error!("asking the brokers ended early: {ended}"),
        }
        pending().await
    });
    if let Ok(brokers) = tokio::time::timeout(HEAD_START, &mut answer).await {
        return Ok(brokers);
    }
    let probed = tokio::select! {
        brokers = answer => return Ok(brokers),
        probed = probe_each(settings, end) => probed,
    };
    probed.map_err(|brokers| {
        let elapsed = begun.elapsed();
        let rest = Duration::from_nanos(u64::from(elapsed.subsec_nanos() % TENTH));
        let waited = elapsed.saturating_sub(rest);
        Unreachable { waited, brokers }
    })
}

/// Whether a broker answers a fresh client.
pub async fn broker_answers(settings: &Settings) -> bool {
    probe_each(settings, Instant::now() + PROBE).await.is_ok()
}

/// Tries each bootstrap broker for itself until `end`, or a little longer.
async fn probe_each(settings: &Settings, end: Instant) -> Result<usize, BTreeMap<String, String>> {
    each(&settings.brokers, end + GRACE, |broker| {
        let alone = Settings {
            brokers: vec![broker.to_owned()],
            ..settings.clone()
        };
        move || probe(&alone, end)
    })
    .await
}

/// Runs each broker's probe in a thread of its own, until one has an answer, or each
/// a verdict. What is still running when it is `late` is left to itself: a probe can
/// hang where nothing bounds it.
async fn each<P>(
    brokers: &[String],
    late: Instant,
    probe: impl Fn(&str) -> P,
) -> Result<usize, BTreeMap<String, String>>
where
    P: FnOnce() -> Result<usize, String> + Send + 'static,
{
    let mut probes = JoinSet::new();
    for broker in brokers {
        let (broker, probe) = (broker.clone(), probe(broker));
        probes.spawn_blocking(move || probe().map_err(|said| (broker, said)));
    }
    let mut verdicts = BTreeMap::new();
    while let Ok(Some(probed)) = tokio::time::timeout_at(late.into(), probes.join_next()).await {
        match probed {
            Ok(Ok(count)) => return Ok(count),
            Ok(Err((broker, said))) => drop(verdicts.insert(broker, said)),
            Err(ended) => tracing::error!("a broker's probe ended early: {ended}"),
        }
    }
    for broker in brokers {
        let verdict = verdicts.entry(broker.clone());
        verdict.or_insert_with(|| NO_ANSWER.to_owned());
    }
    Err(verdicts)
}

/// Tries one broker until `end`: how many brokers it knows, or what happened.
fn probe(alone: &Settings, end: Instant) -> Result<usize, String> {
    let said = Said::default();
    let mut pairs = librdkafka::producer(alone);
    // Half of the time, since librdkafka looks at this once a second, and a
    // silent broker's verdict must come before the end.
    let setup = end.saturating_duration_since(Instant::now()).as_millis() / 2;
    pairs.extend([
        (
            "socket.connection.setup.timeout.ms",
            setup.max(1000).to_string(),
        ),
        // Here a connection that is closed is no idle one.
        ("log.connection.close", "true".into()),
    ]);
    let client: LoggedIn<BaseProducer<Said>> = match super::create(alone, pairs, said.clone()) {
        Ok(client) => client,
        Err(cause) => return Err(cause.text),
    };
    let answer = ask(&client, &said, end);
    // It waits for its threads, and one may sit in a look-up of a name, which nothing
    // ends. If there is no thread to be had, it waits here.
    let ending = std::thread::Builder::new().name("probe's end".into());
    drop(ending.spawn(move || drop(client)));
    answer.ok_or_else(|| match said.failure() {
        Some(failure) => verdict(alone, &failure, end),
        None => oauth::hindrance(&alone.security.login).unwrap_or_else(|| NO_ANSWER.into()),
    })
}

/// How many brokers a fresh client hears of.
fn ask(client: &BaseProducer<Said>, said: &Said, end: Instant) -> Option<usize> {
    // Twice: what will not change needs no second try, and what would, as when a
    // broker is just starting, gets one.
    for part in [2, 1] {
        let left = end.saturating_duration_since(Instant::now() + LISTEN) / part;
        if let Ok(metadata) = client.client().fetch_metadata(None, left) {
            return Some(metadata.brokers().len());
        }
        if listen(client, said) {
            break;
        }
    }
    None
}

/// Hears what a client says of its connection: whether that lasts. It waits in a
/// queue, behind its log, until it is polled for.
fn listen(client: &BaseProducer<Said>, said: &Said) -> bool {
    let end = Instant::now() + LISTEN;
    while Instant::now() < end && !said.is_lasting() {
        client.poll(Duration::from_millis(1));
    }
    said.is_lasting()
}

/// What happened, and what to change.
fn verdict(alone: &Settings, reason: &str, end: Instant) -> String {
    let broker = alone.brokers.join(",");
    let tls = alone.security.tls.as_ref();
    let objections = tls
        .filter(|_| connection::is_certificate(reason))
        .and_then(|tls| handshake::objections(tls, &broker, end));
    match objections {
        Some(objections) => format!("TLS: {objections}"),
        None => connection::words(reason, &alone.security),
    }
}

/// Keeps the failure of the one broker's connection that says most, and of equal ones
/// the last: a name can have several addresses, and each fails in its own way.
/// librdkafka logs every failure, but makes an error event of few.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Option<String>>>);

impl Said {
    fn failure(&self) -> Option<String> {
        self.kept().clone()
    }

    fn is_lasting(&self) -> bool {
        let kept = self.kept();
        let weight = kept.as_deref().map(connection::weight);
        weight == Some(Weight::Lasting)
    }

    fn kept(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Said {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(target: "librdkafka", "probe: {facility} {line}");
        let Some(failure) = connection::failure(facility, line) else {
            return;
        };
        let mut kept = self.kept();
        let weight = kept.as_deref().map(connection::weight);
        if Some(connection::weight(failure)) >= weight {
            *kept = Some(failure.to_owned());
        }
    }

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Said {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::producer::DeliveryResult<'_>, (): ()) {}
}

#[cfg(test)]
mod tests;
