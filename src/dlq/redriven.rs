//! What a dead letter becomes when it is sent back.

use bytes::Bytes;

use super::letter;
use crate::{
    kafka::Outgoing,
    model::{Header, Record, dead_letter},
};

/// Headers that daprd and Spring add on the way, and that describe the journey which
/// has ended. Spring's `DeadLetterPublishingRecoverer` names all of its own so.
const PREFIXES: [&str; 2] = ["__", "kafka_dlt-"];

/// The partition in which the built-in component's retry found the record.
const PARTITION_NUMBER: &str = "partitionNumber";

/// How dead letters are sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// To all groups of the topic, not only to the one that failed.
    pub to_all: bool,
    /// Where those go that don't name their source.
    pub topic: Option<String>,
    /// One that was sent back this often stays.
    pub max_redrives: u32,
}

/// Why a dead letter is not sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Left {
    /// It does not say which topic it comes from.
    NoTopic,
    /// It does not say which group failed.
    NoGroup,
    /// It comes from the dead-letter topic itself.
    OwnTopic,
    /// It was sent back as often as allowed.
    TooOften,
}

impl Left {
    /// Why, and what to do about it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoTopic => {
                "does not name its source topic (the built-in component or another tool wrote it); --topic TOPIC says where such records go"
            }
            Self::NoGroup => {
                "does not name the group that failed (the built-in component or another tool wrote it); --to-all sends to every group"
            }
            Self::OwnTopic => "would come back to the dead-letter topic itself",
            Self::TooOften => {
                "was sent back as often as --max-redrives allows; mend the cause first, then raise it"
            }
        }
    }

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoTopic => "no-topic",
            Self::NoGroup => "no-group",
            Self::OwnTopic => "own-topic",
            Self::TooOften => "too-often",
        }
    }
}

/// The record to send, or why it stays.
///
/// Key, value and the app's headers stay as they are. The time is that of sending: with
/// its old time, the topic's retention could remove the record before it is read.
pub fn redriven(record: &Record, rules: &Rules) -> Result<Outgoing, Left> {
    let redrives = letter::redrives(record);
    if redrives >= rules.max_redrives {
        return Err(Left::TooOften);
    }
    let source = record.header(dead_letter::TOPIC).map(str::to_owned);
    let topic = source.or_else(|| rules.topic.clone());
    let topic = topic.ok_or(Left::NoTopic)?;
    if topic == *record.at.topic {
        return Err(Left::OwnTopic);
    }
    let mut headers: Vec<_> = record
        .headers
        .iter()
        .filter(|header| travels(&header.name))
        .cloned()
        .collect();
    headers.push(header(dead_letter::REDRIVES, &(redrives + 1).to_string()));
    if !rules.to_all {
        let group = record.header(dead_letter::GROUP).ok_or(Left::NoGroup)?;
        headers.push(header(dead_letter::REDRIVE_GROUP, group));
        headers.push(header(dead_letter::REDRIVE_TOPIC, &topic));
    }
    Ok(Outgoing {
        topic,
        partition: None,
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
        timestamp: None,
    })
}

/// Whether the header of this name goes along.
fn travels(name: &str) -> bool {
    let replaced = [
        dead_letter::REDRIVES,
        dead_letter::REDRIVE_GROUP,
        dead_letter::REDRIVE_TOPIC,
        PARTITION_NUMBER,
    ];
    !dead_letter::WRITTEN.contains(&name)
        && !replaced.contains(&name)
        && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn header(name: &str, value: &str) -> Header {
    Header {
        name: name.to_owned(),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlq::tests::letter;

    const RULES: Rules = Rules {
        to_all: false,
        topic: None,
        max_redrives: 3,
    };

    fn names(outgoing: &Outgoing) -> Vec<&str> {
        let names = outgoing.headers.iter().map(|header| header.name.as_str());
        names.collect()
    }

    #[test]
    fn a_redriven_record_keeps_what_is_the_apps_and_nothing_else() {
        let record = letter(&[
            ("user", b"\xff\x00"),
            (dead_letter::TOPIC, b"orders"),
            (dead_letter::GROUP, b"todo"),
            (dead_letter::FAILURE, b"rejected"),
            (dead_letter::COMPONENT, b"c"),
            (dead_letter::REDRIVES, b"1"),
            (dead_letter::REDRIVE_GROUP, b"older"),
            (dead_letter::REDRIVE_TOPIC, b"elsewhere"),
            ("__key", b"k"),
            ("__anything", b"x"),
            (PARTITION_NUMBER, b"3"),
            ("kafka_dlt-original-topic", b"orders"),
            ("user", b"again"),
        ]);
        let sent = redriven(&record, &RULES).expect("it can be sent");
        assert_eq!(sent.topic, "orders");
        assert_eq!((sent.key, sent.value), (record.key, record.value));
        assert_eq!(sent.timestamp, None);
        let text = |name| dead_letter::text(&sent.headers, name);
        assert_eq!(text(dead_letter::REDRIVES), Some("2"));
        assert_eq!(text(dead_letter::REDRIVE_GROUP), Some("todo"));
        assert_eq!(text(dead_letter::REDRIVE_TOPIC), Some("orders"));
        assert_eq!(sent.headers.len(), 5, "{:?}", sent.headers);
        assert_eq!(sent.headers[0], record.headers[0]);
        assert_eq!(sent.headers[1].value.as_deref(), Some(&b"again"[..]));
    }

    #[test]
    fn to_all_names_no_group() {
        let record = letter(&[
            (dead_letter::TOPIC, b"orders"),
            (dead_letter::GROUP, b"todo"),
            (dead_letter::REDRIVE_GROUP, b"todo"),
        ]);
        let rules = Rules {
            to_all: true,
            ..RULES
        };
        let sent = redriven(&record, &rules).expect("it can be sent");
        assert_eq!(names(&sent), [dead_letter::REDRIVES]);
    }

    #[test]
    fn what_does_not_name_its_source_needs_a_topic_and_a_group() {
        let record = letter(&[("__topic", b"orders")]);
        assert_eq!(redriven(&record, &RULES).unwrap_err(), Left::NoTopic);
        let topic = Rules {
            topic: Some("orders".into()),
            ..RULES
        };
        assert_eq!(redriven(&record, &topic).unwrap_err(), Left::NoGroup);
        let both = Rules {
            to_all: true,
            ..topic.clone()
        };
        let sent = redriven(&record, &both).expect("it can be sent");
        assert_eq!(sent.topic, "orders");
        // What a record says counts more.
        let named = letter(&[
            (dead_letter::TOPIC, b"named"),
            (dead_letter::GROUP, b"todo"),
        ]);
        assert_eq!(redriven(&named, &topic).expect("it can").topic, "named");
    }

    proptest::proptest! {
        #[test]
        fn whatever_its_headers_only_the_apps_go_along(
            values in proptest::collection::vec((0..30_usize, proptest::collection::vec(proptest::prelude::any::<u8>(), 0..6)), 0..30),
            to_all in proptest::prelude::any::<bool>(),
        ) {
            let ours = [dead_letter::REDRIVES, dead_letter::REDRIVE_GROUP, dead_letter::REDRIVE_TOPIC, PARTITION_NUMBER, "__x", "kafka_dlt-x", "mine", "_mine"];
            let names: Vec<_> = dead_letter::WRITTEN.iter().chain(&ours).collect();
            let mut record = letter(&[]);
            record.headers = values.into_iter().map(|(name, value)| Header {
                name: names[name % names.len()].to_string(),
                value: Some(value.into()),
            }).collect();
            let rules = Rules { to_all, topic: Some("orders".into()), max_redrives: u32::MAX };
            let Ok(sent) = redriven(&record, &rules) else { return Ok(()) };
            let is_mine = |header: &&Header| header.name.ends_with("mine");
            let mine: Vec<_> = record.headers.iter().filter(is_mine).collect();
            let (kept, added) = sent.headers.split_at(mine.len());
            proptest::prop_assert_eq!(kept.iter().collect::<Vec<_>>(), mine);
            proptest::prop_assert_eq!(added.len(), if to_all { 1 } else { 3 });
            let count = dead_letter::text(added, dead_letter::REDRIVES).map(str::to_owned);
            proptest::prop_assert_eq!(count, Some((letter::redrives(&record) + 1).to_string()));
            proptest::prop_assert!(sent.topic != *record.at.topic);
        }
    }

    #[test]
    fn it_never_goes_around_in_circles() {
        let headers: [(&str, &'static [u8]); 3] = [
            (dead_letter::TOPIC, b"orders"),
            (dead_letter::GROUP, b"todo"),
            (dead_letter::REDRIVES, b"2"),
        ];
        assert!(redriven(&letter(&headers), &RULES).is_ok());
        let mut often = headers;
        often[2].1 = b"3";
        assert_eq!(
            redriven(&letter(&often), &RULES).unwrap_err(),
            Left::TooOften
        );
        let own = letter(&[(dead_letter::TOPIC, b"orders.dlq")]);
        assert_eq!(redriven(&own, &RULES).unwrap_err(), Left::OwnTopic);
    }
}
