//! Times as text, by RFC 3339 and in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 9999-12-31T23:59:59Z in seconds since the Unix epoch: the text has four digits for
/// the year.
pub const LAST: u64 = 253_402_300_799;

/// A time in milliseconds: `2026-01-31T12:00:00.000Z`. Before 1970 and after 9999 it is
/// the nearest that there is.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(within(time)).to_string()
}

/// The same in seconds: `2026-01-31T12:00:00Z`.
pub fn rfc3339_seconds(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(within(time)).to_string()
}

/// Reads such a text; `None` if it is none, or before 1970.
pub fn parse(text: &str) -> Option<SystemTime> {
    let time = humantime::parse_rfc3339(text).ok()?;
    (time >= UNIX_EPOCH).then_some(time)
}

fn within(time: SystemTime) -> SystemTime {
    time.clamp(UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(LAST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(millis in 0..=LAST * 1000) {
            let time = UNIX_EPOCH + Duration::from_millis(millis);
            prop_assert_eq!(parse(&rfc3339(time)), Some(time));
            let seconds = UNIX_EPOCH + Duration::from_secs(millis / 1000);
            prop_assert_eq!(parse(&rfc3339_seconds(time)), Some(seconds));
        }

        #[test]
        fn any_time_has_a_text(seconds in any::<i32>().prop_map(i64::from), far in any::<bool>()) {
            let away = Duration::from_secs(seconds.unsigned_abs() * if far { 1 << 30 } else { 1 });
            let time = if seconds < 0 { UNIX_EPOCH.checked_sub(away) } else { UNIX_EPOCH.checked_add(away) };
            let text = rfc3339(time.unwrap_or(UNIX_EPOCH));
            prop_assert!(parse(&text).is_some(), "{}", text);
        }

        #[test]
        fn no_text_is_too_much(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
