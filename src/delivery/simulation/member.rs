//! One member of the group: its machines, driven as `owner.rs` drives them.
//!
//! Each function has the name of its counterpart in `owner.rs` and does the same in the same
//! order. Where the owner calls librdkafka, a stream or a broker, the member returns an [`Effect`].

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    delivery::{
        broker_calls::Call,
        inbox::{AfterCommits, Done, Read},
        machines::{Machines, Starting},
        membership, read_ahead,
        subscription::Step,
    },
    engine::{Action, DeliveryId, Event, LaneId, Letter, LetterId, Limits},
    kafka::{Kind, Signal, Start, TopicId},
    metadata::Settings,
    model::{Epoch, Offset, Outcome, Policy, Progress, Record, TopicPartition},
};

/// What reaches a member.
pub(super) enum Input {
    OpenLane {
        topic: Arc<str>,
        policy: Arc<Policy>,
    },
    CloseLane(LaneId),
    Answer {
        delivery: DeliveryId,
        outcome: Outcome,
    },
    Shutdown,
    Signal(Signal),
    Read(Read),
    Done(Done),
    Written {
        letter: LetterId,
        result: Result<(), String>,
    },
    Fatal,
    Due,
}

/// What a member does to the world.
pub(super) enum Effect {
    Call(Call),
    Opened(LaneId, Arc<str>),
    Deliver {
        lane: LaneId,
        delivery: DeliveryId,
        record: Arc<Record>,
    },
    Write(LetterId, Arc<Letter>),
    Assign(Vec<(TopicPartition, Offset)>),
    Unassign,
    Subscribe(Vec<Arc<str>>),
    Refresh,
    Replace,
    Left,
}

/// A member.
pub(super) struct Member {
    settings: Settings,
    machines: Machines,
    /// The reader of each partition: the epoch of what it reads, and whether it may.
    readers: BTreeMap<TopicPartition, (Epoch, bool)>,
    lanes: BTreeMap<LaneId, Arc<str>>,
    last_lane: u64,
    /// Commits inside librdkafka.
    pub(super) inside: usize,
    fatal: bool,
    effects: Vec<Effect>,
    now: Instant,
}

impl Member {
    pub(super) fn new(settings: &Settings, limits: &Limits, now: Instant) -> Self {
        Self {
            machines: Machines::new(settings, limits, now),
            readers: BTreeMap::new(),
            lanes: BTreeMap::new(),
            last_lane: 0,
            inside: 0,
            fatal: false,
            effects: Vec::new(),
            settings: settings.clone(),
            now,
        }
    }

    /// Takes one message in, as a turn of the owner's loop does.
    pub(super) fn take(&mut self, input: Input, now: Instant) -> Vec<Effect> {
        self.now = now;
        match input {
            Input::OpenLane { topic, policy } => self.open_lane(topic, policy),
            Input::CloseLane(lane) => self.close_lane(lane),
            Input::Answer { delivery, outcome } => self.step(Event::Answered { delivery, outcome }),
            Input::Shutdown => {
                let until = now + self.settings.rebalance_drain;
                let shutdown = membership::Event::Shutdown { until };
                self.machines.pending.push_back(shutdown);
            }
            Input::Signal(signal) => self.machines.signal(signal),
            Input::Read(read) => self.read(read),
            Input::Done(done) => self.done(done),
            Input::Written { letter, result } => self.step(Event::Written { letter, result }),
            Input::Fatal => {
                self.fatal = true;
                self.replace_broken_consumer();
            }
            Input::Due => self.tick(),
        }
        self.settle_membership();
        std::mem::take(&mut self.effects)
    }

    pub(super) fn next_wake(&self) -> Instant {
        self.machines.next_wake()
    }

    /// The epoch of what is read from a partition now, if it is.
    pub(super) fn reads(&self, at: &TopicPartition) -> Option<Epoch> {
        let (epoch, open) = self.readers.get(at)?;
        (*open && self.machines.read_ahead.fetches(at)).then_some(*epoch)
    }

    /// In which period a partition is owned, if it is.
    pub(super) fn epoch(&self, at: &TopicPartition) -> Option<Epoch> {
        self.machines.engine.epoch(at)
    }

    /// The topic that the member takes its positions for.
    pub(super) fn topic_id(&self, topic: &str) -> Option<TopicId> {
        self.machines.topic_ids.ids().get(topic).copied()
    }

    pub(super) fn progress_of(&self, at: &TopicPartition) -> Option<Progress> {
        self.machines.engine.progress(at)
    }

    /// The offset of the next record that a member takes in, if it owns the partition.
    pub(super) fn position(&self, at: &TopicPartition) -> Option<Offset> {
        self.machines.engine.position(at)
    }

    fn tick(&mut self) {
        let now = self.now;
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.machines.engine.next_wake()) {
            self.step(Event::Tick);
        }
        if due(self.machines.commit_due()) {
            let calls = self.machines.commit(now);
            self.inside += calls.len();
            self.call(calls);
        }
        if due(self.machines.out_of_range.due()) {
            let epochs = self.machines.out_of_range.take();
            self.call([Call::Logs(epochs)]);
        }
        if due(self.machines.read_ahead.due()) {
            self.read_ahead();
        }
        if due(Some(self.machines.stall.due())) {
            self.look();
        }
        if due(self.machines.subscription.due()) {
            self.update_subscription();
        }
    }

    fn call(&mut self, calls: impl IntoIterator<Item = Call>) {
        self.effects.extend(calls.into_iter().map(Effect::Call));
    }
}

/// Lanes and records.
impl Member {
    fn open_lane(&mut self, topic: Arc<str>, policy: Arc<Policy>) {
        self.last_lane += 1;
        let lane = LaneId(self.last_lane);
        self.lanes.insert(lane, topic.clone());
        self.effects.push(Effect::Opened(lane, topic.clone()));
        self.machines
            .subscription
            .lane_opened(topic.clone(), self.now);
        self.step(Event::LaneOpened {
            lane,
            topic,
            policy,
        });
    }

    fn close_lane(&mut self, lane: LaneId) {
        if let Some(topic) = self.lanes.remove(&lane) {
            self.machines.subscription.lane_closed(&topic, self.now);
            self.step(Event::LaneClosed { lane });
        }
    }

    fn step(&mut self, event: Event) {
        for action in self.machines.engine.step(event, self.now) {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Deliver {
                lane,
                delivery,
                record,
                ..
            } => self.effects.push(Effect::Deliver {
                lane,
                delivery,
                record,
            }),
            Action::Commit { at, .. } | Action::CommitAbove { at } => {
                self.machines.commits.add(at, self.now);
            }
            Action::Read { at } => {
                self.set_open(&at, true);
                self.machines.read_ahead.wanted(&at, self.now);
            }
            Action::Pause { at, .. } => self.set_open(&at, false),
            Action::DeadLetter { letter, content } => {
                self.effects.push(Effect::Write(letter, content));
            }
            _ => {}
        }
    }

    fn set_open(&mut self, at: &TopicPartition, open: bool) {
        if let Some(reader) = self.readers.get_mut(at) {
            reader.1 = open;
        }
    }

    fn read(&mut self, read: Read) {
        let Read { at, epoch, result } = read;
        match result {
            Ok(record) => {
                let record = Arc::new(record);
                self.step(Event::Received { epoch, record });
            }
            Err(cause) if cause.kind == Kind::OutOfRange => {
                self.machines.is_out_of_range(at, epoch, self.now);
            }
            Err(_) => {}
        }
    }
}

/// Partitions that come and go.
impl Member {
    fn settle_membership(&mut self) {
        self.machines.pending.push_back(membership::Event::Look);
        while let Some(event) = self.machines.pending.pop_front() {
            let facts = self.machines.facts();
            for action in self.machines.membership.step(event, facts, self.now) {
                self.perform_membership(action);
            }
        }
    }

    fn perform_membership(&mut self, action: membership::Action) {
        use membership::Action;
        match action {
            Action::AnswerRebalance => self.effects.push(Effect::Assign(Vec::new())),
            Action::FindStarts(partitions) => {
                self.machines.topic_ids.assigned(&partitions);
                let call = self.machines.find_starts(partitions, false);
                self.call([call]);
            }
            Action::Drain => {
                let partitions = self.machines.owned();
                self.step(Event::Draining { partitions });
                self.readers.clear();
            }
            Action::LastCommit(generation) => {
                let call = self.machines.last_commit(generation);
                self.call([call]);
            }
            Action::GiveBack => self.give_back(),
            Action::Replace { .. } => {
                self.replace_consumer();
                let replaced = membership::Event::Replaced { ok: true };
                self.machines.pending.push_back(replaced);
            }
            Action::Leave => self.effects.push(Effect::Left),
        }
    }

    fn start_reading(&mut self, starting: Starting) {
        self.call(starting.calls);
        self.take_on(starting.read);
    }

    fn take_on(&mut self, starts: Vec<Start>) {
        if starts.is_empty() {
            return;
        }
        if self.machines.is_reading() && self.inside > 0 {
            return self.after_commits(AfterCommits::TakeOn(starts));
        }
        let mut epochs = Vec::new();
        for Start { at, .. } in &starts {
            let epoch = self.machines.next_epoch();
            self.readers.insert(at.clone(), (epoch, false));
            epochs.push(epoch);
        }
        let added = starts.iter().map(|start| (&start.at, start.progress.point));
        let all = self.machines.positions().chain(added);
        let all = all.map(|(at, position)| (at.clone(), position)).collect();
        self.effects.push(Effect::Assign(all));
        let assigned = self.machines.taken_on(starts, epochs, self.now);
        self.step(assigned);
        self.read_ahead();
    }

    fn after_commits(&mut self, then: AfterCommits) {
        let call = self.machines.after_commits(then);
        self.call([call]);
    }

    fn give_back(&mut self) {
        self.readers.clear();
        let partitions = self.machines.give_up_commits();
        self.step(Event::Revoked { partitions });
        self.machines.read_ahead.clear();
        self.effects.push(Effect::Unassign);
    }

    fn read_on(&mut self, mut moved: HashMap<TopicPartition, (Epoch, Offset)>) {
        let positions = self.machines.moved(&mut moved);
        if positions.is_empty() {
            return;
        }
        if self.inside > 0 {
            return self.after_commits(AfterCommits::ReadOn(moved));
        }
        self.effects.push(Effect::Assign(positions));
    }
}

/// Topics, and whether all goes well.
impl Member {
    /// There is memory enough in the simulation; `read_ahead.rs` has tests of its own.
    fn read_ahead(&mut self) {
        let engine = &self.machines.engine;
        let queues = engine.partitions().map(|at| read_ahead::Queue {
            at: at.clone(),
            queued: 0,
            record: engine.record_size(at),
            wanted: engine.is_reading(at),
            left: None,
        });
        let queues: Vec<_> = queues.collect();
        self.machines.read_ahead.look(&queues, usize::MAX, self.now);
    }

    fn update_subscription(&mut self) {
        for step in self.machines.subscription.steps(self.now) {
            match step {
                Step::Ask(topic) => self.call([Call::Count(topic)]),
                Step::Create(_) => {}
                Step::Subscribe(topics) => self.effects.push(Effect::Subscribe(topics)),
            }
        }
    }

    fn look(&mut self) {
        let partitions = self.machines.partitions();
        let (_, calls) = self.machines.look(&partitions, self.now);
        self.call(calls);
        self.replace_broken_consumer();
    }

    fn replace_broken_consumer(&mut self) {
        if self.fatal && self.machines.stall.may_replace(self.now) {
            let reason = "fatal".to_owned();
            let broken = membership::Event::Broken { reason };
            self.machines.pending.push_back(broken);
        }
    }

    fn replace_consumer(&mut self) {
        self.machines.stall.replaced(self.now);
        self.fatal = false;
        self.inside = 0;
        self.machines.start_over(self.now);
        self.effects.push(Effect::Replace);
    }
}

/// What calls come back with.
impl Member {
    fn done(&mut self, done: Done) {
        let now = self.now;
        match done {
            Done::Counted { topic, result } => {
                let count = result.ok();
                let count = count.map(|shape| shape.map_or(0, |shape| shape.partitions));
                if self.machines.subscription.learned(&topic, count, now) {
                    self.effects.push(Effect::Refresh);
                }
            }
            Done::Starts { generation, starts } => {
                let starting = self.machines.starts(generation, starts, now);
                self.start_reading(starting);
            }
            Done::Decided {
                generation,
                starts,
                results,
            } => {
                let starting = self.machines.decided(generation, starts, results);
                self.start_reading(starting);
            }
            Done::Committed {
                batch,
                offsets,
                epochs,
                results,
                ..
            } => {
                let returned = self.machines.returned(offsets, epochs, results);
                let some_succeeded = !returned.confirmed.is_empty();
                self.step_all(returned.confirmed);
                let failed = returned.failed;
                self.machines
                    .commits
                    .ended(batch, failed, some_succeeded, now);
            }
            Done::CommitLeft(batch) => self.machines.commits.left(batch),
            Done::CommitsEnded {
                generation, then, ..
            } => {
                if self.machines.commits_ended(generation) {
                    match then {
                        AfterCommits::TakeOn(starts) => self.take_on(starts),
                        AfterCommits::ReadOn(moved) => self.read_on(moved),
                    }
                }
            }
            Done::LastCommit { generation, .. } => {
                let ended = membership::Event::LastCommitEnded { generation };
                self.machines.pending.push_back(ended);
            }
            Done::Logs { epochs, logs, ids } => {
                let continuing = self.machines.logs(epochs, logs, &ids, now);
                self.step_all(continuing.events);
                let starts = continuing.starts;
                let commit = self.machines.commit_starts(starts, Duration::ZERO);
                self.call(commit);
                self.read_on(continuing.moved);
            }
            Done::Looked(found) => {
                let looked = self.machines.looked(found, now);
                self.step_all(looked.events);
            }
            Done::Joining(answers) => self.machines.join_answered(answers, now),
            Done::Ends { assigned, ends } => {
                self.machines.stall.ends_came(!assigned, ends);
                self.machines.read_ahead.ends_came(now);
            }
            Done::Identities(told) => {
                self.machines.topic_ids.ids_asked.ended();
                if let Ok(told) = told {
                    self.machines.take_ids(&told, now);
                }
            }
            Done::ShortLogs(short) => self.machines.short_logs(short, now),
            Done::Created { .. }
            | Done::Refreshed(_)
            | Done::Depths(_)
            | Done::DeadLetterTopic { .. } => {}
        }
    }

    fn step_all(&mut self, events: Vec<Event>) {
        for event in events {
            self.step(event);
        }
    }
}
