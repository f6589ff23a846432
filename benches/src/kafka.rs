//! Topics, made and filled before any clock starts.

use std::time::Duration;

use harness::Result;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::json;

/// How long a broker may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Different keys of what is published.
pub const KEYS: usize = 600;

/// Makes topics.
pub async fn create(brokers: &str, topics: &[String], partitions: i32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()?;
    let new = topics
        .iter()
        .map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(1)));
    let new: Vec<_> = new.collect();
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    for result in admin.create_topics(&new, &options).await? {
        result.map_err(|(topic, code)| format!("creating {topic}: {code}"))?;
    }
    Ok(())
}

/// Writes so many events to each topic, as daprd writes them; waits until all stand there.
pub async fn fill(brokers: &str, topics: &[String], each: usize, size: usize) -> Result<()> {
    fill_with(brokers, topics, each, size, KEYS).await
}

/// The same with so many keys.
pub async fn fill_with(
    brokers: &str,
    topics: &[String],
    each: usize,
    size: usize,
    keys: usize,
) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "20")
        .create()?;
    let topics = topics.to_vec();
    let filled = move || {
        for topic in &topics {
            for n in 0..each {
                let (key, event) = (format!("k{}", n % keys), event(topic, n, size));
                write(&producer, topic, &key, &event)?;
            }
        }
        producer.flush(LIMIT)?;
        Ok(())
    };
    tokio::task::spawn_blocking(filled).await?
}

/// Writes one record, waiting for room.
pub fn write(producer: &BaseProducer, topic: &str, key: &str, value: &str) -> Result<()> {
    let mut record = BaseRecord::to(topic).key(key).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(10));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// An event as it stands in a topic, with data of about this size in bytes.
pub fn event(topic: &str, n: usize, size: usize) -> String {
    json!({
        "specversion": "1.0",
        "id": format!("{topic}-{n}"),
        "source": "bench",
        "type": "com.dapr.event.sent",
        "datacontenttype": "application/json",
        "pubsubname": "pubsub",
        "topic": topic,
        "data": data(n, size),
    })
    .to_string()
}

/// What an app publishes: its number, and padding to about this size in bytes.
pub fn data(n: usize, size: usize) -> serde_json::Value {
    json!({ "n": n, "pad": "x".repeat(size.saturating_sub(20)) })
}
