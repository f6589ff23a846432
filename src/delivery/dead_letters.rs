//! Dead letters: what they carry, how they are written, and whether their topic
//! is there.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{calls::Done, owner::Owner};
use crate::{
    engine::{Event, Letter, LetterId},
    kafka::{Cause, Kind, New, Outgoing, Producer, SendError, Shape, create_topic},
    metadata::{DeadLetterHeaders, Settings},
    model::{
        Header,
        dead_letter::{Facts, text},
        time,
    },
    telemetry::{Member, events},
};

/// How long a dead-letter topic that we create keeps its records: two weeks to
/// find the cause and send them back.
const RETENTION: Duration = Duration::from_secs(14 * 24 * 3600);

/// How long to wait before a dead-letter topic is looked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Writes one consumer group's dead letters.
pub(super) struct DeadLetters {
    settings: Settings,
    instance: Member,
    /// Made for the first dead letter: most groups never have one.
    producer: Option<Producer>,
}

impl DeadLetters {
    pub(super) fn new(settings: &Settings, instance: Member) -> Self {
        Self {
            settings: settings.clone(),
            instance,
            producer: None,
        }
    }

    fn producer(&mut self) -> Result<Producer, Cause> {
        if let Some(producer) = &self.producer {
            return Ok(producer.clone());
        }
        let producer = Producer::for_dead_letters(&self.settings, self.instance.component.clone())?;
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

impl Owner {
    pub(super) fn write_letter(&mut self, id: LetterId, content: Arc<Letter>) {
        let producer = self.dead_letters.producer();
        let outgoing = self.dead_letters.outgoing(&content);
        self.letters.spawn(async move {
            let result = match producer {
                Ok(producer) => producer.send(&outgoing).await,
                Err(cause) => Err(SendError::from(cause)),
            };
            (id, content, result)
        });
    }

    pub(super) fn letter_written(
        &mut self,
        letter: LetterId,
        content: &Letter,
        result: Result<(), SendError>,
    ) {
        let create = self.settings.topic_creation.dead_letters();
        match &result {
            Ok(()) => events::DeadLettered {
                instance: &self.instance,
                at: &content.record.at,
                offset: content.record.offset,
                topic: &content.topic,
                failure: content.failure,
                deliveries: content.deliveries,
                reason: &content.reason,
            }
            .emit(),
            Err(error) if create && error.cause.kind == Kind::UnknownTopic => {
                let source = content.record.at.topic.clone();
                self.check_dead_letter_topic(source, content.topic.clone(), Duration::ZERO);
            }
            Err(_) => {}
        }
        let result = result.map_err(|error| explain(&error, create));
        self.step(Event::Written { letter, result });
    }

    /// Looks whether a dead-letter topic exists, so that its lack is known before
    /// the first dead letter is.
    pub(super) fn check_dead_letter_topic(
        &mut self,
        source: Arc<str>,
        topic: Arc<str>,
        wait: Duration,
    ) {
        let consumer = self.consumer.clone();
        let settings = self.settings.clone();
        let early = Done::DeadLetterTopic {
            source: source.clone(),
            topic: topic.clone(),
            found: Err(Cause::ended_early()),
        };
        self.calls.spawn(early, async move {
            tokio::time::sleep(wait).await;
            let look = async {
                if consumer.shape(&topic).await?.is_some() {
                    return Ok(Found::There);
                }
                let Some(shape) = consumer.shape(&source).await? else {
                    return Ok(Found::SourceUnknown);
                };
                if !settings.topic_creation.dead_letters() {
                    return Ok(Found::Missing(shape));
                }
                let new = New::DeadLetters {
                    shape,
                    retention: RETENTION,
                };
                create_topic(&settings, &topic, new).await?;
                Ok(Found::Created(shape))
            };
            let found = look.await;
            Done::DeadLetterTopic {
                source,
                topic,
                found,
            }
        });
    }

    pub(super) fn dead_letter_topic(
        &mut self,
        source: Arc<str>,
        topic: Arc<str>,
        found: Result<Found, Cause>,
    ) {
        let instance = &self.instance;
        match found {
            Ok(Found::There) => return,
            Ok(Found::Created(shape)) => {
                tracing::info!(%instance, "created the dead-letter topic {topic}: {shape:?}");
                return;
            }
            Ok(Found::Missing(shape)) => {
                events::DeadLetterTopicMissing {
                    instance,
                    topic: &topic,
                    partitions: shape.partitions,
                    replication: shape.replication,
                }
                .emit();
                return;
            }
            // How it is to be made is not known before its source is there.
            Ok(Found::SourceUnknown) => {}
            Err(cause) => {
                self.tries_again(
                    &format!("looking for the dead-letter topic {topic}"),
                    &cause,
                );
            }
        }
        let wanted = self.lanes.values().any(|lane| {
            let subscriber = &lane.subscriber;
            let dead_letter = subscriber.policy.dead_letter.as_ref();
            subscriber.topic == source && dead_letter == Some(&topic)
        });
        if wanted {
            self.check_dead_letter_topic(source, topic, ASK_AGAIN);
        }
    }
}

/// What was found of a dead-letter topic.
pub(super) enum Found {
    There,
    Missing(Shape),
    Created(Shape),
    /// Its source does not exist either.
    SourceUnknown,
}

/// Says what to do where it can be done.
fn explain(error: &SendError, create: bool) -> String {
    let remedy = match error.cause.kind {
        Kind::TooLarge => {
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
