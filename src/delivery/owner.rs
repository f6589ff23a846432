use std::{
    collections::HashMap,
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    Delivery, Drained, Lane,
    assignment::Phase,
    commits::Commits,
    group::Command,
    readers::{Read, Readers},
    subscription::{Step, Subscription},
};
use crate::{
    engine::{Engine, Event, LaneId, Limits},
    kafka::{Cause, GroupConsumer, Kind, Signal, Start},
    metadata::Settings,
    model::{Epoch, Offset, Outcome, TopicPartition},
    telemetry::events,
};

/// Records that a stream to daprd may have and not have answered: enough to hide
/// the way there and back, few enough that lanes stay evenly loaded.
const LANE_DEPTH: usize = 32;

/// The built-in component's wait between attempts (dapr/kit's default policy).
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// How long a stream gets nothing after it gave a record back without a verdict.
const LANE_HOLD: Duration = Duration::from_secs(1);

/// What a call beside the owner came back with.
pub(super) enum Done {
    Counted {
        topic: Arc<str>,
        result: Result<usize, Cause>,
    },
    Refreshed(Result<(), Cause>),
    Starts {
        generation: u64,
        results: Vec<(TopicPartition, Result<Start, Cause>)>,
    },
    Decided {
        generation: u64,
        starts: Vec<Start>,
        result: Result<(), Cause>,
    },
    Committed {
        offsets: Vec<(TopicPartition, Offset)>,
        result: Result<(), Cause>,
    },
    LastCommit {
        generation: u64,
        offsets: Vec<(TopicPartition, Offset)>,
        result: Result<(), Cause>,
    },
    Oldest {
        at: TopicPartition,
        epoch: Epoch,
        result: Result<Offset, Cause>,
    },
}

/// The one task that owns a consumer group's state.
pub(super) struct Owner {
    pub(super) instance: Arc<str>,
    pub(super) consumer: GroupConsumer,
    pub(super) engine: Engine,
    pub(super) readers: Readers,
    pub(super) commits: Commits,
    pub(super) subscription: Subscription,
    pub(super) calls: JoinSet<Done>,
    pub(super) phase: Phase,
    /// Counts how often partitions came or began to go: a call that was made before
    /// the last time is outdated.
    pub(super) generation: u64,
    pub(super) epochs: u64,
    /// Who asked for the shutdown; nobody did as long as it is empty.
    pub(super) leaving: Vec<oneshot::Sender<Drained>>,
    pub(super) unanswered: usize,
    pub(super) lanes: HashMap<LaneId, (Arc<str>, mpsc::Sender<Delivery>)>,
    last_lane: u64,
    signals: mpsc::Receiver<Signal>,
    commands: mpsc::Receiver<Command>,
    reads: mpsc::Receiver<Read>,
}

impl Owner {
    pub(super) fn new(
        settings: &Settings,
        instance: Arc<str>,
        consumer: GroupConsumer,
        signals: mpsc::Receiver<Signal>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let (readers, reads) = Readers::new();
        Self {
            instance,
            consumer,
            engine: Engine::new(Limits {
                ordering: settings.ordering,
                max_in_flight: settings.max_in_flight,
                max_in_flight_bytes: settings.max_in_flight_bytes,
                max_uncommitted: settings.max_uncommitted,
                lane_depth: LANE_DEPTH,
                retry_delay: RETRY_DELAY,
                lane_hold: LANE_HOLD,
            }),
            readers,
            commits: Commits::default(),
            subscription: Subscription::new(settings.initial_offset),
            calls: JoinSet::new(),
            phase: Phase::Idle,
            generation: 0,
            epochs: 0,
            leaving: Vec::new(),
            unanswered: 0,
            lanes: HashMap::new(),
            last_lane: 0,
            signals,
            commands,
            reads,
        }
    }

    /// Runs until a shutdown is asked for and done, or nobody can ask any more.
    pub(super) async fn run(mut self) {
        let mut abandoned = false;
        loop {
            let wake = self.next_wake();
            tokio::select! {
                command = self.commands.recv(), if !abandoned => {
                    // Without a command the last handle is gone: leave as if asked to.
                    abandoned = command.is_none();
                    let until = Instant::now();
                    let reply = oneshot::channel().0;
                    self.command(command.unwrap_or(Command::Shutdown { until, reply }));
                }
                Some(signal) = self.signals.recv() => self.signal(signal).await,
                Some(read) = self.reads.recv() => self.read(read),
                Some(done) = self.calls.join_next() => match done {
                    Ok(done) => self.done(done).await,
                    Err(ended) => tracing::error!(instance = %self.instance, "a call ended early: {ended}"),
                },
                // librdkafka tells each in its own words, and tries again itself.
                cause = self.consumer.poll() => tracing::debug!(instance = %self.instance, "consuming: {cause}"),
                () = sleep_until(wake) => self.tick(),
            }
            self.check_drained().await;
            if !self.leaving.is_empty() && self.phase == Phase::Idle {
                break;
            }
        }
        self.close().await;
    }

    async fn close(mut self) {
        self.readers.stop().await;
        // Calls hold the consumer too; each is bounded by its own timeout.
        while self.calls.join_next().await.is_some() {}
        self.consumer.close().await;
        for reply in self.leaving {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(Drained {
                unanswered: self.unanswered,
            });
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Subscribe { topic, reply } => self.open_lane(topic, reply),
            Command::CloseLane(lane) => {
                if let Some((topic, _)) = self.lanes.remove(&lane) {
                    self.subscription.lane_closed(&topic, Instant::now());
                    self.step(Event::LaneClosed { lane });
                }
            }
            Command::Answer { delivery, outcome } => {
                if let Outcome::Unknown(reason) = &outcome {
                    let instance = &self.instance;
                    events::Returned { instance, reason }.emit();
                }
                self.step(Event::Answered { delivery, outcome });
            }
            Command::Pause => self.step(Event::Paused),
            Command::Resume => self.step(Event::Resumed),
            Command::Shutdown { until, reply } => self.shut_down(until, reply),
        }
    }

    fn open_lane(&mut self, topic: Arc<str>, reply: oneshot::Sender<Lane>) {
        self.last_lane += 1;
        let id = LaneId(self.last_lane);
        let (sender, deliveries) = mpsc::channel(LANE_DEPTH);
        if reply.send(Lane { id, deliveries }).is_err() {
            return;
        }
        self.lanes.insert(id, (topic.clone(), sender));
        self.subscription.lane_opened(topic.clone(), Instant::now());
        self.step(Event::LaneOpened { lane: id, topic });
    }

    fn read(&mut self, read: Read) {
        let Read { at, epoch, result } = read;
        match result {
            Ok(record) => {
                let record = Arc::new(record);
                self.step(Event::Received { epoch, record });
            }
            Err(cause) if cause.kind == Kind::OutOfRange => {
                self.out_of_range(at, epoch, Duration::ZERO);
            }
            Err(cause) => self.tries_again(&format!("reading {at}"), &cause),
        }
    }

    pub(super) fn tries_again(&self, what: &str, cause: &Cause) {
        events::TriesAgain {
            instance: &self.instance,
            what,
            reason: &cause.text,
        }
        .emit();
    }

    /// Something failed that nothing here tries again.
    pub(super) fn failed(&self, what: &str, cause: &Cause) {
        tracing::error!(instance = %self.instance, "{what} failed: {cause}");
    }

    fn next_wake(&self) -> Option<Instant> {
        [
            self.engine.next_wake(),
            self.commits.due(),
            self.subscription.due(),
            self.phase.until(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.engine.next_wake()) {
            self.step(Event::Tick);
        }
        if due(self.commits.due()) {
            let offsets = self.commits.take();
            let consumer = self.consumer.clone();
            self.calls.spawn(async move {
                let result = consumer.commit(offsets.clone()).await;
                Done::Committed { offsets, result }
            });
        }
        if due(self.subscription.due()) {
            self.update_subscription(now);
        }
    }

    fn committed(&mut self, offsets: Vec<(TopicPartition, Offset)>, result: Result<(), Cause>) {
        let mut failed = Vec::new();
        if let Err(cause) = result {
            events::CommitFailed {
                instance: &self.instance,
                offsets: &offsets,
                reason: &cause.text,
            }
            .emit();
            // As far as they are ours now, and as far as they have come by now:
            // what failed may be of an earlier epoch.
            let point = |(at, _)| Some((self.engine.commit_point(&at)?, at));
            failed.extend(
                offsets
                    .into_iter()
                    .filter_map(point)
                    .map(|(offset, at)| (at, offset)),
            );
        }
        self.commits.ended(failed, Instant::now());
    }

    fn update_subscription(&mut self, now: Instant) {
        for step in self.subscription.steps(now) {
            match step {
                Step::Ask(topic) => {
                    let consumer = self.consumer.clone();
                    self.calls.spawn(async move {
                        let result = consumer.partition_count(&topic).await;
                        Done::Counted { topic, result }
                    });
                }
                Step::Subscribe(topics) => {
                    let topics: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
                    match self.consumer.subscribe(&topics) {
                        Ok(()) => {
                            tracing::info!(instance = %self.instance, "subscribed to {topics:?}");
                        }
                        Err(cause) => {
                            self.tries_again("subscribing", &cause);
                            self.subscription.not_applied(now);
                        }
                    }
                }
            }
        }
    }

    async fn done(&mut self, done: Done) {
        match done {
            Done::Counted { topic, result } => self.counted(&topic, result),
            Done::Refreshed(Ok(())) => {}
            Done::Refreshed(Err(cause)) => self.tries_again("refreshing the topics", &cause),
            Done::Starts {
                generation,
                results,
            } => self.starts(generation, results),
            Done::Decided {
                generation,
                starts,
                result,
            } => self.decided(generation, starts, result),
            Done::Committed { offsets, result } => self.committed(offsets, result),
            Done::LastCommit {
                generation,
                offsets,
                result,
            } => self.last_commit(generation, &offsets, result).await,
            Done::Oldest { at, epoch, result } => self.oldest(at, epoch, result),
        }
    }

    fn counted(&mut self, topic: &Arc<str>, result: Result<usize, Cause>) {
        let now = Instant::now();
        let count = match result {
            Ok(count) => Some(count),
            Err(cause) => {
                self.tries_again(&format!("asking for topic {topic}"), &cause);
                None
            }
        };
        if self.subscription.learned(topic, count, now) {
            tracing::info!(instance = %self.instance, "topic {topic} has appeared");
            let consumer = self.consumer.clone();
            self.calls
                .spawn(async move { Done::Refreshed(consumer.refresh_topics().await) });
        } else if count == Some(0) {
            tracing::debug!(instance = %self.instance, "topic {topic} does not exist yet");
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => pending().await,
    }
}
