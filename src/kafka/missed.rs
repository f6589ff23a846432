//! What a consumer misses that is there.

use rdkafka::{
    consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext},
    error::KafkaError,
};

use super::{
    Cause,
    consumer::REQUEST_TIMEOUT,
    convert,
    list_offsets::{End, list_offsets},
    logged_in::LoggedIn,
};
use crate::{
    metadata::{Settings, librdkafka},
    model::{Offset, TopicPartition},
};

/// What a fresh client finds that a consumer does not, where nothing comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// A record at its position, or a later one.
    Record,
    /// The partition ends before its position.
    End,
}

/// What a consumer misses that is at this position in a partition, if anything, as a
/// fresh client finds.
pub async fn missed(
    settings: &Settings,
    at: &TopicPartition,
    from: Offset,
) -> Result<Option<Missed>, Cause> {
    let mut pairs = librdkafka::client(settings);
    // A group is asked for, and never joined.
    pairs.push(("group.id", "dapr-rdkafka-probe".into()));
    pairs.push(("enable.partition.eof", "true".into()));
    // What the group's own consumer may not see is no record here either.
    pairs.push(("isolation.level", settings.isolation.name().into()));
    let (list, settings) = (convert::list([(at, from)])?, settings.clone());
    let at = at.clone();
    let probe = tokio::task::spawn_blocking(move || {
        let consumer: LoggedIn<BaseConsumer> =
            super::create(&settings, pairs, DefaultConsumerContext)?;
        // Not the consumer's own: with an open transaction its end is below the position.
        let client = consumer.client().native_ptr();
        let places = [at];
        let mut ends = list_offsets(client, &places, End::Last, REQUEST_TIMEOUT)?;
        if let Some(end) = ends.remove(&places[0])
            && end? < from
        {
            return Ok(Some(Missed::End));
        }
        consumer.assign(&list)?;
        match consumer.poll(REQUEST_TIMEOUT) {
            Some(Ok(_)) => Ok(Some(Missed::Record)),
            Some(Err(KafkaError::PartitionEOF(_))) | None => Ok(None),
            Some(Err(error)) => Err(error.into()),
        }
    });
    probe.await.unwrap_or_else(|ended| Err(Cause::other(ended)))
}
