use std::time::Duration;

use super::{
    headers::Headers,
    security::{Login, Security},
};
use crate::model::Ordering;

/// A component's resolved settings. Every field is documented, with its default
/// and bounds, at its row in [`super::keys::all`].
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `brokers`: the bootstrap brokers, each `host:port`.
    pub brokers: Vec<String>,
    /// TLS and login: what `authType` and its keys mean together.
    pub security: Security,
    /// `consumerGroup`, else `consumerID`. daprd always sends one.
    pub consumer_group: Option<String>,
    /// `clientID`.
    pub client_id: String,
    /// Timeouts of connections and requests, and how often topics are looked at.
    pub network: Network,
    /// How the consumer group is a member, and fetches.
    pub group: Group,
    /// `producerRequiredAcks`.
    pub acks: Acks,
    /// `producerRetryMax`; `None` is as often as `publishTimeout` allows.
    pub max_retries: Option<u32>,
    /// `initialOffset`.
    pub initial_offset: InitialOffset,
    /// `isolationLevel`.
    pub isolation: Isolation,
    /// `maxMessageBytes`.
    pub max_message_bytes: usize,
    /// `compression`.
    pub compression: Compression,
    /// `escapeHeaders` and `excludeHeaderMetaRegex`.
    pub headers: Headers,
    /// `ordering`.
    pub ordering: Ordering,
    /// `maxInFlight`.
    pub max_in_flight: usize,
    /// `maxInFlightBytes`.
    pub max_in_flight_bytes: usize,
    /// `maxUncommitted`.
    pub max_uncommitted: usize,
    /// `publishTimeout`.
    pub publish_timeout: Duration,
    /// `topicCreation`.
    pub topic_creation: TopicCreation,
    /// `startWithoutBrokers`.
    pub start_without_brokers: bool,
    /// `idempotence`.
    pub idempotence: bool,
    /// `stallTimeout`.
    pub stall_timeout: Duration,
    /// `initTimeout`: how long Init tries to log in and to reach a broker.
    pub init_timeout: Duration,
    /// `rebalanceDrain`.
    pub rebalance_drain: Duration,
    /// `consumeRetry*` and `backOff*`.
    pub retry: Retry,
    /// `deadLetter*` and `maxDeliveryAttempts`.
    pub dead_letter: DeadLetter,
    /// `breaker*`.
    pub breaker: Breaker,
    /// `protectedTopics`.
    pub protected_topics: Vec<String>,
    /// The topics that `subscriptionScopes` names for any app.
    pub scoped_topics: Vec<String>,
}

/// Timeouts of connections and requests, and how often topics are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// `dialTimeout`.
    pub dial_timeout: Duration,
    /// `readTimeout`.
    pub read_timeout: Duration,
    /// `writeTimeout`.
    pub write_timeout: Duration,
    /// `clientConnectionTopicMetadataRefreshInterval`.
    pub metadata_refresh: Duration,
}

/// How the consumer group is a member, and fetches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// `sessionTimeout`.
    pub session_timeout: Duration,
    /// `heartbeatInterval`.
    pub heartbeat_interval: Duration,
    /// `consumerGroupRebalanceStrategy`.
    pub rebalance: Rebalance,
    /// `consumerFetchMin`, in bytes.
    pub fetch_min: usize,
    /// `consumerFetchDefault`, in bytes.
    pub fetch_default: usize,
}

/// How a group shares partitions out, when all its members know the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rebalance {
    /// Neighbouring partitions of each topic to one member.
    #[default]
    Range,
    /// All topics' partitions one by one over all members.
    RoundRobin,
}

/// Whose acknowledgement a publish waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// All in-sync replicas'.
    All,
    /// The partition leader's.
    Leader,
}

/// How often, and after which time, a refused record is tried again, as given;
/// [`Settings::policy`] makes a policy of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// `consumeRetryEnabled`.
    pub enabled: bool,
    /// `consumeRetryInterval`.
    pub interval: Option<Duration>,
    /// `backOff*`.
    pub back_off: BackOff,
}

/// `backOffPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackOffPolicy {
    /// Always the same wait.
    #[default]
    Constant,
    /// Longer waits each time.
    Exponential,
}

/// The `backOff*` keys that were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BackOff {
    /// `backOffPolicy`.
    pub policy: Option<BackOffPolicy>,
    /// `backOffDuration`.
    pub duration: Option<Duration>,
    /// `backOffInitialInterval`.
    pub initial_interval: Option<Duration>,
    /// `backOffMaxInterval`.
    pub max_interval: Option<Duration>,
    /// `backOffMultiplier`.
    pub multiplier: Option<f64>,
    /// `backOffRandomizationFactor`.
    pub randomization: Option<f64>,
    /// `backOffMaxElapsedTime`.
    pub max_elapsed: Option<Duration>,
    /// `backOffMaxRetries`; negative is no bound.
    pub max_retries: Option<i32>,
}

/// When a record is given up, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// `deadLetterTopic`, with `{topic}` as it was given.
    pub topic: Option<String>,
    /// `maxDeliveryAttempts`.
    pub max_attempts: Option<u32>,
    /// `maxBreaks`.
    pub max_breaks: Option<u32>,
    /// `deadLetterMinAge`.
    pub min_age: Option<Duration>,
    /// `deadLetterHeaders`.
    pub headers: DeadLetterHeaders,
}

/// Which headers dead letters carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterHeaders {
    /// Those of [`crate::model::dead_letter`].
    Kip1191,
    /// The same, and Spring's.
    Spring,
}

/// Which topics the component creates when they are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicCreation {
    /// None.
    Never,
    /// Dead-letter topics.
    DeadLetters,
    /// Those, and what is subscribed to.
    Subscribed,
}

impl TopicCreation {
    /// Whether a missing dead-letter topic is created.
    pub fn dead_letters(self) -> bool {
        self != Self::Never
    }

    /// Whether a missing topic that is subscribed to is created.
    pub fn subscribed(self) -> bool {
        self == Self::Subscribed
    }
}

/// When an app as a whole counts as failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// `breakerSequences`.
    pub sequences: usize,
    /// `breakerFailurePercent`.
    pub percent: usize,
    /// `breakerWindow`.
    pub window: Duration,
    /// `breakerProbeInterval`.
    pub probe_every: Duration,
}

/// Where a group starts in a partition that it never committed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialOffset {
    /// After the newest record.
    Newest,
    /// At the oldest record that is left.
    Oldest,
}

/// Which records of transactions a consumer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Those of committed ones, once they are committed.
    ReadCommitted,
    /// All, those of aborted ones too.
    ReadUncommitted,
}

impl Isolation {
    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read_committed",
            Self::ReadUncommitted => "read_uncommitted",
        }
    }
}

/// How the producer compresses batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the codecs' own")]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    /// Kafka's name of the codec.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl Settings {
    /// What the table's defaults are applied to; none of these values is one.
    pub(super) fn blank() -> Self {
        Self {
            brokers: Vec::new(),
            security: Security {
                tls: None,
                login: Login::None,
            },
            consumer_group: None,
            client_id: String::new(),
            network: Network::default(),
            group: Group::default(),
            acks: Acks::All,
            max_retries: None,
            initial_offset: InitialOffset::Newest,
            isolation: Isolation::ReadUncommitted,
            max_message_bytes: 0,
            compression: Compression::None,
            headers: Headers::default(),
            ordering: Ordering::Key,
            max_in_flight: 0,
            max_in_flight_bytes: 0,
            max_uncommitted: 0,
            publish_timeout: Duration::ZERO,
            topic_creation: TopicCreation::Never,
            start_without_brokers: false,
            idempotence: true,
            stall_timeout: Duration::ZERO,
            init_timeout: Duration::ZERO,
            rebalance_drain: Duration::ZERO,
            retry: Retry {
                enabled: true,
                interval: None,
                back_off: BackOff::default(),
            },
            dead_letter: DeadLetter {
                topic: None,
                max_attempts: None,
                max_breaks: None,
                min_age: None,
                headers: DeadLetterHeaders::Kip1191,
            },
            breaker: Breaker {
                sequences: 0,
                percent: 0,
                window: Duration::ZERO,
                probe_every: Duration::ZERO,
            },
            protected_topics: Vec::new(),
            scoped_topics: Vec::new(),
        }
    }
}
