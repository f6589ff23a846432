//! The one task that owns a consumer group's state.
//!
//! Each turn of the loop takes one message in, hands it to the machine that owns what it is
//! about (`machines.rs`), and performs what that machine says. Calls that wait for a broker run
//! beside the loop.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use super::{
    broker_calls::{BrokerCalls, Call},
    budget::{Budget, Share},
    commits::BatchId,
    dead_letters::{DeadLetters, explain},
    group::Group,
    inbox::{AfterCommits, Command, Done, Drained, Found, Message, Read, Written},
    lanes::{Conflict, Delivery, Lane, Lanes, Subscriber},
    machines::{Machines, Starting},
    membership::{self, Generation},
    read_ahead,
    readers::Readers,
    report,
    stall::{self, Quiet, Stands},
    subscription::{CREATE_AGAIN, Step},
};
use crate::{
    engine::{Action, BreakerLimits, Event, IsolationLimits, LaneId, Limits},
    kafka::{Cause, GroupConsumer, Kind, SendError, Shape, Signal, Start, Starts, TopicId},
    metadata::Settings,
    model::{Epoch, Log, Offset, Progress, TopicPartition},
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
    machines: Machines,
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
    /// Lanes whose receiver is dropped and that are not closed yet.
    gone: Vec<LaneId>,
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
            machines: Machines::new(settings, &limits(settings), now),
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
            gone: Vec::new(),
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
        let wake = self.machines.next_wake();
        tokio::select! {
            command = self.commands.recv(), if !self.abandoned => Message::Command(command),
            Some(signal) = self.signals.recv() => Message::Signal(signal),
            Some(read) = self.reads.recv() => Message::Read(read),
            Some(done) = self.calls.next() => Message::Done(done),
            Some(written) = self.dead_letters.next() => Message::Written(written),
            cause = self.consumer.poll() => Message::Failed(cause),
            () = tokio::time::sleep_until(wake.into()) => Message::Due,
        }
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Command(command) => self.command(command),
            Message::Signal(signal) => self.machines.signal(signal),
            Message::Read(read) => self.read(read),
            Message::Done(done) => self.done(done).await,
            Message::Written(written) => self.written(written),
            Message::Failed(cause) => self.consumer_failed(&cause),
            Message::Due => self.tick(),
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.machines.engine.next_wake()) {
            self.step(Event::Tick);
        }
        if due(self.machines.commit_due()) {
            let calls = self.machines.commit(now);
            self.call(calls);
        }
        if due(self.machines.out_of_range.due()) {
            let epochs = self.machines.out_of_range.take();
            self.call([Call::Logs(epochs)]);
        }
        if due(self.machines.read_ahead.due()) {
            self.read_ahead(now);
        }
        if due(Some(self.machines.stall.due())) {
            self.look(now);
        }
        if due(self.machines.subscription.due()) {
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

    fn call(&mut self, calls: impl IntoIterator<Item = Call>) {
        for call in calls {
            self.calls.begin(call, &self.consumer, &self.settings);
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
                self.machines.pending.push_back(shutdown);
            }
            // The last handle is gone: leave as if asked to.
            None => {
                self.abandoned = true;
                let until = Instant::now();
                let shutdown = membership::Event::Shutdown { until };
                self.machines.pending.push_back(shutdown);
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
        self.machines
            .subscription
            .lane_opened(topic.clone(), Instant::now());
        self.step(Event::LaneOpened {
            lane,
            topic,
            policy,
        });
    }

    /// Closes a lane, unless it is closed already.
    fn close_lane(&mut self, lane: LaneId) {
        if let Some(closed) = self.lanes.close(lane) {
            self.machines
                .subscription
                .lane_closed(&closed.topic, Instant::now());
            self.step(Event::LaneClosed { lane });
        }
    }
}

/// Records: what is read, handed out and finished.
impl Owner {
    /// Lets the engine take an event in, and does what it says.
    fn step(&mut self, event: Event) {
        let now = Instant::now();
        for action in self.machines.engine.step(event, now) {
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
            Action::Commit { at, .. } | Action::CommitAbove { at } => {
                self.machines.commits.add(at, now);
            }
            Action::Read { at } => {
                self.readers.set_open(&at, true);
                self.machines.read_ahead.wanted(&at, now);
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
                self.machines.is_out_of_range(at, epoch, Instant::now());
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
    fn committed(
        &mut self,
        batch: BatchId,
        offsets: Vec<(TopicPartition, Progress)>,
        epochs: Vec<Epoch>,
        results: Vec<Result<(), Cause>>,
    ) {
        report::failed_commits(&self.instance, &offsets, &results);
        let returned = self.machines.returned(offsets, epochs, results);
        let some_succeeded = !returned.confirmed.is_empty();
        for confirmed in returned.confirmed {
            self.step(confirmed);
        }
        let (failed, now) = (returned.failed, Instant::now());
        self.machines
            .commits
            .ended(batch, failed, some_succeeded, now);
    }

    fn after_commits(&mut self, then: AfterCommits) {
        let call = self.machines.after_commits(then);
        self.call([call]);
    }

    async fn commits_ended(&mut self, generation: Generation, late: bool, then: AfterCommits) {
        if !self.machines.commits_ended(generation) {
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
    /// Lets the membership take in what has happened, and does what it says.
    async fn settle_membership(&mut self) {
        self.machines.pending.push_back(membership::Event::Look);
        while let Some(event) = self.machines.pending.pop_front() {
            let facts = self.machines.facts();
            for action in self.machines.membership.step(event, facts, Instant::now()) {
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
                self.machines.topic_ids.assigned(&partitions);
                let call = self.machines.find_starts(partitions, false);
                self.call([call]);
            }
            Action::Drain => {
                let partitions = self.machines.owned();
                self.step(Event::Draining { partitions });
                self.readers.stop().await;
            }
            Action::LastCommit(generation) => {
                let call = self.machines.last_commit(generation);
                self.call([call]);
            }
            Action::GiveBack => self.give_back().await,
            Action::Replace { reason } => {
                let ok = self.replace_consumer(&reason);
                self.machines
                    .pending
                    .push_back(membership::Event::Replaced { ok });
            }
            Action::Leave => self.has_left = true,
        }
    }

    async fn starts(&mut self, generation: Generation, starts: Starts) {
        let starting = self.machines.starts(generation, starts, Instant::now());
        self.start_reading(starting).await;
    }

    async fn decided(
        &mut self,
        generation: Generation,
        starts: Vec<Start>,
        results: Vec<Result<(), Cause>>,
    ) {
        let starting = self.machines.decided(generation, starts, results);
        for start in &starting.read {
            report::start(&self.instance, start);
        }
        self.start_reading(starting).await;
    }

    async fn start_reading(&mut self, starting: Starting) {
        for (what, cause) in &starting.failed {
            self.tries_again(what, cause);
        }
        self.call(starting.calls);
        self.take_on(starting.read).await;
    }

    /// Adds partitions to those that are being read.
    async fn take_on(&mut self, starts: Vec<Start>) {
        if starts.is_empty() {
            return;
        }
        if self.machines.is_reading() && self.consumer.is_committing() {
            return self.after_commits(AfterCommits::TakeOn(starts));
        }
        let epochs = match self.try_take_on(&starts).await {
            Ok(epochs) => epochs,
            Err(cause) => {
                self.tries_again("taking the assignment", &cause);
                let again = starts.into_iter().map(|start| start.at).collect();
                let call = self.machines.find_starts(again, true);
                return self.call([call]);
            }
        };
        let told = starts.iter();
        let told = told.map(|start| (start.at.clone(), start.progress.clone()));
        let told: Vec<_> = told.collect();
        events::Assigned {
            instance: &self.instance,
            starts: &told,
        }
        .emit();
        let now = Instant::now();
        let assigned = self.machines.taken_on(starts, epochs, now);
        self.step(assigned);
        let partitions = self.machines.engine.partitions().count();
        let fetch = self.settings.group.fetch_default;
        report::little_memory(&self.instance, partitions, fetch, self.share.may_use());
        self.read_ahead(now);
        if self.read_ahead_state.waiting > 0 {
            // Those without a backlog need not wait.
            let unknown = self
                .machines
                .engine
                .partitions()
                .filter(|at| self.end(at).is_none());
            let partitions = unknown.cloned().collect();
            let assigned = true;
            self.call([Call::Ends {
                partitions,
                assigned,
            }]);
        }
    }

    /// Begins to read partitions, each in an epoch of its own: a record that is read at once
    /// belongs to that epoch already.
    async fn try_take_on(&mut self, starts: &[Start]) -> Result<Vec<Epoch>, Cause> {
        let mut epochs = Vec::new();
        for Start { at, .. } in starts {
            // The one before ends first: its end would take the wake-ups from the new one.
            self.readers.remove(at).await;
            let epoch = self.machines.next_epoch();
            self.readers.add(self.consumer.reader(at)?, epoch);
            epochs.push(epoch);
        }
        let added = starts.iter().map(|start| (&start.at, start.progress.point));
        self.consumer
            .assign(self.machines.positions().chain(added))?;
        Ok(epochs)
    }

    fn last_commit_ended(
        &mut self,
        generation: Generation,
        offsets: &[(TopicPartition, Progress)],
        results: &[Result<(), Cause>],
    ) {
        report::failed_commits(&self.instance, offsets, results);
        let ended = membership::Event::LastCommitEnded { generation };
        self.machines.pending.push_back(ended);
    }

    /// Forgets all partitions and lets the group have them.
    async fn give_back(&mut self) {
        self.readers.stop().await;
        let unanswered = self.machines.engine.unanswered();
        self.drained = Drained { unanswered };
        let owned = self.machines.give_up_commits();
        events::Revoked {
            instance: &self.instance,
            partitions: owned.len(),
            unanswered,
        }
        .emit();
        self.step(Event::Revoked {
            partitions: owned.clone(),
        });
        let paused = self.machines.read_ahead.clear();
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
        logs: HashMap<TopicPartition, Result<Log, Cause>>,
        ids: &Result<HashMap<Arc<str>, TopicId>, Cause>,
    ) {
        let continuing = self.machines.logs(epochs, logs, ids, Instant::now());
        for (at, position, decision) in &continuing.decisions {
            report::reads_on(&self.instance, at, *position, decision);
        }
        for event in continuing.events {
            self.step(event);
        }
        let commit = self
            .machines
            .commit_starts(continuing.starts, Duration::ZERO);
        self.call(commit);
        self.read_on(continuing.moved);
    }

    /// Reads these partitions on from other offsets.
    fn read_on(&mut self, mut moved: HashMap<TopicPartition, (Epoch, Offset)>) {
        let positions = self.machines.moved(&mut moved);
        if positions.is_empty() {
            return;
        }
        if self.consumer.is_committing() {
            return self.after_commits(AfterCommits::ReadOn(moved));
        }
        let positions = positions.iter().map(|(at, to)| (at, *to));
        if let Err(cause) = self.consumer.assign(positions) {
            self.tries_again("reading on from other offsets", &cause);
            let now = Instant::now();
            for (at, (epoch, _)) in moved {
                self.machines.out_of_range.again(at, epoch, now);
            }
        }
    }
}

/// What is read ahead.
impl Owner {
    /// Lets partitions be fetched as far as what they read ahead fits into memory.
    fn read_ahead(&mut self, now: Instant) {
        let queues: Vec<_> = self
            .machines
            .engine
            .partitions()
            .map(|at| self.queue(at))
            .collect();
        let budget = self.share.may_use();
        let changes = self.machines.read_ahead.look(&queues, budget, now);
        self.share.uses(changes.takes);
        if self.fetch(&changes.pause, &changes.resume) {
            for at in &changes.pause {
                self.readers.flush(at);
            }
        } else {
            self.machines.read_ahead.not_told(&changes);
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
        let position = self.machines.engine.position(at);
        let left = self.end(at).zip(position).map(|(end, position)| {
            // Of what stands behind an open transaction nothing comes.
            let is_held = self.machines.stall.is_in_transaction(at);
            let left = u64::try_from(end.0 - position.0).unwrap_or_default();
            if is_held { 0 } else { left }
        });
        read_ahead::Queue {
            at: at.clone(),
            queued,
            record: self.machines.engine.record_size(at),
            wanted: self.machines.engine.is_reading(at),
            left: left.map(|left| left.saturating_sub(queued as u64)),
        }
    }

    /// The offset after a partition's last record, as far as it is known: what was seen while
    /// fetching, and what was asked for since.
    fn end(&self, at: &TopicPartition) -> Option<Offset> {
        let seen = self.consumer.known_end(at);
        seen.max(self.machines.stall.end(at))
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
        for step in self.machines.subscription.steps(now) {
            match step {
                Step::Ask(topic) => self.call([Call::Count(topic)]),
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
                self.machines.subscription.not_applied(now);
            }
        }
    }

    fn created(&mut self, topic: &str, result: Result<(), Cause>) {
        let instance = &self.instance;
        match result {
            Ok(()) => {
                tracing::info!(%instance, "created the topic {topic} with the brokers' defaults");
                self.machines.subscription.created(Instant::now());
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
        if self
            .machines
            .subscription
            .learned(topic, count, Instant::now())
        {
            tracing::info!(instance = %self.instance, "topic {topic} has appeared");
            self.calls.refresh(self.consumer.clone());
        } else if count == Some(0) {
            tracing::debug!(instance = %self.instance, "topic {topic} does not exist yet");
        }
    }

    fn identities(&mut self, told: Result<HashMap<Arc<str>, TopicId>, Cause>) {
        self.machines.topic_ids.ids_asked.ended();
        match told {
            Ok(told) => {
                self.machines.take_ids(&told, Instant::now());
            }
            // It is asked again, and nothing waits for it.
            Err(cause) => {
                tracing::debug!(instance = %self.instance, "asking for topics' ids: {cause}");
            }
        }
    }
}

/// Whether all goes well.
impl Owner {
    fn look(&mut self, now: Instant) {
        let partitions = self.machines.partitions();
        let (look, calls) = self.machines.look(&partitions, now);
        for standstill in &look.standstills {
            report::standstill(&self.instance, standstill);
        }
        self.call(calls);
        if look.ask_for_depths {
            self.ask_for_depths(now);
        }
        self.publish_state(&partitions, now);
        self.replace_broken_consumer(now);
    }

    fn ask_for_depths(&mut self, now: Instant) {
        let topics = self.lanes.subscribers().filter_map(|subscriber| {
            let dead = subscriber.policy.dead_letter.clone()?;
            Some((subscriber.topic.clone(), dead))
        });
        let topics = topics.collect();
        self.machines.stall.asks_for_depths(&topics, now);
        if !topics.is_empty() {
            self.calls.depths(self.consumer.clone(), topics);
        }
    }

    /// Shows in the metrics how the group is doing.
    fn publish_state(&self, partitions: &[stall::Partition], now: Instant) {
        let topics = self
            .machines
            .engine
            .topics()
            .filter(|topic| topic.lanes > 0);
        let open_transactions = self.machines.stall.open_transactions();
        let mut states: BTreeMap<_, _> = topics
            .map(|topic| {
                let name = topic.topic.clone();
                let stalled = self.machines.stall.is_stalled(&name);
                let depth = self.machines.stall.depth(&name);
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
        let looked = self.machines.looked(found, Instant::now());
        for (at, position) in &looked.open_transactions {
            report::open_transaction(&self.instance, at, *position);
        }
        for event in looked.events {
            self.step(event);
        }
    }

    /// librdkafka tells each failure in its own words, and tries again itself,
    /// unless it is broken for good, or has lost a record.
    fn consumer_failed(&mut self, cause: &Cause) {
        tracing::debug!(instance = %self.instance, "consuming: {cause}");
        if cause.kind == Kind::Fatal && self.consumer.fatal().is_none() {
            // The record is lost to this consumer: no later look would notice.
            let reason = cause.text.clone();
            self.machines
                .pending
                .push_back(membership::Event::Broken { reason });
        }
        self.replace_broken_consumer(Instant::now());
    }

    /// Replaces a consumer that librdkafka declared broken for good.
    fn replace_broken_consumer(&mut self, now: Instant) {
        if let Some(cause) = self.consumer.fatal()
            && self.machines.stall.may_replace(now)
        {
            let reason = cause.text;
            self.machines
                .pending
                .push_back(membership::Event::Broken { reason });
        }
    }

    /// Joins the group with a new consumer; the partitions were given back, and the streams to
    /// daprd stay. False if no consumer could be made.
    fn replace_consumer(&mut self, reason: &str) -> bool {
        let now = Instant::now();
        self.machines.stall.replaced(now);
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
        self.machines.start_over(now);
        self.reads_nothing_ahead();
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
                    None => self.machines.commits.left(batch),
                }
            }
            Done::CommitLeft(batch) => self.machines.commits.left(batch),
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
            Done::Joining(answers) => self.machines.join_answered(answers, Instant::now()),
            Done::Ends { assigned, ends } => {
                self.machines.stall.ends_came(!assigned, ends);
                self.machines.read_ahead.ends_came(Instant::now());
            }
            Done::Identities(told) => self.identities(told),
            Done::ShortLogs(short) => self.machines.short_logs(short, Instant::now()),
            Done::Depths(depths) => self.machines.stall.depths_came(depths),
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
