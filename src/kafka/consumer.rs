use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    consumer::{CommitMode, Consumer as _, StreamConsumer, stream_consumer::StreamPartitionQueue},
    util::DefaultRuntime,
};
use tokio::sync::mpsc;

use super::{Cause, context::Context, convert};
use crate::{
    metadata::{Settings, librdkafka},
    model::{Offset, Record, TopicPartition},
};

/// How long one request to a broker may take in the calls that wait for it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

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
        /// The partitions.
        partitions: Vec<TopicPartition>,
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
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            Ok(found.map_or(0, |found| found.partitions().len()))
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

    /// Where to start in each partition: at the committed offset, else where
    /// `StartAt` says; that is committed before this returns, so that a crash
    /// between here and the first commit skips nothing.
    pub async fn start_positions(
        &self,
        wanted: Vec<(TopicPartition, StartAt)>,
    ) -> Result<Vec<(TopicPartition, Offset)>, Cause> {
        self.blocking(move |consumer| {
            let list = convert::list(wanted.iter().map(|(at, _)| (at, Offset(0))))?;
            let committed = consumer.committed_offsets(list, REQUEST_TIMEOUT)?;
            let committed = convert::offsets(&committed);
            let mut starts = Vec::with_capacity(wanted.len());
            let mut resolved = Vec::new();
            for (at, start) in wanted {
                let found = committed.iter().find(|(found, _)| *found == at);
                if let Some((_, Some(offset))) = found {
                    starts.push((at, *offset));
                    continue;
                }
                let (low, high) =
                    consumer.fetch_watermarks(&at.topic, at.partition, REQUEST_TIMEOUT)?;
                let offset = Offset(match start {
                    StartAt::Newest => high,
                    StartAt::Oldest => low,
                });
                resolved.push((at.clone(), offset));
                starts.push((at, offset));
            }
            if !resolved.is_empty() {
                let list = convert::list(resolved.iter().map(|(at, offset)| (at, *offset)))?;
                consumer.commit(&list, CommitMode::Sync)?;
            }
            Ok(starts)
        })
        .await
    }

    /// Takes the partitions, each from its offset, and returns a reader for each.
    /// It replaces the whole assignment.
    pub fn assign(
        &self,
        starts: &[(TopicPartition, Offset)],
    ) -> Result<Vec<PartitionReader>, Cause> {
        // The queues are split off before the assignment: a record that was
        // fetched in between would come out of the main queue otherwise.
        let readers = starts
            .iter()
            .map(|(at, _)| {
                let queue = self.inner.split_partition_queue(&at.topic, at.partition);
                queue
                    .map(|queue| PartitionReader {
                        at: at.clone(),
                        queue,
                    })
                    .ok_or_else(|| Cause::other(format!("librdkafka has no queue for {at}")))
            })
            .collect::<Result<_, _>>()?;
        let list = convert::list(starts.iter().map(|(at, offset)| (at, *offset)))?;
        self.inner.assign(&list)?;
        Ok(readers)
    }

    /// Gives all partitions up.
    pub fn unassign(&self) -> Result<(), Cause> {
        self.inner.unassign().map_err(Cause::from)
    }

    /// Goes on at a partition's first record that is left; returns its offset.
    pub async fn seek_to_oldest(&self, at: &TopicPartition) -> Result<Offset, Cause> {
        let TopicPartition { topic, partition } = at.clone();
        self.blocking(move |consumer| {
            let (low, _) = consumer.fetch_watermarks(&topic, partition, REQUEST_TIMEOUT)?;
            let oldest = rdkafka::Offset::Offset(low);
            consumer.seek(&topic, partition, oldest, REQUEST_TIMEOUT)?;
            Ok(Offset(low))
        })
        .await
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
