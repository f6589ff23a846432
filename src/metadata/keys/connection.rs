//! How to reach the brokers.

use std::{ops::RangeInclusive, time::Duration};

use super::{Compare, Key, honoured, inert};
use crate::metadata::parse;

/// librdkafka's lower bound; the upper is what anybody waits.
const TIMES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);

/// Two of them are at most librdkafka's bound of a request, 5 minutes.
const REQUEST: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(150);

/// Sarama's default.
const HALF_A_MINUTE: Duration = Duration::from_secs(30);

pub(super) const KEYS: &[Key] = &[
    honoured(
        "brokers",
        None,
        |text, settings| {
            settings.brokers = parse::brokers(text)?;
            Ok(())
        },
        "The bootstrap brokers, comma-separated, each host:port. Required. One \
         that answers is enough.",
    )
    .required()
    .example("kafka-0:9092,kafka-1:9092"),
    honoured(
        "clientID",
        Some("sarama"),
        |text, settings| {
            text.clone_into(&mut settings.client_id);
            Ok(())
        },
        "The name under which brokers log and limit this client. The default is \
         the built-in's, so that quotas keep their meaning.",
    ),
    honoured(
        "startWithoutBrokers",
        Some("false"),
        |text, settings| {
            settings.start_without_brokers = parse::flag(text)?;
            Ok(())
        },
        "true: Init succeeds while no broker answers, and the log and the gRPC \
         health service say so until one does. By default Init fails, and names \
         each broker and its failure.",
    )
    .flag()
    .compare(Compare::Ours),
    honoured(
        "initTimeout",
        Some("4s"),
        |text, settings| {
            let bounds = Duration::from_secs(1)..=Duration::from_secs(300);
            settings.init_timeout = parse::duration(text, bounds)?;
            Ok(())
        },
        "How long Init tries to log in and to reach a broker (1s to 5m). Init ends as soon as a \
         broker answers. daprd counts an Init as failed that ends after the Component's \
         spec.initTimeout, 5s by default, and does not tell a pluggable component of it: give a \
         longer spec.initTimeout too. The default keeps within 5s.",
    )
    .duration()
    .compare(Compare::Ours),
    honoured(
        "stallTimeout",
        Some("60s"),
        |text, settings| {
            let bounds = Duration::from_secs(1)..=Duration::from_secs(3600);
            settings.stall_timeout = parse::duration(text, bounds)?;
            Ok(())
        },
        "When nothing has progressed for so long (1s to 1h) though there is \
         something to do, the log names the cause; and if a fresh connection gets \
         an answer, the client is made anew. The default outlasts elections and \
         rolling restarts.",
    )
    .duration()
    .compare(Compare::Ours),
    honoured(
        "dialTimeout",
        Some("3s"),
        |text, settings| {
            settings.network.dial_timeout =
                parse::positive_or(Duration::from_secs(3), text, TIMES)?;
            Ok(())
        },
        "How long a connection may take until it can be used, with TLS and login \
         (1s to 5m). The built-in's 30s is too long for a silent broker: the next \
         one is tried only then. initTimeout bounds Init as a whole.",
    )
    .seconds()
    .since("1.18")
    .compare(Compare::Differs(
        "1s is the least, and it covers TLS and login too",
    ))
    .unset("a connection may take 3s to be made, not 30s"),
    honoured(
        "readTimeout",
        Some("30s"),
        |text, settings| {
            settings.network.read_timeout = parse::positive_or(HALF_A_MINUTE, text, REQUEST)?;
            Ok(())
        },
        "How long a broker may take to answer (1s to 2m30s). A request may take \
         writeTimeout and readTimeout together; then the connection is made anew.",
    )
    .seconds()
    .since("1.18")
    .compare(Compare::Differs(
        "a request may take readTimeout and writeTimeout together; 1s is the \
         least",
    )),
    honoured(
        "writeTimeout",
        Some("30s"),
        |text, settings| {
            settings.network.write_timeout = parse::positive_or(HALF_A_MINUTE, text, REQUEST)?;
            Ok(())
        },
        "How long sending a request may take (1s to 2m30s). It counts together \
         with readTimeout.",
    )
    .seconds()
    .since("1.18")
    .compare(Compare::Differs(
        "a request may take readTimeout and writeTimeout together; 1s is the \
         least",
    )),
    honoured(
        "clientConnectionTopicMetadataRefreshInterval",
        Some("8m"),
        |text, settings| {
            let default = Duration::from_secs(8 * 60);
            let bounds = Duration::from_secs(1)..=Duration::from_secs(3600);
            settings.network.metadata_refresh = parse::positive_or(default, text, bounds)?;
            Ok(())
        },
        "How often the producer looks for new brokers and partitions while nothing \
         fails (1s to 1h); the consumer looks every 10 s at least.",
    )
    .seconds()
    .compare(Compare::Wider(
        "the consumer looks every 10s at least, so that added partitions are \
         found",
    )),
    inert(
        "clientConnectionKeepAliveInterval",
        "TCP keep-alive is always on, in the system's interval \
         (net.ipv4.tcp_keepalive_time on Linux); a connection that a broker closed \
         is made anew.",
    )
    .seconds()
    .example("4m"),
    inert(
        "metadataTimeout",
        "A request for metadata may take as long as any other (readTimeout and \
         writeTimeout), and is repeated; initTimeout bounds Init.",
    )
    .seconds()
    .example("5s")
    .since("1.18"),
    inert(
        "version",
        "The built-in's protocol version. Versions are negotiated with each broker \
         here.",
    )
    .example("2.0.0"),
    inert(
        "reloadToken",
        "Any text. Changing it makes daprd's hot reload initialise the component \
         anew, for example after a certificate changed.",
    )
    .compare(Compare::Ours)
    .example("2026-01"),
];
