//! The record of a round trip.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    indexmap::IndexMap,
    messages::{
        BrokerId, FetchRequest, FetchResponse, ProduceRequest, ProduceResponse,
        fetch_request::{FetchPartition, FetchTopic},
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    records::{
        Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
        Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    },
};

use super::{Failed, PAUSE, Trip, patience, topic};
use crate::doctor::{
    Finding, Fix,
    rows::round_trip as rows,
    stages::{
        Cluster,
        permissions::{error, told},
    },
    wire::{Answered, Wire},
};

/// The newest versions of Produce and Fetch that call topics by their names.
const BY_NAME: i16 = 12;

/// Acknowledged by all replicas that are in sync.
const ALL: i16 = -1;

/// How long a broker may wait for the record, in milliseconds.
const WAIT: u16 = 500;

/// The most that is read, in bytes.
const MOST: i32 = 64 * 1024;

/// The length of a batch's header, where the lower half of its attributes is in it, and
/// their bits for how it is compressed.
const HEADER: usize = 61;
const ATTRIBUTES: usize = 22;
const COMPRESSED: u8 = 7;

/// Writes it. The leader may not know yet that it leads.
pub(super) async fn write(
    trip: &Trip<'_>,
    cluster: &mut Cluster,
    leader: i32,
) -> Result<Answered<ProduceResponse>, Failed> {
    let until = trip.context.until();
    let wire = led(cluster, leader)?;
    let data = PartitionProduceData::default().with_records(Some(batch(&trip.value)?));
    let data = TopicProduceData::default()
        .with_name(topic::name(trip))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(ALL)
        .with_timeout_ms(patience(until))
        .with_topic_data(vec![data]);
    loop {
        let answer = wire.ask_below(&request, BY_NAME, until).await?;
        let partitions = answer.value.responses.iter();
        let mut partitions = partitions.flat_map(|topic| &topic.partition_responses);
        let Some(partition) = partitions.next() else {
            return Err(Failed::Unknown(
                "the broker says nothing of the record".into(),
            ));
        };
        let code = partition.error_code;
        match ResponseError::try_from_code(code) {
            None => return Ok(answer),
            Some(ResponseError::TopicAuthorizationFailed) => {
                return Err(trip.forbidden("written", &error(code)));
            }
            Some(not_yet) if is_early(not_yet) && is_time(until) => {
                tokio::time::sleep(PAUSE).await;
            }
            Some(_) => {
                let said = told(code, partition.error_message.as_deref());
                return Err(refused(trip, code, &said));
            }
        }
    }
}

fn refused(trip: &Trip<'_>, code: i16, said: &str) -> Failed {
    let cause = format!("a record to a topic with the brokers' defaults is refused: {said}");
    let fix = fix(code, trip.context.settings.max_message_bytes);
    Failed::Found(Box::new(Finding::new(&rows::REFUSED, cause, fix)))
}

/// What is to be done. Nothing that makes other topics of the cluster less safe.
fn fix(code: i16, largest: usize) -> Fix {
    match ResponseError::try_from_code(code) {
        Some(ResponseError::NotEnoughReplicas | ResponseError::NotEnoughReplicasAfterAppend) => {
            Fix::words(
                "Bring the brokers back that are missing. If none is, default.replication.factor is \
             lower than min.insync.replicas: raise it",
            )
        }
        Some(ResponseError::MessageTooLarge) => {
            Fix::words("Let brokers take records as large as `maxMessageBytes`").run(format!(
                "kafka-configs.sh --bootstrap-server <bootstrap> --alter --entity-type brokers \
             --entity-default --add-config message.max.bytes={largest}"
            ))
        }
        _ => Fix::words("Do what the error says; the brokers' logs have more of it"),
    }
}

/// Reads until it has come.
pub(super) async fn read(
    trip: &Trip<'_>,
    cluster: &mut Cluster,
    leader: i32,
) -> Result<Answered<FetchResponse>, Failed> {
    let until = trip.context.until();
    let wire = led(cluster, leader)?;
    let wanted = FetchPartition::default().with_partition_max_bytes(MOST);
    let wanted = FetchTopic::default()
        .with_topic(topic::name(trip))
        .with_partitions(vec![wanted]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(WAIT.into())
        .with_min_bytes(1)
        .with_max_bytes(MOST)
        .with_session_epoch(-1)
        .with_topics(vec![wanted]);
    loop {
        let answer = wire.ask_below(&request, BY_NAME, until).await?;
        let partitions = answer.value.responses.iter();
        let mut partitions = partitions.flat_map(|topic| &topic.partitions);
        let partition = partitions.next();
        let code = partition.map_or(answer.value.error_code, |partition| partition.error_code);
        let last = until < Instant::now() + 2 * Duration::from_millis(WAIT.into());
        match ResponseError::try_from_code(code) {
            None if partition.is_some_and(|found| holds(found.records.as_ref(), &trip.value)) => {
                return Ok(answer);
            }
            None if last => return Err(not_back("the broker gives no record")),
            None => {}
            Some(ResponseError::TopicAuthorizationFailed) => {
                return Err(trip.forbidden("read", &error(code)));
            }
            Some(not_yet) if is_early(not_yet) && !last => {}
            Some(_) => return Err(not_back(&format!("the broker answers {}", error(code)))),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn not_back(why: &str) -> Failed {
    let cause = format!("the record that was just acknowledged can't be read: {why}");
    let fix = Fix::words("See the brokers' logs, and whether the brokers reach each other");
    Failed::Found(Box::new(Finding::new(&rows::NOT_BACK, cause, fix)))
}

/// Whether this is the record, the first of a topic that nobody else knows. Brokers may
/// compress what they keep, and then its value can't be looked for.
fn holds(records: Option<&Bytes>, value: &str) -> bool {
    let Some(batch) = records.filter(|batch| batch.len() >= HEADER) else {
        return false;
    };
    let first = batch.starts_with(&[0; 8]);
    let attributes = batch.get(ATTRIBUTES).copied().unwrap_or_default();
    let mut values = batch.windows(value.len());
    first && (attributes & COMPRESSED != 0 || values.any(|found| found == value.as_bytes()))
}

/// The record as it is written.
fn batch(value: &str) -> Result<Bytes, Failed> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: NO_SEQUENCE,
        timestamp: now,
        key: None,
        value: Some(Bytes::from(value.to_owned())),
        headers: IndexMap::new(),
    };
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut batch = BytesMut::new();
    RecordBatchEncoder::encode(&mut batch, [&record], &options)
        .map_err(|error| Failed::Unknown(error.to_string()))?;
    Ok(batch.freeze())
}

/// The leader's connection.
fn led(cluster: &mut Cluster, leader: i32) -> Result<&mut Wire, Failed> {
    let wire = cluster.at(leader);
    wire.ok_or_else(|| Failed::Unknown(format!("its leader, broker {leader}, is not reached")))
}

/// Whether a leader says that only because it is so new.
fn is_early(error: ResponseError) -> bool {
    matches!(
        error,
        ResponseError::UnknownTopicOrPartition
            | ResponseError::LeaderNotAvailable
            | ResponseError::NotLeaderOrFollower
    )
}

/// Whether there is time to ask once more.
fn is_time(until: Instant) -> bool {
    until.saturating_duration_since(Instant::now()) > PAUSE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_record_is_known_again() {
        let Ok(batch) = batch("0123456789abcdef") else {
            panic!("it can be written");
        };
        assert!(holds(Some(&batch), "0123456789abcdef"));
        assert!(!holds(Some(&batch), "another value 16"));
        assert!(!holds(None, "0123456789abcdef"));
        let compressed = |flags: u8| {
            let mut compressed = BytesMut::from(&batch[..HEADER]);
            compressed[ATTRIBUTES] |= flags;
            compressed.freeze()
        };
        assert!(holds(Some(&compressed(4)), "0123456789abcdef"));
        assert!(!holds(Some(&compressed(0)), "0123456789abcdef"));
    }

    #[test]
    fn too_few_replicas_lower_no_safety() {
        for code in [19, 20] {
            let fix = fix(code, 1);
            assert_eq!(fix.command, None);
            assert!(fix.text.contains("Bring the brokers back"), "{}", fix.text);
        }
        assert!(
            fix(10, 7)
                .command
                .is_some_and(|run| run.ends_with("message.max.bytes=7"))
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_is_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = holds(Some(&bytes.into()), "0123456789abcdef");
        }
    }
}
