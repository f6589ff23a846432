use std::{
    collections::HashMap,
    ffi::CString,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use rdkafka::{
    Message as _, bindings,
    consumer::{Consumer as _, StreamConsumer, stream_consumer::StreamPartitionQueue},
    error::{KafkaError, RDKafkaErrorCode},
    util::DefaultRuntime,
};
use tokio::sync::mpsc;

use super::{
    Cause, Kind, Shape, TopicId, classify,
    commit::Commit,
    context::{Context, Failures},
    convert::{self, Committed},
    identity,
    logged_in::LoggedIn,
    progress,
};
use crate::{
    metadata::{Settings, librdkafka},
    model::{Offset, Progress, Record, TopicPartition},
    telemetry::Member,
};

/// How long one request to a broker may take in the calls that wait for it.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Partitions whose ends are asked for at once: a broker answers many quickly, and
/// one without a leader must not hold up the others.
const ASKED_AT_ONCE: usize = 16;

/// How often a consumer that is to be closed is looked at for calls under way.
const CLOSE_AGAIN: Duration = Duration::from_millis(20);

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
    /// Its first record is at the point or later; what stands above is finished.
    pub progress: Progress,
    /// The topic whose records the progress names; `None` if its brokers give no ids.
    pub topic: Option<TopicId>,
    /// What the point comes from.
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
    inner: LoggedIn<Arc<StreamConsumer<Context>>>,
    member: Member,
    /// The group's coordinator takes no metadata with an offset, or not so much.
    plain: Arc<AtomicBool>,
}

impl GroupConsumer {
    /// A consumer that is subscribed to nothing yet, and where its signals come.
    pub fn new(
        settings: &Settings,
        member: Member,
    ) -> Result<(Self, mpsc::Receiver<Signal>), Cause> {
        let (signals, receiver) = mpsc::channel(SIGNALS);
        let context = Context {
            instance: member.component.clone(),
            failures: Failures::default(),
            signals: Some(signals),
            closing: AtomicBool::new(false),
        };
        let inner = super::create(
            settings,
            librdkafka::consumer(settings, &member.group),
            context,
        )?;
        let inner = LoggedIn::shared(inner);
        let plain = Arc::default();
        let consumer = Self {
            inner,
            member,
            plain,
        };
        Ok((consumer, receiver))
    }

    /// Serves librdkafka's events until one is an error. Must be polled all the
    /// time: signals come out of it.
    pub async fn poll(&self) -> Cause {
        match self.inner.recv().await {
            // Every partition has a queue of its own before it is assigned. If one comes here
            // nevertheless, only a new consumer reads it again.
            Ok(message) => Cause {
                kind: Kind::Fatal,
                text: format!(
                    "a record of {}/{} came outside its partition's queue",
                    message.topic(),
                    message.partition()
                ),
            },
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

    /// How a topic is laid out; `None` if it does not exist.
    pub async fn shape(&self, topic: &str) -> Result<Option<Shape>, Cause> {
        let topic = topic.to_owned();
        self.blocking(move |consumer| {
            let metadata = consumer.fetch_metadata(Some(&topic), REQUEST_TIMEOUT)?;
            let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
                return Ok(None);
            };
            let replicas = found.partitions().iter().map(|each| each.replicas().len());
            match found.error().map(RDKafkaErrorCode::from) {
                None => Ok(Some(Shape {
                    partitions: found.partitions().len(),
                    replication: replicas.max().unwrap_or(1),
                })),
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(None),
                // Forbidden, or without a leader: it may well exist.
                Some(code) => Err(KafkaError::MetadataFetch(code).into()),
            }
        })
        .await
    }

    /// The ids of topics, each named once; those that do not exist, or whose brokers
    /// give none, are left out.
    pub async fn topic_ids(
        &self,
        topics: Vec<Arc<str>>,
        within: Duration,
    ) -> Result<HashMap<Arc<str>, TopicId>, Cause> {
        self.blocking(move |consumer| {
            identity::ids(consumer.client().native_ptr(), &topics, within)
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
        committed: Result<Option<Committed>, Cause>,
        start: StartAt,
    ) -> Result<Start, Cause> {
        let committed = committed?;
        let (low, high) = self.ends(at).await?;
        let (point, metadata, from) = match (committed, start) {
            (Some(Committed { offset, metadata }), _) if (low..=high).contains(&offset) => {
                (offset, metadata, StartFrom::Commit)
            }
            (Some(_), _) => (low, Vec::new(), StartFrom::OutOfRange),
            (None, StartAt::Newest) => (high, Vec::new(), StartFrom::Policy),
            (None, StartAt::Oldest) => (low, Vec::new(), StartFrom::Policy),
        };
        let (progress, topic) = progress::parse(point, &metadata, high);
        let at = at.clone();
        Ok(Start {
            at,
            progress,
            topic,
            from,
        })
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

    /// The offset after a partition's last record, as far as it was seen while
    /// fetching: asks nobody.
    pub fn known_end(&self, at: &TopicPartition) -> Option<Offset> {
        let topic = CString::new(at.topic.as_bytes()).ok()?;
        let (mut low, mut high) = (0, 0);
        // SAFETY: the client lives as long as `self.inner`, the name is a C string,
        // and both numbers outlive the call, which only reads the client's cache.
        // rdkafka has no safe function for it (0.39).
        let error = unsafe {
            bindings::rd_kafka_get_watermark_offsets(
                self.inner.client().native_ptr(),
                topic.as_ptr(),
                at.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        let known = error == bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        (known && high >= 0).then_some(Offset(high))
    }

    /// How many records stand in a topic, counting gaps.
    pub async fn records(&self, topic: &str) -> Result<u64, Cause> {
        let shape = self.shape(topic).await?;
        let partitions = shape.map_or(0, |shape| shape.partitions);
        let mut records = 0;
        for partition in 0..i32::try_from(partitions).unwrap_or_default() {
            let (low, high) = self.ends(&TopicPartition::new(topic, partition)).await?;
            records += u64::try_from(high.0 - low.0).unwrap_or_default();
        }
        Ok(records)
    }

    /// Why the consumer is broken for good, if it is.
    pub fn fatal(&self) -> Option<Cause> {
        let (code, reason) = self.inner.client().fatal_error()?;
        Some(classify::fatal(code, &reason))
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

    /// Commits, with the ids of the topics that the offsets belong to, as far as they have
    /// some. Each partition has a result of its own, in the same order. It waits for the
    /// answer, but not for long: librdkafka itself would wait for a lost coordinator to come
    /// back.
    ///
    /// It is librdkafka's synchronous commit, because nobody is told how an
    /// asynchronous one ended: rdkafka 0.39 takes events, and librdkafka makes
    /// none of a commit unless `offset_commit_cb` is set.
    pub async fn commit(
        &self,
        offsets: Vec<(TopicPartition, Progress)>,
        ids: HashMap<Arc<str>, TopicId>,
    ) -> Vec<Result<(), Cause>> {
        let count = offsets.len();
        let commit = Commit {
            ids,
            instance: self.member.clone(),
            plain: self.plain.clone(),
        };
        let committed = self.blocking(move |consumer| Ok(commit.by_topic(consumer, &offsets)));
        let committed = tokio::time::timeout(REQUEST_TIMEOUT, committed)
            .await
            .unwrap_or_else(|_| Err(Cause::other("the group's coordinator did not answer")));
        committed.unwrap_or_else(|cause| vec![Err(cause); count])
    }

    /// Leaves the group, so that its partitions go to others at once. Readers
    /// must be gone: they keep the consumer alive.
    pub async fn close(self) {
        self.inner.context().closing.store(true, Ordering::Release);
        let mut inner = self.inner.into_inner();
        // Librdkafka waits for the coordinator when the last handle is dropped, and
        // calls that are under way have one each.
        let closed = tokio::task::spawn_blocking(move || {
            let until = Instant::now() + REQUEST_TIMEOUT;
            while let Err(shared) = Arc::try_unwrap(inner) {
                inner = shared;
                if Instant::now() >= until {
                    break;
                }
                std::thread::sleep(CLOSE_AGAIN);
            }
        });
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
