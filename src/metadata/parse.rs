//! From a value's text to its type. An error says what was expected.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use super::duration;

/// The words that dapr/kit takes for true (`utils.IsTruthy`, which trims), and their
/// opposites. The built-in takes anything else for false; here it is an error.
const TRUE: [&str; 6] = ["1", "y", "yes", "true", "t", "on"];
const FALSE: [&str; 6] = ["0", "n", "no", "false", "f", "off"];

pub(super) fn flag(text: &str) -> Result<bool, String> {
    let word = text.trim().to_ascii_lowercase();
    if TRUE.contains(&word.as_str()) {
        Ok(true)
    } else if FALSE.contains(&word.as_str()) {
        Ok(false)
    } else {
        Err("expected true or false".into())
    }
}

pub(super) fn count(text: &str, bounds: RangeInclusive<usize>) -> Result<usize, String> {
    bounded(text.parse().ok(), &bounds)
}

/// The same, for a key that the built-in reads by mapstructure.
pub(super) fn any_base_count(text: &str, bounds: RangeInclusive<usize>) -> Result<usize, String> {
    let number = any_base(text).and_then(|number| usize::try_from(number).ok());
    bounded(number, &bounds)
}

fn bounded(number: Option<usize>, bounds: &RangeInclusive<usize>) -> Result<usize, String> {
    number
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            let (low, high) = (bounds.start(), bounds.end());
            format!("expected a whole number from {low} to {high}")
        })
}

/// A whole number as mapstructure reads it for Dapr (Go's `ParseInt` with base 0):
/// also in hexadecimal (0x), octal (0o or 0) and binary (0b), and with `_` between
/// digits.
pub(super) fn any_base(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.split_at_checked(2) {
        Some(("0x", digits)) => (16, digits),
        Some(("0o", digits)) => (8, digits),
        Some(("0b", digits)) => (2, digits),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let apart = |digits: &str| !digits.ends_with('_') && !digits.contains("__");
    if !apart(digits) || (radix == 10 && digits.starts_with('_')) || digits.starts_with(['+', '-'])
    {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), radix).ok()
}

/// A duration with its unit, as Go reads it.
pub(super) fn duration(text: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, String> {
    within(with_unit(text), &bounds, "with its unit ")
}

fn with_unit(text: &str) -> Option<Duration> {
    let nanos = duration::nanos(text).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map(Duration::from_nanos)
}

/// A duration; a number alone is in milliseconds, as dapr/kit reads it for its
/// back-off keys.
pub(super) fn millis_or_duration(
    text: &str,
    bounds: RangeInclusive<Duration>,
) -> Result<Duration, String> {
    let alone = text.parse().ok().map(Duration::from_millis);
    let duration = alone.or_else(|| with_unit(text));
    within(duration, &bounds, "or a number of milliseconds ")
}

/// A duration; a number alone is in seconds, as dapr/kit reads it for most keys.
pub(super) fn seconds_or_duration(
    text: &str,
    bounds: RangeInclusive<Duration>,
) -> Result<Duration, String> {
    // Go takes 0 for a duration; it is the same.
    let alone = text.parse().ok().map(Duration::from_secs);
    let duration = alone.or_else(|| with_unit(text));
    within(duration, &bounds, "or a number of seconds ")
}

/// The same, where the built-in takes zero and less for the default.
pub(super) fn positive_or(
    default: Duration,
    text: &str,
    bounds: RangeInclusive<Duration>,
) -> Result<Duration, String> {
    let number = text.parse::<i64>().ok().or_else(|| duration::nanos(text));
    if number.is_some_and(|number| number <= 0) {
        return Ok(default);
    }
    seconds_or_duration(text, bounds)
}

fn within(
    duration: Option<Duration>,
    bounds: &RangeInclusive<Duration>,
    how: &str,
) -> Result<Duration, String> {
    duration
        .filter(|duration| bounds.contains(duration))
        .ok_or_else(|| {
            let (low, high) = (bounds.start(), bounds.end());
            let [low, high] = [low, high].map(|bound| duration::written(*bound));
            format!("expected a duration {how}(500ms, 15s, 1m30s) from {low} to {high}")
        })
}

pub(super) fn number(text: &str, bounds: RangeInclusive<f64>) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            format!(
                "expected a number from {} to {}",
                bounds.start(),
                bounds.end()
            )
        })
}

/// A number of delivery attempts.
pub(super) fn attempts(text: &str) -> Result<u32, String> {
    let count = count(text, 1..=1_000_000)?;
    u32::try_from(count).map_err(|error| error.to_string())
}

/// One of a few words, matched without regard to case, where other words have a meaning
/// elsewhere: those are refused with the word to write.
pub(super) fn word_not<T: Copy>(
    text: &str,
    words: &[(&str, T)],
    others: &[(&str, &str)],
) -> Result<T, String> {
    word(text, words).map_err(|expected| {
        let mut others = others.iter();
        let meant = others.find(|(other, _)| other.eq_ignore_ascii_case(text));
        match meant {
            Some((_, meant)) => format!("{expected}; write {meant}"),
            None => expected,
        }
    })
}

/// One of a few words, matched without regard to case.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text))
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("expected {}", words.join(", "))
        })
}

/// PEM with at least one block of a kind, such as CERTIFICATE. The text itself is
/// never in an error: it may hold a key.
pub(super) fn pem(text: &str, kind: &str) -> Result<String, String> {
    let begins = |line: &str| line.starts_with("-----BEGIN ") && line.contains(kind);
    if text.lines().any(|line| begins(line.trim())) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "expected PEM text with a line -----BEGIN {kind}-----, not a file's name"
        ))
    }
}

/// A JSON object of texts with at least one member.
pub(super) fn extensions(text: &str) -> Result<BTreeMap<String, String>, String> {
    serde_json::from_str(text)
        .ok()
        .filter(|members: &BTreeMap<String, String>| !members.is_empty())
        .ok_or_else(|| "expected a JSON object of texts, such as {\"name\":\"value\"}".into())
}

/// A comma-separated list of `host:port`. Empty parts are skipped if another is left, as
/// one that a comma too many leaves.
pub(super) fn brokers(text: &str) -> Result<Vec<String>, String> {
    // Before it is split: a password may have a comma.
    if text.contains('@') {
        let shown = without_logins(text);
        return Err(format!(
            "\"{shown}\" has a login in it; write host:port only, and use saslUsername and \
             saslPassword"
        ));
    }
    if text.starts_with('[') && text.ends_with(']') && text.contains('"') {
        return Err("it is a list; write one text, brokers separated by commas".into());
    }
    let parts = text.split(',').map(str::trim);
    let brokers: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    if brokers.is_empty() {
        return broker(text.trim()).map(|broker| vec![broker]);
    }
    brokers.into_iter().map(broker).collect()
}

/// A list of brokers without what stands before an `@`: that is a login.
pub(super) fn without_logins(text: &str) -> String {
    // A password may have a comma, so what is before the last @ is not looked at.
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => text.to_owned(),
    }
}

fn broker(text: &str) -> Result<String, String> {
    if super::spelling::is_placeholder(text) {
        return Err(format!(
            "\"{text}\" looks like a placeholder that nobody replaced"
        ));
    }
    if text.contains([';', ' ', '\t', '\n', '\r']) {
        return Err("separate brokers by commas, such as kafka-0:9092,kafka-1:9092".into());
    }
    if let Some((_, rest)) = text.split_once("://") {
        let address = rest.split('/').next().unwrap_or_default();
        return Err(format!("\"{text}\" is a URL; write {address}"));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!(
            "\"{text}\" has no port; write host:port, such as kafka:9092"
        ));
    };
    if host.is_empty() || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(format!(
            "\"{text}\" is not host:port; write for example kafka:9092"
        ));
    }
    Ok(text.to_owned())
}
