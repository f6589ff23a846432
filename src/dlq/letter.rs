//! Reading a dead letter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::{Record, dead_letter};

/// When it failed last, in milliseconds since the Unix epoch: what its header says,
/// else the record's own time.
pub fn failed_at(record: &Record) -> Option<i64> {
    record
        .header(dead_letter::LAST_FAILURE)
        .and_then(millis)
        .or(record.timestamp)
}

/// How often it was sent back already.
pub fn redrives(record: &Record) -> u32 {
    let count = record.header(dead_letter::REDRIVES);
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Milliseconds since the Unix epoch of a time in RFC 3339, in UTC.
pub fn millis(text: &str) -> Option<i64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// Such a time in RFC 3339; `None` before 1970 and after 9999.
pub fn rfc3339(millis: i64) -> Option<String> {
    /// 9999-12-31T23:59:59Z: humantime formats no later year.
    const LAST: u64 = 253_402_300_799_000;
    let since = u64::try_from(millis).ok().filter(|since| *since <= LAST)?;
    let time: SystemTime = UNIX_EPOCH + Duration::from_millis(since);
    Some(humantime::format_rfc3339_millis(time).to_string())
}
