//! Making topics, and how they are made.

use std::time::Duration;

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use super::{Cause, logged_in::LoggedIn};
use crate::metadata::{Settings, librdkafka};

/// How long making a topic may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How a topic is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its partitions.
    pub partitions: usize,
    /// The replicas of each.
    pub replication: usize,
}

/// Creates a topic whose records are kept for `retention`, counted from when they
/// got there, whatever time they carry. One that exists already is fine.
pub async fn create_topic(
    settings: &Settings,
    topic: &str,
    shape: Shape,
    retention: Duration,
) -> Result<(), Cause> {
    let admin: LoggedIn<AdminClient<DefaultClientContext>> =
        super::create(settings, librdkafka::client(settings), DefaultClientContext)?;
    let retention = retention.as_millis().to_string();
    let partitions = i32::try_from(shape.partitions).map_err(Cause::other)?;
    let replication = i32::try_from(shape.replication).map_err(Cause::other)?;
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication))
        .set("retention.ms", &retention)
        .set("message.timestamp.type", "LogAppendTime");
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    let created = admin.create_topics([&new], &options).await;
    // It waits for its thread.
    tokio::task::spawn_blocking(move || drop(admin));
    for result in created? {
        match result {
            Ok(_) | Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(rdkafka::error::KafkaError::AdminOp(code).into()),
        }
    }
    Ok(())
}
