//! An independent client of the broker, for what the component must not be asked
//! about itself.

use std::{collections::HashMap, time::Duration};

use harness::{Result, eventually};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
        TopicReplication,
    },
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    producer::{FutureProducer, FutureRecord},
};

use crate::SOON;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Creates a topic on a real Kafka, with as many copies as that has by default.
pub async fn create_topic(
    brokers: &str,
    topic: &str,
    partitions: i32,
    settings: &[(&str, &str)],
) -> Result<()> {
    let (admin, options) = admin(brokers)?;
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    for result in admin.create_topics([&new], &options).await? {
        result.map_err(|(topic, code)| format!("creating {topic}: {code}"))?;
    }
    Ok(())
}

fn admin(brokers: &str) -> Result<(AdminClient<DefaultClientContext>, AdminOptions)> {
    let admin = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()?;
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    Ok((admin, options))
}

/// Deletes a topic and creates another one of that name at once.
pub async fn make_again(brokers: &str, topic: &str, partitions: i32) -> Result<()> {
    let (admin, options) = admin(brokers)?;
    for result in admin.delete_topics(&[topic], &options).await? {
        result.map_err(|(topic, code)| format!("deleting {topic}: {code}"))?;
    }
    create_topic(brokers, topic, partitions, &[]).await
}

/// Gives a topic so many partitions.
pub async fn add_partitions(brokers: &str, topic: &str, count: i32) -> Result<()> {
    let (admin, options) = admin(brokers)?;
    let new = NewPartitions::new(topic, usize::try_from(count)?);
    for result in admin.create_partitions([&new], &options).await? {
        result.map_err(|(topic, code)| format!("adding partitions to {topic}: {code}"))?;
    }
    Ok(())
}

/// What a topic is configured with.
pub async fn topic_settings(brokers: &str, topic: &str) -> Result<HashMap<String, String>> {
    let (admin, options) = admin(brokers)?;
    let wanted = ResourceSpecifier::Topic(topic);
    let mut described = admin.describe_configs([&wanted], &options).await?;
    let described = described.pop().ok_or("nothing was described")?;
    let entries = described
        .map_err(|code| format!("describing {topic}: {code}"))?
        .entries;
    Ok(entries
        .into_iter()
        .map(|entry| (entry.name, entry.value.unwrap_or_default()))
        .collect())
}

/// How many replicas each partition of a topic has.
pub async fn replicas(brokers: &str, topic: &str) -> Result<Vec<usize>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        let metadata = consumer.fetch_metadata(Some(&topic), TIMEOUT)?;
        let topic = metadata.topics().first().ok_or("nothing was described")?;
        let partitions = topic.partitions().iter();
        Ok(partitions
            .map(|partition| partition.replicas().len())
            .collect())
    })
    .await?
}

/// Changes one of a topic's settings.
pub async fn set_topic(brokers: &str, topic: &str, name: &str, value: &str) -> Result<()> {
    let (admin, options) = admin(brokers)?;
    let changed = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
    for result in admin.alter_configs([&changed], &options).await? {
        result.map_err(|(_, code)| format!("changing {topic}: {code}"))?;
    }
    Ok(())
}

/// Removes all records before an offset from a topic's only partition.
pub async fn delete_records(brokers: &str, topic: &str, before: i64) -> Result<()> {
    let (admin, options) = admin(brokers)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(before))?;
    let deleted = admin.delete_records(&list, &options).await?;
    for element in deleted.elements() {
        element.error()?;
    }
    Ok(())
}

/// Publishes a text to a topic, past daprd and the component.
pub async fn produce(brokers: &str, topic: &str, text: &str) -> Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()?;
    let record = FutureRecord::to(topic).key("key").payload(text);
    let sent = producer.send(record, TIMEOUT).await;
    sent.map_err(|(error, _)| format!("publishing to {topic}: {error}"))?;
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
    let committed = committed_list(brokers, group, topic, partitions).await?;
    let offset = |offset| match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    };
    let elements = committed.elements();
    let offsets = elements.iter().map(|element| offset(element.offset()));
    Ok(offsets.collect())
}

/// Commits for a group without members, in a topic's first partition.
pub async fn commit(
    brokers: &str,
    group: &str,
    topic: &str,
    offset: i64,
    metadata: &str,
) -> Result<()> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", group);
    let (topic, metadata) = (topic.to_owned(), metadata.to_owned());
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(&topic, 0);
        element.set_offset(Offset::Offset(offset))?;
        element.set_metadata(metadata);
        Ok(consumer.commit(&list, CommitMode::Sync)?)
    })
    .await?
}

/// What a group has committed with its offset in a topic's first partition.
pub async fn committed_metadata(brokers: &str, group: &str, topic: &str) -> Result<String> {
    let committed = committed_list(brokers, group, topic, 1).await?;
    let elements = committed.elements();
    let first = elements.first().ok_or("no partition was asked for")?;
    Ok(first.metadata().to_owned())
}

/// What a group has committed with its offsets in a topic's partitions.
pub async fn all_metadata(
    brokers: &str,
    group: &str,
    topic: &str,
    partitions: i32,
) -> Result<Vec<String>> {
    let committed = committed_list(brokers, group, topic, partitions).await?;
    let elements = committed.elements();
    let texts = elements.iter().map(|element| element.metadata().to_owned());
    Ok(texts.collect())
}

async fn committed_list(
    brokers: &str,
    group: &str,
    topic: &str,
    partitions: i32,
) -> Result<TopicPartitionList> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", group);
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&topic, 0, partitions - 1);
        Ok(consumer.committed_offsets(list, TIMEOUT)?)
    })
    .await?
}

/// How many records a topic's partitions have taken.
pub async fn records(brokers: &str, topic: &str, partitions: i32) -> Result<usize> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        let mut records = 0;
        for partition in 0..partitions {
            records += consumer.fetch_watermarks(&topic, partition, TIMEOUT)?.1;
        }
        Ok(usize::try_from(records)?)
    })
    .await?
}

/// The node that leads a topic's partition now.
pub async fn leader(brokers: &str, topic: &str, partition: i32) -> Result<i32> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        let metadata = consumer.fetch_metadata(Some(&topic), TIMEOUT)?;
        let topic = metadata.topics().first().ok_or("nothing was described")?;
        let mut partitions = topic.partitions().iter();
        let found = partitions.find(|found| found.id() == partition);
        Ok(found.ok_or("no such partition")?.leader())
    })
    .await?
}

/// Whether all replicas of a topic's partitions are in sync.
pub async fn in_sync(brokers: &str, topic: &str) -> Result<bool> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        let metadata = consumer.fetch_metadata(Some(&topic), TIMEOUT)?;
        let topic = metadata.topics().first().ok_or("nothing was described")?;
        let mut partitions = topic.partitions().iter();
        Ok(partitions.all(|partition| partition.isr().len() == partition.replicas().len()))
    })
    .await?
}

/// A group's state as Kafka names it, and its members' client ids.
pub async fn group(brokers: &str, group: &str) -> Result<(String, Vec<String>)> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let group = group.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        let groups = consumer.fetch_group_list(Some(&group), TIMEOUT)?;
        let group = groups.groups().first().ok_or("nothing was described")?;
        let members = group.members().iter();
        let clients = members.map(|member| member.client_id().to_owned());
        Ok((group.state().to_owned(), clients.collect()))
    })
    .await?
}
