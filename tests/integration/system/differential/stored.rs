use std::{collections::BTreeSet, time::Duration};

use harness::Result;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{Header, Headers as _, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

const TIMEOUT: Duration = Duration::from_secs(60);
const LARGEST: &str = "20000000";

/// A record as it stands on the broker, to the byte. A null differs from nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Stored {
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().find(|(there, _)| there == name)?;
        value.as_deref()
    }
}

/// Everything in a topic of so many partitions.
pub async fn read(brokers: &str, topic: &str, partitions: i32) -> Result<Vec<Stored>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "the-tests-never-join")
        .set("enable.partition.eof", "true")
        .set("fetch.message.max.bytes", LARGEST);
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(&topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let (mut records, mut open) = (Vec::new(), (0..partitions).collect::<BTreeSet<_>>());
        while !open.is_empty() {
            match consumer.poll(TIMEOUT) {
                None => return Err(format!("{topic} can't be read to its end").into()),
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
                Some(message) => {
                    let message = message?;
                    let headers = message.headers().into_iter();
                    let headers = headers.flat_map(|headers| headers.iter());
                    records.push(Stored {
                        partition: message.partition(),
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().map(<[u8]>::to_vec),
                        headers: headers
                            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                            .collect(),
                    });
                }
            }
        }
        Ok(records)
    })
    .await?
}

/// Writes records, each to its partition.
pub async fn write(brokers: &str, topic: &str, records: &[Stored]) -> Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("message.max.bytes", LARGEST)
        .set("enable.idempotence", "true")
        .create()?;
    let mut sent = Vec::new();
    for stored in records {
        let headers = stored.headers.iter();
        let headers = headers.fold(OwnedHeaders::new(), |headers, (key, value)| {
            let value = value.as_deref();
            headers.insert(Header { key, value })
        });
        let record = FutureRecord::<[u8], [u8]> {
            topic,
            partition: Some(stored.partition),
            payload: stored.value.as_deref(),
            key: stored.key.as_deref(),
            timestamp: None,
            headers: Some(headers),
        };
        sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
    }
    for sent in sent {
        sent.await?.map_err(|(error, _)| error)?;
    }
    Ok(())
}
