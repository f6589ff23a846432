use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use rdkafka::{
    consumer::{CommitMode, Consumer as _, StreamConsumer, stream_consumer::StreamPartitionQueue},
    error::{KafkaError, RDKafkaErrorCode},
    util::DefaultRuntime,
};
use tokio::sync::mpsc;

use super::{
    Cause,
    context::{Context, Failures},
    convert,
};
use crate::{
    metadata::{Settings, librdkafka},
    model::{Offset, Record, TopicPartition},
};

/// How long one request to a broker may take in the calls that wait for it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Partitions whose ends are asked for at once: a broker answers many quickly, and
/// one without a leader must not hold up the others.
const ASKED_AT_ONCE: usize = 16;

/// Room for signals: librdkafka has one rebalance under way at a time, so this is
/// never full.
const SIGNALS: usize = 8;

/// What librdkafka tells the owner of a consumer.
#[derive(Clone, Debug)]
pub enum Signal {
    /// The group gives us these partitions; answer with
    /// [`GroupConsumer::assign`].
    Assigned(Vec<TopicPartition>),
    /// The group takes these away; answer with [`GroupConsumer::unassign`].
    Revoked {
        /// They are gone already (the session timed out): commits would fail.
        lost: bool,
    },
}

/// Where to start in a partition that the group never committed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// After the newest record.
    Newest,
    /// At the first record that is left.
    Oldest,
}

/// Where a partition starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The partition.
    pub at: TopicPartition,
    /// Its first record is this one or a later one.
    pub offset: Offset,
    /// What the offset comes from.
    pub from: StartFrom,
}

/// What a start offset comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// The group committed it.
    Commit,
    /// The group never committed any, so [`StartAt`] decided.
    Policy,
    /// What the group committed is not there any more: retention removed it, or
    /// the topic was recreated. It is the oldest that is left.
    OutOfRange,
}

/// A member of a consumer group. Cheap to clone; one owner calls it.
#[derive(Clone)]
pub struct GroupConsumer {
    inner: Arc<StreamConsumer<Context>>,
}

impl GroupConsumer {
    /// A consumer that is subscribed to nothing yet, and where its signals come.
    pub fn new(
        settings: &Settings,
        group: &str,
        instance: Arc<str>,
    ) -> Result<(Self, mpsc::Receiver<Signal>), Cause> {
        let (signals, receiver) = mpsc::channel(SIGNALS);
        let context = Context {
            instance,
            failures: Failures::default(),
            signals: Some(signals),
            closing: AtomicBool::new(false),
        };
        let inner = super::create(librdkafka::consumer(settings, group), context)?;
        let inner = Arc::new(inner);
        Ok((Self { inner }, receiver))
    }

    /// Serves librdkafka's events until one is an error. Must be polled all the
    /// time: signals come out of it.
    pub async fn poll(&self) -> Cause {
        match self.inner.recv().await {
            // Every partition has a queue of its own before it is assigned.
            Ok(message) => Cause::other(format!(
                "a record of {}/{} came outside its partition's queue",
                rdkafka::Message::topic(&message),
                rdkafka::Message::partition(&message)
            )),
            Err(error) => Cause::from(error),
        }
    }

    /// Subscribes to exactly these topics; to none leaves the group.
    pub fn subscribe(&self, topics: &[&str]) -> Result<(), Cause> {
        if topics.is_empty() {
            self.inner.unsubscribe();
            return Ok(());
        }
        self.inner.subscribe(topics).map_err(Cause::from)
    }

    /// How many partitions a topic has; 0 if it does not exist.
    pub async fn partition_count(&self, topic: &str) -> Result<usize, Cause> {
        let topic = topic.to_owned();
        self.blocking(move |consumer| {
            let metadata = consumer.fetch_metadata(Some(&topic), REQUEST_TIMEOUT)?;
            let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
                return Ok(0);
            };
            match found.error().map(RDKafkaErrorCode::from) {
                None => Ok(found.partitions().len()),
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(0),
                // Forbidden, or without a leader: it may well exist.
                Some(code) => Err(KafkaError::MetadataFetch(code).into()),
            }
        })
        .await
    }

    /// Makes librdkafka look at all topics now, so that it joins for one that
    /// has appeared: it does so by itself only after its refresh interval.
    pub async fn refresh_topics(&self) -> Result<(), Cause> {
        self.blocking(|consumer| {
            consumer.fetch_metadata(None, REQUEST_TIMEOUT)?;
            Ok(())
        })
        .await
    }

    /// Where to start in each partition: at the committed offset if it is still
    /// there, else where `StartAt` says. Each partition has a result of its own.
    pub async fn start_positions(
        &self,
        wanted: Vec<(TopicPartition, StartAt)>,
    ) -> Vec<(TopicPartition, Result<Start, Cause>)> {
        let list = convert::list(wanted.iter().map(|(at, _)| (at, Offset(0))));
        let committed = self.blocking(move |consumer| {
            let committed = consumer.committed_offsets(list?, REQUEST_TIMEOUT)?;
            Ok(convert::committed(&committed))
        });
        let committed = match committed.await {
            Ok(committed) => committed,
            Err(cause) => {
                let all = wanted.into_iter();
                return all.map(|(at, _)| (at, Err(cause.clone()))).collect();
            }
        };
        let starts = wanted.into_iter().map(|(at, start)| {
            let committed = committed.get(&at).cloned().unwrap_or(Ok(None));
            async move {
                let start = self.start_position(&at, committed, start).await;
                (at, start)
            }
        });
        stream::iter(starts)
            .buffer_unordered(ASKED_AT_ONCE)
            .collect()
            .await
    }

    async fn start_position(
        &self,
        at: &TopicPartition,
        committed: Result<Option<Offset>, Cause>,
        start: StartAt,
    ) -> Result<Start, Cause> {
        let committed = committed?;
        let (low, high) = self.ends(at).await?;
        let (offset, from) = match (committed, start) {
            (Some(offset), _) if (low..=high).contains(&offset) => (offset, StartFrom::Commit),
            (Some(_), _) => (low, StartFrom::OutOfRange),
            (None, StartAt::Newest) => (high, StartFrom::Policy),
            (None, StartAt::Oldest) => (low, StartFrom::Policy),
        };
        let at = at.clone();
        Ok(Start { at, offset, from })
    }

    /// A partition's first offset, and the one after its last.
    pub async fn ends(&self, at: &TopicPartition) -> Result<(Offset, Offset), Cause> {
        let TopicPartition { topic, partition } = at.clone();
        self.blocking(move |consumer| {
            let (low, high) = consumer.fetch_watermarks(&topic, partition, REQUEST_TIMEOUT)?;
            Ok((Offset(low), Offset(high)))
        })
        .await
    }

    /// A reader for a partition that is about to be assigned. Before, not after:
    /// a record that is fetched in between would come out of the main queue.
    pub fn reader(&self, at: &TopicPartition) -> Result<PartitionReader, Cause> {
        let queue = self.inner.split_partition_queue(&at.topic, at.partition);
        let queue =
            queue.ok_or_else(|| Cause::other(format!("librdkafka has no queue for {at}")))?;
        let at = at.clone();
        Ok(PartitionReader { at, queue })
    }

    /// Takes exactly these partitions, each from its offset. Readers stay.
    pub fn assign<'a>(
        &self,
        starts: impl IntoIterator<Item = (&'a TopicPartition, Offset)>,
    ) -> Result<(), Cause> {
        let list = convert::list(starts)?;
        self.inner.assign(&list).map_err(Cause::from)
    }

    /// Gives all partitions up.
    pub fn unassign(&self) -> Result<(), Cause> {
        self.inner.unassign().map_err(Cause::from)
    }

    /// Commits, and waits for the answer, but not for long: librdkafka itself
    /// would wait for a lost coordinator to come back.
    ///
    /// It is librdkafka's synchronous commit, because nobody is told how an
    /// asynchronous one ended: rdkafka 0.39 takes events, and librdkafka makes
    /// none of a commit unless `offset_commit_cb` is set.
    pub async fn commit(&self, offsets: Vec<(TopicPartition, Offset)>) -> Result<(), Cause> {
        let commit = self.blocking(move |consumer| {
            let list = convert::list(offsets.iter().map(|(at, offset)| (at, *offset)))?;
            consumer.commit(&list, CommitMode::Sync)?;
            Ok(())
        });
        tokio::time::timeout(REQUEST_TIMEOUT, commit)
            .await
            .unwrap_or_else(|_| Err(Cause::other("the group's coordinator did not answer")))
    }

    /// Leaves the group, so that its partitions go to others at once. Readers
    /// must be gone: they keep the consumer alive.
    pub async fn close(self) {
        self.inner.context().closing.store(true, Ordering::Release);
        // librdkafka waits for the coordinator while it closes.
        let closed = tokio::task::spawn_blocking(move || drop(self.inner));
        if tokio::time::timeout(REQUEST_TIMEOUT, closed).await.is_err() {
            tracing::warn!("the group's coordinator did not answer while leaving the group");
        }
    }

    /// Runs a call that waits for a broker where waiting is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&StreamConsumer<Context>) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, Cause> {
        let consumer = self.inner.clone();
        tokio::task::spawn_blocking(move || call(&consumer))
            .await
            .unwrap_or_else(|ended| Err(Cause::other(ended)))
    }
}

/// Reads one assigned partition.
pub struct PartitionReader {
    at: TopicPartition,
    queue: StreamPartitionQueue<Context, DefaultRuntime>,
}

impl PartitionReader {
    /// The partition.
    pub fn at(&self) -> &TopicPartition {
        &self.at
    }

    /// The next record. Nothing is lost if the future is dropped.
    pub async fn recv(&self) -> Result<Record, Cause> {
        let message = self.queue.recv().await?;
        Ok(convert::record(&self.at, &message))
    }
}
