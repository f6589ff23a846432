//! Durations as Go writes them: `1h30m`, `1.5h`, `300ms`.
//!
//! dapr/kit reads durations by Go's `time.ParseDuration` (go1.26, `time/format.go`).
//! The one crate for it, go-parse-duration 0.1.1, panics on `µs` and refuses the
//! largest values that Go takes.

use std::{fmt::Write as _, time::Duration};

/// Units and their nanoseconds. Both letters are a micro sign.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The nanoseconds of a duration, or `None` where Go reports an error. Parts of a
/// nanosecond are cut off.
pub fn nanos(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if unsigned == "0" {
        return Some(0);
    }
    let mut sum: u64 = 0;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let part;
        (part, rest) = leading(rest)?;
        // A negative one may be one nanosecond longer.
        sum = sum.checked_add(part).filter(|sum| *sum <= 1 << 63)?;
    }
    match (negative, unsigned.is_empty()) {
        (_, true) => None,
        (true, false) => 0_i64.checked_sub_unsigned(sum),
        (false, false) => i64::try_from(sum).ok(),
    }
}

/// A duration as one would write it: `24h`, `2m30s`, `1ms`.
pub fn written(duration: Duration) -> String {
    let (mut written, mut rest) = (String::new(), duration.as_nanos());
    let units = UNITS.iter().rev().filter(|(name, _)| name.is_ascii());
    for (unit, nanos) in units {
        let nanos = u128::from(*nanos);
        if rest >= nanos {
            // Writing to a String can't fail.
            let _ = write!(written, "{}{unit}", rest / nanos);
            rest %= nanos;
        }
    }
    if written.is_empty() {
        written.push_str("0s");
    }
    written
}

/// The nanoseconds of the first number with its unit, and what follows.
fn leading(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit());
    let (unit, rest) = rest.split_at(end.unwrap_or(rest.len()));
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let nanos = whole
        .checked_mul(*unit)?
        .checked_add(part(fraction, *unit))?;
    Some((nanos, rest))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// The nanoseconds of the digits behind a point, in Go's own arithmetic: digits that
/// its 63 bits can't hold are left out, and it multiplies by floating point.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go does the same, and what it rounds is part of its result"
)]
fn part(digits: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0_u64, 1_f64);
    for digit in digits.bytes().map(|digit| u64::from(digit - b'0')) {
        let Some(next) = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(digit))
            .filter(|next| *next <= 1 << 63)
        else {
            break;
        };
        value = next;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_as_few_signs_as_read() {
        for text in [
            "0s", "1ms", "500ms", "10s", "2m30s", "24h", "8760h", "1h1ms", "5us7ns",
        ] {
            let nanos = nanos(text).and_then(|nanos| u64::try_from(nanos).ok());
            let duration = Duration::from_nanos(nanos.expect("it is a duration"));
            assert_eq!(written(duration), text);
        }
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let table = include_str!("../../tests/durations/table.tsv");
        for line in table.lines() {
            let (text, expected) = line.split_once('\t').expect("two columns");
            let read = nanos(text).map_or_else(|| "error".to_owned(), |nanos| nanos.to_string());
            assert_eq!(read, expected, "{text:?}");
        }
    }
}
