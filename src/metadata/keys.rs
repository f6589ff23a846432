//! The table of metadata keys.
//!
//! Names, meanings and defaults of the built-in component's keys come from
//! dapr/components-contrib v1.16.5, `common/component/kafka/metadata.go`; where
//! that code and `pubsub/kafka/metadata.yaml` differ, the code counts.

use std::time::Duration;

use super::{Compression, InitialOffset, Settings, parse};
use crate::model::Ordering;

/// One metadata key.
#[derive(Debug)]
pub struct Key {
    /// The name; matched without regard to case.
    pub name: &'static str,
    /// The default, as one would write it.
    pub default: Option<&'static str>,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// What it means: unit, bounds, and why the default is what it is.
    pub doc: &'static str,
    /// What is done with it.
    pub support: Support,
}

/// What is done with a key.
#[derive(Debug)]
pub enum Support {
    /// It sets something; the function says what was expected if it can't.
    Honoured(fn(&str, &mut Settings) -> Result<(), String>),
    /// It is accepted and changes nothing, for the reason in the key's doc.
    Inert,
    /// daprd itself acts on it and hands it on.
    Daprd,
    /// Known from the built-in component, and refused as long as it would have
    /// no effect here.
    NotYet,
}

const fn honoured(
    name: &'static str,
    default: Option<&'static str>,
    set: fn(&str, &mut Settings) -> Result<(), String>,
    doc: &'static str,
) -> Key {
    Key {
        name,
        default,
        secret: false,
        doc,
        support: Support::Honoured(set),
    }
}

const fn plain(name: &'static str, support: Support, doc: &'static str) -> Key {
    Key {
        name,
        default: None,
        secret: false,
        doc,
        support,
    }
}

const fn not_yet(name: &'static str) -> Key {
    plain(name, Support::NotYet, "A key of the built-in component.")
}

const fn secret(name: &'static str) -> Key {
    let mut key = not_yet(name);
    key.secret = true;
    key
}

/// Every known key.
pub const KEYS: &[Key] = &[
    honoured(
        "brokers",
        None,
        |text, settings| {
            settings.brokers = parse::brokers(text)?;
            Ok(())
        },
        "The bootstrap brokers, comma-separated, each host:port. Required. One that answers is enough.",
    ),
    honoured(
        "authType",
        None,
        |text, _| {
            parse::word(text, &[("none", ())]).map_err(|_| {
                "only \"none\" is supported so far: a listener without TLS and login".into()
            })
        },
        "How to log in. Required, as in the built-in component. `none` also means no TLS.",
    ),
    honoured(
        "consumerGroup",
        None,
        |text, settings| {
            settings.consumer_group = Some(text.to_owned());
            Ok(())
        },
        "The consumer group. Wins over consumerID.",
    ),
    honoured(
        "consumerID",
        None,
        |text, settings| {
            settings
                .consumer_group
                .get_or_insert_with(|| text.to_owned());
            Ok(())
        },
        "The consumer group if consumerGroup is not given. daprd sets it to the app id.",
    ),
    honoured(
        "clientID",
        Some("sarama"),
        |text, settings| {
            text.clone_into(&mut settings.client_id);
            Ok(())
        },
        "The name under which brokers log and limit this client. The default is the built-in's, so that quotas keep their meaning.",
    ),
    honoured(
        "initialOffset",
        Some("newest"),
        |text, settings| {
            let words = [
                ("newest", InitialOffset::Newest),
                ("oldest", InitialOffset::Oldest),
            ];
            settings.initial_offset = parse::word(text, &words)?;
            Ok(())
        },
        "newest or oldest: where a group starts in a partition that it never committed for. A topic that appears while the group is subscribed is always read from its first record.",
    ),
    honoured(
        "maxMessageBytes",
        Some("1048576"),
        |text, settings| {
            // The built-in takes 0 for its default.
            let text = if text == "0" { "1048576" } else { text };
            settings.max_message_bytes = parse::count(text, 1000..=1_000_000_000)?;
            Ok(())
        },
        "The largest record that Publish sends, in bytes (1,000 to 1,000,000,000), with key and headers. The default is what the built-in's code uses, 1 MiB; brokers allow as much unless told otherwise.",
    ),
    honoured(
        "compression",
        Some("none"),
        |text, settings| {
            let codecs = [
                Compression::None,
                Compression::Gzip,
                Compression::Snappy,
                Compression::Lz4,
                Compression::Zstd,
            ];
            settings.compression = parse::word(text, &codecs.map(|codec| (codec.name(), codec)))?;
            Ok(())
        },
        "none, gzip, snappy, lz4 or zstd.",
    ),
    honoured(
        "ordering",
        Some("key"),
        |text, settings| {
            let words = [
                ("key", Ordering::Key),
                ("partition", Ordering::Partition),
                ("none", Ordering::None),
            ];
            settings.ordering = parse::word(text, &words)?;
            Ok(())
        },
        "key: records with equal keys one at a time and in order, others concurrently. partition: one at a time per partition, as the built-in component does. none: no order.",
    ),
    honoured(
        "maxInFlight",
        Some("1024"),
        |text, settings| {
            settings.max_in_flight = parse::count(text, 1..=100_000)?;
            Ok(())
        },
        "Records that are read and not finished, over all partitions (1 to 100,000). At the bound reading pauses. The default keeps dozens of apps busy and is little to deliver again.",
    ),
    honoured(
        "maxInFlightBytes",
        Some("67108864"),
        |text, settings| {
            settings.max_in_flight_bytes = parse::count(text, 1_048_576..=4_294_967_296)?;
            Ok(())
        },
        "The same in bytes (1 MiB to 4 GiB). The default, 64 MiB, fits a small sidecar's memory limit.",
    ),
    honoured(
        "maxUncommitted",
        Some("10000"),
        |text, settings| {
            settings.max_uncommitted = parse::count(text, 1..=1_000_000)?;
            Ok(())
        },
        "Records of one partition that are read and above its commit point (1 to 1,000,000): the most that a crash delivers again. At the bound the partition pauses and the log names the record that holds it.",
    ),
    honoured(
        "publishTimeout",
        Some("15s"),
        |text, settings| {
            let bounds = Duration::from_millis(100)..=Duration::from_secs(300);
            settings.publish_timeout = parse::duration(text, bounds)?;
            Ok(())
        },
        "How long Publish may take until the broker's acknowledgement (100ms to 5m). The default outlasts a leader election and ends before most callers give up.",
    ),
    honoured(
        "startWithoutBrokers",
        Some("false"),
        |text, settings| {
            settings.start_without_brokers = parse::flag(text)?;
            Ok(())
        },
        "true: Init succeeds while no broker answers, and the log and the gRPC health service say so until one does. By default Init fails, and names each broker and its failure.",
    ),
    plain(
        "version",
        Support::Inert,
        "The built-in's protocol version. Versions are negotiated with each broker here.",
    ),
    plain(
        "disableTls",
        Support::Inert,
        "TLS is off already: authType none means no TLS.",
    ),
    plain(
        "allowedTopics",
        Support::Daprd,
        "The topics that may be used at all.",
    ),
    plain(
        "protectedTopics",
        Support::Daprd,
        "Topics that need a scope.",
    ),
    plain(
        "publishingScopes",
        Support::Daprd,
        "Which app may publish to which topic.",
    ),
    plain(
        "subscriptionScopes",
        Support::Daprd,
        "Which app may subscribe to which topic.",
    ),
    secret("awsAccessKey"),
    not_yet("awsIamRoleArn"),
    secret("awsSecretKey"),
    secret("awsSessionToken"),
    not_yet("awsStsSessionName"),
    not_yet("awsRegion"),
    not_yet("authRequired"),
    not_yet("caCert"),
    not_yet("channelBufferSize"),
    not_yet("clientCert"),
    not_yet("clientConnectionKeepAliveInterval"),
    not_yet("clientConnectionTopicMetadataRefreshInterval"),
    secret("clientKey"),
    not_yet("consumeRetryEnabled"),
    not_yet("consumeRetryInterval"),
    not_yet("consumerFetchDefault"),
    not_yet("consumerFetchMin"),
    not_yet("consumerGroupRebalanceStrategy"),
    not_yet("dialTimeout"),
    not_yet("escapeHeaders"),
    not_yet("excludeHeaderMetaRegex"),
    not_yet("heartbeatInterval"),
    not_yet("metadataTimeout"),
    not_yet("oidcAudience"),
    not_yet("oidcClientAssertionCert"),
    secret("oidcClientAssertionKey"),
    not_yet("oidcClientID"),
    secret("oidcClientSecret"),
    not_yet("oidcExtensions"),
    not_yet("oidcKid"),
    not_yet("oidcResource"),
    not_yet("oidcScopes"),
    not_yet("oidcTokenEndpoint"),
    not_yet("producerRequiredAcks"),
    not_yet("producerRetryMax"),
    not_yet("readTimeout"),
    not_yet("saslMechanism"),
    secret("saslPassword"),
    secret("saslUsername"),
    not_yet("schemaCachingEnabled"),
    not_yet("schemaLatestVersionCacheTTL"),
    secret("schemaRegistryAPIKey"),
    secret("schemaRegistryAPISecret"),
    not_yet("schemaRegistryURL"),
    not_yet("sessionTimeout"),
    not_yet("skipVerify"),
    not_yet("useAvroJSON"),
    not_yet("writeTimeout"),
    not_yet("backOffPolicy"),
    not_yet("backOffDuration"),
    not_yet("backOffInitialInterval"),
    not_yet("backOffMaxInterval"),
    not_yet("backOffMultiplier"),
    not_yet("backOffRandomizationFactor"),
    not_yet("backOffMaxElapsedTime"),
    not_yet("backOffMaxRetries"),
];
