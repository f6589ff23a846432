use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    Delivery, Drained, Subscriber,
    assignment::{GATHER_LOST, OutOfRange},
    broker_calls::BrokerCalls,
    calls::Done,
    commits::Commits,
    dead_letters::DeadLetters,
    group::Command,
    membership::{self, Membership},
    readers::{Read, Readers},
    recreated::Recreated,
    subscription::Subscription,
    watch::Watch,
};
use crate::{
    engine::{BreakerLimits, Engine, Event, LaneId, Letter, LetterId, Limits},
    kafka::{Cause, GroupConsumer, Kind, SendError, Signal},
    metadata::Settings,
    telemetry::{Member, events},
};

/// Records that one of several streams may have: the one that the app works on,
/// and one that hides the way there and back.
const LANE_DEPTH: usize = 2;

/// Records that a topic's only stream may have: a few more, since no other waits
/// for them, and few enough that a stream that comes later finds work.
const ONLY_LANE_DEPTH: usize = 8;

/// When records have waited so long for one stream, it is not a burst.
const SERIAL_AFTER: Duration = Duration::from_secs(5);

/// How long a dead letter that could not be written waits: a broker is back
/// within seconds, a missing permission is not. The longest leaves room to
/// go on within 10 s of the end of what was wrong, which `make ledger` judges.
const LETTER_DELAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// How long after an app could not be reached it is tried again: at first, and at the
/// most. A refused call costs nobody anything, and an app that is back should not wait.
const ABSENT_PROBE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// How long a call may take to find that the app is gone: daprd and its app stand on
/// one machine, where that is a millisecond; a busy one takes longer.
const DIAL: Duration = Duration::from_secs(1);

/// How long after an ack the app must answer another call before the ack is trusted, while calls
/// are in flight. In traces a false ack arrived within 2 ms of the app's death; a busy machine
/// takes longer.
const ACK_SETTLES: Duration = Duration::from_millis(100);

/// How long after an ack it is trusted in any case. By default daprd closes its streams within 5 s
/// of its end (`dapr.io/graceful-shutdown-seconds`); the rest is a margin.
const ACK_SETTLES_IN_SILENCE: Duration = Duration::from_secs(8);

/// How far apart two calls may have been handed out that daprd began at the same moment. Calls that
/// daprd mixes up begin within microseconds; a busy machine adds to that.
const MIXED_UP: Duration = Duration::from_millis(20);

/// How long a stream gets nothing after it gave a record back without a verdict.
const LANE_HOLD: Duration = Duration::from_secs(1);

/// A stream that is open, and how records get there.
pub(super) struct OpenLane {
    pub(super) subscriber: Subscriber,
    pub(super) sender: mpsc::Sender<Delivery>,
}

/// The one task that owns a consumer group's state.
pub(super) struct Owner {
    pub(super) instance: Member,
    pub(super) consumer: GroupConsumer,
    pub(super) engine: Engine,
    pub(super) readers: Readers,
    pub(super) commits: Commits,
    pub(super) subscription: Subscription,
    pub(super) calls: BrokerCalls,
    pub(super) membership: Membership,
    /// What the membership has to take in.
    pub(super) pending: VecDeque<membership::Event>,
    pub(super) has_left: bool,
    pub(super) epochs: u64,
    /// Who asked for the shutdown.
    pub(super) leaving: Vec<oneshot::Sender<Drained>>,
    pub(super) unanswered: usize,
    pub(super) lanes: HashMap<LaneId, OpenLane>,
    /// Lanes that nobody reads from any more, and nobody closed.
    pub(super) gone: Vec<LaneId>,
    pub(super) last_lane: u64,
    pub(super) max_in_flight: usize,
    pub(super) dead_letters: DeadLetters,
    pub(super) watch: Watch,
    pub(super) recreated: Recreated,
    pub(super) lost: OutOfRange,
    pub(super) settings: Settings,
    /// Dead letters on their way to the broker, and how that ended.
    pub(super) letters: JoinSet<(LetterId, Arc<Letter>, Result<(), SendError>)>,
    pub(super) signals: mpsc::Receiver<Signal>,
    commands: mpsc::Receiver<Command>,
    reads: mpsc::Receiver<Read>,
}

impl Owner {
    pub(super) fn new(
        settings: &Settings,
        instance: Member,
        consumer: GroupConsumer,
        signals: mpsc::Receiver<Signal>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let (readers, reads) = Readers::new();
        Self {
            consumer,
            engine: Engine::new(Limits {
                ordering: settings.ordering,
                max_in_flight: settings.max_in_flight,
                max_in_flight_bytes: settings.max_in_flight_bytes,
                max_uncommitted: settings.max_uncommitted,
                lane_depth: LANE_DEPTH,
                only_lane_depth: ONLY_LANE_DEPTH,
                serial_after: SERIAL_AFTER,
                lane_hold: LANE_HOLD,
                breaker: BreakerLimits {
                    sequences: settings.breaker.sequences,
                    percent: settings.breaker.percent,
                    window: settings.breaker.window,
                    probe_every: settings.breaker.probe_every,
                },
                absent_probe: ABSENT_PROBE,
                dial: DIAL,
                ack_settles: ACK_SETTLES,
                ack_settles_in_silence: ACK_SETTLES_IN_SILENCE,
                mixed_up: MIXED_UP,
                letter_delay: LETTER_DELAY,
            }),
            readers,
            commits: Commits::default(),
            subscription: Subscription::new(
                settings.initial_offset,
                settings.topic_creation.subscribed(),
            ),
            calls: BrokerCalls::default(),
            membership: Membership::new(),
            pending: VecDeque::new(),
            has_left: false,
            epochs: 0,
            leaving: Vec::new(),
            unanswered: 0,
            lanes: HashMap::new(),
            gone: Vec::new(),
            last_lane: 0,
            max_in_flight: settings.max_in_flight,
            dead_letters: DeadLetters::new(settings, instance.clone()),
            letters: JoinSet::new(),
            watch: Watch::new(settings.stall_timeout),
            recreated: Recreated::new(Instant::now()),
            lost: OutOfRange::default(),
            settings: settings.clone(),
            instance,
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
                Some(signal) = self.signals.recv() => self.signal(signal),
                Some(read) = self.reads.recv() => self.read(read),
                Some(done) = self.calls.next() => self.done(done).await,
                Some(written) = self.letters.join_next() => match written {
                    Ok((letter, content, result)) => self.letter_written(letter, &content, result),
                    Err(ended) => tracing::error!(instance = %self.instance, "a dead letter ended early: {ended}"),
                },
                cause = self.consumer.poll() => self.polled(&cause),
                () = sleep_until(wake) => self.tick(),
            }
            self.settle_membership().await;
            if self.has_left {
                break;
            }
        }
        self.close().await;
    }

    async fn close(mut self) {
        self.readers.stop().await;
        // What is not confirmed by now is uncommitted, and written again.
        self.letters.abort_all();
        // They hold the consumer until they have ended.
        self.calls.abort_all();
        self.consumer.close().await;
        // Its producer waits for its threads.
        let dead_letters = self.dead_letters;
        tokio::task::spawn_blocking(move || drop(dead_letters));
        for reply in self.leaving {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(Drained {
                unanswered: self.unanswered,
            });
        }
    }

    fn read(&mut self, read: Read) {
        let Read { at, epoch, result } = read;
        match result {
            Ok(record) if record.is_for_another_group(&self.instance.group) => {
                let offset = record.offset;
                events::PassedOver {
                    instance: &self.instance,
                    at: &at,
                    offset,
                }
                .emit();
                self.step(Event::Passed { at, epoch, offset });
            }
            Ok(record) => {
                let record = Arc::new(record);
                self.step(Event::Received { epoch, record });
            }
            Err(cause) if cause.kind == Kind::OutOfRange => {
                self.out_of_range(at, epoch, GATHER_LOST);
            }
            Err(cause) => self.tries_again(&format!("reading {at}"), &cause),
        }
    }

    /// librdkafka tells each failure in its own words, and tries again itself,
    /// unless it is broken for good, or has lost a record.
    fn polled(&mut self, cause: &Cause) {
        tracing::debug!(instance = %self.instance, "consuming: {cause}");
        if cause.kind == Kind::Fatal && self.consumer.fatal().is_none() {
            // The record is lost to this consumer: no later look would notice.
            let reason = cause.text.clone();
            self.pending.push_back(membership::Event::Broken { reason });
        }
        self.replace_broken_consumer(Instant::now());
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
            self.commit_due(),
            self.subscription.due(),
            self.membership.next_wake(),
            Some(self.watch.due()),
            self.lost.due,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn commit_due(&self) -> Option<Instant> {
        let due = self.commits.due();
        due.filter(|_| self.membership.may_commit())
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.engine.next_wake()) {
            self.step(Event::Tick);
        }
        if due(self.commit_due()) {
            let places = self.commits.take();
            let offsets = self.progress(places);
            // They are ours, or there would be no progress.
            let epoch = |(at, _): &(_, _)| self.engine.epoch(at).unwrap_or_default();
            let epochs: Vec<_> = offsets.iter().map(epoch).collect();
            let ids = self.recreated.known.ids();
            let consumer = self.consumer.clone();
            let early = Done::Committed {
                offsets: offsets.clone(),
                epochs: epochs.clone(),
                results: vec![Err(Cause::ended_early()); offsets.len()],
            };
            self.calls.spawn(early, async move {
                let results = consumer.commit(offsets.clone(), ids).await;
                Done::Committed {
                    offsets,
                    epochs,
                    results,
                }
            });
        }
        if due(self.lost.due) {
            self.ask_for_logs();
        }
        if due(Some(self.watch.due())) {
            self.look(now);
        }
        if due(self.subscription.due()) {
            self.update_subscription(now);
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => pending().await,
    }
}
