//! From settings to librdkafka's configuration, as pairs of name and value.
//!
//! Names and meanings: librdkafka v2.12.1, `CONFIGURATION.md`.

use std::time::Duration;

use super::{
    Acks, Rebalance, Settings,
    security::{Login, Security},
};

/// How long a publish to a topic that the cluster does not know waits for it to
/// appear, or half of `publishTimeout` if that is less: the error that names the
/// topic must come before the one that only knows that time is up.
const UNKNOWN_TOPIC_WAIT: Duration = Duration::from_secs(5);

/// librdkafka's own default.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(300);

/// What is left for the last commit after a drain.
const DRAIN_MARGIN: Duration = Duration::from_secs(60);

/// Added partitions are found within seconds, however seldom the producer looks.
const CONSUMER_REFRESH: Duration = Duration::from_secs(10);

/// A configuration: librdkafka's names and values. It holds secrets, so it can't be
/// printed.
pub struct Pairs(Vec<(&'static str, String)>);

impl Pairs {
    /// Adds one; of two with the same name the later counts.
    pub fn push(&mut self, pair: (&'static str, String)) {
        self.0.push(pair);
    }
}

impl Extend<(&'static str, String)> for Pairs {
    fn extend<T: IntoIterator<Item = (&'static str, String)>>(&mut self, pairs: T) {
        self.0.extend(pairs);
    }
}

impl IntoIterator for Pairs {
    type Item = (&'static str, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// Stands for the system's certificate authorities until a client is made: only
/// then it is looked where they are.
pub const SYSTEMS_AUTHORITIES: (&str, &str) = ("ssl.ca.location", "probe");

/// For every client.
fn common(settings: &Settings) -> Pairs {
    let network = &settings.network;
    let mut pairs = security(&settings.security);
    pairs.extend([
        ("bootstrap.servers", settings.brokers.join(",")),
        ("client.id", settings.client_id.clone()),
        (
            "socket.connection.setup.timeout.ms",
            millis(network.dial_timeout),
        ),
        // The built-in times sending and waiting for the answer each, librdkafka both
        // together.
        (
            "socket.timeout.ms",
            millis(network.write_timeout + network.read_timeout),
        ),
        ("socket.keepalive.enable", "true".into()),
        // 2 s at most instead of 10: a broker that is back is used at once (I6).
        ("reconnect.backoff.max.ms", "2000".into()),
        // Idle connections are closed by brokers all the time.
        ("log.connection.close", "false".into()),
    ]);
    pairs
}

/// TLS and login.
fn security(Security { tls, login }: &Security) -> Pairs {
    let protocol = match (tls, login) {
        (None, Login::None) => "plaintext",
        (None, _) => "sasl_plaintext",
        (Some(_), Login::None) => "ssl",
        (Some(_), _) => "sasl_ssl",
    };
    let mut pairs = Pairs(vec![("security.protocol", protocol.to_owned())]);
    if let Some(tls) = tls {
        pairs.push(match &tls.ca {
            Some(ca) => ("ssl.ca.pem", ca.clone()),
            None => (SYSTEMS_AUTHORITIES.0, SYSTEMS_AUTHORITIES.1.into()),
        });
        if let Some(client) = &tls.client {
            pairs.push(("ssl.certificate.pem", client.certificate.clone()));
            pairs.push(("ssl.key.pem", client.key.expose_secret().clone()));
        }
        if tls.skip_verify {
            pairs.push(("enable.ssl.certificate.verification", "false".into()));
        }
    }
    match login {
        Login::None => {}
        Login::Password(user) => pairs.extend([
            ("sasl.mechanisms", user.mechanism.name().into()),
            ("sasl.username", user.username.expose_secret().clone()),
            ("sasl.password", user.password.expose_secret().clone()),
        ]),
        Login::Oidc(_) | Login::Aws(_) => pairs.push(("sasl.mechanisms", "OAUTHBEARER".into())),
    }
    pairs
}

/// For a client that neither produces nor consumes, such as one for administration.
pub fn client(settings: &Settings) -> Pairs {
    common(settings)
}

/// For a producer with batches of so many bytes.
pub fn producer(settings: &Settings, batch: usize) -> Pairs {
    let timeout = settings.publish_timeout;
    // Room for a few of the largest records, and never less than 64 MiB.
    let queue_kbytes = (settings.max_message_bytes / 1024 * 4).max(64 * 1024);
    let mut pairs = common(settings);
    // librdkafka refuses it with fewer acknowledgements.
    let idempotence = settings.idempotence && settings.acks == Acks::All;
    if !idempotence {
        // More at a time, and a retry would overtake what came after.
        pairs.push(("max.in.flight.requests.per.connection", "1".into()));
    }
    if let Some(retries) = settings.max_retries {
        pairs.push(("message.send.max.retries", retries.to_string()));
    }
    let acks = match settings.acks {
        Acks::All => "all",
        Acks::Leader => "1",
    };
    pairs.extend([
        // No duplicates and no reordering by the client's own retries.
        ("enable.idempotence", idempotence.to_string()),
        ("acks", acks.into()),
        (
            "topic.metadata.refresh.interval.ms",
            millis(settings.network.metadata_refresh),
        ),
        // The hash of the built-in's client, or every key would move to another
        // partition; spread records without a key as it does.
        ("partitioner", "fnv1a_random".into()),
        ("sticky.partitioning.linger.ms", "0".into()),
        // Each Publish waits for its acknowledgement: waiting for company first
        // only adds latency.
        ("linger.ms", "0".into()),
        ("batch.size", batch.to_string()),
        ("compression.type", settings.compression.name().into()),
        ("message.max.bytes", settings.max_message_bytes.to_string()),
        // A little longer, so that the error is ours, which knows more.
        (
            "message.timeout.ms",
            millis(timeout + Duration::from_secs(1)),
        ),
        ("queue.buffering.max.kbytes", queue_kbytes.to_string()),
        (
            "topic.metadata.propagation.max.ms",
            millis((timeout / 2).min(UNKNOWN_TOPIC_WAIT)),
        ),
    ]);
    pairs
}

/// The most that one fetch from a broker brings of all partitions together, as it is stored; a
/// partition may have more, if `consumerFetchDefault` says so. librdkafka inflates a whole answer
/// at once, however large that becomes.
const FETCH_MAX: usize = 512 * 1024;

/// librdkafka refuses a `fetch.max.bytes` below its `message.max.bytes`, which bounds nothing
/// else in a consumer (librdkafka 2.12, CONFIGURATION.md).
const MESSAGE_MAX: usize = 64 * 1024;

/// A partition is fetched again when fewer records are queued: enough to bridge the way to a
/// broker and back, some 10,000 records a second where that takes 50 ms.
const QUEUED_MIN: usize = 500;

/// For the consumer of a group.
pub fn consumer(settings: &Settings, group: &str) -> Pairs {
    // librdkafka's queue bounds count per partition, and what comes in one answer is
    // added to them. With a 256th of the budget (256 KiB by default) 36 partitions with a
    // backlog stay within a pod's 128 MiB; with a 16th they took 273. It is enough to
    // bridge the way to a broker and back: the engine's window is what bounds the whole.
    let queue_kbytes = (settings.max_in_flight_bytes / 1024 / 256).max(64);
    let member = &settings.group;
    let fetch_max = FETCH_MAX.max(member.fetch_default);
    let strategies = match member.rebalance {
        // The built-in joins with one: with both, a group can hold both components.
        Rebalance::Range => "range,roundrobin",
        Rebalance::RoundRobin => "roundrobin,range",
    };
    let mut pairs = common(settings);
    pairs.extend([
        ("group.id", group.to_owned()),
        // The engine alone decides what is finished.
        ("enable.auto.commit", "false".into()),
        ("enable.auto.offset.store", "false".into()),
        // Start positions are ours; out of range is an error that we answer.
        ("auto.offset.reset", "error".into()),
        ("isolation.level", settings.isolation.name().into()),
        ("partition.assignment.strategy", strategies.into()),
        ("session.timeout.ms", millis(member.session_timeout)),
        ("heartbeat.interval.ms", millis(member.heartbeat_interval)),
        // librdkafka wants it no shorter than the session. It is how long the group waits for a
        // member that gives partitions back.
        (
            "max.poll.interval.ms",
            millis(
                (settings.rebalance_drain + DRAIN_MARGIN)
                    .max(member.session_timeout)
                    .max(MAX_POLL_INTERVAL),
            ),
        ),
        ("fetch.min.bytes", member.fetch_min.to_string()),
        (
            "max.partition.fetch.bytes",
            member.fetch_default.to_string(),
        ),
        ("fetch.max.bytes", fetch_max.to_string()),
        ("message.max.bytes", MESSAGE_MAX.to_string()),
        (
            "topic.metadata.refresh.interval.ms",
            millis(settings.network.metadata_refresh.min(CONSUMER_REFRESH)),
        ),
        ("queued.max.messages.kbytes", queue_kbytes.to_string()),
        ("queued.min.messages", QUEUED_MIN.to_string()),
        ("fetch.queue.backoff.ms", "10".into()),
    ]);
    pairs
}

/// For reading a topic without joining a group. The group's name is for what is
/// committed by hand.
pub fn browser(settings: &Settings, group: &str) -> Pairs {
    let mut pairs = common(settings);
    pairs.extend([
        ("group.id", group.to_owned()),
        ("enable.auto.commit", "false".into()),
        ("enable.auto.offset.store", "false".into()),
        // What an aborted transaction wrote was never there.
        ("isolation.level", "read_committed".into()),
        // The last offsets may be markers of transactions, for which no record
        // comes.
        ("enable.partition.eof", "true".into()),
        // Retention may remove records between asking for the ends and reading.
        ("auto.offset.reset", "earliest".into()),
        // Per partition; dead letters are looked at by one command at a time.
        ("queued.max.messages.kbytes", "8192".into()),
        ("fetch.queue.backoff.ms", "10".into()),
    ]);
    pairs
}

/// For a member of a group whose only partition is a lock.
pub fn exclusive(settings: &Settings, group: &str) -> Pairs {
    let member = &settings.group;
    let mut pairs = common(settings);
    pairs.extend([
        ("group.id", group.to_owned()),
        ("enable.auto.commit", "false".into()),
        ("enable.auto.offset.store", "false".into()),
        // A member that joins must not take the partition from the one that has it.
        ("partition.assignment.strategy", "cooperative-sticky".into()),
        ("session.timeout.ms", millis(member.session_timeout)),
        ("heartbeat.interval.ms", millis(member.heartbeat_interval)),
        // librdkafka wants it no shorter than the session.
        (
            "max.poll.interval.ms",
            millis(member.session_timeout.max(MAX_POLL_INTERVAL)),
        ),
        // The topic may have been created a moment ago.
        ("topic.metadata.refresh.interval.ms", "1000".into()),
        // The topic's records are of no interest.
        ("auto.offset.reset", "latest".into()),
    ]);
    pairs
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::metadata::resolve;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let required = [("brokers", "a:9092"), ("authType", "none")];
        let all = required.iter().chain(pairs);
        let all = all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        resolve(&all.collect()).expect("it is right").settings
    }

    /// What counts: of two pairs with one name the later.
    fn map(pairs: Pairs) -> HashMap<&'static str, String> {
        pairs.into_iter().collect()
    }

    #[test]
    fn the_consumers_keys_reach_librdkafka_in_its_units() {
        let settings = settings(&[
            ("sessionTimeout", "10m"),
            ("rebalanceDrain", "20m"),
            ("heartbeatInterval", "1500ms"),
            ("consumerFetchMin", "4"),
            ("consumerFetchDefault", "16777216"),
            ("consumerGroupRebalanceStrategy", "RoundRobin"),
            ("clientConnectionTopicMetadataRefreshInterval", "4"),
            ("dialTimeout", "2s"),
            ("readTimeout", "5s"),
            ("writeTimeout", "10"),
        ]);
        let pairs = map(consumer(&settings, "g"));
        for (name, value) in [
            ("session.timeout.ms", "600000"),
            ("max.poll.interval.ms", "1260000"),
            ("heartbeat.interval.ms", "1500"),
            ("fetch.min.bytes", "4"),
            ("max.partition.fetch.bytes", "16777216"),
            ("fetch.max.bytes", "16777216"),
            ("partition.assignment.strategy", "roundrobin,range"),
            ("topic.metadata.refresh.interval.ms", "4000"),
            ("socket.connection.setup.timeout.ms", "2000"),
            ("socket.timeout.ms", "15000"),
        ] {
            assert_eq!(pairs[name], value, "{name}");
        }
    }

    #[test]
    fn the_producers_keys_reach_librdkafka() {
        let pairs = map(producer(&settings(&[]), 64_000));
        assert_eq!(pairs["acks"], "all");
        assert_eq!(pairs["enable.idempotence"], "true");
        assert_eq!(pairs["batch.size"], "64000");
        assert!(!pairs.contains_key("message.send.max.retries"));
        let local = [("producerRequiredAcks", "local"), ("producerRetryMax", "3")];
        let pairs = map(producer(&settings(&local), 64_000));
        for (name, value) in [
            ("acks", "1"),
            ("enable.idempotence", "false"),
            ("max.in.flight.requests.per.connection", "1"),
            ("message.send.max.retries", "3"),
            ("topic.metadata.refresh.interval.ms", "480000"),
        ] {
            assert_eq!(pairs[name], value, "{name}");
        }
    }
}
