//! Reading a dead letter.

use std::time::{Duration, UNIX_EPOCH};

use crate::model::{Record, dead_letter, time};

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
    let since = time::parse(text)?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// Such a time in RFC 3339; `None` before 1970 and after 9999.
pub fn rfc3339(millis: i64) -> Option<String> {
    let since = u64::try_from(millis).ok();
    let since = since.filter(|since| *since <= time::LAST * 1000)?;
    Some(time::rfc3339(UNIX_EPOCH + Duration::from_millis(since)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{dlq::tests::letter, model::Header};

    proptest! {
        #[test]
        fn a_time_that_has_a_text_is_read_from_it(at in any::<i64>(), near in any::<u32>()) {
            for at in [at, i64::from(near) * 1000 + 7] {
                if let Some(text) = rfc3339(at) {
                    prop_assert_eq!(millis(&text), Some(at));
                }
            }
        }

        /// Whatever another tool wrote there.
        #[test]
        fn any_headers_can_be_read(last in vec(any::<u8>(), 0..40), count in vec(any::<u8>(), 0..12)) {
            let mut record = letter(&[]);
            record.headers = [(dead_letter::LAST_FAILURE, last), (dead_letter::REDRIVES, count)]
                .map(|(name, value)| Header { name: name.into(), value: Some(Bytes::from(value)) })
                .into();
            // What is no time, as nearly all of these, leaves the record's own.
            let at = failed_at(&record);
            let said = record.header(dead_letter::LAST_FAILURE).and_then(millis);
            prop_assert_eq!(at, said.or(record.timestamp));
            let digits = record.header(dead_letter::REDRIVES).is_some_and(|text| text.parse::<u32>().is_ok());
            prop_assert!(digits || redrives(&record) == 0);
        }
    }
}
