//! The one task that owns a consumer group's state.
//!
//! Each turn of the loop takes one message in, hands it to the machine that owns what it is
//! about (the engine, the membership, the subscription, the commits, the topics' ids, the stall
//! watch), and performs what that machine says. Calls that wait for a broker run beside the loop.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use super::{
    broker_calls::BrokerCalls,
    budget::{Budget, Share},
    commits::{Batch, BatchId, Commits},
    dead_letters::{DeadLetters, explain},
    group::Group,
    inbox::{AfterCommits, Command, Done, Drained, Found, Message, Read, Written},
    lanes::{Conflict, Delivery, Lane, Lanes, Subscriber},
    membership::{self, Facts, Generation, Membership},
    out_of_range::{self, Decision, OutOfRange, decide},
    read_ahead::{self, ReadAhead},
    readers::Readers,
    report,
    stall::{self, Quiet, Stall, Stands},
    subscription::{CREATE_AGAIN, Step, Subscription},
    topic_ids::TopicIds,
};
use crate::{
    engine::{Action, BreakerLimits, Engine, Event, Hold, IsolationLimits, LaneId, Limits},
    kafka::{
        AtPosition, Cause, GroupConsumer, Kind, SendError, Shape, Signal, Start, StartFrom, Starts,
        TopicId, Wanted,
    },
    metadata::Settings,
    model::{Epoch, Log, Offset, Progress, SameTopic, TopicPartition},
    telemetry::{
        Member,
        events::{self, MadeAnew},
        group_state::{GroupState, ReadAheadState},
    },
};

/// Records that one of several streams may have: the one that the app works on,
/// and one that hides the way there and back.
const LANE_DEPTH: usize = 2;

/// Records that a topic's only stream may have: a few more, since no other waits
/// for them, and few enough that a stream that comes later finds work.
const ONLY_LANE_DEPTH: usize = 8;

/// Records that a stream may have before the app has answered one: how long the app takes is not
/// known, and what waits in daprd can't be taken back. The second shows a concurrent daprd, which
/// goes on behind a record that hangs.
const NEW_LANE_DEPTH: usize = 2;

/// When records have waited so long for one stream, it is not a burst.
const SERIAL_AFTER: Duration = Duration::from_secs(5);

/// How long a dead letter that could not be written waits: a broker is back
/// within seconds, a missing permission is not. The longest leaves room to
/// go on within 10 s of the end of what was wrong, which `make ledger` judges.
const LETTER_DELAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// How long after an app could not be reached it is tried again: at first, and at the
/// most. A refused call costs nobody anything, and an app that is back should not wait.
const ABSENT_PROBE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// How often a record must have broken the app before it is given up: an app that is restarted
/// breaks calls as well, but hardly three times one and the same.
const LEAST_BREAKS: u32 = 3;

/// A test of suspected records waits for what is under way, and nothing else is handed out
/// meanwhile: handlers of 30 s can still be tested, and nine tenths of the time are for others.
const ISOLATION: IsolationLimits = IsolationLimits {
    longest: Duration::from_secs(60),
    rest: 9,
};

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

/// How long to wait before something is asked for again that a broker did not say.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Starts a group's owner. It joins the group with the first subscription; what it reads ahead it
/// takes from the budget.
///
/// # Errors
/// When librdkafka refuses the configuration.
pub fn start(
    settings: &Settings,
    group: &str,
    instance: Arc<str>,
    budget: &Budget,
) -> Result<Group, Cause> {
    let instance = Member {
        component: instance,
        group: group.into(),
    };
    let (consumer, signals) = GroupConsumer::new(settings, instance.clone())?;
    let (group, commands) = Group::new();
    let owner = Owner::new(
        settings,
        instance,
        consumer,
        signals,
        commands,
        budget.join(),
    );
    tokio::spawn(owner.run());
    Ok(group)
}

/// A group, with the machines that own its parts.
struct Owner {
    instance: Member,
    settings: Settings,
    consumer: GroupConsumer,
    // What is decided.
    engine: Engine,
    membership: Membership,
    subscription: Subscription,
    commits: Commits,
    topic_ids: TopicIds,
    out_of_range: OutOfRange,
    stall: Stall,
    read_ahead: ReadAhead,
    read_ahead_state: ReadAheadState,
    // What is done.
    share: Share,
    lanes: Lanes,
    readers: Readers,
    calls: BrokerCalls,
    dead_letters: DeadLetters,
    // What comes in.
    commands: mpsc::Receiver<Command>,
    signals: mpsc::Receiver<Signal>,
    reads: mpsc::Receiver<Read>,
    /// All handles to the group are dropped.
    abandoned: bool,
    /// What the membership has to take in.
    pending: VecDeque<membership::Event>,
    /// How much waits until no commit is inside librdkafka.
    after_commits: usize,
    /// Lanes whose receiver is dropped and that are not closed yet.
    gone: Vec<LaneId>,
    last_epoch: Epoch,
    /// Who asked for the shutdown.
    leaving: Vec<oneshot::Sender<Drained>>,
    /// What was unanswered when the partitions were given back last.
    drained: Drained,
    has_left: bool,
}

/// The loop.
impl Owner {
    fn new(
        settings: &Settings,
        instance: Member,
        consumer: GroupConsumer,
        signals: mpsc::Receiver<Signal>,
        commands: mpsc::Receiver<Command>,
        share: Share,
    ) -> Self {
        let (readers, reads) = Readers::new();
        let now = Instant::now();
        Self {
            engine: Engine::new(limits(settings)),
            membership: Membership::new(settings.rebalance_drain),
            subscription: Subscription::new(
                settings.initial_offset,
                settings.topic_creation.subscribed(),
            ),
            commits: Commits::default(),
            topic_ids: TopicIds::new(now),
            out_of_range: OutOfRange::default(),
            stall: Stall::new(settings.stall_timeout, now),
            read_ahead: ReadAhead::new(settings.group.fetch_default, now),
            read_ahead_state: ReadAheadState::default(),
            share,
            lanes: Lanes::default(),
            readers,
            calls: BrokerCalls::default(),
            dead_letters: DeadLetters::new(settings, instance.clone()),
            commands,
            signals,
            reads,
            abandoned: false,
            pending: VecDeque::new(),
            after_commits: 0,
            gone: Vec::new(),
            last_epoch: Epoch(0),
            leaving: Vec::new(),
            drained: Drained::default(),
            has_left: false,
            settings: settings.clone(),
            instance,
            consumer,
        }
    }

    /// Runs until a shutdown is asked for and done, or nobody can ask any more.
    async fn run(mut self) {
        while !self.has_left {
            let message = self.next().await;
            self.take(message).await;
            self.settle_membership().await;
        }
        self.close().await;
    }

    async fn next(&mut self) -> Message {
        let wake = self.next_wake();
        tokio::select! {
            command = self.commands.recv(), if !self.abandoned => Message::Command(command),
            Some(signal) = self.signals.recv() => Message::Signal(signal),
            Some(read) = self.reads.recv() => Message::Read(read),
            Some(done) = self.calls.next() => Message::Done(done),
            Some(written) = self.dead_letters.next() => Message::Written(written),
            cause = self.consumer.poll() => Message::Failed(cause),
            () = sleep_until(wake) => Message::Due,
        }
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Command(command) => self.command(command),
            Message::Signal(signal) => self.signal(signal),
            Message::Read(read) => self.read(read),
            Message::Done(done) => self.done(done).await,
            Message::Written(written) => self.written(written),
            Message::Failed(cause) => self.consumer_failed(&cause),
            Message::Due => self.tick(),
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        [
            self.engine.next_wake(),
            self.commit_due(),
            self.subscription.due(),
            self.membership.next_wake(),
            Some(self.stall.due()),
            self.out_of_range.due(),
            self.read_ahead.due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn commit_due(&self) -> Option<Instant> {
        let due = self.commits.due();
        due.filter(|_| self.membership.may_commit() && self.after_commits == 0)
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.engine.next_wake()) {
            self.step(Event::Tick);
        }
        if due(self.commit_due()) {
            self.commit(now);
        }
        if due(self.out_of_range.due()) {
            let epochs = self.out_of_range.take();
            self.calls.logs(self.consumer.clone(), epochs);
        }
        if due(self.read_ahead.due()) {
            self.read_ahead(now);
        }
        if due(Some(self.stall.due())) {
            self.look(now);
        }
        if due(self.subscription.due()) {
            self.update_subscription(now);
        }
    }

    async fn close(mut self) {
        self.readers.stop().await;
        // What is not confirmed by now is uncommitted, and written again.
        self.dead_letters.close();
        // They hold the consumer until they have ended.
        self.calls.abort_all();
        self.consumer.close().await;
        for reply in self.leaving {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(self.drained);
        }
    }

    fn tries_again(&self, what: &str, cause: &Cause) {
        report::tries_again(&self.instance, what, cause);
    }
}

/// What is asked of the group.
impl Owner {
    fn command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Subscribe { subscriber, reply }) => self.open_lane(subscriber, reply),
            Some(Command::CloseLane(lane)) => self.close_lane(lane),
            Some(Command::Answer { delivery, outcome }) => {
                self.step(Event::Answered { delivery, outcome });
            }
            Some(Command::Pause) => self.step(Event::Paused),
            Some(Command::Resume) => self.step(Event::Resumed),
            Some(Command::Shutdown { until, reply }) => {
                self.leaving.push(reply);
                let shutdown = membership::Event::Shutdown { until };
                self.pending.push_back(shutdown);
            }
            // The last handle is gone: leave as if asked to.
            None => {
                self.abandoned = true;
                let until = Instant::now();
                let shutdown = membership::Event::Shutdown { until };
                self.pending.push_back(shutdown);
            }
        }
    }

    fn open_lane(
        &mut self,
        subscriber: Subscriber,
        reply: oneshot::Sender<Result<Lane, Conflict>>,
    ) {
        let (topic, policy) = (subscriber.topic.clone(), subscriber.policy.clone());
        let mut present = self.lanes.subscribers();
        let first = present.all(|present| present.topic != topic);
        drop(present);
        // The engine gives a lane no more than the window holds.
        let capacity = self.settings.max_in_flight;
        let Some(lane) = self.lanes.open(subscriber, capacity, reply) else {
            return;
        };
        if first && let Some(dead_letter) = policy.dead_letter.clone() {
            self.find_dead_letter_topic(topic.clone(), dead_letter, Duration::ZERO);
        }
        self.subscription.lane_opened(topic.clone(), Instant::now());
        self.step(Event::LaneOpened {
            lane,
            topic,
            policy,
        });
    }

    /// Closes a lane, unless it is closed already.
    fn close_lane(&mut self, lane: LaneId) {
        if let Some(closed) = self.lanes.close(lane) {
            self.subscription.lane_closed(&closed.topic, Instant::now());
            self.step(Event::LaneClosed { lane });
        }
    }
}

/// Records: what is read, handed out and finished.
impl Owner {
    /// Lets the engine take an event in, and does what it says.
    fn step(&mut self, event: Event) {
        let now = Instant::now();
        for action in self.engine.step(event, now) {
            self.perform(action, now);
        }
        while let Some(lane) = self.gone.pop() {
            self.close_lane(lane);
        }
    }

    fn perform(&mut self, action: Action, now: Instant) {
        report::action(&self.instance, &action);
        match action {
            Action::Deliver {
                lane,
                delivery: id,
                record,
                ..
            } => self.deliver(lane, Delivery { id, record }),
            Action::Commit { at, .. } | Action::CommitAbove { at } => self.commits.add(at, now),
            Action::Read { at } => {
                self.readers.set_open(&at, true);
                self.read_ahead.wanted(&at, now);
            }
            Action::Pause { at, .. } => self.readers.set_open(&at, false),
            Action::DeadLetter { letter, content } => self.dead_letters.write(letter, content),
            // These only report.
            Action::Answered { .. }
            | Action::Retry { .. }
            | Action::LetterDelayed { .. }
            | Action::BreakerOpened { .. }
            | Action::BreakerClosed { .. }
            | Action::AppGone { .. }
            | Action::AppBack
            | Action::SuspectAcks { .. }
            | Action::OneSerialLane { .. } => {}
        }
    }

    fn deliver(&mut self, lane: LaneId, delivery: Delivery) {
        match self.lanes.send(lane, delivery) {
            Ok(()) => {}
            // The subscriber may be gone before it closed its lane. Closing the lane here
            // gives its records back.
            Err(TrySendError::Closed(_)) => self.gone.push(lane),
            // No lane has more than the window, which is its capacity.
            Err(TrySendError::Full(lost)) => tracing::error!(
                instance = %self.instance,
                "a lane is full; {} offset {} waits until its stream closes",
                lost.record.at,
                lost.record.offset
            ),
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
                if self.engine.owns(&at, epoch) {
                    self.out_of_range.add(at, epoch, Instant::now());
                }
            }
            Err(cause) => self.tries_again(&format!("reading {at}"), &cause),
        }
    }

    fn written(&mut self, written: Written) {
        let create = self.settings.topic_creation.dead_letters();
        report::written(&self.instance, &written);
        let Written {
            letter,
            content,
            result,
        } = written;
        let is_missing = |error: &SendError| error.cause.kind == Kind::UnknownTopic;
        if create && result.as_ref().err().is_some_and(is_missing) {
            let source = content.record.at.topic.clone();
            self.find_dead_letter_topic(source, content.topic.clone(), Duration::ZERO);
        }
        let result = result.map_err(|error| explain(&error, create));
        self.step(Event::Written { letter, result });
    }

    /// Looks whether a dead-letter topic exists, so that its lack is known before
    /// the first dead letter is.
    fn find_dead_letter_topic(&mut self, source: Arc<str>, topic: Arc<str>, wait: Duration) {
        let (consumer, settings) = (self.consumer.clone(), self.settings.clone());
        self.calls
            .find_dead_letter_topic(consumer, settings, source, topic, wait);
    }

    fn dead_letter_topic(
        &mut self,
        source: Arc<str>,
        topic: Arc<str>,
        found: Result<Found, Cause>,
    ) {
        let instance = &self.instance;
        match found {
            Ok(Found::There) => return,
            Ok(Found::Created(shape)) => {
                tracing::info!(%instance, "created the dead-letter topic {topic}: {shape:?}");
                return;
            }
            Ok(Found::Missing(shape)) => {
                events::DeadLetterTopicMissing {
                    instance,
                    topic: &topic,
                    partitions: shape.partitions,
                    replication: shape.replication,
                }
                .emit();
                return;
            }
            // How it is to be made is not known before its source is there.
            Ok(Found::SourceUnknown) => {}
            Err(cause) => {
                let what = format!("looking for the dead-letter topic {topic}");
                self.tries_again(&what, &cause);
            }
        }
        let wanted = self.lanes.subscribers().any(|subscriber| {
            let dead_letter = subscriber.policy.dead_letter.as_ref();
            subscriber.topic == source && dead_letter == Some(&topic)
        });
        if wanted {
            self.find_dead_letter_topic(source, topic, ASK_AGAIN);
        }
    }
}

/// Commits.
impl Owner {
    /// What is to be committed of these partitions.
    fn progress(
        &self,
        places: impl IntoIterator<Item = TopicPartition>,
    ) -> Vec<(TopicPartition, Progress)> {
        let places = places.into_iter();
        places
            .filter_map(|at| {
                let progress = self.engine.progress(&at)?;
                Some((at, progress))
            })
            .collect()
    }

    fn commit(&mut self, now: Instant) {
        for Batch { id, partitions } in self.commits.take(now) {
            let offsets = self.progress(partitions);
            // They are ours, or there would be no progress.
            let epoch = |(at, _): &(_, _)| self.engine.epoch(at).unwrap_or_default();
            let epochs: Vec<_> = offsets.iter().map(epoch).collect();
            let ids = self.topic_ids.ids();
            self.calls.commit(&self.consumer, id, offsets, epochs, ids);
        }
    }

    fn committed(
        &mut self,
        batch: BatchId,
        offsets: Vec<(TopicPartition, Progress)>,
        epochs: Vec<Epoch>,
        results: Vec<Result<(), Cause>>,
    ) {
        report::failed_commits(&self.instance, &offsets, &results);
        let succeeded = results.iter().any(Result::is_ok);
        let mut failed = Vec::new();
        for (((at, progress), epoch), result) in offsets.into_iter().zip(epochs).zip(results) {
            let offset = progress.point;
            if result.is_ok() {
                self.step(Event::Committed { at, epoch, offset });
            } else if self.engine.position(&at).is_some() {
                // As far as they are ours now: what failed may be of an earlier epoch.
                failed.push(at);
            }
        }
        self.commits.ended(batch, failed, succeeded, Instant::now());
    }

    /// Does something once no commit is inside librdkafka: while one is, a new assignment would
    /// stop what is being read until that commit has ended, and a coordinator that is silent
    /// keeps it for a minute. Until then nothing else is committed.
    fn after_commits(&mut self, then: AfterCommits) {
        self.after_commits += 1;
        let generation = self.membership.generation();
        self.calls
            .after_commits(self.consumer.clone(), generation, then);
    }

    async fn commits_ended(&mut self, generation: Generation, late: bool, then: AfterCommits) {
        self.after_commits -= 1;
        if !self.membership.accepts(generation) {
            return;
        }
        if late {
            report::commits_hang(&self.instance);
        }
        match then {
            AfterCommits::TakeOn(starts) => self.take_on(starts).await,
            AfterCommits::ReadOn(moved) => self.read_on(moved),
        }
    }
}

/// Partitions that come and go.
impl Owner {
    fn signal(&mut self, signal: Signal) {
        self.pending.push_back(match signal {
            Signal::Assigned(partitions) => membership::Event::Assigned(partitions),
            Signal::Revoked { lost } => membership::Event::Revoked { lost },
        });
    }

    /// Lets the membership take in what has happened, and does what it says.
    async fn settle_membership(&mut self) {
        self.pending.push_back(membership::Event::Look);
        while let Some(event) = self.pending.pop_front() {
            let facts = Facts {
                // A commit that is under way could end after the last one, and undo it.
                settled: self.engine.total_in_flight() == 0 && !self.commits.is_under_way(),
                owns: self.is_reading(),
            };
            for action in self.membership.step(event, facts, Instant::now()) {
                self.perform_membership(action).await;
            }
        }
    }

    async fn perform_membership(&mut self, action: membership::Action) {
        use membership::Action;
        match action {
            Action::AnswerRebalance => {
                if let Err(cause) = self.consumer.assign([]) {
                    report::failed(&self.instance, "answering the rebalance", &cause);
                }
            }
            Action::FindStarts(partitions) => {
                self.topic_ids.assigned(&partitions);
                self.find_starts(partitions, false);
            }
            Action::Drain => {
                let partitions = self.owned();
                self.step(Event::Draining { partitions });
                self.readers.stop().await;
            }
            Action::LastCommit(generation) => {
                let offsets = self.progress(self.owned());
                let ids = self.topic_ids.ids();
                self.calls
                    .last_commit(self.consumer.clone(), offsets, ids, generation);
            }
            Action::GiveBack => self.give_back().await,
            Action::Replace { reason } => {
                let ok = self.replace_consumer(&reason);
                self.pending.push_back(membership::Event::Replaced { ok });
            }
            Action::Leave => self.has_left = true,
        }
    }

    /// Asks where partitions start; `again` if no broker said.
    fn find_starts(&mut self, partitions: Vec<TopicPartition>, again: bool) {
        let wanted = partitions.into_iter().map(|at| Wanted {
            start: self.subscription.start_at(&at),
            recreated: self.topic_ids.is_of_a_topic_before(&at),
            at,
        });
        let wanted = wanted.collect();
        let known = self.topic_ids.ids();
        let generation = self.membership.generation();
        self.calls
            .find_starts(self.consumer.clone(), wanted, known, generation, again);
    }

    /// Reads what has a committed start; a start that we decided is committed
    /// first, so that a crash in between skips nothing.
    async fn starts(&mut self, generation: Generation, starts: Starts) {
        if !self.membership.accepts(generation) {
            return;
        }
        let Starts { results, ids } = starts;
        // Nothing of a topic is handed out, or committed, as if it were the one before.
        if self.take_ids(&ids) {
            let all = results.into_iter().map(|(at, _)| at).collect();
            return self.find_starts(all, true);
        }
        let mut again = Vec::new();
        let (mut committed, mut decided) = (Vec::new(), Vec::new());
        for (at, result) in results {
            match result {
                Ok(start) if start.from == StartFrom::Commit => committed.push(start),
                Ok(start) => decided.push(start),
                Err(cause) => {
                    self.tries_again(&format!("finding where {at} starts"), &cause);
                    again.push(at);
                }
            }
        }
        if !again.is_empty() {
            self.find_starts(again, true);
        }
        self.commit_starts(decided, Duration::ZERO);
        self.take_on(committed).await;
    }

    /// Commits starts that the group did not have, after a wait.
    fn commit_starts(&mut self, starts: Vec<Start>, wait: Duration) {
        if !starts.is_empty() {
            let ids = self.topic_ids.ids();
            let generation = self.membership.generation();
            self.calls
                .commit_starts(self.consumer.clone(), starts, ids, generation, wait);
        }
    }

    /// The starts that we decided were committed, or not.
    async fn decided(
        &mut self,
        generation: Generation,
        starts: Vec<Start>,
        results: Vec<Result<(), Cause>>,
    ) {
        if !self.membership.accepts(generation) {
            return;
        }
        let (mut committed, mut again) = (Vec::new(), Vec::new());
        for (start, result) in starts.into_iter().zip(results) {
            if let Err(cause) = result {
                self.tries_again(&format!("committing where {} starts", start.at), &cause);
                again.push(start);
                continue;
            }
            report::start(&self.instance, &start);
            committed.push(start);
        }
        // The same starts: the newest offset would be a later one by then, and skip records.
        self.commit_starts(again, ASK_AGAIN);
        self.take_on(committed).await;
    }

    /// Adds partitions to those that are being read.
    async fn take_on(&mut self, starts: Vec<Start>) {
        if starts.is_empty() {
            return;
        }
        if self.is_reading() && self.consumer.is_committing() {
            return self.after_commits(AfterCommits::TakeOn(starts));
        }
        let epochs = match self.try_take_on(&starts).await {
            Ok(epochs) => epochs,
            Err(cause) => {
                self.tries_again("taking the assignment", &cause);
                let again = starts.into_iter().map(|start| start.at).collect();
                return self.find_starts(again, true);
            }
        };
        for start in &starts {
            self.topic_ids
                .started(&start.at, start.progress.point, start.topic);
        }
        let starts = starts.into_iter();
        let starts: Vec<_> = starts.map(|start| (start.at, start.progress)).collect();
        events::Assigned {
            instance: &self.instance,
            starts: &starts,
        }
        .emit();
        let now = Instant::now();
        let added = starts.iter().map(|(at, _)| at.clone());
        self.read_ahead.assigned(added, now);
        let partitions = starts.into_iter().zip(epochs);
        let partitions = partitions.map(|((at, start), epoch)| (at, epoch, start));
        self.step(Event::Assigned {
            partitions: partitions.collect(),
        });
        let partitions = self.engine.partitions().count();
        let fetch = self.settings.group.fetch_default;
        report::little_memory(&self.instance, partitions, fetch, self.share.may_use());
        self.read_ahead(now);
        if self.read_ahead_state.waiting > 0 {
            // Those without a backlog need not wait.
            let unknown = self.engine.partitions().filter(|at| self.end(at).is_none());
            let unknown = unknown.cloned().collect();
            self.calls.ends(self.consumer.clone(), unknown, true);
        }
    }

    /// Begins to read partitions, each in an epoch of its own: a record that is read at once
    /// belongs to that epoch already.
    async fn try_take_on(&mut self, starts: &[Start]) -> Result<Vec<Epoch>, Cause> {
        let mut epochs = Vec::new();
        for Start { at, .. } in starts {
            // The one before ends first: its end would take the wake-ups from the new one.
            self.readers.remove(at).await;
            self.last_epoch = Epoch(self.last_epoch.0 + 1);
            self.readers.add(self.consumer.reader(at)?, self.last_epoch);
            epochs.push(self.last_epoch);
        }
        let added = starts.iter().map(|start| (&start.at, start.progress.point));
        self.consumer.assign(self.positions().chain(added))?;
        Ok(epochs)
    }

    /// The partitions that are being read, and how far they have come. They may
    /// be assigned from there again: what comes twice the engine has seen.
    fn positions(&self) -> impl Iterator<Item = (&TopicPartition, Offset)> {
        let engine = &self.engine;
        engine
            .partitions()
            .filter_map(|at| Some((at, engine.position(at)?)))
    }

    /// Whether any partition is being read.
    fn is_reading(&self) -> bool {
        self.engine.partitions().next().is_some()
    }

    fn owned(&self) -> Vec<TopicPartition> {
        self.engine.partitions().cloned().collect()
    }

    fn last_commit_ended(
        &mut self,
        generation: Generation,
        offsets: &[(TopicPartition, Progress)],
        results: &[Result<(), Cause>],
    ) {
        report::failed_commits(&self.instance, offsets, results);
        let ended = membership::Event::LastCommitEnded { generation };
        self.pending.push_back(ended);
    }

    /// Forgets all partitions and lets the group have them.
    async fn give_back(&mut self) {
        self.readers.stop().await;
        let unanswered = self.engine.unanswered();
        self.drained = Drained { unanswered };
        let owned = self.owned();
        events::Revoked {
            instance: &self.instance,
            partitions: owned.len(),
            unanswered,
        }
        .emit();
        for at in &owned {
            self.commits.forget(at);
        }
        self.step(Event::Revoked {
            partitions: owned.clone(),
        });
        let paused = self.read_ahead.clear();
        self.fetch(&[], &paused);
        self.reads_nothing_ahead();
        if let Err(cause) = self.consumer.unassign() {
            report::failed(&self.instance, "giving the assignment back", &cause);
        }
        for at in &owned {
            self.consumer.drop_queued(at);
        }
    }

    /// Decides where partitions continue whose position was called out of range.
    fn logs(
        &mut self,
        epochs: BTreeMap<TopicPartition, Epoch>,
        mut logs: HashMap<TopicPartition, Result<Log, Cause>>,
        ids: &Result<HashMap<Arc<str>, TopicId>, Cause>,
    ) {
        if !self.membership.is_owning() {
            return;
        }
        let now = Instant::now();
        let ours = epochs.into_iter().filter_map(|(at, epoch)| {
            let position = self.engine.position(&at);
            let position = position.filter(|_| self.engine.owns(&at, epoch))?;
            let topic = self.topic_ids.is_same(&at, position, ids);
            Some((at, epoch, position, topic))
        });
        let ours: Vec<_> = ours.collect();
        // Their first records belong to a period of their own, which a new consumer begins.
        let are_others = ids.as_ref().is_ok_and(|ids| self.take_ids(ids));
        let (mut moved, mut starts) = (HashMap::new(), Vec::new());
        let mut gone = Vec::new();
        for (at, epoch, position, topic) in ours {
            let Some(log) = logs.remove(&at).filter(|_| !are_others) else {
                self.out_of_range.again(at, epoch, now);
                continue;
            };
            let decision = decide(&at, position, log, topic);
            report::reads_on(&self.instance, &at, position, &decision);
            match decision {
                Decision::AskAgain { .. } => self.out_of_range.again(at, epoch, now),
                Decision::ReadOn => {
                    moved.insert(at, (epoch, position));
                }
                Decision::SkipTo { to, .. } => {
                    // The group's offset passes what is gone: else the next assignment would be out of
                    // range as well, and there would be lag.
                    moved.insert(at.clone(), (epoch, to));
                    let offset = Offset(to.0 - 1);
                    self.step(Event::Passed { at, epoch, offset });
                }
                // What was read from there on is not in the log any more.
                Decision::StartAt { to, reason } => {
                    self.commits.forget(&at);
                    let progress = out_of_range::start(self.engine.commit_point(&at), to, reason);
                    gone.push(at.clone());
                    starts.push(Start {
                        at,
                        progress,
                        from: StartFrom::Moved { position, reason },
                        topic: SameTopic::Yes,
                    });
                }
            }
        }
        if !gone.is_empty() {
            self.step(Event::Revoked { partitions: gone });
        }
        self.commit_starts(starts, Duration::ZERO);
        if !moved.is_empty() {
            self.read_on(moved);
        }
    }

    /// Reads these partitions on from other offsets.
    fn read_on(&mut self, mut moved: HashMap<TopicPartition, (Epoch, Offset)>) {
        moved.retain(|at, (epoch, _)| self.engine.owns(at, *epoch));
        if moved.is_empty() {
            return;
        }
        if self.consumer.is_committing() {
            return self.after_commits(AfterCommits::ReadOn(moved));
        }
        let positions = self.positions().map(|(at, position)| {
            let moved = moved.get(at).map(|(_, to)| *to);
            (at, moved.unwrap_or(position))
        });
        if let Err(cause) = self.consumer.assign(positions) {
            self.tries_again("reading on from other offsets", &cause);
            let now = Instant::now();
            for (at, (epoch, _)) in moved {
                self.out_of_range.again(at, epoch, now);
            }
        }
    }
}

/// What is read ahead.
impl Owner {
    /// Lets partitions be fetched as far as what they read ahead fits into memory.
    fn read_ahead(&mut self, now: Instant) {
        let queues: Vec<_> = self.engine.partitions().map(|at| self.queue(at)).collect();
        let budget = self.share.may_use();
        let changes = self.read_ahead.look(&queues, budget, now);
        self.share.uses(changes.takes);
        if self.fetch(&changes.pause, &changes.resume) {
            for at in &changes.pause {
                self.readers.flush(at);
            }
        } else {
            self.read_ahead.not_told(&changes);
        }
        report::read_ahead(&self.instance, &changes, budget);
        self.read_ahead_state = ReadAheadState {
            bytes: changes.has,
            limit: budget,
            waiting: changes.waiting,
        };
    }

    fn reads_nothing_ahead(&mut self) {
        self.share.uses(0);
        self.read_ahead_state = ReadAheadState {
            limit: self.share.may_use(),
            ..ReadAheadState::default()
        };
    }

    /// What librdkafka has of a partition.
    fn queue(&self, at: &TopicPartition) -> read_ahead::Queue {
        let queued = self.consumer.queued(at);
        let position = self.engine.position(at);
        let left = self.end(at).zip(position).map(|(end, position)| {
            // Of what stands behind an open transaction nothing comes.
            let is_held = self.stall.is_in_transaction(at);
            let left = u64::try_from(end.0 - position.0).unwrap_or_default();
            if is_held { 0 } else { left }
        });
        read_ahead::Queue {
            at: at.clone(),
            queued,
            record: self.engine.record_size(at),
            wanted: self.engine.is_reading(at),
            left: left.map(|left| left.saturating_sub(queued as u64)),
        }
    }

    /// The offset after a partition's last record, as far as it is known: what was seen while
    /// fetching, and what was asked for since.
    fn end(&self, at: &TopicPartition) -> Option<Offset> {
        let seen = self.consumer.known_end(at);
        seen.max(self.stall.end(at))
    }

    /// Pauses and resumes partitions in librdkafka; false if that failed.
    fn fetch(&self, pause: &[TopicPartition], resume: &[TopicPartition]) -> bool {
        let paused = pause.is_empty() || self.succeeded("pausing", self.consumer.pause(pause));
        let resumed = resume.is_empty() || self.succeeded("resuming", self.consumer.resume(resume));
        paused && resumed
    }

    fn succeeded(&self, what: &str, result: Result<(), Cause>) -> bool {
        result
            .inspect_err(|cause| self.tries_again(&format!("{what} partitions"), cause))
            .is_ok()
    }
}

/// The topics.
impl Owner {
    fn update_subscription(&mut self, now: Instant) {
        for step in self.subscription.steps(now) {
            match step {
                Step::Ask(topic) => self.calls.count(self.consumer.clone(), topic),
                Step::Create(topic) => self.calls.create(self.settings.clone(), topic),
                Step::Subscribe(topics) => self.subscribe(&topics, now),
            }
        }
    }

    fn subscribe(&mut self, topics: &[Arc<str>], now: Instant) {
        let topics: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
        match self.consumer.subscribe(&topics) {
            Ok(()) => tracing::info!(instance = %self.instance, "subscribed to {topics:?}"),
            Err(cause) => {
                self.tries_again("subscribing", &cause);
                self.subscription.not_applied(now);
            }
        }
    }

    fn created(&mut self, topic: &str, result: Result<(), Cause>) {
        let instance = &self.instance;
        match result {
            Ok(()) => {
                tracing::info!(%instance, "created the topic {topic} with the brokers' defaults");
                self.subscription.created(Instant::now());
            }
            Err(cause) => events::TopicNotCreated {
                instance,
                topic,
                delay: CREATE_AGAIN,
                reason: &cause.text,
            }
            .emit(),
        }
    }

    fn counted(&mut self, topic: &Arc<str>, result: Result<Option<Shape>, Cause>) {
        let count = match result {
            Ok(shape) => Some(shape.map_or(0, |shape| shape.partitions)),
            Err(cause) => {
                self.tries_again(&format!("asking for topic {topic}"), &cause);
                None
            }
        };
        if self.subscription.learned(topic, count, Instant::now()) {
            tracing::info!(instance = %self.instance, "topic {topic} has appeared");
            self.calls.refresh(self.consumer.clone());
        } else if count == Some(0) {
            tracing::debug!(instance = %self.instance, "topic {topic} does not exist yet");
        }
    }

    /// Takes in the ids of topics. True if some were created again: they are read from their
    /// start, with a new consumer, as soon as one may be made.
    fn take_ids(&mut self, told: &HashMap<Arc<str>, TopicId>) -> bool {
        let others = self.topic_ids.told(told);
        if others.is_empty() {
            return false;
        }
        if self.read_from_start(&others.keys().cloned().collect()) {
            self.topic_ids.replaces(others);
        }
        true
    }

    /// Reads topics from their start, with a new consumer. False if that is not possible now.
    fn read_from_start(&mut self, topics: &BTreeSet<Arc<str>>) -> bool {
        if !self.membership.is_settled() || !self.stall.may_replace(Instant::now()) {
            return false;
        }
        for topic in topics {
            self.subscription.made_again(topic);
        }
        let owned = self.owned().into_iter();
        let ours = owned.filter(|at| topics.contains(&at.topic));
        self.topic_ids.created_again(ours);
        let names: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
        let names = names.join(", ");
        let reason = format!("deleted and created again, and read from the start: {names}");
        self.renew(reason);
        true
    }

    fn identities(&mut self, told: Result<HashMap<Arc<str>, TopicId>, Cause>) {
        self.topic_ids.ids_asked.ended();
        match told {
            Ok(told) => {
                self.take_ids(&told);
            }
            // It is asked again, and nothing waits for it.
            Err(cause) => {
                tracing::debug!(instance = %self.instance, "asking for topics' ids: {cause}");
            }
        }
    }

    fn short_logs(&mut self, short: Vec<(TopicPartition, Epoch)>) {
        self.topic_ids.ends_asked.ended();
        let short = short.into_iter();
        let short = short.filter(|(at, epoch)| self.engine.owns(at, *epoch));
        let topics = self.topic_ids.are_short(short.map(|(at, _)| at).collect());
        if !topics.is_empty() {
            self.read_from_start(&topics);
        }
    }

    fn ask_for_ids(&mut self, now: Instant) {
        if !self.topic_ids.ids_asked.is_due(now) {
            return;
        }
        let topics: Vec<_> = self.subscription.topics().cloned().collect();
        if !topics.is_empty() {
            self.topic_ids.ids_asked.asked(now);
            self.calls.identities(self.consumer.clone(), topics);
        }
    }

    /// Asks where partitions end whose topics have no ids: an end before our position is all that
    /// tells that such a topic was created again.
    fn ask_for_log_ends(&mut self, partitions: &[stall::Partition], now: Instant) {
        if !self.membership.is_owning() || !self.topic_ids.ends_asked.is_due(now) {
            return;
        }
        let without_id = partitions
            .iter()
            .filter(|partition| !self.topic_ids.knows(&partition.at.topic))
            .map(|partition| (partition.at.clone(), partition.epoch, partition.position));
        let without_id: Vec<_> = without_id.collect();
        if !without_id.is_empty() {
            self.topic_ids.ends_asked.asked(now);
            self.calls.short_logs(self.consumer.clone(), without_id);
        }
    }
}

/// Whether all goes well.
impl Owner {
    fn look(&mut self, now: Instant) {
        let mut holds = self.engine.holds();
        let owned = self.engine.partitions();
        let partitions = owned.filter_map(|at| self.see(at, holds.remove(at)));
        let partitions: Vec<_> = partitions.collect();
        let joins = self.membership.is_idle() && self.subscription.is_joining();
        let look = self.stall.look(&partitions, joins, now);
        for standstill in &look.standstills {
            report::standstill(&self.instance, standstill);
        }
        if !look.quiet.is_empty() {
            let (consumer, settings) = (self.consumer.clone(), self.settings.clone());
            self.calls.look_at(consumer, settings, look.quiet);
        }
        if look.ask_whether_a_broker_answers {
            let settings = self.settings.clone();
            self.calls.ask_whether_a_broker_answers(settings);
        }
        if !look.ask_for_ends.is_empty() {
            self.calls
                .ends(self.consumer.clone(), look.ask_for_ends, false);
        }
        if look.ask_for_depths {
            self.ask_for_depths(now);
        }
        self.publish_state(&partitions, now);
        self.ask_for_ids(now);
        self.ask_for_log_ends(&partitions, now);
        self.replace_broken_consumer(now);
    }

    /// A partition as it is now.
    fn see(&self, at: &TopicPartition, hold: Option<Hold>) -> Option<stall::Partition> {
        let engine = &self.engine;
        Some(stall::Partition {
            at: at.clone(),
            epoch: engine.epoch(at)?,
            commit_point: engine.commit_point(at)?,
            position: engine.position(at)?,
            is_reading: engine.is_reading(at) && self.read_ahead.fetches(at),
            unfinished: engine.unfinished(at),
            uncommitted: engine.uncommitted(at),
            hold,
        })
    }

    fn ask_for_depths(&mut self, now: Instant) {
        let topics = self.lanes.subscribers().filter_map(|subscriber| {
            let dead = subscriber.policy.dead_letter.clone()?;
            Some((subscriber.topic.clone(), dead))
        });
        let topics = topics.collect();
        self.stall.asks_for_depths(&topics, now);
        if !topics.is_empty() {
            self.calls.depths(self.consumer.clone(), topics);
        }
    }

    /// Shows in the metrics how the group is doing.
    fn publish_state(&self, partitions: &[stall::Partition], now: Instant) {
        let topics = self.engine.topics().filter(|topic| topic.lanes > 0);
        let open_transactions = self.stall.open_transactions();
        let mut states: BTreeMap<_, _> = topics
            .map(|topic| {
                let name = topic.topic.clone();
                let stalled = self.stall.is_stalled(&name);
                let depth = self.stall.depth(&name);
                let limit = self.settings.max_in_flight;
                let mut state = report::topic_state(topic, limit, stalled, depth);
                state.open_transactions = open_transactions.get(&name).copied().unwrap_or_default();
                (name, state)
            })
            .collect();
        for partition in partitions {
            if let Some(state) = states.get_mut(&partition.at.topic) {
                report::add_partition(state, partition, self.end(&partition.at), now);
            }
        }
        GroupState {
            member: self.instance.clone(),
            topics: states.into_values().collect(),
            read_ahead: self.read_ahead_state,
        }
        .publish();
    }

    /// What stands at the positions of quiet partitions was found.
    fn looked(&mut self, found: Vec<(Quiet, Stands)>) {
        self.stall.looked(&found);
        for (quiet, stands) in found {
            let Quiet {
                at,
                epoch,
                position,
            } = &quiet;
            let still = self.engine.owns(at, *epoch) && self.engine.position(at) == Some(*position);
            if !still {
                continue;
            }
            if let Some(reason) = self.stall.misses(&quiet, stands) {
                if !self.stall.may_replace(Instant::now()) {
                    continue;
                }
                if stands == Stands::Found(AtPosition::EndsBefore) {
                    self.subscription.made_again(&at.topic);
                    self.topic_ids.created_again([at.clone()]);
                }
                return self.renew(reason);
            }
            match stands {
                Stands::OpenTransaction => {
                    report::open_transaction(&self.instance, at, *position);
                }
                // Markers are committed with what stands before them: else there would be lag.
                Stands::Found(AtPosition::NoRecordBefore(end)) if end > *position => {
                    let offset = Offset(end.0 - 1);
                    let (at, epoch) = (at.clone(), *epoch);
                    self.step(Event::Passed { at, epoch, offset });
                }
                Stands::Found(_) => {}
            }
        }
    }

    fn join_answered(&mut self, answers: bool) {
        let reason = self.stall.join_answered(answers, Instant::now());
        if let Some(reason) = reason.filter(|_| self.membership.is_idle()) {
            self.renew(reason);
        }
    }

    /// librdkafka tells each failure in its own words, and tries again itself,
    /// unless it is broken for good, or has lost a record.
    fn consumer_failed(&mut self, cause: &Cause) {
        tracing::debug!(instance = %self.instance, "consuming: {cause}");
        if cause.kind == Kind::Fatal && self.consumer.fatal().is_none() {
            // The record is lost to this consumer: no later look would notice.
            let reason = cause.text.clone();
            self.pending.push_back(membership::Event::Broken { reason });
        }
        self.replace_broken_consumer(Instant::now());
    }

    /// Replaces a consumer that librdkafka declared broken for good.
    fn replace_broken_consumer(&mut self, now: Instant) {
        if let Some(cause) = self.consumer.fatal()
            && self.stall.may_replace(now)
        {
            let reason = cause.text;
            self.pending.push_back(membership::Event::Broken { reason });
        }
    }

    /// Drains what the app still has, and then replaces the consumer.
    fn renew(&mut self, reason: String) {
        self.pending.push_back(membership::Event::Renew { reason });
    }

    /// Joins the group with a new consumer; the partitions were given back, and the streams to
    /// daprd stay. False if no consumer could be made.
    fn replace_consumer(&mut self, reason: &str) -> bool {
        let now = Instant::now();
        self.stall.replaced(now);
        let made = GroupConsumer::new(&self.settings, self.instance.clone());
        let (consumer, signals) = match made {
            Ok(made) => made,
            Err(cause) => {
                report::failed(&self.instance, "making the consumer anew", &cause);
                return false;
            }
        };
        let old = std::mem::replace(&mut self.consumer, consumer);
        self.signals = signals;
        // Results of the old consumer's calls count for nothing.
        self.calls = BrokerCalls::default();
        self.commits = Commits::default();
        self.after_commits = 0;
        self.out_of_range = OutOfRange::default();
        self.read_ahead.start_over();
        self.reads_nothing_ahead();
        self.stall.start_over();
        self.topic_ids.start_over();
        self.subscription.start_over(now);
        MadeAnew {
            instance: &self.instance.component,
            client: "consumer",
            reason,
        }
        .emit();
        // It waits for the coordinator, and for calls that are under way.
        tokio::spawn(old.close());
        true
    }
}

/// What calls come back with.
impl Owner {
    async fn done(&mut self, done: Done) {
        match done {
            Done::Counted { topic, result } => self.counted(&topic, result),
            Done::Created { topic, result } => self.created(&topic, result),
            Done::Refreshed(Ok(())) => {}
            Done::Refreshed(Err(cause)) => self.tries_again("refreshing the topics", &cause),
            Done::Starts { generation, starts } => self.starts(generation, starts).await,
            Done::Decided {
                generation,
                starts,
                results,
            } => self.decided(generation, starts, results).await,
            Done::Committed {
                batch,
                offsets,
                epochs,
                results,
                inside,
            } => {
                self.committed(batch, offsets, epochs, results);
                match inside.filter(|inside| !inside.is_finished()) {
                    Some(inside) => self.calls.leave(batch, inside),
                    None => self.commits.left(batch),
                }
            }
            Done::CommitLeft(batch) => self.commits.left(batch),
            Done::CommitsEnded {
                generation,
                late,
                then,
            } => self.commits_ended(generation, late, then).await,
            Done::LastCommit {
                generation,
                offsets,
                results,
            } => self.last_commit_ended(generation, &offsets, &results),
            Done::Logs { epochs, logs, ids } => self.logs(epochs, logs, &ids),
            Done::Looked(found) => self.looked(found),
            Done::Joining(answers) => self.join_answered(answers),
            Done::Ends { assigned, ends } => {
                self.stall.ends_came(!assigned, ends);
                self.read_ahead.ends_came(Instant::now());
            }
            Done::Identities(told) => self.identities(told),
            Done::ShortLogs(short) => self.short_logs(short),
            Done::Depths(depths) => self.stall.depths_came(depths),
            Done::DeadLetterTopic {
                source,
                topic,
                found,
            } => self.dead_letter_topic(source, topic, found),
        }
    }
}

pub(super) fn limits(settings: &Settings) -> Limits {
    Limits {
        ordering: settings.ordering,
        max_in_flight: settings.max_in_flight,
        max_in_flight_bytes: settings.max_in_flight_bytes,
        max_uncommitted: settings.max_uncommitted,
        lane_depth: LANE_DEPTH,
        only_lane_depth: ONLY_LANE_DEPTH,
        new_lane_depth: NEW_LANE_DEPTH,
        // An app may take twice as long as before, and is waited for still.
        lane_room: settings.rebalance_drain / 2,
        serial_after: SERIAL_AFTER,
        lane_hold: LANE_HOLD,
        breaker: BreakerLimits {
            sequences: settings.breaker.sequences,
            percent: settings.breaker.percent,
            window: settings.breaker.window,
            probe_every: settings.breaker.probe_every,
        },
        absent_probe: ABSENT_PROBE,
        least_breaks: LEAST_BREAKS,
        isolation: ISOLATION,
        dial: DIAL,
        ack_settles: ACK_SETTLES,
        ack_settles_in_silence: ACK_SETTLES_IN_SILENCE,
        mixed_up: MIXED_UP,
        letter_delay: LETTER_DELAY,
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => pending().await,
    }
}
