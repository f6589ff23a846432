//! An independent client of the broker, for what the component must not be asked
//! about itself.

use std::time::Duration;

use harness::{Result, eventually};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
};

use super::SOON;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Creates a topic on a real Kafka.
pub async fn create_topic(
    brokers: &str,
    topic: &str,
    partitions: i32,
    settings: &[(&str, &str)],
) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()?;
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    for result in admin.create_topics([&new], &options).await? {
        result.map_err(|(topic, code)| format!("creating {topic}: {code}"))?;
    }
    Ok(())
}

/// Removes all records before an offset from a topic's only partition.
pub async fn delete_records(brokers: &str, topic: &str, before: i64) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(before))?;
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    let deleted = admin.delete_records(&list, &options).await?;
    for element in deleted.elements() {
        element.error()?;
    }
    Ok(())
}

/// Waits until the offsets that a group has committed for a topic add up to so
/// many.
pub async fn all_committed(
    brokers: &str,
    group: &str,
    topic: &str,
    partitions: i32,
    messages: usize,
) -> Result<()> {
    eventually(&format!("{messages} are committed"), SOON, || async {
        let committed = committed(brokers, group, topic, partitions).await.ok()?;
        let sum: i64 = committed.into_iter().flatten().sum();
        (usize::try_from(sum) == Ok(messages)).then_some(())
    })
    .await
}

/// The offsets that a group has committed for a topic's partitions.
pub async fn committed(
    brokers: &str,
    group: &str,
    topic: &str,
    partitions: i32,
) -> Result<Vec<Option<i64>>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", group);
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&topic, 0, partitions - 1);
        let committed = consumer.committed_offsets(list, TIMEOUT)?;
        let offset = |offset| match offset {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        let elements = committed.elements();
        Ok(elements
            .iter()
            .map(|element| offset(element.offset()))
            .collect())
    })
    .await?
}
