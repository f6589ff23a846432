//! How often, and after which time, a refused record is tried again.
//!
//! The `backOff*` keys are dapr/kit's (v0.16.1, `retry/retry.go`); their defaults
//! are its own, and a number without a unit is in milliseconds, as there.

use std::{ops::RangeInclusive, time::Duration};

use super::{Compare, Key, honoured};
use crate::metadata::{parse, settings::BackOffPolicy};

/// Bounds of a wait.
const WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 3600);

/// How the bounds compare with dapr/kit, which has none.
const BOUNDED: Compare = Compare::Differs("0 is 1ms, and more than 24h is an error");

/// A wait between attempts. None at all would be a busy loop.
fn wait(text: &str) -> Result<Duration, String> {
    let wait = parse::millis_or_duration(text, WAIT)?;
    Ok(wait.max(Duration::from_millis(1)))
}

pub(super) const KEYS: &[Key] = &[
    honoured(
        "consumeRetryEnabled",
        Some("true"),
        |text, settings| {
            settings.retry.enabled = parse::flag(text)?;
            Ok(())
        },
        "false: a record gets one attempt, and is then a dead letter; without a \
         dead-letter topic it is tried at the longest wait, since the built-in \
         component would lose it.",
    )
    .flag()
    .compare(Compare::Wider(
        "with false a refused record becomes a dead letter or is tried on; the \
         built-in loses it",
    )),
    honoured(
        "consumeRetryInterval",
        None,
        |text, settings| {
            settings.retry.interval = Some(wait(text)?);
            Ok(())
        },
        "The wait between attempts if no backOff key is given, at most 24h; 0 is \
         1ms. In the built-in component it paces re-joining the group \
         only. Default: 5s between attempts.",
    )
    .millis()
    .compare(Compare::Differs(
        "it is the wait between attempts; in the built-in it only paces re-joining \
         the group",
    ))
    .example("200ms"),
    honoured(
        "backOffPolicy",
        None,
        |text, settings| {
            let words = [
                ("constant", BackOffPolicy::Constant),
                ("exponential", BackOffPolicy::Exponential),
            ];
            settings.retry.back_off.policy = Some(parse::word(text, &words)?);
            Ok(())
        },
        "constant or exponential. Default: constant.",
    )
    .words(&["constant", "exponential"])
    .example("exponential"),
    honoured(
        "backOffDuration",
        None,
        |text, settings| {
            settings.retry.back_off.duration = Some(wait(text)?);
            Ok(())
        },
        "The wait of the constant policy, at most 24h; 0 is 1ms. Default: 5s.",
    )
    .millis()
    .compare(BOUNDED)
    .example("5s"),
    honoured(
        "backOffInitialInterval",
        None,
        |text, settings| {
            settings.retry.back_off.initial_interval = Some(wait(text)?);
            Ok(())
        },
        "The first wait of the exponential policy, at most 24h; 0 is 1ms. Default: \
         500ms.",
    )
    .millis()
    .compare(BOUNDED)
    .example("500ms"),
    honoured(
        "backOffMaxInterval",
        None,
        |text, settings| {
            settings.retry.back_off.max_interval = Some(wait(text)?);
            Ok(())
        },
        "The longest wait of the exponential policy, at most 24h; 0 is 1ms. Default: \
         60s.",
    )
    .millis()
    .compare(BOUNDED)
    .example("60s"),
    honoured(
        "backOffMultiplier",
        None,
        |text, settings| {
            settings.retry.back_off.multiplier = Some(parse::number(text, 1.0..=100.0)?);
            Ok(())
        },
        "What each wait of the exponential policy is multiplied with, 1 to 100. \
         Default: 1.5.",
    )
    .number()
    .compare(Compare::Differs(
        "less than 1 and more than 100 are an error",
    ))
    .example("1.5"),
    honoured(
        "backOffRandomizationFactor",
        None,
        |text, settings| {
            settings.retry.back_off.randomization = Some(parse::number(text, 0.0..=1.0)?);
            Ok(())
        },
        "By what part of itself a wait of the exponential policy varies, 0 to 1. \
         Default: 0.5.",
    )
    .number()
    .compare(Compare::Differs("less than 0 and more than 1 are an error"))
    .example("0.5"),
    honoured(
        "backOffMaxElapsedTime",
        None,
        |text, settings| {
            let bounds = Duration::ZERO..=Duration::from_secs(365 * 24 * 3600);
            settings.retry.back_off.max_elapsed = Some(parse::millis_or_duration(text, bounds)?);
            Ok(())
        },
        "After so long the exponential policy gives a record up: it is a dead \
         letter, or is tried at the longest wait. 0 never does. Default: 15m.",
    )
    .millis()
    .compare(Compare::Wider(
        "a record that is given up becomes a dead letter or is tried on; the \
         built-in loses it",
    ))
    .example("15m"),
    honoured(
        "backOffMaxRetries",
        None,
        |text, settings| {
            let expected = "expected -1 (no bound) or a whole number from 0 to 2147483646";
            let retries = text.parse::<i64>().map_err(|_| expected)?.max(-1);
            let retries = i32::try_from(retries)
                .ok()
                .filter(|retries| *retries < i32::MAX);
            settings.retry.back_off.max_retries = Some(retries.ok_or(expected)?);
            Ok(())
        },
        "Attempts after the first, 0 to 2,147,483,646; a negative number is no \
         bound. Default: -1. Counts live in memory: a restart, or another member \
         that takes the partition, begins again.",
    )
    .number()
    .compare(Compare::Wider(
        "a record that is given up becomes a dead letter or is tried on; the \
         built-in loses it",
    ))
    .example("10"),
];
