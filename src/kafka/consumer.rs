use std::{
    collections::{BTreeSet, HashMap},
    ffi::CString,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, bindings,
    consumer::{Consumer as _, StreamConsumer, stream_consumer::StreamPartitionQueue},
    error::{KafkaError, RDKafkaErrorCode},
    util::DefaultRuntime,
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
    time::timeout_at,
};

use super::{
    Cause, Kind, Shape, TopicId, classify, commit,
    context::{Context, Failures},
    convert,
    identity::{self, Origin, cluster},
    list_offsets::{End, Offsets, list_offsets},
    logged_in::LoggedIn,
    progress,
    start::{Need, Needed, Start, Starts, Wanted, need},
};
use crate::{
    metadata::{Settings, librdkafka},
    model::{Log, Offset, Progress, Record, TopicPartition},
    telemetry::Member,
};

/// How long one request to a broker may take in the calls that wait for it.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

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

/// How long brokers may take to say what a start needs.
#[derive(Clone, Copy, Debug)]
pub struct Within {
    /// The topics' ids.
    pub ids: Duration,
    /// Where partitions begin or end: all that are asked for wait for the slowest leader.
    pub ends: Duration,
}

/// Topics whose layout is asked for at the same time. Each takes a thread until a broker answers, and
/// all instances of the process share 512.
const SHAPES: usize = 4;

/// A member of a consumer group. Cheap to clone; one owner calls it.
#[derive(Clone)]
pub struct GroupConsumer {
    inner: LoggedIn<Arc<StreamConsumer<Context>>>,
    member: Member,
    /// How many bytes of metadata the group's coordinator takes with an offset, as far as it has
    /// refused more.
    room: Arc<AtomicUsize>,
    /// Which end is the newest for this isolation level.
    newest: End,
    /// How many commits are inside librdkafka.
    commits: Arc<watch::Sender<usize>>,
    /// What is left of [`SHAPES`].
    shapes: Arc<Semaphore>,
}

/// A commit that is counted as long as it is inside librdkafka.
struct Inside(Arc<watch::Sender<usize>>);

impl Inside {
    fn enter(commits: &Arc<watch::Sender<usize>>) -> Self {
        commits.send_modify(|commits| *commits += 1);
        Self(commits.clone())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.send_modify(|commits| *commits -= 1);
    }
}

/// A commit under way.
pub struct Commit {
    places: Vec<TopicPartition>,
    results: mpsc::Receiver<(TopicPartition, Result<(), Cause>)>,
    ended: JoinHandle<()>,
}

impl Commit {
    /// Each partition's result, in the order in which they were given, and what ends when the
    /// commit has left librdkafka. The results come in time: librdkafka itself would wait for a
    /// lost coordinator to come back, and may still commit what is an error here.
    pub async fn results(mut self) -> (Vec<Result<(), Cause>>, JoinHandle<()>) {
        let until = tokio::time::Instant::now() + REQUEST_TIMEOUT;
        let mut known = HashMap::new();
        while let Ok(Some((at, result))) = timeout_at(until, self.results.recv()).await {
            known.insert(at, result);
        }
        let silent = || Err(Cause::other("the group's coordinator did not answer"));
        let places = self.places.iter();
        let results = places.map(|at| known.remove(at).unwrap_or_else(silent));
        (results.collect(), self.ended)
    }
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
        let newest = End::newest(settings.isolation);
        let consumer = Self {
            inner,
            member,
            room: Arc::new(AtomicUsize::new(progress::LARGEST)),
            newest,
            commits: Arc::new(watch::Sender::new(0)),
            shapes: Arc::new(Semaphore::new(SHAPES)),
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
        let permit = self.shapes.clone().acquire_owned().await;
        let permit = permit.map_err(Cause::other)?;
        self.blocking(move |consumer| {
            let _permit = permit;
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

    /// Where to start in each partition: at the committed offset, unless it belongs to a topic
    /// that is gone, and without one where `StartAt` says. `known` has the ids of topics that this
    /// consumer reads already; they count for more than what a broker answers, which may not
    /// have heard of a new topic yet.
    ///
    /// Whether a committed offset is in range is not asked: a fetch says so.
    pub async fn start_positions(
        &self,
        wanted: Vec<Wanted>,
        known: HashMap<Arc<str>, TopicId>,
        within: Within,
    ) -> Starts {
        let list = convert::list(wanted.iter().map(|wanted| (&wanted.at, Offset(0))));
        let committed = self.blocking(move |consumer| {
            let committed = consumer.committed_offsets(list?, REQUEST_TIMEOUT)?;
            Ok(convert::committed(&committed))
        });
        let mut committed = match committed.await {
            Ok(committed) => committed,
            Err(cause) => {
                let all = wanted.into_iter();
                let results = all.map(|wanted| (wanted.at, Err(cause.clone()))).collect();
                let ids = HashMap::new();
                return Starts { results, ids };
            }
        };
        // After the offsets: an id that was asked for before may be of the topic before.
        let topics: BTreeSet<_> = wanted
            .iter()
            .map(|wanted| wanted.at.topic.clone())
            .collect();
        let topics = topics.into_iter().collect();
        let told = self.topic_ids(topics, within.ids).await;
        let ids = told.as_ref().cloned().unwrap_or_default();
        let mut now = ids.clone();
        now.extend(known);
        let now = self.origins(&now).await;
        let mut needs = Vec::new();
        for wanted in wanted {
            let committed = committed.remove(&wanted.at).unwrap_or(Ok(None));
            let origin = now.get(&wanted.at.topic);
            let need = committed.and_then(|committed| {
                let unknown = told.as_ref().err().filter(|_| origin.is_none());
                let committed = committed.as_ref();
                let committed = committed.map(|it| (it.offset, it.metadata.as_slice()));
                need(&wanted, committed, origin, unknown)
            });
            needs.push((wanted.at, need));
        }
        let results = self.resolve(needs, within.ends).await;
        Starts { results, ids }
    }

    /// Asks for what is still needed, all partitions of one kind at once.
    async fn resolve(
        &self,
        needs: Vec<(TopicPartition, Result<Need, Cause>)>,
        within: Duration,
    ) -> Vec<(TopicPartition, Result<Start, Cause>)> {
        let wanting = |wants: fn(&Need) -> bool| {
            let wants = |need: &Result<Need, Cause>| need.as_ref().is_ok_and(wants);
            let places = needs.iter().filter(|(_, need)| wants(need));
            places.map(|(at, _)| at.clone()).collect::<Vec<_>>()
        };
        let first = wanting(|need| matches!(need, Need::First | Need::Log(..)));
        let last = wanting(|need| matches!(need, Need::Log(..)));
        let newest = wanting(|need| matches!(need, Need::Newest));
        let (mut first, mut last, mut newest) = tokio::join!(
            self.list_offsets(first, End::First, within),
            self.list_offsets(last, End::Last, within),
            self.list_offsets(newest, self.newest, within),
        );
        let needs = needs.into_iter();
        needs
            .map(|(at, need)| {
                let ends = |end| match end {
                    Needed::First => told(&mut first, &at),
                    Needed::Last => told(&mut last, &at),
                    Needed::Newest => told(&mut newest, &at),
                };
                let start = need.and_then(|need| need.start(&at, ends));
                (at, start)
            })
            .collect()
    }

    /// One end of each partition, as their leaders say; those that no broker spoke of are left
    /// out.
    async fn list_offsets(
        &self,
        partitions: Vec<TopicPartition>,
        end: End,
        within: Duration,
    ) -> Offsets {
        let asked = partitions.clone();
        let told = self.blocking(move |consumer| {
            let client = consumer.client().native_ptr();
            list_offsets(client, &asked, end, within)
        });
        told.await.unwrap_or_else(|cause| {
            let all = partitions.into_iter();
            all.map(|at| (at, Err(cause.clone()))).collect()
        })
    }

    /// The log of each partition, records of open transactions included.
    pub async fn logs(
        &self,
        partitions: Vec<TopicPartition>,
    ) -> HashMap<TopicPartition, Result<Log, Cause>> {
        let (mut first, mut last) = tokio::join!(
            self.list_offsets(partitions.clone(), End::First, REQUEST_TIMEOUT),
            self.list_offsets(partitions.clone(), End::Last, REQUEST_TIMEOUT),
        );
        let mut log = |at: &TopicPartition| {
            Ok(Log {
                first: told(&mut first, at)?,
                end: told(&mut last, at)?,
            })
        };
        let partitions = partitions.into_iter();
        partitions
            .map(|at| {
                let log = log(&at);
                (at, log)
            })
            .collect()
    }

    /// The offset after the last record of each partition, those of open transactions included;
    /// partitions whose leader did not answer are left out.
    pub async fn log_ends(&self, partitions: Vec<TopicPartition>) -> Vec<(TopicPartition, Offset)> {
        let told = self
            .list_offsets(partitions, End::Last, REQUEST_TIMEOUT)
            .await;
        let told = told.into_iter();
        told.filter_map(|(at, end)| Some((at, end.ok()?))).collect()
    }

    /// Topics with their cluster, if its brokers tell one.
    async fn origins(&self, ids: &HashMap<Arc<str>, TopicId>) -> HashMap<Arc<str>, Origin> {
        let cluster = self.blocking(|consumer| Ok(cluster(consumer.client().native_ptr())));
        let cluster = cluster.await.unwrap_or_default();
        origins(ids, cluster.as_ref())
    }

    /// The offset after the last record of each partition that the group may see; partitions
    /// whose leader did not answer are left out.
    pub async fn newest(&self, partitions: Vec<TopicPartition>) -> Vec<(TopicPartition, Offset)> {
        let told = self
            .list_offsets(partitions, self.newest, REQUEST_TIMEOUT)
            .await;
        let told = told.into_iter();
        told.filter_map(|(at, end)| Some((at, end.ok()?))).collect()
    }

    /// How many records of an assigned partition librdkafka has read and nobody has taken: asks
    /// nobody.
    pub fn queued(&self, at: &TopicPartition) -> usize {
        let Ok(topic) = CString::new(at.topic.as_bytes()) else {
            return 0;
        };
        // SAFETY: the client lives as long as `self.inner`, and the name is a C string. The queue
        // is a reference of its own, which is used while it is held, and given back. rdkafka has
        // no safe function for it (0.39).
        unsafe {
            let client = self.inner.client().native_ptr();
            let queue =
                bindings::rd_kafka_queue_get_partition(client, topic.as_ptr(), at.partition);
            if queue.is_null() {
                return 0;
            }
            let queued = bindings::rd_kafka_queue_length(queue);
            bindings::rd_kafka_queue_destroy(queue);
            queued
        }
    }

    /// Drops what librdkafka has read of a partition that is not assigned any more: it does so by
    /// itself only when the partition's queue is looked at.
    pub fn drop_queued(&self, at: &TopicPartition) {
        let Ok(topic) = CString::new(at.topic.as_bytes()) else {
            return;
        };
        // SAFETY: as in `queued`; each message is given back once, and used no more.
        unsafe {
            let client = self.inner.client().native_ptr();
            let queue =
                bindings::rd_kafka_queue_get_partition(client, topic.as_ptr(), at.partition);
            if queue.is_null() {
                return;
            }
            loop {
                let message = bindings::rd_kafka_consume_queue(queue, 0);
                if message.is_null() {
                    break;
                }
                bindings::rd_kafka_message_destroy(message);
            }
            bindings::rd_kafka_queue_destroy(queue);
        }
    }

    /// Stops fetching partitions. What was read of them and not taken is outdated then. Microseconds.
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<(), Cause> {
        let list = convert::list(partitions.iter().map(|at| (at, Offset(0))))?;
        self.inner.pause(&list).map_err(Cause::from)
    }

    /// Fetches partitions again that were paused, from what was taken last. Microseconds.
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<(), Cause> {
        let list = convert::list(partitions.iter().map(|at| (at, Offset(0))))?;
        self.inner.resume(&list).map_err(Cause::from)
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

    /// How many records stand in a topic, counting gaps: one request for each leader and end.
    pub async fn records(&self, topic: &str) -> Result<u64, Cause> {
        let shape = self.shape(topic).await?;
        let partitions = shape.map_or(0, |shape| shape.partitions);
        let partitions = (0..i32::try_from(partitions).unwrap_or_default())
            .map(|partition| TopicPartition::new(topic, partition));
        let mut records = 0;
        for (_, log) in self.logs(partitions.collect()).await {
            let Log { first, end } = log?;
            records += u64::try_from(end.0 - first.0).unwrap_or_default();
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
        let assigned = self.inner.assign(&list);
        self.wait_until_stopped();
        assigned.map_err(Cause::from)
    }

    /// Gives all partitions up.
    pub fn unassign(&self) -> Result<(), Cause> {
        let unassigned = self.inner.unassign();
        self.wait_until_stopped();
        unassigned.map_err(Cause::from)
    }

    /// Waits until librdkafka has stopped the fetchers of the assignment before: microseconds.
    ///
    /// librdkafka (2.12, `rdkafka_assignment.c`) ends the process by an assertion if an assignment
    /// is replaced while it waits for a fetcher of the one before to stop. Its thread takes
    /// operations in their order: what was to be stopped has been told so before the first
    /// question is answered, and has said so before the second one is.
    fn wait_until_stopped(&self) {
        for _ in 0..2 {
            if let Err(error) = self.inner.assignment() {
                tracing::debug!("asking for the assignment: {error}");
            }
        }
    }

    /// Starts to commit, with the ids of the topics that the offsets belong to, as far as they have
    /// some.
    ///
    /// It is librdkafka's synchronous commit, because nobody is told how an
    /// asynchronous one ended: rdkafka 0.39 takes events, and librdkafka makes
    /// none of a commit unless `offset_commit_cb` is set.
    pub fn commit(
        &self,
        offsets: Vec<(TopicPartition, Progress)>,
        ids: HashMap<Arc<str>, TopicId>,
    ) -> Commit {
        let places = offsets.iter().map(|(at, _)| at.clone()).collect();
        // Each partition has one result.
        let (told, results) = mpsc::channel(offsets.len().max(1));
        let (instance, room) = (self.member.clone(), self.room.clone());
        let inside = Inside::enter(&self.commits);
        let consumer = self.inner.clone();
        let ended = tokio::task::spawn_blocking(move || {
            let cluster = cluster(consumer.client().native_ptr());
            let commit = commit::Commit {
                origins: origins(&ids, cluster.as_ref()),
                instance,
                room,
            };
            commit.by_topic(&consumer, &offsets, |at, result| {
                // After the timeout the receiver is gone.
                let _ = told.try_send((at.clone(), result));
            });
            drop(inside);
        });
        Commit {
            places,
            results,
            ended,
        }
    }

    /// Waits until no commit is inside librdkafka: while one is, a new assignment starts no
    /// partition (2.12, `rd_kafka_assignment_serve`), and those that were read before stand still.
    pub async fn commits_ended(&self) {
        let mut commits = self.commits.subscribe();
        // The sender is in `self`.
        let _ = commits.wait_for(|commits| *commits == 0).await;
    }

    /// Whether a commit is inside librdkafka.
    pub fn is_committing(&self) -> bool {
        *self.commits.borrow() > 0
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

/// What the brokers said of a partition.
fn told(offsets: &mut Offsets, at: &TopicPartition) -> Result<Offset, Cause> {
    let silent = || {
        Err(Cause::other(format!(
            "no broker said where {at} begins or ends"
        )))
    };
    offsets.remove(at).unwrap_or_else(silent)
}

fn origins(
    ids: &HashMap<Arc<str>, TopicId>,
    cluster: Option<&Arc<str>>,
) -> HashMap<Arc<str>, Origin> {
    let of = |topic: &TopicId| Origin {
        cluster: cluster.cloned(),
        topic: *topic,
    };
    ids.iter()
        .map(|(name, id)| (name.clone(), of(id)))
        .collect()
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
