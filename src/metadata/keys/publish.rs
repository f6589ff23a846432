//! What is published, and how.

use std::time::Duration;

use super::{Compare, Key, honoured};
use crate::metadata::{Acks, Compression, parse};

const NOT_NONE: &str = "with none, Publish would answer OK for what no broker took; use all, or \
                        local for the partition leader's acknowledgement only";

pub(super) const KEYS: &[Key] = &[
    honoured(
        "maxMessageBytes",
        Some("1048576"),
        |text, settings| {
            // The built-in takes 0 and less for its default.
            let default = parse::any_base(text).is_some_and(|bytes| bytes <= 0);
            let text = if default { "1048576" } else { text };
            settings.max_message_bytes = parse::any_base_count(text, 1000..=1_000_000_000)?;
            Ok(())
        },
        "The largest record that Publish sends, in bytes (1,000 to 1,000,000,000), \
         with key and headers. The default is what the built-in's code uses, 1 MiB; \
         brokers allow as much unless told otherwise.",
    )
    .bytes()
    .compare(Compare::Differs("1 to 999 are an error")),
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
    )
    .words(&["none", "gzip", "snappy", "lz4", "zstd"]),
    honoured(
        "publishTimeout",
        Some("15s"),
        |text, settings| {
            let bounds = Duration::from_millis(100)..=Duration::from_secs(300);
            settings.publish_timeout = parse::duration(text, bounds)?;
            Ok(())
        },
        "How long Publish may take until the broker's acknowledgement (100ms to \
         5m). The default outlasts a leader election and ends before most callers \
         give up.",
    )
    .duration()
    .compare(Compare::Ours)
    .unset("Publish fails after 15s without an acknowledgement"),
    honoured(
        "idempotence",
        Some("true"),
        |text, settings| {
            settings.idempotence = parse::flag(text)?;
            Ok(())
        },
        "true: the client's own retries make no duplicates and keep the order. It \
         needs IdempotentWrite on the cluster where ACLs are enforced (Kafka before \
         3.0; from then on Write on any topic). false: one request at a time keeps \
         the order; a retry may duplicate.",
    )
    .flag()
    .compare(Compare::Ours)
    .unset(
        "the producer is idempotent: its retries make no duplicates; on Kafka \
         before 3.0 with ACLs it needs IdempotentWrite",
    ),
    honoured(
        "producerRequiredAcks",
        Some("all"),
        |text, settings| {
            if text.eq_ignore_ascii_case("none") {
                return Err(NOT_NONE.into());
            }
            let words = [("all", Acks::All), ("local", Acks::Leader)];
            let others = [
                ("-1", "all"),
                ("WaitForAll", "all"),
                ("1", "local"),
                ("WaitForLocal", "local"),
            ];
            settings.acks = parse::word_not(text, &words, &others)?;
            Ok(())
        },
        "Whose acknowledgement Publish waits for. all: all in-sync replicas'. \
         local: only the partition leader's; what it acknowledged is lost if it \
         fails before others have it, a dead letter too, and idempotence is off.",
    )
    .words(&["all", "local"])
    .since("1.18")
    .compare(Compare::Differs(
        "none is refused: Publish would answer OK for what no broker took",
    )),
    honoured(
        "producerRetryMax",
        None,
        |text, settings| {
            let most = 2_147_483_647;
            let retries = parse::any_base_count(text, 0..=most)?;
            settings.max_retries = Some(u32::try_from(retries).map_err(|error| error.to_string())?);
            Ok(())
        },
        "How often the client tries a batch again that failed (0 to 2,147,483,647; \
         0 needs idempotence false). Default: as often as publishTimeout allows, \
         where the built-in gives up after 5 times, half a second: a leader \
         election takes longer.",
    )
    .number()
    .since("1.18")
    .compare(Compare::Differs(
        "0 alone is refused, it needs idempotence false; an idempotent retry makes no \
         duplicate",
    ))
    .unset("a publish is tried until publishTimeout, not 5 times in half a second")
    .example("5"),
];
