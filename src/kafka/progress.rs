//! A group's progress, as it is committed: the offset, and in the commit's metadata what is
//! finished above it.
//!
//! Metadata is free text that Kafka keeps with an offset, for the group itself
//! (`OffsetCommitRequest`). Ours is `dapr-rdkafka K3p6xZ1sQ2uC6M0lQnW8dA 17 2-4,9`: of the topic
//! with this id, offsets from 17 + 2 to 17 + 4 and 17 + 9 are finished. It names the topic and
//! the offset that it belongs to: a tool that moves a group's offset and keeps the metadata, or
//! copies both to another cluster, means all that follows. So where brokers give topics no ids
//! (Kafka before 2.8, Redpanda) nothing is said.

use std::{fmt::Write as _, ops::Range};

use super::TopicId;
use crate::model::{Offset, Progress};

const NAME: &str = "dapr-rdkafka";

/// The most for one partition, in bytes: below what a broker takes by default
/// (`offset.metadata.max.bytes`, 4,096).
const LARGEST: usize = 4000;

/// The most for one commit: the coordinator writes it as one batch, which must not be larger
/// than a message may be (`message.max.bytes`, 1 MiB by default).
const LARGEST_COMMIT: usize = 256 * 1024;

/// How large the metadata of each of so many partitions may be.
pub(super) fn bound(partitions: usize) -> usize {
    LARGEST.min(LARGEST_COMMIT / partitions.max(1))
}

/// The metadata to commit. What does not fit into so many bytes is left out, and comes again.
pub(super) fn metadata(progress: &Progress, topic: TopicId, bound: usize) -> Option<String> {
    let point = progress.point.0;
    let mut text = format!("{NAME} {topic} {point} ");
    let empty = text.len();
    for Range { start, end } in &progress.above {
        let before = text.len();
        let comma = if before == empty { "" } else { "," };
        let (first, last) = (start.0 - point, end.0 - 1 - point);
        // Writing to a text never fails.
        let _ = write!(text, "{comma}{first}");
        if first != last {
            let _ = write!(text, "-{last}");
        }
        if text.len() > bound {
            text.truncate(before);
            break;
        }
    }
    (text.len() > empty).then_some(text)
}

/// The progress that was committed with this offset, in a partition that ends at `end`, and
/// the topic whose records it names. Metadata that is not ours, or says more than there is,
/// says nothing.
pub(super) fn parse(point: Offset, metadata: &[u8], end: Offset) -> (Progress, Option<TopicId>) {
    let said = std::str::from_utf8(metadata).ok();
    let said = said.and_then(|text| above(point, text));
    // Beyond its end the partition has lost what it had.
    let said = said.filter(|(_, above)| above.last().is_none_or(|last| last.end <= end));
    let (topic, above) = said.unzip();
    let above = above.unwrap_or_default();
    (Progress { point, above }, topic)
}

fn above(point: Offset, text: &str) -> Option<(TopicId, Vec<Range<Offset>>)> {
    let text = text.strip_prefix(NAME)?.strip_prefix(' ')?;
    let (topic, text) = text.split_once(' ')?;
    let topic = topic.parse().ok()?;
    let (named, ranges) = text.split_once(' ')?;
    if named.parse() != Ok(point.0) {
        return None;
    }
    let mut above: Vec<Range<Offset>> = Vec::new();
    for text in ranges.split(',') {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let offset = |distance: &str| point.0.checked_add(distance.parse().ok()?);
        let range = Offset(offset(first)?)..Offset(offset(last)?.checked_add(1)?);
        let from = above.last().map_or(point, |before| before.end);
        if range.start < from || range.is_empty() {
            return None;
        }
        above.push(range);
    }
    Some((topic, above))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const END: Offset = Offset(1000);
    const TOPIC: TopicId = TopicId(i64::MIN + 1, -2);
    const ID: &str = "gAAAAAAAAAH__________g";

    fn progress(point: i64, above: &[(i64, i64)]) -> Progress {
        let above = above.iter();
        let above = above.map(|(start, end)| Offset(*start)..Offset(*end));
        Progress {
            point: Offset(point),
            above: above.collect(),
        }
    }

    #[test]
    fn what_is_finished_above_is_told_from_the_offset_on() {
        let some = progress(17, &[(19, 22), (26, 27)]);
        let text = metadata(&some, TOPIC, LARGEST).expect("there is some");
        assert_eq!(text, format!("dapr-rdkafka {ID} 17 2-4,9"));
        let parsed = parse(Offset(17), text.as_bytes(), END);
        assert_eq!(parsed, (some, Some(TOPIC)));
        assert_eq!(metadata(&progress(17, &[]), TOPIC, LARGEST), None);
    }

    #[test]
    fn what_does_not_fit_is_left_out_from_the_end() {
        let some = progress(17, &[(19, 22), (26, 27)]);
        let fits = format!("dapr-rdkafka {ID} 17 2-4");
        let short = metadata(&some, TOPIC, fits.len() + 1);
        assert_eq!(short, Some(fits.clone()));
        assert_eq!(metadata(&some, TOPIC, fits.len() - 1), None);
        assert_eq!((bound(1), bound(65), bound(256)), (4000, 4000, 1024));
    }

    #[test]
    fn metadata_of_another_offset_or_of_others_or_beyond_the_end_says_nothing() {
        let nothing = progress(17, &[]);
        let named = |rest: &str| format!("dapr-rdkafka {ID} {rest}");
        let parsed = parse(Offset(17), named("17 2-982").as_bytes(), END);
        assert_eq!(parsed.0, progress(17, &[(19, 1000)]), "up to the end");
        for text in [
            String::new(),
            named("16 2-4"),
            named("17 "),
            named("17 4-2"),
            named("17 2-4,4"),
            named("17 -1"),
            named("17 2-9223372036854775807"),
            named("17 2-983"),
            named("17 2-4").replace("H__", "H_"),
            named("17 2-4").replace("dapr-rdkafka", "sarama"),
            "dapr-rdkafka - 17 2-4".to_owned(),
            "dapr-rdkafka 17 2-4".to_owned(),
        ] {
            let parsed = parse(Offset(17), text.as_bytes(), END);
            assert_eq!(parsed, (nothing.clone(), None), "{text:?}");
        }
        assert_eq!(parse(Offset(17), b"\xff", END), (nothing, None));
    }

    proptest! {
        #[test]
        fn all_that_is_committed_is_read_again(
            point in 0..i64::MAX / 2,
            steps in prop::collection::vec((0..1000_i64, 1..1000_i64), 0..2000),
            bound in 0..=LARGEST,
        ) {
            let mut next = point;
            let above = steps.iter().map(|(gap, length)| {
                let start = next + gap;
                next = start + length;
                Offset(start)..Offset(next)
            });
            let point = Offset(point);
            let above: Vec<_> = above.collect();
            let committed = Progress { point, above };
            let text = metadata(&committed, TOPIC, bound).unwrap_or_default();
            prop_assert!(text.len() <= bound);
            let (read, _) = parse(point, text.as_bytes(), Offset(i64::MAX));
            prop_assert!(committed.above.starts_with(&read.above));
            let fits = metadata(&committed, TOPIC, usize::MAX).is_none_or(|all| all.len() <= bound);
            prop_assert!(!fits || read == committed);
        }

        #[test]
        fn no_metadata_breaks_it(text in "(dapr-rdkafka )?(gAAAAAAAAAH__________g )?(17 )?[0-9]{0,20}(-[0-9]{0,20})?[0-9,-]{0,9}") {
            let (read, _) = parse(Offset(17), text.as_bytes(), END);
            let mut least = Offset(17);
            for Range { start, end } in read.above {
                prop_assert!(least <= start && start < end && end <= END);
                least = end;
            }
        }
    }
}
