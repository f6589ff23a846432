//! What is published, and how.

use std::time::Duration;

use super::{Key, honoured};
use crate::metadata::{Compression, parse};

pub(super) const KEYS: &[Key] = &[
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
        "idempotence",
        Some("true"),
        |text, settings| {
            settings.idempotence = parse::flag(text)?;
            Ok(())
        },
        "true: the client's own retries make no duplicates and keep the order. It needs IdempotentWrite on the cluster where ACLs are enforced (Kafka before 3.0; from then on Write on any topic). false: one request at a time keeps the order; a retry may duplicate.",
    ),
];
