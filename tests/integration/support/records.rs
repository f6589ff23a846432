//! Records as an independent client writes and reads them.

use std::{collections::BTreeSet, time::Duration};

use harness::{Result, eventually};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer as _},
};

use super::SOON;

const TIMEOUT: Duration = Duration::from_secs(20);

/// The largest record here, in bytes: over what daprd can receive.
const LARGEST: &str = "20000000";

/// A record, wherever it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    /// `None` is the time of writing.
    pub timestamp: Option<i64>,
}

impl Plain {
    pub fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: Some(key.into()),
            value: Some(value.into()),
            headers: Vec::new(),
            timestamp: None,
        }
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(there, _)| there == name)?;
        String::from_utf8(value.clone()).ok()
    }

    /// The value as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }

    fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().into_iter();
        let headers = headers.flat_map(|headers| headers.iter());
        let value = |value: Option<&[u8]>| value.unwrap_or_default().to_vec();
        Self {
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), value(header.value)))
                .collect(),
            timestamp: message.timestamp().to_millis(),
        }
    }

    fn owned_headers(&self) -> OwnedHeaders {
        let headers = self.headers.iter();
        headers.fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        })
    }
}

/// Writes records, to the partitions of their keys.
pub async fn write(brokers: &str, topic: &str, records: &[Plain]) -> Result<()> {
    write_to(brokers, topic, None, records).await
}

/// Writes records in their order, to one partition or to those of their keys.
pub async fn write_to(
    brokers: &str,
    topic: &str,
    partition: Option<i32>,
    records: &[Plain],
) -> Result<()> {
    let records = records.iter().map(|plain| FutureRecord {
        topic,
        partition,
        payload: plain.value.as_deref(),
        key: plain.key.as_deref(),
        timestamp: plain.timestamp,
        headers: Some(plain.owned_headers()),
    });
    send(brokers, records).await
}

/// Writes so many records to each partition of a topic, compressed, in batches as large as they get.
pub async fn write_compressed(
    brokers: &str,
    topic: &str,
    partitions: i32,
    of_each: usize,
    value: impl Fn(usize) -> Vec<u8>,
) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("compression.type", "gzip")
        .set("linger.ms", "100")
        .set("queue.buffering.max.messages", "1000000")
        .set("queue.buffering.max.kbytes", "1000000")
        .create()?;
    for number in 0..of_each {
        for partition in 0..partitions {
            let value = value(number);
            let record = BaseRecord::<(), _>::to(topic)
                .partition(partition)
                .payload(&value);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.poll(Duration::ZERO);
    }
    let flushed = tokio::task::spawn_blocking(move || producer.flush(SOON));
    Ok(flushed.await??)
}

/// Writes records in their order, and waits for each.
pub async fn send<'a>(
    brokers: &str,
    records: impl IntoIterator<Item = FutureRecord<'a, [u8], [u8]>>,
) -> Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("message.max.bytes", LARGEST)
        .set("enable.idempotence", "true")
        .create()?;
    let mut sent = Vec::new();
    for record in records {
        sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
    }
    for sent in sent {
        sent.await?.map_err(|(error, _)| error)?;
    }
    Ok(())
}

/// All records that stand in a topic.
pub async fn read(brokers: &str, topic: &str) -> Result<Vec<Plain>> {
    read_as(brokers, topic, Plain::of).await
}

/// The same, as a test sees them.
pub async fn read_as<T: Send + 'static>(
    brokers: &str,
    topic: &str,
    of: fn(&BorrowedMessage<'_>) -> T,
) -> Result<Vec<T>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "the-tests-never-join")
        .set("enable.partition.eof", "true")
        .set("fetch.message.max.bytes", LARGEST);
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        let metadata = consumer.fetch_metadata(Some(&topic), TIMEOUT)?;
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        let (mut list, mut open) = (TopicPartitionList::new(), BTreeSet::new());
        for partition in partitions {
            list.add_partition_offset(&topic, partition.id(), Offset::Beginning)?;
            open.insert(partition.id());
        }
        consumer.assign(&list)?;
        let mut records = Vec::new();
        while !open.is_empty() {
            match consumer.poll(TIMEOUT) {
                None => return Err(format!("{topic} can't be read to its end").into()),
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
                Some(message) => records.push(of(&message?)),
            }
        }
        Ok(records)
    })
    .await?
}

/// Waits until so many records stand in a topic.
pub async fn wait_for(brokers: &str, topic: &str, count: usize) -> Result<Vec<Plain>> {
    eventually(&format!("{count} records in {topic}"), SOON, || async {
        let records = read(brokers, topic).await.ok()?;
        (records.len() >= count).then_some(records)
    })
    .await
}
