//! What a separate client reads from the broker.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::{Duration, Instant},
};

use harness::{
    Result,
    ledger::{Committed, Event, Journal, Place, Stored},
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::Headers as _,
};
use tokio::task::{JoinHandle, spawn_blocking};

/// How often offsets are read: a few times between two commits.
const EVERY: Duration = Duration::from_millis(100);

/// How long one reading waits for a broker that may be down just now.
const READING: Duration = Duration::from_secs(2);

/// How long a whole topic may take to be read.
const WHOLE: Duration = Duration::from_secs(60);

/// Which topics are read, for which group.
#[derive(Clone, Debug)]
pub struct Readings {
    pub brokers: String,
    pub group: String,
    pub topic: String,
    pub dead_letters: String,
    /// Of the topic; there may be more of them later.
    pub partitions: Arc<AtomicI32>,
    /// Of the dead letters'.
    pub dead_letter_partitions: i32,
}

/// Readings under way.
pub struct Reader {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<()>>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Reader {
    /// Ends after the next reading.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        (&mut self.task).await?
    }
}

impl Readings {
    /// Reads until it is stopped. A reading that fails is left out: the broker is
    /// killed in the run, and the judge counts the readings.
    pub fn start(self, journal: Arc<Journal>) -> Result<Reader> {
        let mut consumer = client(&self.brokers, &self.group)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = spawn_blocking(move || {
            let mut deadline = None;
            loop {
                // The last one must succeed: it tells how the run ended. A broker that has
                // just come back may take a moment.
                let last = stopped.load(Ordering::Relaxed);
                if last {
                    deadline.get_or_insert_with(|| Instant::now() + WHOLE);
                }
                match self.once(&consumer, &journal) {
                    Ok(()) if last => return Ok(()),
                    Ok(()) => {}
                    Err(error) if deadline.is_some_and(|end| Instant::now() > end) => {
                        return Err(error);
                    }
                    // librdkafka 2.12 may know a topic's partitions never again after a
                    // broker was gone (seen: `UnknownPartition` for a minute, where a new
                    // client had its answer at once).
                    Err(_) => consumer = client(&self.brokers, &self.group)?,
                }
                std::thread::sleep(EVERY);
            }
        });
        Ok(Reader { stop, task })
    }

    fn once(&self, consumer: &BaseConsumer, journal: &Journal) -> Result<()> {
        let mut list = TopicPartitionList::new();
        let partitions = self.partitions.load(Ordering::Relaxed);
        list.add_partition_range(&self.topic, 0, partitions - 1);
        let offsets = consumer.committed_offsets(list, READING)?;
        let committed = offsets.elements().into_iter().filter_map(|element| {
            element.error().ok()?;
            match element.offset() {
                Offset::Offset(offset) => Some((element.partition(), offset)),
                _ => None,
            }
        });
        journal.record(Event::Committed(committed.collect()));
        // After the offsets: a dead letter whose source they pass stands by now.
        let mut ends = Committed::new();
        for partition in 0..self.dead_letter_partitions {
            let (_, end) = consumer.fetch_watermarks(&self.dead_letters, partition, READING)?;
            ends.insert(partition, end);
        }
        journal.record(Event::DeadLettersEnd(ends));
        Ok(())
    }
}

/// Everything that stands in a topic, by partition and offset.
pub async fn records(brokers: &str, topic: &str, partitions: i32) -> Result<Vec<Stored>> {
    let consumer = client(brokers, "a-reader-that-commits-nothing")?;
    let topic = topic.to_owned();
    let read = move || {
        let deadline = Instant::now() + WHOLE;
        loop {
            // A broker that has just come back may not know the topic yet.
            match read_all(&consumer, &topic, partitions, deadline) {
                Err(_) if Instant::now() < deadline => std::thread::sleep(EVERY),
                read => return read,
            }
        }
    };
    spawn_blocking(read).await?
}

fn read_all(
    consumer: &BaseConsumer,
    topic: &str,
    partitions: i32,
    deadline: Instant,
) -> Result<Vec<Stored>> {
    let mut list = TopicPartitionList::new();
    // Transactions and compaction leave offsets without a record, so a partition's end is
    // not known by counting.
    let mut left = BTreeSet::new();
    for partition in 0..partitions {
        let (start, _) = consumer.fetch_watermarks(topic, partition, READING)?;
        list.add_partition_offset(topic, partition, Offset::Offset(start))?;
        left.insert(partition);
    }
    consumer.assign(&list)?;
    let mut records = Vec::new();
    while !left.is_empty() {
        if Instant::now() > deadline {
            return Err(format!("{left:?} of {topic} were not read within {WHOLE:?}").into());
        }
        let message = match consumer.poll(READING) {
            None => continue,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                left.remove(&partition);
                continue;
            }
            Some(message) => message?,
        };
        let headers = message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter());
        records.push(Stored {
            at: Place {
                partition: message.partition(),
                offset: message.offset(),
            },
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        });
    }
    records.sort_unstable_by_key(|record| record.at);
    Ok(records)
}

fn client(brokers: &str, group: &str) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        // A broker that comes back is soon asked again.
        .set("reconnect.backoff.max.ms", "1000");
    Ok(config.create()?)
}
