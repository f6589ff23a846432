//! How to reach the brokers.

use std::time::Duration;

use super::{Key, Support, honoured, plain};
use crate::metadata::parse;

pub(super) const KEYS: &[Key] = &[
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
        "clientID",
        Some("sarama"),
        |text, settings| {
            text.clone_into(&mut settings.client_id);
            Ok(())
        },
        "The name under which brokers log and limit this client. The default is the built-in's, so that quotas keep their meaning.",
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
    honoured(
        "stallTimeout",
        Some("60s"),
        |text, settings| {
            let bounds = Duration::from_secs(1)..=Duration::from_secs(3600);
            settings.stall_timeout = parse::duration(text, bounds)?;
            Ok(())
        },
        "When nothing has progressed for so long (1s to 1h) though there is something to do, the log names the cause; and if a fresh connection gets an answer, the client is made anew. The default outlasts elections and rolling restarts.",
    ),
    plain(
        "reloadToken",
        Support::Inert,
        "Without effect: change it to make daprd's hot reload initialise the component anew.",
    ),
    plain(
        "version",
        Support::Inert,
        "The built-in's protocol version. Versions are negotiated with each broker here.",
    ),
];
