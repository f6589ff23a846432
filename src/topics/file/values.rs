//! From a value to what it means. An error says what was expected.

use crate::metadata::duration;

/// A day, in milliseconds.
pub(super) const DAY: i64 = 24 * 3600 * 1000;

/// The bounds of a retention, in milliseconds: whoever means longer means for ever.
const LEAST: i64 = 1000;
const MOST: i64 = 36_500 * DAY;

/// What `retention.ms` calls for ever.
pub(super) const FOREVER: i64 = -1;

/// How long records are kept, in milliseconds, as Kafka has it.
pub(super) fn retention(text: &str) -> Result<i64, String> {
    if text == "forever" {
        return Ok(FOREVER);
    }
    let millis = millis(text).filter(|millis| (LEAST..=MOST).contains(millis));
    millis.ok_or_else(|| {
        "write days and a duration with its unit (7d, 12h, 1d12h, 30m), from 1s to 36500d, or \
         forever"
            .into()
    })
}

/// Days before a duration as Go reads it.
fn millis(text: &str) -> Option<i64> {
    let (days, rest) = match text.split_once('d') {
        Some((days, rest)) => {
            let plain = !days.is_empty() && days.bytes().all(|byte| byte.is_ascii_digit());
            (days.parse::<i64>().ok().filter(|_| plain)?, rest)
        }
        None => (0, text),
    };
    let rest = match rest {
        "" if days > 0 => 0,
        // A sign belongs to no part of a longer one.
        rest if rest.starts_with(['-', '+']) => return None,
        rest => duration::nanos(rest)? / 1_000_000,
    };
    days.checked_mul(DAY)?.checked_add(rest)
}

/// What becomes of old records, as `cleanup.policy` has it. Other tools turn on and off
/// into flags when they write YAML anew.
pub(super) fn compaction(text: &str) -> Result<&'static str, String> {
    match text {
        "off" | "false" => Ok("delete"),
        "on" | "true" => Ok("compact"),
        "on with deletion" => Ok("compact,delete"),
        _ => Err("write off, on, or \"on with deletion\"".into()),
    }
}

/// A retention as one would write it: `7d`, `12h`, `forever`.
pub(in crate::topics) fn written(millis: i64) -> String {
    if millis < 0 {
        return "forever".into();
    }
    let (days, rest) = (millis / DAY, millis % DAY);
    let rest = std::time::Duration::from_millis(rest.unsigned_abs());
    match (days, rest.is_zero()) {
        (0, _) => duration::written(rest),
        (days, true) => format!("{days}d"),
        (days, false) => format!("{days}d{}", duration::written(rest)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn retentions_are_days_and_durations() {
        for (text, millis) in [
            ("7d", 7 * DAY),
            ("1d12h", DAY + DAY / 2),
            ("168h", 7 * DAY),
            ("1.5h", 5_400_000),
            ("1s", 1000),
            ("36500d", MOST),
            ("forever", FOREVER),
        ] {
            assert_eq!(retention(text), Ok(millis), "{text}");
        }
        for text in [
            "",
            "7",
            "d",
            "0d",
            "-1",
            "-7d",
            "+7d",
            "1d-12h",
            "1d1d",
            "36501d",
            "999ms",
            "Forever",
            "7 d",
            "7D",
            "1.5d",
            "99999999999999999999d",
        ] {
            assert!(retention(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(millis in LEAST..=MOST) {
            prop_assert_eq!(retention(&written(millis)), Ok(millis));
        }

        #[test]
        fn no_text_is_too_much(text in "[0-9dhms.+-]{0,30}|.{0,30}") {
            if let Ok(millis) = retention(&text) {
                prop_assert!(millis == FOREVER || (LEAST..=MOST).contains(&millis));
            }
        }
    }
}
