//! Dead letters: what they carry, and how they are written.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{calls::Calls, inbox::Written};
use crate::{
    engine::{Letter, LetterId},
    kafka::{Cause, Kind, Outgoing, Producers, SendError},
    metadata::{DeadLetterHeaders, Settings},
    model::{
        Header,
        dead_letter::{Facts, text},
        time,
    },
    telemetry::Member,
};

/// Writes one consumer group's dead letters.
pub(super) struct DeadLetters {
    settings: Settings,
    instance: Member,
    /// Made for the first dead letter: most groups never have one.
    producer: Option<Producers>,
    /// Those on their way to the broker.
    under_way: Calls<Written>,
}

impl DeadLetters {
    pub(super) fn new(settings: &Settings, instance: Member) -> Self {
        Self {
            settings: settings.clone(),
            instance,
            producer: None,
            under_way: Calls::default(),
        }
    }

    /// Writes one.
    pub(super) fn write(&mut self, letter: LetterId, content: Arc<Letter>) {
        let producer = self.producer();
        let mut outgoing = self.outgoing(&content);
        let early = Written {
            letter,
            content: content.clone(),
            result: Err(Cause::ended_early().into()),
        };
        self.under_way.spawn(early, async move {
            let result = match producer {
                Ok(producer) => producer.send(&mut outgoing).await,
                Err(cause) => Err(SendError::from(cause)),
            };
            Written {
                letter,
                content,
                result,
            }
        });
    }

    /// The result of the next dead letter; `None` if none is under way. Nothing is lost if the future is
    /// dropped.
    pub(super) async fn next(&mut self) -> Option<Written> {
        self.under_way.next().await
    }

    /// Waits for none of those that are under way.
    pub(super) fn close(mut self) {
        self.under_way.abort_all();
        // Its producer waits for its threads.
        tokio::task::spawn_blocking(move || drop(self));
    }

    fn producer(&mut self) -> Result<Producers, Cause> {
        if let Some(producer) = &self.producer {
            return Ok(producer.clone());
        }
        let producer =
            Producers::for_dead_letters(&self.settings, self.instance.component.clone())?;
        Ok(self.producer.insert(producer).clone())
    }

    fn outgoing(&self, letter: &Letter) -> Outgoing {
        let record = &letter.record;
        let facts = Facts {
            topic: record.at.topic.to_string(),
            partition: record.at.partition.to_string(),
            offset: record.offset.to_string(),
            group: Some(&self.instance.group),
            deliveries: Some(letter.deliveries),
            message: &letter.reason,
            component: &self.instance.component,
            failure: letter.failure,
            timestamp: record.timestamp,
            first_failure: Some(told(letter.first_failure)),
            last_failure: told(letter.last_failure),
        };
        let mut headers = facts.headers(record.headers.clone());
        if self.settings.dead_letter.headers == DeadLetterHeaders::Spring {
            add_springs(&mut headers, letter, &self.instance.group);
        }
        Outgoing {
            topic: letter.topic.to_string(),
            partition: None,
            key: record.key.clone(),
            value: record.value.clone(),
            headers,
            timestamp: record.timestamp,
        }
    }
}

/// Says what to do where it can be done.
pub(super) fn explain(error: &SendError, create: bool) -> String {
    let remedy = match error.cause.kind {
        Kind::TooLarge | Kind::OverTopicLimit => {
            " (the added headers make it larger than its source: raise the dead-letter topic's \
             max.message.bytes)"
        }
        Kind::UnknownTopic if create => " (it is being created)",
        Kind::UnknownTopic => " (create the topic, or set topicCreation to dlq)",
        Kind::Forbidden => " (allow this client to write to the dead-letter topic)",
        _ => "",
    };
    format!("{error}{remedy}")
}

/// The wall clock's time of a moment that the engine knows.
fn told(moment: Instant) -> String {
    time::rfc3339(SystemTime::now() - moment.elapsed())
}

/// Spring Kafka's names and encodings (`KafkaHeaders`, `DeadLetterPublishingRecoverer`):
/// numbers are big-endian.
fn add_springs(headers: &mut Vec<Header>, letter: &Letter, group: &str) {
    let record = &letter.record;
    headers.retain(|header| !header.name.starts_with("kafka_dlt-"));
    let message = text(headers, crate::model::dead_letter::MESSAGE).unwrap_or_default();
    let message = message.as_bytes().to_vec();
    let mut springs = vec![
        ("original-topic", record.at.topic.as_bytes().to_vec()),
        (
            "original-partition",
            record.at.partition.to_be_bytes().to_vec(),
        ),
        ("original-offset", record.offset.0.to_be_bytes().to_vec()),
        ("original-consumer-group", group.as_bytes().to_vec()),
        ("exception-fqcn", letter.failure.name().as_bytes().to_vec()),
        ("exception-message", message),
    ];
    let kind: &[u8] = if record.appended {
        b"LogAppendTime"
    } else {
        b"CreateTime"
    };
    if let Some(timestamp) = record.timestamp {
        springs.push(("original-timestamp", timestamp.to_be_bytes().to_vec()));
        springs.push(("original-timestamp-type", kind.to_vec()));
    }
    headers.extend(springs.into_iter().map(|(name, value)| Header {
        name: format!("kafka_dlt-{name}"),
        value: Some(value.into()),
    }));
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::{Offset, Record, TopicPartition, dead_letter::Failure};

    fn dead_letters(more: &[(&str, &str)]) -> DeadLetters {
        let required = [("brokers", "a:9092"), ("authType", "none")];
        let pairs = required.iter().chain(more);
        let properties = pairs
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let settings = crate::metadata::resolve(&properties)
            .expect("right")
            .settings;
        DeadLetters::new(
            &settings,
            Member {
                component: "todo-pubsub".into(),
                group: "group".into(),
            },
        )
    }

    fn letter() -> Letter {
        let own = Header {
            name: "trace".into(),
            value: Some(Bytes::from_static(b"\xff")),
        };
        let record = Record {
            at: TopicPartition::new("orders", 2),
            offset: Offset(7),
            timestamp: Some(1_700_000_000_000),
            appended: false,
            key: Some(Bytes::from_static(b"\0k")),
            value: None,
            headers: vec![own],
        };
        Letter {
            record: Arc::new(record),
            topic: "orders.dlq".into(),
            failure: Failure::Rejected,
            deliveries: 3,
            first_failure: Instant::now(),
            last_failure: Instant::now(),
            reason: "no".into(),
        }
    }

    #[test]
    fn a_dead_letter_is_its_source_with_headers() {
        let outgoing = dead_letters(&[]).outgoing(&letter());
        assert_eq!(outgoing.topic, "orders.dlq");
        assert_eq!(outgoing.key.as_deref(), Some(&b"\0k"[..]));
        assert_eq!(outgoing.value, None);
        assert_eq!(outgoing.timestamp, Some(1_700_000_000_000));
        assert_eq!(outgoing.headers[0].value.as_deref(), Some(&b"\xff"[..]));
        for (name, value) in [
            ("__dlq.errors.topic", "orders"),
            ("__dlq.errors.partition", "2"),
            ("__dlq.errors.offset", "7"),
            ("__dlq.errors.group", "group"),
            ("__dlq.errors.delivery.count", "3"),
            ("__dlq.errors.message", "no"),
            ("dapr-dlq-component", "todo-pubsub"),
            ("dapr-dlq-failure", "rejected"),
            ("dapr-dlq-timestamp", "1700000000000"),
        ] {
            assert_eq!(text(&outgoing.headers, name), Some(value), "{name}");
        }
        for name in ["dapr-dlq-first-failure", "dapr-dlq-last-failure"] {
            let time = text(&outgoing.headers, name).expect(name);
            humantime::parse_rfc3339(time).expect("RFC 3339");
        }
    }

    #[test]
    fn springs_headers_have_springs_encodings() {
        let spring = dead_letters(&[("deadLetterHeaders", "spring")]);
        let headers = spring.outgoing(&letter()).headers;
        let value = |name: &str| {
            let header = headers.iter().find(|header| header.name == name);
            header.and_then(|header| header.value.as_deref())
        };
        assert_eq!(value("kafka_dlt-original-topic"), Some(&b"orders"[..]));
        assert_eq!(
            value("kafka_dlt-original-partition"),
            Some(&[0, 0, 0, 2][..])
        );
        let offset = [0, 0, 0, 0, 0, 0, 0, 7];
        assert_eq!(value("kafka_dlt-original-offset"), Some(&offset[..]));
        assert_eq!(value("kafka_dlt-exception-message"), Some(&b"no"[..]));
        assert!(value("__dlq.errors.topic").is_some(), "ours stay");
    }
}
