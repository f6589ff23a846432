//! From a value's text to its type. An error says what was expected.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

/// The words that dapr/kit takes for true (`utils.IsTruthy`), and their
/// opposites. The built-in takes anything else for false; here it is an error.
const TRUE: [&str; 6] = ["1", "y", "yes", "true", "t", "on"];
const FALSE: [&str; 6] = ["0", "n", "no", "false", "f", "off"];

pub(super) fn flag(text: &str) -> Result<bool, String> {
    let word = text.to_ascii_lowercase();
    if TRUE.contains(&word.as_str()) {
        Ok(true)
    } else if FALSE.contains(&word.as_str()) {
        Ok(false)
    } else {
        Err("expected true or false".into())
    }
}

pub(super) fn count(text: &str, bounds: RangeInclusive<usize>) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            let (low, high) = (bounds.start(), bounds.end());
            format!("expected a whole number from {low} to {high}")
        })
}

pub(super) fn duration(text: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .ok()
        .filter(|duration| bounds.contains(duration))
        .ok_or_else(|| {
            let low = humantime::format_duration(*bounds.start());
            let high = humantime::format_duration(*bounds.end());
            format!("expected a duration with its unit (500ms, 15s, 2m) from {low} to {high}")
        })
}

/// A duration; a number alone is in milliseconds, as dapr/kit reads it.
pub(super) fn millis_or_duration(
    text: &str,
    bounds: RangeInclusive<Duration>,
) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(millis) => duration(&format!("{millis}ms"), bounds),
        Err(_) => duration(text, bounds),
    }
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

/// A comma-separated list of `host:port`.
pub(super) fn brokers(text: &str) -> Result<Vec<String>, String> {
    text.split(',')
        .map(|broker| self::broker(broker.trim()))
        .collect()
}

fn broker(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return Err(format!("\"{text}\" is a URL; write host:port only"));
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
