//! What a dead letter says about itself, in its headers.
//!
//! All values are UTF-8 text. The first six names are those that Apache Kafka
//! chose for share groups (KIP-1191); the others are this component's own.

use bytes::Bytes;

use super::{Header, Record, text::beginning};

/// The topic that the record was read from.
pub const TOPIC: &str = "__dlq.errors.topic";
/// Its partition there.
pub const PARTITION: &str = "__dlq.errors.partition";
/// Its offset there.
pub const OFFSET: &str = "__dlq.errors.offset";
/// The consumer group that could not process it.
pub const GROUP: &str = "__dlq.errors.group";
/// How often it was handed to the app.
pub const DELIVERY_COUNT: &str = "__dlq.errors.delivery.count";
/// What the app, or daprd, said last; at most [`LONGEST_MESSAGE`] bytes.
pub const MESSAGE: &str = "__dlq.errors.message";
/// The component instance.
pub const COMPONENT: &str = "dapr-dlq-component";
/// The kind of failure: a [`Failure`]'s name.
pub const FAILURE: &str = "dapr-dlq-failure";
/// When the first attempt failed, in RFC 3339.
pub const FIRST_FAILURE: &str = "dapr-dlq-first-failure";
/// When the last attempt failed, in RFC 3339.
pub const LAST_FAILURE: &str = "dapr-dlq-last-failure";
/// The source's time, in milliseconds since the Unix epoch: a topic may replace it
/// by the time of arrival.
pub const TIMESTAMP: &str = "dapr-dlq-timestamp";
/// How often the record was sent back from a dead-letter topic.
pub const REDRIVES: &str = "dapr-dlq-redrives";
/// On a record that was sent back: the only group that it is for. Members of
/// other groups take it for processed.
pub const REDRIVE_GROUP: &str = "dapr-redrive-group";
/// On a record that was sent back: the topic in which [`REDRIVE_GROUP`] counts. Stream
/// processors copy headers to the records that they derive, and those are for every group of
/// their topic. Version 0.1 does not write it.
pub const REDRIVE_TOPIC: &str = "dapr-redrive-topic";

/// The headers that are replaced when a record becomes a dead letter, and taken
/// off when it is sent back. [`REDRIVES`] is not among them: it is kept.
pub const WRITTEN: [&str; 11] = [
    TOPIC,
    PARTITION,
    OFFSET,
    GROUP,
    DELIVERY_COUNT,
    MESSAGE,
    COMPONENT,
    FAILURE,
    FIRST_FAILURE,
    LAST_FAILURE,
    TIMESTAMP,
];

/// Whether a header of this name steers this program: which group a record is for, and what the
/// dead-letter commands make of it. Who publishes has no say in that.
pub fn steers(name: &str) -> bool {
    WRITTEN.contains(&name) || [REDRIVES, REDRIVE_GROUP, REDRIVE_TOPIC].contains(&name)
}

/// The longest [`MESSAGE`], in bytes: an app's answer may be a whole page, and the
/// broker bounds the record.
pub const LONGEST_MESSAGE: usize = 1024;

/// Why a record became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The app refused it as often as it was allowed to.
    Rejected,
    /// It can't be put on daprd's stream: it is over daprd's message limit.
    TooLargeForDaprd,
    /// Its call broke each time, while no other call to the app was under way.
    BrokeTheApp,
    /// daprd itself wrote it, for a `deadLetterTopic` of a Subscription.
    DeadLetteredByDaprd,
}

impl Failure {
    /// The name that stands in [`FAILURE`] and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::TooLargeForDaprd => "too-large-for-daprd",
            Self::BrokeTheApp => "broke-the-app",
            Self::DeadLetteredByDaprd => "dead-lettered-by-daprd",
        }
    }
}

/// What is written into a dead letter's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The source's topic.
    pub topic: String,
    /// The source's partition, in decimal.
    pub partition: String,
    /// The source's offset, in decimal.
    pub offset: String,
    /// The consumer group, if it is known.
    pub group: Option<&'a str>,
    /// How often the record was handed to the app, if that is known.
    pub deliveries: Option<u32>,
    /// What was said last; what is longer than [`LONGEST_MESSAGE`] is cut off.
    pub message: &'a str,
    /// The component instance.
    pub component: &'a str,
    /// The kind of failure.
    pub failure: Failure,
    /// The source's time, if it carries one.
    pub timestamp: Option<i64>,
    /// The first failure's time in RFC 3339, if it is known.
    pub first_failure: Option<String>,
    /// The last failure's time in RFC 3339.
    pub last_failure: String,
}

impl Facts<'_> {
    /// The headers of the dead letter: the record's own, and the facts. Facts of
    /// an earlier failure are replaced, and it is for every group again.
    pub fn headers(self, own: Vec<Header>) -> Vec<Header> {
        let marks = [REDRIVE_GROUP, REDRIVE_TOPIC];
        let replaced = |name: &str| WRITTEN.contains(&name) || marks.contains(&name);
        let mut headers = own;
        headers.retain(|header| !replaced(&header.name));
        let facts = [
            (TOPIC, Some(self.topic)),
            (PARTITION, Some(self.partition)),
            (OFFSET, Some(self.offset)),
            (GROUP, self.group.map(str::to_owned)),
            (
                DELIVERY_COUNT,
                self.deliveries.map(|count| count.to_string()),
            ),
            (MESSAGE, Some(cut(self.message).to_owned())),
            (COMPONENT, Some(self.component.to_owned())),
            (FAILURE, Some(self.failure.name().to_owned())),
            (FIRST_FAILURE, self.first_failure),
            (LAST_FAILURE, Some(self.last_failure)),
            (TIMESTAMP, self.timestamp.map(|time| time.to_string())),
        ];
        let known = facts.into_iter().filter_map(|(name, value)| {
            Some(Header {
                name: name.to_owned(),
                value: Some(Bytes::from(value?)),
            })
        });
        headers.extend(known);
        headers
    }
}

/// As much of what was said as a dead letter holds.
pub fn cut(text: &str) -> &str {
    beginning(text, LONGEST_MESSAGE)
}

impl Record {
    /// The text of the last header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }

    /// Whether the record was sent back from a dead-letter topic for another group
    /// than this one. A mark that was written for another topic does not count.
    pub fn is_for_another_group(&self, group: &str) -> bool {
        let counts_here = self
            .header(REDRIVE_TOPIC)
            .is_none_or(|topic| topic == &*self.at.topic);
        let wanted = self.header(REDRIVE_GROUP);
        counts_here && wanted.is_some_and(|wanted| wanted != group)
    }
}

/// The text of the last header of this name, if it is text.
pub fn text<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    let header = headers.iter().rev().find(|header| header.name == name)?;
    std::str::from_utf8(header.value.as_ref()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Offset, TopicPartition};

    fn record(headers: &[(&str, &'static [u8])]) -> Record {
        let headers = headers.iter().map(|(name, value)| Header {
            name: (*name).to_owned(),
            value: Some(Bytes::from_static(value)),
        });
        Record {
            at: TopicPartition::new("orders", 0),
            offset: Offset(0),
            timestamp: None,
            appended: false,
            key: None,
            value: None,
            headers: headers.collect(),
        }
    }

    #[test]
    fn a_record_sent_back_is_for_its_group_alone() {
        assert!(!record(&[]).is_for_another_group("a"));
        let redriven = record(&[(REDRIVE_GROUP, b"a")]);
        assert!(!redriven.is_for_another_group("a"));
        assert!(redriven.is_for_another_group("b"));
    }

    /// Version 0.1 compares the whole value of the group's header and knows no other header, so
    /// that value must not change, and a mark without the topic must count.
    #[test]
    fn the_mark_counts_only_in_the_topic_that_it_was_written_for() {
        let written_here = record(&[(REDRIVE_GROUP, b"a"), (REDRIVE_TOPIC, b"orders")]);
        assert!(written_here.is_for_another_group("b"));
        assert!(!written_here.is_for_another_group("a"));
        let copied = record(&[(REDRIVE_GROUP, b"a"), (REDRIVE_TOPIC, b"raw-orders")]);
        assert!(!copied.is_for_another_group("b"), "another topic's record");
    }

    #[test]
    fn facts_replace_those_of_an_earlier_failure_and_nothing_else() {
        let own = record(&[
            ("trace", b"t"),
            (OFFSET, b"1"),
            (REDRIVE_GROUP, b"a"),
            (REDRIVE_TOPIC, b"orders"),
            (REDRIVES, b"2"),
        ]);
        let facts = Facts {
            topic: "orders".into(),
            partition: "3".into(),
            offset: "7".into(),
            group: Some("group"),
            deliveries: None,
            message: "no",
            component: "todo-pubsub",
            failure: Failure::Rejected,
            timestamp: None,
            first_failure: None,
            last_failure: "2026-01-01T00:00:00Z".into(),
        };
        let headers = facts.headers(own.headers);
        let names: Vec<_> = headers.iter().map(|header| header.name.as_str()).collect();
        let expected = [
            "trace",
            REDRIVES,
            TOPIC,
            PARTITION,
            OFFSET,
            GROUP,
            MESSAGE,
            COMPONENT,
            FAILURE,
            LAST_FAILURE,
        ];
        assert_eq!(names, expected);
        assert_eq!(text(&headers, OFFSET), Some("7"));
        assert_eq!(text(&headers, FAILURE), Some("rejected"));
    }

    proptest::proptest! {
        /// Whoever wrote the headers that are there.
        #[test]
        fn facts_written_twice_are_written_once(
            own in proptest::collection::vec((0..20_usize, proptest::collection::vec(proptest::prelude::any::<u8>(), 0..9)), 0..30),
            message in ".{0,1200}",
        ) {
            let names = WRITTEN.iter().chain(&[REDRIVE_GROUP, REDRIVE_TOPIC, REDRIVES, "mine", ""]);
            let names: Vec<_> = names.collect();
            let own = own.into_iter().map(|(name, value)| Header {
                name: names[name % names.len()].to_string(),
                value: Some(value.into()),
            });
            let own: Vec<_> = own.collect();
            let facts = || Facts {
                topic: "orders".into(),
                partition: "3".into(),
                offset: "7".into(),
                group: None,
                deliveries: None,
                message: &message,
                component: "todo-pubsub",
                failure: Failure::Rejected,
                timestamp: None,
                first_failure: None,
                last_failure: "2026-01-01T00:00:00Z".into(),
            };
            let once = facts().headers(own.clone());
            proptest::prop_assert_eq!(facts().headers(once.clone()), once.clone());
            let kept = |headers: &[Header]| -> Vec<_> {
                let kept = headers.iter().filter(|header| ["mine", "", REDRIVES].contains(&&*header.name));
                kept.cloned().collect()
            };
            proptest::prop_assert_eq!(kept(&once), kept(&own));
            proptest::prop_assert_eq!(text(&once, OFFSET), Some("7"));
            proptest::prop_assert_eq!(text(&once, GROUP), None, "another failure's group stayed");
        }
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let long = "é".repeat(LONGEST_MESSAGE);
        assert_eq!(cut(&long).len(), LONGEST_MESSAGE);
        let odd = format!("a{long}");
        assert_eq!(cut(&odd).len(), LONGEST_MESSAGE - 1);
        assert_eq!(cut("short"), "short");
    }

    #[test]
    fn the_last_header_of_a_name_counts_and_only_text_is_read() {
        let record = record(&[("n", b"1"), ("n", b"2"), ("x", b"\xff")]);
        assert_eq!(record.header("n"), Some("2"));
        assert_eq!(record.header("x"), None);
        assert_eq!(record.header("none"), None);
    }
}
