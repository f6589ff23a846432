//! What is written to the topic past daprd and the component.

use std::time::Duration;

use harness::{Result, ledger::Message};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::json;
use tokio::task::spawn_blocking;

/// How long a few hundred records may take to be taken.
const TAKEN: Duration = Duration::from_secs(30);

/// A record for a topic's partition.
#[derive(Clone, Debug)]
pub struct Written {
    pub partition: i32,
    pub key: Option<String>,
    pub value: Option<Vec<u8>>,
}

impl Written {
    /// A message as daprd publishes it, in a `CloudEvent`, with so many bytes more.
    pub fn event(partition: i32, message: &Message, padding: usize) -> Self {
        let mut data = message.to_json();
        data["padding"] = "x".repeat(padding).into();
        let event = json!({
            "specversion": "1.0",
            "id": message.uuid,
            "source": "ledger",
            "type": "ledger",
            "datacontenttype": "application/json",
            "data": data,
        });
        Self {
            partition,
            key: message.key.clone(),
            value: Some(event.to_string().into_bytes()),
        }
    }
}

/// Writes records, and waits until they stand in the topic.
pub async fn write(brokers: &str, topic: &str, records: Vec<Written>) -> Result<()> {
    let mut config = config(brokers);
    let topic = topic.to_owned();
    spawn_blocking(move || {
        let producer: BaseProducer = config.set("message.max.bytes", "8000000").create()?;
        send(&producer, &topic, &records)?;
        Ok(producer.flush(TAKEN)?)
    })
    .await?
}

/// Writes records in one transaction, and commits or aborts it.
pub async fn transact(
    brokers: &str,
    topic: &str,
    records: Vec<Written>,
    commit: bool,
) -> Result<()> {
    let mut config = config(brokers);
    let topic = topic.to_owned();
    spawn_blocking(move || {
        let id = config.set("transactional.id", "a-writer-beside-daprd");
        let producer: BaseProducer = id.create()?;
        producer.init_transactions(TAKEN)?;
        producer.begin_transaction()?;
        send(&producer, &topic, &records)?;
        producer.flush(TAKEN)?;
        if commit {
            producer.commit_transaction(TAKEN)?;
        } else {
            producer.abort_transaction(TAKEN)?;
        }
        Ok(())
    })
    .await?
}

/// A transaction that is open.
pub struct Transaction(BaseProducer);

impl Transaction {
    /// Writes records in one, and leaves it open.
    pub async fn begin(brokers: &str, topic: &str, records: Vec<Written>) -> Result<Self> {
        let mut config = config(brokers);
        let topic = topic.to_owned();
        spawn_blocking(move || {
            let id = config.set("transactional.id", "a-writer-that-hangs");
            let producer: BaseProducer = id.create()?;
            producer.init_transactions(TAKEN)?;
            producer.begin_transaction()?;
            send(&producer, &topic, &records)?;
            producer.flush(TAKEN)?;
            Ok(Self(producer))
        })
        .await?
    }

    /// Takes its records back.
    pub async fn abort(self) -> Result<()> {
        Ok(spawn_blocking(move || self.0.abort_transaction(TAKEN)).await??)
    }
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

fn send(producer: &BaseProducer, topic: &str, records: &[Written]) -> Result<()> {
    for written in records {
        let mut record = BaseRecord::<str, [u8]>::to(topic).partition(written.partition);
        if let Some(key) = &written.key {
            record = record.key(key);
        }
        if let Some(value) = &written.value {
            record = record.payload(value);
        }
        producer.send(record).map_err(|(error, _)| error)?;
    }
    Ok(())
}
