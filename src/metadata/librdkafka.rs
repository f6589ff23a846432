//! From settings to librdkafka's configuration, as pairs of name and value.
//!
//! Names and meanings: librdkafka v2.12.1, `CONFIGURATION.md`.

use std::time::Duration;

use super::{
    Settings,
    security::{Login, Security},
};

/// How long a publish to a topic that the cluster does not know waits for it to
/// appear, or half of `publishTimeout` if that is less: the error that names the
/// topic must come before the one that only knows that time is up.
const UNKNOWN_TOPIC_WAIT: Duration = Duration::from_secs(5);

/// A configuration: librdkafka's names and values.
pub type Pairs = Vec<(&'static str, String)>;

/// Stands for the system's certificate authorities until a client is made: only
/// then it is looked where they are.
pub const SYSTEMS_AUTHORITIES: (&str, &str) = ("ssl.ca.location", "probe");

/// For every client.
fn common(settings: &Settings) -> Pairs {
    let mut pairs = security(&settings.security);
    pairs.extend([
        ("bootstrap.servers", settings.brokers.join(",")),
        ("client.id", settings.client_id.clone()),
        // Short, so that Init learns within its 4 s that a broker is silent.
        ("socket.connection.setup.timeout.ms", "3000".into()),
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
    let mut pairs = vec![("security.protocol", protocol.to_owned())];
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

/// For the producer.
pub fn producer(settings: &Settings) -> Pairs {
    let timeout = settings.publish_timeout;
    // Room for a few of the largest records, and never less than 64 MiB.
    let queue_kbytes = (settings.max_message_bytes / 1024 * 4).max(64 * 1024);
    let mut pairs = common(settings);
    if !settings.idempotence {
        // More at a time, and a retry would overtake what came after.
        pairs.push(("max.in.flight.requests.per.connection", "1".into()));
    }
    pairs.extend([
        // No duplicates and no reordering by the client's own retries.
        ("enable.idempotence", settings.idempotence.to_string()),
        // The built-in's default.
        ("acks", "all".into()),
        // The hash of the built-in's client, or every key would move to another
        // partition; spread records without a key as it does.
        ("partitioner", "fnv1a_random".into()),
        ("sticky.partitioning.linger.ms", "0".into()),
        // Each Publish waits for its acknowledgement: waiting for company first
        // only adds latency.
        ("linger.ms", "0".into()),
        ("compression.type", settings.compression.name().into()),
        ("message.max.bytes", settings.max_message_bytes.to_string()),
        // A little longer, so that the error is ours, which knows more.
        (
            "message.timeout.ms",
            (timeout + Duration::from_secs(1)).as_millis().to_string(),
        ),
        ("queue.buffering.max.kbytes", queue_kbytes.to_string()),
        (
            "topic.metadata.propagation.max.ms",
            (timeout / 2)
                .min(UNKNOWN_TOPIC_WAIT)
                .as_millis()
                .to_string(),
        ),
    ]);
    pairs
}

/// For the consumer of a group.
pub fn consumer(settings: &Settings, group: &str) -> Pairs {
    // librdkafka's queue bounds count per partition. A sixteenth of the budget
    // each: the engine's window is what bounds the whole.
    let queue_kbytes = (settings.max_in_flight_bytes / 1024 / 16).max(1024);
    let mut pairs = common(settings);
    pairs.extend([
        ("group.id", group.to_owned()),
        // The engine alone decides what is finished.
        ("enable.auto.commit", "false".into()),
        ("enable.auto.offset.store", "false".into()),
        // Start positions are ours; out of range is an error that we answer.
        ("auto.offset.reset", "error".into()),
        // The built-in joins with range: so a group can hold both.
        ("partition.assignment.strategy", "range,roundrobin".into()),
        ("session.timeout.ms", "10000".into()),
        ("heartbeat.interval.ms", "3000".into()),
        // Added partitions are found within seconds.
        ("topic.metadata.refresh.interval.ms", "10000".into()),
        ("queued.max.messages.kbytes", queue_kbytes.to_string()),
        ("queued.min.messages", "1000".into()),
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
