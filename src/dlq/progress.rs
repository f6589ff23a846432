//! How far a partition was redriven, as it is kept in Kafka.

use std::collections::HashMap;

use super::Failed;
use crate::{
    kafka::{Browser, Mark},
    model::Offset,
};

/// How far one partition of a dead-letter topic was redriven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Everything before this offset was sent back, or left, or not selected.
    pub next: Offset,
    /// What was left: it must neither be forgotten nor purged.
    pub left: Option<LeftBehind>,
}

/// Records that progress has passed although they were not sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftBehind {
    /// The first one.
    pub first: Offset,
    /// How many there are.
    pub count: u64,
}

impl Progress {
    /// Progress that begins at an offset.
    pub fn at(next: Offset) -> Self {
        Self { next, left: None }
    }

    /// Passes a record.
    pub fn pass(&mut self, offset: Offset, left: bool) {
        self.next = offset.next();
        if left {
            let first = LeftBehind {
                first: offset,
                count: 0,
            };
            self.left.get_or_insert(first).count += 1;
        }
    }

    /// The offset before which everything was sent back.
    pub fn sent_before(&self) -> Offset {
        self.left.map_or(self.next, |left| left.first)
    }

    /// What is committed.
    pub fn mark(&self) -> Mark {
        let note = self
            .left
            .map(|left| format!("left {} {}", left.first, left.count));
        Mark {
            offset: self.next,
            note: note.unwrap_or_default(),
        }
    }

    /// What was committed, as far as it still fits a partition with these ends. `None`
    /// if it is about another topic of that name.
    fn from_mark(mark: &Mark, low: Offset, high: Offset) -> Option<Self> {
        if mark.offset > high {
            return None;
        }
        let mut words = mark
            .note
            .strip_prefix("left ")
            .unwrap_or_default()
            .split(' ');
        let mut number = || words.next()?.parse::<i64>().ok();
        let left = number().zip(number()).map(|(first, count)| LeftBehind {
            first: Offset(first).max(low),
            count: u64::try_from(count).unwrap_or_default(),
        });
        let next = mark.offset.max(low);
        let left = left.filter(|left| left.first < next);
        Some(Self {
            next,
            // Retention may have removed some: no more than there are offsets.
            left: left.map(|left| LeftBehind {
                count: left.count.min((next.0 - left.first.0).unsigned_abs()),
                ..left
            }),
        })
    }
}

/// How far the browser's group has redriven a topic, by partition. A partition of which
/// nothing was redriven is not among them.
pub async fn read(
    browser: &Browser,
    topic: &str,
    ends: &[(i32, Offset, Offset)],
) -> Result<HashMap<i32, Progress>, Failed> {
    let partitions: Vec<_> = ends.iter().map(|(partition, _, _)| *partition).collect();
    let marks = browser
        .committed(topic, &partitions)
        .await
        .map_err(Failed::kafka(format!(
            "reading how far {topic} was redriven (this takes the right to read groups dapr-rdkafka-redrive.*)"
        )))?;
    let mut progress = HashMap::new();
    for (partition, low, high) in ends {
        let Some(mark) = marks.get(partition) else {
            continue;
        };
        if let Some(found) = Progress::from_mark(mark, *low, *high) {
            progress.insert(*partition, found);
        } else {
            tracing::warn!(
                "{topic}/{partition}: the progress {} is beyond the end {high}, so it is another \
                 topic's of that name; beginning at the first record",
                mark.offset
            );
        }
    }
    Ok(progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// A group's metadata is text that anyone with the right to commit may write.
        #[test]
        fn whatever_was_committed_is_within_the_partition(
            note in "(left )?-?([0-9]{0,3}|[0-9]{0,20})( -?[0-9]{0,20})?.{0,2}",
            (low, length, next) in (0..1_000_i64, 0..1_000_i64, 0..3_000_i64),
        ) {
            let (low, high) = (Offset(low), Offset(low + length));
            let mark = Mark { offset: Offset(next), note };
            let Some(read) = Progress::from_mark(&mark, low, high) else {
                proptest::prop_assert!(mark.offset > high);
                return Ok(());
            };
            proptest::prop_assert!(low <= read.next && read.next <= high);
            if let Some(left) = read.left {
                proptest::prop_assert!(low <= left.first && left.first < read.next);
                proptest::prop_assert!(left.count <= read.next.0.abs_diff(left.first.0));
            }
            proptest::prop_assert_eq!(Progress::from_mark(&read.mark(), low, high), Some(read));
        }
    }

    #[test]
    fn what_is_committed_is_read_again() {
        let mut progress = Progress::at(Offset(3));
        assert_eq!(progress.mark().note, "");
        progress.pass(Offset(3), false);
        progress.pass(Offset(7), true);
        progress.pass(Offset(8), false);
        progress.pass(Offset(9), true);
        assert_eq!(progress.next, Offset(10));
        assert_eq!(progress.sent_before(), Offset(7));
        let read = |low, high| Progress::from_mark(&progress.mark(), Offset(low), Offset(high));
        assert_eq!(read(0, 10), Some(progress));
        assert_eq!(read(0, 9), None, "the topic was created anew");
        // Retention removed some.
        assert_eq!(read(8, 20).map(|read| read.sent_before()), Some(Offset(8)));
        let left = read(9, 20).and_then(|read| read.left);
        assert_eq!(left.map(|left| left.count), Some(1), "one offset is there");
        assert_eq!(read(15, 20), Some(Progress::at(Offset(15))));
    }
}
