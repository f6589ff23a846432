//! A group's progress as it is committed: the offset, and in the commit's metadata the topic
//! that the offset belongs to and what is finished above the offset.
//!
//! Metadata is free text that Kafka keeps with an offset, for the group itself
//! (`OffsetCommitRequest`). Ours is
//! `dapr-rdkafka/2 5L6g3nShT-eMCtK--X86sw K3p6xZ1sQ2uC6M0lQnW8dA 17 2-4,9`: offset 17 belongs to
//! the topic with the second id in the cluster with the first one (`-` if unknown), and offsets
//! from 17 + 2 to 17 + 4 and 17 + 9 are finished. The list is left out if it is empty.
//!
//! The metadata names the topic so that a topic that was deleted and created again is read from
//! its first record by the next member. It names the offset because a tool may move a group's
//! offset and keep the metadata: such metadata is ignored. Where brokers give topics no ids
//! (Kafka before 2.8, Redpanda), commits carry no metadata.
//!
//! Version 0.1 wrote `dapr-rdkafka K3p6xZ1sQ2uC6M0lQnW8dA 17 2-4,9`, and only if something was
//! finished above the offset. That is still read. Version 0.1 ignores the new text.

use std::{fmt::Write as _, ops::Range};

use super::{TopicId, identity::Origin};
use crate::model::{Offset, Progress};

const NAME: &str = "dapr-rdkafka/2";
const NAME_OF_0_1: &str = "dapr-rdkafka";
/// Stands for the id of a cluster that tells none.
const NO_CLUSTER: &str = "-";

/// The most for one partition, in bytes: below what a broker takes by default
/// (`offset.metadata.max.bytes`, 4,096).
pub(super) const LARGEST: usize = 4000;

/// The most for one commit: the coordinator writes it as one batch, which must not be larger
/// than a message may be (`message.max.bytes`, 1 MiB by default).
const LARGEST_COMMIT: usize = 256 * 1024;

/// The most that metadata without ranges takes: name, two ids and the offset.
const WITHOUT_RANGES: usize = 128;

/// How large the metadata of each partition may be in a commit of so many partitions, so many
/// of them with ranges.
pub(super) fn bound(partitions: usize, with_ranges: usize) -> usize {
    let left = LARGEST_COMMIT.saturating_sub(partitions * WITHOUT_RANGES);
    LARGEST.min(WITHOUT_RANGES + left / with_ranges.max(1))
}

/// How many bytes of metadata are tried after so many were refused; 0 is none.
pub(super) fn less(refused: usize) -> usize {
    let half = refused / 2;
    if half < WITHOUT_RANGES { 0 } else { half }
}

/// The metadata to commit, at most `bound` bytes. Ranges that do not fit are left out, and
/// their records are redelivered.
pub fn metadata(progress: &Progress, of: &Origin, bound: usize) -> String {
    let point = progress.point.0;
    let cluster = of.cluster.as_deref().unwrap_or(NO_CLUSTER);
    let mut text = format!("{NAME} {cluster} {} {point}", of.topic);
    let empty = text.len();
    for Range { start, end } in &progress.above {
        let before = text.len();
        let separator = if before == empty { ' ' } else { ',' };
        let (first, last) = (start.0 - point, end.0 - 1 - point);
        // Writing to a text never fails.
        let _ = write!(text, "{separator}{first}");
        if first != last {
            let _ = write!(text, "-{last}");
        }
        if text.len() > bound {
            text.truncate(before);
            break;
        }
    }
    text
}

/// The progress that was committed with this offset, and the topic that it belongs to. Only the
/// offset counts if the metadata is of another program, or names another offset.
pub fn parse(point: Offset, metadata: &[u8]) -> (Progress, Option<Origin>) {
    let text = std::str::from_utf8(metadata).ok();
    let (above, of) = match text.and_then(|text| said(point, text)) {
        Some((of, above)) => (above, Some(of)),
        None => (Vec::new(), None),
    };
    (Progress { point, above }, of)
}

fn said(point: Offset, text: &str) -> Option<(Origin, Vec<Range<Offset>>)> {
    let mut words = text.split(' ');
    let cluster = match words.next()? {
        NAME => match words.next()? {
            NO_CLUSTER => None,
            id => Some(Origin::fitting(id)?),
        },
        NAME_OF_0_1 => None,
        _ => return None,
    };
    let topic: TopicId = words.next()?.parse().ok()?;
    if words.next()?.parse() != Ok(point.0) {
        return None;
    }
    let above = match words.next() {
        Some(text) => ranges(point, text)?,
        None => Vec::new(),
    };
    let is_over = words.next().is_none();
    is_over.then_some((Origin { cluster, topic }, above))
}

fn ranges(point: Offset, text: &str) -> Option<Vec<Range<Offset>>> {
    let mut above: Vec<Range<Offset>> = Vec::new();
    for text in text.split(',') {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let offset = |distance: &str| point.0.checked_add(distance.parse().ok()?);
        let range = Offset(offset(first)?)..Offset(offset(last)?.checked_add(1)?);
        let from = above.last().map_or(point, |before| before.end);
        if range.start < from || range.is_empty() {
            return None;
        }
        above.push(range);
    }
    Some(above)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "gAAAAAAAAAH__________g";
    const CLUSTER: &str = "5L6g3nShT-eMCtK--X86sw";

    fn of(cluster: Option<&str>) -> Origin {
        Origin {
            cluster: cluster.map(Into::into),
            topic: TopicId(i64::MIN + 1, -2),
        }
    }

    fn progress(point: i64, above: &[(i64, i64)]) -> Progress {
        let above = above.iter();
        let above = above.map(|(start, end)| Offset(*start)..Offset(*end));
        Progress {
            point: Offset(point),
            above: above.collect(),
        }
    }

    #[test]
    fn each_commit_names_its_topic_and_what_is_finished_above() {
        let (some, none) = (progress(17, &[(19, 22), (26, 27)]), progress(17, &[]));
        for (cluster, named) in [(Some(CLUSTER), CLUSTER), (None, "-")] {
            let start = format!("dapr-rdkafka/2 {named} {ID} 17");
            for (progress, text) in [(&some, format!("{start} 2-4,9")), (&none, start)] {
                assert_eq!(metadata(progress, &of(cluster), LARGEST), text);
                let read = parse(Offset(17), text.as_bytes());
                assert_eq!(read, (progress.clone(), Some(of(cluster))));
            }
        }
    }

    #[test]
    fn metadata_that_is_refused_is_halved_as_long_as_it_can_name_the_topic() {
        let rooms = std::iter::successors(Some(LARGEST), |room| (*room > 0).then(|| less(*room)));
        let rooms: Vec<_> = rooms.collect();
        assert_eq!(rooms, [4000, 2000, 1000, 500, 250, 0]);
    }

    #[test]
    fn what_0_1_committed_is_read() {
        let text = format!("dapr-rdkafka {ID} 17 2-4,9");
        let read = parse(Offset(17), text.as_bytes());
        let some = progress(17, &[(19, 22), (26, 27)]);
        assert_eq!(read, (some, Some(of(None))));
    }

    /// 0.1 took metadata for its own if it began with its name and a space.
    #[test]
    fn version_0_1_ignores_what_is_committed_now() {
        let text = metadata(&progress(17, &[(19, 22)]), &of(Some(CLUSTER)), LARGEST);
        assert_eq!(text.strip_prefix("dapr-rdkafka "), None);
    }

    #[test]
    fn ranges_that_do_not_fit_are_left_out_from_the_end() {
        let some = progress(17, &[(19, 22), (26, 27)]);
        let fits = format!("dapr-rdkafka/2 - {ID} 17 2-4");
        let short = metadata(&some, &of(None), fits.len() + 1);
        assert_eq!(short, fits);
        let shorter = metadata(&some, &of(None), fits.len() - 1);
        assert_eq!(shorter, format!("dapr-rdkafka/2 - {ID} 17"));
        assert_eq!((bound(1, 1), bound(1000, 1)), (4000, 4000));
        assert_eq!(bound(1024, 1024), 128 + 128, "256 KiB altogether");
        let longest = metadata(
            &progress(i64::MAX, &[]),
            &of(Some(&"x".repeat(64))),
            bound(usize::MAX / 1024, 0),
        );
        assert!(longest.len() <= WITHOUT_RANGES, "{}", longest.len());
    }

    #[test]
    fn metadata_of_another_offset_or_of_others_says_nothing() {
        let named = |rest: &str| format!("dapr-rdkafka/2 {CLUSTER} {ID} {rest}");
        for text in [
            String::new(),
            named("16"),
            named("16 2-4"),
            named("17 "),
            named("17 4-2"),
            named("17 2-4,4"),
            named("17 -1"),
            named("17 2-9223372036854775807"),
            named("17 2-4 5"),
            named("17 2-4").replace("H__", "H_"),
            named("17 2-4").replace("dapr-rdkafka", "sarama"),
            named("17 2-4").replace("/2", "/3"),
            named("17 2-4").replace(CLUSTER, "a/b"),
            "dapr-rdkafka/2 - - 17 2-4".to_owned(),
            "dapr-rdkafka 17 2-4".to_owned(),
        ] {
            let read = parse(Offset(17), text.as_bytes());
            assert_eq!(read, (progress(17, &[]), None), "{text:?}");
        }
        assert_eq!(parse(Offset(17), b"\xff"), (progress(17, &[]), None));
    }

    proptest! {
        #[test]
        fn all_that_is_committed_is_read_again(
            point in 0..i64::MAX / 2,
            steps in prop::collection::vec((0..1000_i64, 1..1000_i64), 0..2000),
            bound in WITHOUT_RANGES..=LARGEST,
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
            let text = metadata(&committed, &of(Some(CLUSTER)), bound);
            prop_assert!(text.len() <= bound);
            let (read, topic) = parse(point, text.as_bytes());
            prop_assert_eq!(topic, Some(of(Some(CLUSTER))));
            prop_assert!(committed.above.starts_with(&read.above));
            let all = metadata(&committed, &of(Some(CLUSTER)), usize::MAX);
            prop_assert!(all.len() > bound || read == committed);
        }

        #[test]
        fn no_metadata_breaks_it(text in "(dapr-rdkafka(/2 -)? )?(gAAAAAAAAAH__________g )?(17 ?)?[0-9]{0,20}(-[0-9]{0,20})?[0-9,-]{0,9}") {
            let (read, _) = parse(Offset(17), text.as_bytes());
            let mut least = Offset(17);
            for Range { start, end } in read.above {
                prop_assert!(least <= start && start < end);
                least = end;
            }
        }
    }
}
