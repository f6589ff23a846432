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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// To all groups of the topic, not only to the one that failed.
    pub to_all: bool,
    /// To this topic, whatever the records say.
    pub to: Option<String>,
    /// Where those go that don't name their source.
    pub default_to: Option<String>,
    /// Groups that have another name now: the old name and the new one.
    pub regroup: Vec<(String, String)>,
    /// One that was sent back this often stays.
    pub max_redrives: u32,
}

/// Why a dead letter is not sent back. It stays open.
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
    /// It names a topic whose dead letters don't go here.
    NotASource,
    /// Its topic does not exist.
    NoSuchTopic,
    /// This login may not write to its topic.
    Forbidden,
    /// Its group neither reads the topic nor has ever done so.
    GroupGone,
    /// This login may not see its group.
    GroupHidden,
    /// Its topic takes no records of this size.
    TooLarge,
}

impl Left {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoTopic => "no-topic",
            Self::NoGroup => "no-group",
            Self::OwnTopic => "own-topic",
            Self::TooOften => "too-often",
            Self::NotASource => "not-a-source",
            Self::NoSuchTopic => "no-such-topic",
            Self::Forbidden => "forbidden",
            Self::GroupGone => "group-gone",
            Self::GroupHidden => "group-hidden",
            Self::TooLarge => "too-large",
        }
    }

    /// Why, and what to do about it, for records that would go to this topic for this group.
    pub fn reason(self, topic: &str, group: &str) -> String {
        match self {
            Self::NoTopic => "no source topic is named (the built-in component or another tool \
                              wrote them). --default-to TOPIC sends them there"
                .into(),
            Self::NoGroup => "the group that failed is not named (the built-in component or \
                              another tool wrote them). --to-all sends them to every group"
                .into(),
            Self::OwnTopic => "they would come back to the dead-letter topic itself. --to TOPIC \
                               sends them elsewhere"
                .into(),
            Self::TooOften => "they were sent back as often as --max-redrives allows. Mend the \
                               cause, then raise it"
                .into(),
            Self::NotASource => format!(
                "nothing but their own headers says that they come from {topic}. --source {topic} \
                 sends them there"
            ),
            Self::NoSuchTopic => format!(
                "the topic {topic} does not exist. Create it, or send them elsewhere with --to TOPIC"
            ),
            Self::Forbidden => format!(
                "this login may not write to {topic}. Give it the right to, or use another login"
            ),
            Self::GroupGone => format!(
                "the group {group} neither reads {topic} nor has committed offsets of it, so every \
                 consumer would skip them. --regroup {group}=NEW sends them to the group that took \
                 its place, --to-all to every group"
            ),
            Self::GroupHidden => format!(
                "this login may not see the group {group}, so it is not known whether anybody would \
                 get them. Give it the right to describe the group, or use --to-all"
            ),
            Self::TooLarge => {
                format!("they are larger than {topic} takes. Raise its max.message.bytes")
            }
        }
    }
}

/// The record to send, or why it stays; `is_source` says of which topics the dead letters go
/// to this dead-letter topic.
///
/// Key, value and the app's headers stay as they are. The time is that of sending: with
/// its old time, the topic's retention could remove the record before it is read.
///
/// # Errors
/// Why the record stays, and the topic and the group that it would go to, as far as they are
/// known.
pub fn redriven(
    record: &Record,
    rules: &Rules,
    is_source: impl Fn(&str) -> bool,
) -> Result<Outgoing, (Left, String, String)> {
    let named = record.header(dead_letter::TOPIC);
    let topic = rules
        .to
        .as_deref()
        .or(named)
        .or(rules.default_to.as_deref());
    let group = record.header(dead_letter::GROUP).map(|group| {
        let renamed = rules.regroup.iter().find(|(old, _)| old == group);
        renamed.map_or(group, |(_, new)| new)
    });
    let left = |left| {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        (left, text(topic), text(group))
    };
    let redrives = letter::redrives(record);
    if redrives >= rules.max_redrives {
        return Err(left(Left::TooOften));
    }
    let topic = topic.ok_or_else(|| left(Left::NoTopic))?;
    if topic == &*record.at.topic {
        return Err(left(Left::OwnTopic));
    }
    if rules.to.is_none() && named.is_some_and(|named| !is_source(named)) {
        return Err(left(Left::NotASource));
    }
    let mut headers: Vec<_> = record
        .headers
        .iter()
        .filter(|header| travels(&header.name))
        .cloned()
        .collect();
    headers.push(header(dead_letter::REDRIVES, &(redrives + 1).to_string()));
    if !rules.to_all {
        let group = group.ok_or_else(|| left(Left::NoGroup))?;
        headers.push(header(dead_letter::REDRIVE_GROUP, group));
        headers.push(header(dead_letter::REDRIVE_TOPIC, topic));
    }
    Ok(Outgoing {
        topic: topic.to_owned(),
        partition: None,
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
        timestamp: None,
    })
}

/// The group that a record to be sent is for; `None` is every group.
pub fn group(outgoing: &Outgoing) -> Option<&str> {
    dead_letter::text(&outgoing.headers, dead_letter::REDRIVE_GROUP)
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
        to: None,
        default_to: None,
        regroup: Vec::new(),
        max_redrives: 3,
    };

    /// As where all topics' dead letters go to one.
    fn redriven(record: &Record, rules: &Rules) -> Result<Outgoing, Left> {
        super::redriven(record, rules, |_| true).map_err(|(left, ..)| left)
    }

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
            default_to: Some("orders".into()),
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

    /// Whoever may write to the dead-letter topic must not choose where the operator's login
    /// writes.
    #[test]
    fn a_header_alone_names_no_topic() {
        let record = letter(&[
            (dead_letter::TOPIC, b"payments"),
            (dead_letter::GROUP, b"todo"),
        ]);
        let refused = super::redriven(&record, &RULES, |topic| topic == "orders");
        let refused = refused.map(|sent| sent.topic);
        let wanted = (Left::NotASource, "payments".to_owned(), "todo".to_owned());
        assert_eq!(refused, Err(wanted));
        // An operator's word counts.
        let rules = Rules {
            to: Some("elsewhere".into()),
            ..RULES
        };
        let sent = super::redriven(&record, &rules, |_| false).expect("it can be sent");
        assert_eq!(sent.topic, "elsewhere");
    }

    #[test]
    fn a_renamed_group_gets_what_its_old_name_refused() {
        let record = letter(&[
            (dead_letter::TOPIC, b"orders"),
            (dead_letter::GROUP, b"old"),
        ]);
        let rules = Rules {
            regroup: vec![("other".into(), "x".into()), ("old".into(), "new".into())],
            ..RULES
        };
        let sent = redriven(&record, &rules).expect("it can be sent");
        assert_eq!(group(&sent), Some("new"));
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
            let rules = Rules { to_all, default_to: Some("orders".into()), max_redrives: u32::MAX, ..RULES };
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
