//! When a record is given up, and where it goes.

use std::{ops::RangeInclusive, time::Duration};

use super::{Compare, Key, honoured};
use crate::{
    metadata::{parse, settings::DeadLetterHeaders},
    model::topic::check_topic,
};

/// Bounds of the times below: a day is longer than any of them is useful.
const DAY: Duration = Duration::from_secs(24 * 3600);
const TIMES: RangeInclusive<Duration> = Duration::from_secs(1)..=DAY;

pub(super) const KEYS: &[Key] = &[
    honoured(
        "deadLetterTopic",
        None,
        |text, settings| {
            // Any topic may stand there.
            check_topic(&text.replace("{topic}", "t"))?;
            settings.dead_letter.topic = Some(text.to_owned());
            Ok(())
        },
        "The topic for records that the app keeps refusing; {topic} in it stands \
         for the record's own. A Subscription's metadata may name another. Default: \
         none, and a refused record is tried for ever.",
    )
    .compare(Compare::Ours)
    .example("{topic}.dlq"),
    honoured(
        "maxDeliveryAttempts",
        None,
        |text, settings| {
            settings.dead_letter.max_attempts = Some(parse::attempts(text)?);
            Ok(())
        },
        "Attempts until a record is given up, 1 to 1,000,000. Wins over \
         backOffMaxRetries and consumeRetryEnabled. A Subscription's metadata may \
         give another. Default: no bound; 10 with a dead-letter topic and no \
         backOffMaxRetries. Counts live in memory.",
    )
    .number()
    .compare(Compare::Ours)
    .example("10"),
    honoured(
        "maxBreaks",
        None,
        |text, settings| {
            settings.dead_letter.max_breaks = Some(parse::attempts(text)?);
            Ok(())
        },
        "Gives a record up after this many breaks with no other call under way (1 to \
         1,000,000), even without evidence that the app lived in between. Set it only \
         temporarily: an app that does not start would create dead letters. It adds to the \
         rule with evidence: a record with enough evidence is given up as without the key. A \
         Subscription's metadata may give another. Applies to topics with a dead-letter \
         topic. Default: none.",
    )
    .number()
    .compare(Compare::Ours)
    .example("10"),
    honoured(
        "deadLetterMinAge",
        None,
        |text, settings| {
            let bounds = Duration::ZERO..=DAY;
            settings.dead_letter.min_age = Some(parse::millis_or_duration(text, bounds)?);
            Ok(())
        },
        "How long after its first failure a record may become a dead letter (0s to \
         24h), so that a restart of the app makes none. Default: 2m; 0 with \
         consumeRetryEnabled false.",
    )
    .millis()
    .compare(Compare::Ours)
    .example("2m"),
    honoured(
        "deadLetterHeaders",
        Some("kip-1191"),
        |text, settings| {
            let words = [
                ("kip-1191", DeadLetterHeaders::Kip1191),
                ("spring", DeadLetterHeaders::Spring),
            ];
            settings.dead_letter.headers = parse::word(text, &words)?;
            Ok(())
        },
        "spring: dead letters carry Spring's kafka_dlt-* headers too, which many \
         Kafka UIs read.",
    )
    .words(&["kip-1191", "spring"])
    .compare(Compare::Ours),
    honoured(
        "breakerSequences",
        Some("20"),
        |text, settings| {
            settings.breaker.sequences = parse::count(text, 2..=1000)?;
            Ok(())
        },
        "How many distinct keys (partitions, for records without one) must have \
         been answered for within breakerWindow before the app as a whole can count \
         as failing (2 to 1,000). A few bad records on a quiet topic never do.",
    )
    .number()
    .compare(Compare::Ours),
    honoured(
        "breakerFailurePercent",
        Some("80"),
        |text, settings| {
            settings.breaker.percent = parse::count(text, 1..=100)?;
            Ok(())
        },
        "How many of a hundred of those must have failed (1 to 100). Then the \
         topic gets one record at a time, over different keys, none becomes a dead \
         letter, and three successes in a row end that. Applies to topics with a \
         dead-letter topic.",
    )
    .number()
    .compare(Compare::Ours),
    honoured(
        "breakerWindow",
        Some("60s"),
        |text, settings| {
            settings.breaker.window = parse::millis_or_duration(text, TIMES)?;
            Ok(())
        },
        "How far back failures are counted (1s to 24h).",
    )
    .millis()
    .compare(Compare::Ours),
    honoured(
        "breakerProbeInterval",
        Some("5s"),
        |text, settings| {
            let bounds = Duration::from_millis(10)..=DAY;
            settings.breaker.probe_every = parse::millis_or_duration(text, bounds)?;
            Ok(())
        },
        "How long after a failed attempt a failing app gets the next record (10ms \
         to 24h).",
    )
    .millis()
    .compare(Compare::Ours),
];
