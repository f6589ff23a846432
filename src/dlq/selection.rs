//! Which dead letters are meant.

use std::{
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use super::letter;
use crate::model::{Offset, Record, dead_letter};

/// Filters; a record must pass each of them. Without any it is every record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A failure's name, or a part of the message, both in any case; one of them.
    pub reasons: Vec<String>,
    /// Names one of these topics as the one that it comes from.
    pub sources: Vec<String>,
    /// One of these keys.
    pub keys: Vec<Key>,
    /// Failed at this time or later, in milliseconds since the Unix epoch.
    pub since: Option<i64>,
    /// Failed before this time, in milliseconds since the Unix epoch.
    pub until: Option<i64>,
    /// In one of these partitions of the dead-letter topic.
    pub partitions: Vec<i32>,
    /// At these offsets of the dead-letter topic.
    pub offsets: Option<Offsets>,
}

/// A record's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub Vec<u8>);

/// A range of offsets, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
}

impl Selection {
    /// Whether a record of the dead-letter topic is meant.
    pub fn holds(&self, record: &Record) -> bool {
        let key = || {
            let key = record.key.as_deref();
            self.keys
                .iter()
                .any(|wanted| Some(wanted.0.as_slice()) == key)
        };
        let partition = record.at.partition;
        (self.partitions.is_empty() || self.partitions.contains(&partition))
            && self
                .offsets
                .is_none_or(|offsets| offsets.hold(record.offset))
            && (self.keys.is_empty() || key())
            && (self.sources.is_empty() || self.has_source(record))
            && (self.reasons.is_empty() || self.has_reason(record))
            && self.in_time(record)
    }

    fn has_source(&self, record: &Record) -> bool {
        let source = record.header(dead_letter::TOPIC);
        source.is_some_and(|source| self.sources.iter().any(|wanted| wanted == source))
    }

    fn has_reason(&self, record: &Record) -> bool {
        let text = |name| record.header(name).map(str::to_lowercase);
        let failure = text(dead_letter::FAILURE);
        let message = text(dead_letter::MESSAGE).unwrap_or_default();
        self.reasons.iter().any(|wanted| {
            let wanted = wanted.to_lowercase();
            failure.as_ref() == Some(&wanted) || message.contains(&wanted)
        })
    }

    /// A record without any time is in no range of time.
    fn in_time(&self, record: &Record) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        letter::failed_at(record).is_some_and(|at| {
            self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
        })
    }

    /// The part of a partition that has to be read, from the first offset to the one
    /// after the last; `None` if nothing of it is meant.
    pub fn range(&self, partition: i32, low: Offset, high: Offset) -> Option<(Offset, Offset)> {
        if !self.partitions.is_empty() && !self.partitions.contains(&partition) {
            return None;
        }
        let (first, end) = self.offsets.map_or((low, high), |offsets| {
            let end = Offset(offsets.last.saturating_add(1));
            (low.max(Offset(offsets.first)), high.min(end))
        });
        (first < end).then_some((first, end))
    }
}

impl Offsets {
    fn hold(self, offset: Offset) -> bool {
        (self.first..=self.last).contains(&offset.0)
    }
}

impl FromStr for Key {
    type Err = String;

    /// Text, or bytes as `hex:00ff`.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some(digits) = text.strip_prefix("hex:") else {
            return Ok(Self(text.as_bytes().to_vec()));
        };
        let wrong = || format!("\"{digits}\" is not hex: two digits a byte, such as hex:00ff");
        if digits.len() % 2 != 0 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl FromStr for Offsets {
    type Err = String;

    /// `7`, `7..9`, `7..` or `..9`, both ends included.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str, open| {
            if text.is_empty() {
                return Some(open);
            }
            text.parse().ok().filter(|number: &i64| *number >= 0)
        };
        let range = match text.split_once("..") {
            Some((first, last)) => number(first, 0).zip(number(last, i64::MAX)),
            None if text.is_empty() => None,
            None => number(text, 0).map(|only| (only, only)),
        };
        range
            .filter(|(first, last)| first <= last)
            .map(|(first, last)| Self { first, last })
            .ok_or_else(|| {
                "expected an offset or a range: 7, 7..9 (both included), 7.., ..9".into()
            })
    }
}

/// A time as `2026-01-31T12:00:00Z`, or so long ago as `2h` or `3days`, in milliseconds since
/// the Unix epoch.
pub fn time(text: &str) -> Result<i64, String> {
    at(text, SystemTime::now()).ok_or_else(|| {
        "expected a time in UTC, such as 2026-01-31T12:00:00Z, or how long ago it was: 30m, 2h, 3d"
            .into()
    })
}

fn at(text: &str, now: SystemTime) -> Option<i64> {
    let ago = || {
        let ago = humantime::parse_duration(text).ok()?;
        let since = now.duration_since(UNIX_EPOCH).ok()?.checked_sub(ago)?;
        i64::try_from(since.as_millis()).ok()
    };
    letter::millis(text).or_else(ago)
}

#[cfg(test)]
mod tests;
