//! Which dead letters are meant.

use std::{hash::Hasher as _, str::FromStr};

use fnv::FnvHasher;
use serde::Serialize;

use super::letter;
use crate::model::{Offset, Record, dead_letter};

/// Filters; a record must pass each of them. Without any it is every record.
///
/// What is not filtered is not serialized: so a filter that a later version adds leaves
/// the names of [`Selection::progress_group`] as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// A failure's name, or a part of the message, both in any case; one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// One of these keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Key>,
    /// Failed at this time or later, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Failed before this time, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// In one of these partitions of the dead-letter topic.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<i32>,
    /// At these offsets of the dead-letter topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets: Option<Offsets>,
}

/// A record's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Key(pub Vec<u8>);

/// A range of offsets, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
            && (self.reasons.is_empty() || self.has_reason(record))
            && self.in_time(record)
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

    /// The group under which the progress of redriving this selection is committed.
    /// Each selection has its own, so that a wider redrive does not skip what a
    /// narrower one did not select.
    pub fn progress_group(&self, topic: &str) -> String {
        let everything = format!("dapr-rdkafka-redrive.{topic}");
        if *self == Self::default() {
            return everything;
        }
        // What is written in another order or case, or twice, means the same.
        let mut sorted = self.clone();
        for reason in &mut sorted.reasons {
            *reason = reason.to_lowercase();
        }
        sorted.reasons.sort_unstable();
        sorted.reasons.dedup();
        sorted.keys.sort_unstable();
        sorted.keys.dedup();
        sorted.partitions.sort_unstable();
        sorted.partitions.dedup();
        // FNV, since the name must be the same with the next version of this program.
        let mut hasher = FnvHasher::default();
        hasher.write(serde_json::json!(sorted).to_string().as_bytes());
        format!("{everything}.{:016x}", hasher.finish())
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

/// A time as `2026-01-31T12:00:00Z`, in milliseconds since the Unix epoch.
pub fn time(text: &str) -> Result<i64, String> {
    letter::millis(text)
        .ok_or_else(|| "expected a time in UTC, such as 2026-01-31T12:00:00Z".into())
}

#[cfg(test)]
mod tests;
