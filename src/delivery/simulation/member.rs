//! One member of the group: the machines of the delivery core, joined as `owner.rs` joins them.
//!
//! Each function has the name of its counterpart in `owner.rs` and does the same in the same
//! order. Where the owner calls librdkafka, a stream or a broker, the member returns an [`Effect`].
//! A change of the owner's glue must be repeated here.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    delivery::{
        commits::{Batch, BatchId, Commits},
        inbox::{AfterCommits, Done, Read},
        membership::{self, Facts, Generation, Membership},
        out_of_range::{self, Decision, OutOfRange, decide},
        owner,
        read_ahead::{self, ReadAhead},
        stall::{self, Quiet, Stall, Stands},
        subscription::{Step, Subscription},
        topic_ids::TopicIds,
    },
    engine::{Action, DeliveryId, Engine, Event, Hold, LaneId, Letter, LetterId},
    kafka::{AtPosition, Cause, Kind, Signal, Start, StartFrom, Starts, TopicId, Wanted},
    metadata::Settings,
    model::{Epoch, Log, Offset, Outcome, Policy, Progress, Record, SameTopic, TopicPartition},
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

/// What is asked of the brokers: the counterparts of `broker_calls.rs`.
pub(super) enum Call {
    FindStarts {
        wanted: Vec<Wanted>,
        known: HashMap<Arc<str>, TopicId>,
        generation: Generation,
        again: bool,
    },
    CommitStarts {
        starts: Vec<Start>,
        ids: HashMap<Arc<str>, TopicId>,
        generation: Generation,
        wait: Duration,
    },
    Commit {
        batch: BatchId,
        offsets: Vec<(TopicPartition, Progress)>,
        epochs: Vec<Epoch>,
        ids: HashMap<Arc<str>, TopicId>,
    },
    LastCommit {
        offsets: Vec<(TopicPartition, Progress)>,
        ids: HashMap<Arc<str>, TopicId>,
        generation: Generation,
    },
    AfterCommits {
        generation: Generation,
        then: AfterCommits,
    },
    Logs(BTreeMap<TopicPartition, Epoch>),
    Count(Arc<str>),
    Identities(Vec<Arc<str>>),
    ShortLogs(Vec<(TopicPartition, Epoch, Offset)>),
    Ends {
        partitions: Vec<TopicPartition>,
        assigned: bool,
    },
    LookAt(Vec<Quiet>),
    AskWhetherABrokerAnswers,
}

/// A member's machines.
pub(super) struct Member {
    settings: Settings,
    engine: Engine,
    membership: Membership,
    subscription: Subscription,
    commits: Commits,
    topic_ids: TopicIds,
    out_of_range: OutOfRange,
    stall: Stall,
    read_ahead: ReadAhead,
    /// The reader of each partition: the epoch of what it reads, and whether it may.
    readers: BTreeMap<TopicPartition, (Epoch, bool)>,
    lanes: BTreeMap<LaneId, Arc<str>>,
    last_lane: u64,
    /// Commits inside librdkafka.
    pub(super) inside: usize,
    pending: VecDeque<membership::Event>,
    after_commits: usize,
    last_epoch: Epoch,
    fatal: bool,
    effects: Vec<Effect>,
    now: Instant,
}

impl Member {
    pub(super) fn new(settings: &Settings, now: Instant) -> Self {
        Self {
            engine: Engine::new(owner::limits(settings)),
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
            readers: BTreeMap::new(),
            lanes: BTreeMap::new(),
            last_lane: 0,
            inside: 0,
            pending: VecDeque::new(),
            after_commits: 0,
            last_epoch: Epoch(0),
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
            Input::Shutdown => self.pending.push_back(membership::Event::Shutdown {
                until: now + self.settings.rebalance_drain,
            }),
            Input::Signal(signal) => self.pending.push_back(match signal {
                Signal::Assigned(partitions) => membership::Event::Assigned(partitions),
                Signal::Revoked { lost } => membership::Event::Revoked { lost },
            }),
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
        [
            self.engine.next_wake(),
            self.commit_due(),
            self.subscription.due(),
            self.membership.next_wake(),
            self.out_of_range.due(),
            self.read_ahead.due(),
        ]
        .into_iter()
        .flatten()
        .fold(self.stall.due(), Instant::min)
    }

    /// The epoch of what is read from a partition now, if it is.
    pub(super) fn reads(&self, at: &TopicPartition) -> Option<Epoch> {
        let (epoch, open) = self.readers.get(at)?;
        (*open && self.read_ahead.fetches(at)).then_some(*epoch)
    }

    /// In which period a partition is owned, if it is.
    pub(super) fn epoch(&self, at: &TopicPartition) -> Option<Epoch> {
        self.engine.epoch(at)
    }

    /// The topic that the member takes its positions for.
    pub(super) fn topic_id(&self, topic: &str) -> Option<TopicId> {
        self.topic_ids.ids().get(topic).copied()
    }

    pub(super) fn progress_of(&self, at: &TopicPartition) -> Option<Progress> {
        self.engine.progress(at)
    }

    /// The offset of the next record that a member takes in, if it owns the partition.
    pub(super) fn position(&self, at: &TopicPartition) -> Option<Offset> {
        self.engine.position(at)
    }

    fn positions(&self) -> impl Iterator<Item = (&TopicPartition, Offset)> {
        let engine = &self.engine;
        engine
            .partitions()
            .filter_map(|at| Some((at, engine.position(at)?)))
    }

    fn commit_due(&self) -> Option<Instant> {
        let due = self.commits.due();
        due.filter(|_| self.membership.may_commit() && self.after_commits == 0)
    }

    fn tick(&mut self) {
        let now = self.now;
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.engine.next_wake()) {
            self.step(Event::Tick);
        }
        if due(self.commit_due()) {
            self.commit();
        }
        if due(self.out_of_range.due()) {
            let epochs = self.out_of_range.take();
            self.call(Call::Logs(epochs));
        }
        if due(self.read_ahead.due()) {
            self.read_ahead();
        }
        if due(Some(self.stall.due())) {
            self.look();
        }
        if due(self.subscription.due()) {
            self.update_subscription();
        }
    }

    fn call(&mut self, call: Call) {
        self.effects.push(Effect::Call(call));
    }
}

/// Lanes and records.
impl Member {
    fn open_lane(&mut self, topic: Arc<str>, policy: Arc<Policy>) {
        self.last_lane += 1;
        let lane = LaneId(self.last_lane);
        self.lanes.insert(lane, topic.clone());
        self.effects.push(Effect::Opened(lane, topic.clone()));
        self.subscription.lane_opened(topic.clone(), self.now);
        self.step(Event::LaneOpened {
            lane,
            topic,
            policy,
        });
    }

    fn close_lane(&mut self, lane: LaneId) {
        if let Some(topic) = self.lanes.remove(&lane) {
            self.subscription.lane_closed(&topic, self.now);
            self.step(Event::LaneClosed { lane });
        }
    }

    fn step(&mut self, event: Event) {
        for action in self.engine.step(event, self.now) {
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
                self.commits.add(at, self.now);
            }
            Action::Read { at } => {
                self.set_open(&at, true);
                self.read_ahead.wanted(&at, self.now);
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
                if self.engine.owns(&at, epoch) {
                    self.out_of_range.add(at, epoch, self.now);
                }
            }
            Err(_) => {}
        }
    }
}

/// Commits.
impl Member {
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

    fn commit(&mut self) {
        for Batch { id, partitions } in self.commits.take(self.now) {
            let offsets = self.progress(partitions);
            let epoch = |(at, _): &(_, _)| self.engine.epoch(at).unwrap_or_default();
            let epochs: Vec<_> = offsets.iter().map(epoch).collect();
            let ids = self.topic_ids.ids();
            self.inside += 1;
            self.call(Call::Commit {
                batch: id,
                offsets,
                epochs,
                ids,
            });
        }
    }

    fn committed(
        &mut self,
        batch: BatchId,
        offsets: Vec<(TopicPartition, Progress)>,
        epochs: Vec<Epoch>,
        results: Vec<Result<(), Cause>>,
    ) {
        let succeeded = results.iter().any(Result::is_ok);
        let mut failed = Vec::new();
        for (((at, progress), epoch), result) in offsets.into_iter().zip(epochs).zip(results) {
            let offset = progress.point;
            if result.is_ok() {
                self.step(Event::Committed { at, epoch, offset });
            } else if self.engine.position(&at).is_some() {
                failed.push(at);
            }
        }
        self.commits.ended(batch, failed, succeeded, self.now);
    }

    fn after_commits(&mut self, then: AfterCommits) {
        self.after_commits += 1;
        let generation = self.membership.generation();
        self.call(Call::AfterCommits { generation, then });
    }

    fn commits_ended(&mut self, generation: Generation, then: AfterCommits) {
        self.after_commits -= 1;
        if !self.membership.accepts(generation) {
            return;
        }
        match then {
            AfterCommits::TakeOn(starts) => self.take_on(starts),
            AfterCommits::ReadOn(moved) => self.read_on(moved),
        }
    }
}

/// Partitions that come and go.
impl Member {
    fn settle_membership(&mut self) {
        self.pending.push_back(membership::Event::Look);
        while let Some(event) = self.pending.pop_front() {
            let facts = Facts {
                settled: self.engine.total_in_flight() == 0 && !self.commits.is_under_way(),
                owns: self.is_reading(),
            };
            for action in self.membership.step(event, facts, self.now) {
                self.perform_membership(action);
            }
        }
    }

    fn perform_membership(&mut self, action: membership::Action) {
        use membership::Action;
        match action {
            Action::AnswerRebalance => self.effects.push(Effect::Assign(Vec::new())),
            Action::FindStarts(partitions) => {
                self.topic_ids.assigned(&partitions);
                self.find_starts(partitions, false);
            }
            Action::Drain => {
                let partitions = self.owned();
                self.step(Event::Draining { partitions });
                self.readers.clear();
            }
            Action::LastCommit(generation) => {
                let offsets = self.progress(self.owned());
                let ids = self.topic_ids.ids();
                self.call(Call::LastCommit {
                    offsets,
                    ids,
                    generation,
                });
            }
            Action::GiveBack => self.give_back(),
            Action::Replace { .. } => {
                self.replace_consumer();
                let replaced = membership::Event::Replaced { ok: true };
                self.pending.push_back(replaced);
            }
            Action::Leave => self.effects.push(Effect::Left),
        }
    }

    fn find_starts(&mut self, partitions: Vec<TopicPartition>, again: bool) {
        let wanted = partitions.into_iter().map(|at| Wanted {
            start: self.subscription.start_at(&at),
            recreated: self.topic_ids.is_of_a_topic_before(&at),
            at,
        });
        let wanted = wanted.collect();
        let known = self.topic_ids.ids();
        let generation = self.membership.generation();
        self.call(Call::FindStarts {
            wanted,
            known,
            generation,
            again,
        });
    }

    fn starts(&mut self, generation: Generation, starts: Starts) {
        if !self.membership.accepts(generation) {
            return;
        }
        let Starts { results, ids } = starts;
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
                Err(_) => again.push(at),
            }
        }
        if !again.is_empty() {
            self.find_starts(again, true);
        }
        self.commit_starts(decided, Duration::ZERO);
        self.take_on(committed);
    }

    fn commit_starts(&mut self, starts: Vec<Start>, wait: Duration) {
        if !starts.is_empty() {
            let ids = self.topic_ids.ids();
            let generation = self.membership.generation();
            self.call(Call::CommitStarts {
                starts,
                ids,
                generation,
                wait,
            });
        }
    }

    fn decided(
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
            match result {
                Ok(()) => committed.push(start),
                Err(_) => again.push(start),
            }
        }
        self.commit_starts(again, Duration::from_secs(1));
        self.take_on(committed);
    }

    fn take_on(&mut self, starts: Vec<Start>) {
        if starts.is_empty() {
            return;
        }
        if self.is_reading() && self.inside > 0 {
            return self.after_commits(AfterCommits::TakeOn(starts));
        }
        let mut epochs = Vec::new();
        for Start { at, .. } in &starts {
            self.last_epoch = Epoch(self.last_epoch.0 + 1);
            self.readers.insert(at.clone(), (self.last_epoch, false));
            epochs.push(self.last_epoch);
        }
        let added = starts
            .iter()
            .map(|start| (start.at.clone(), start.progress.point));
        let before = self
            .positions()
            .map(|(at, position)| (at.clone(), position));
        let all = before.chain(added).collect();
        self.effects.push(Effect::Assign(all));
        for start in &starts {
            self.topic_ids
                .started(&start.at, start.progress.point, start.topic);
        }
        let added = starts.iter().map(|start| start.at.clone());
        self.read_ahead.assigned(added, self.now);
        let partitions = starts.into_iter().zip(epochs);
        let partitions = partitions.map(|(start, epoch)| (start.at, epoch, start.progress));
        self.step(Event::Assigned {
            partitions: partitions.collect(),
        });
        self.read_ahead();
    }

    fn is_reading(&self) -> bool {
        self.engine.partitions().next().is_some()
    }

    fn owned(&self) -> Vec<TopicPartition> {
        self.engine.partitions().cloned().collect()
    }

    fn give_back(&mut self) {
        self.readers.clear();
        let owned = self.owned();
        for at in &owned {
            self.commits.forget(at);
        }
        self.step(Event::Revoked { partitions: owned });
        self.read_ahead.clear();
        self.effects.push(Effect::Unassign);
    }

    fn logs(
        &mut self,
        epochs: BTreeMap<TopicPartition, Epoch>,
        mut logs: HashMap<TopicPartition, Result<Log, Cause>>,
        ids: &Result<HashMap<Arc<str>, TopicId>, Cause>,
    ) {
        if !self.membership.is_owning() {
            return;
        }
        let now = self.now;
        let ours = epochs.into_iter().filter_map(|(at, epoch)| {
            let position = self.engine.position(&at);
            let position = position.filter(|_| self.engine.owns(&at, epoch))?;
            let topic = self.topic_ids.is_same(&at, position, ids);
            Some((at, epoch, position, topic))
        });
        let ours: Vec<_> = ours.collect();
        let are_others = ids.as_ref().is_ok_and(|ids| self.take_ids(ids));
        let (mut moved, mut starts) = (HashMap::new(), Vec::new());
        let mut gone = Vec::new();
        for (at, epoch, position, topic) in ours {
            let Some(log) = logs.remove(&at).filter(|_| !are_others) else {
                self.out_of_range.again(at, epoch, now);
                continue;
            };
            match decide(&at, position, log, topic) {
                Decision::AskAgain { .. } => self.out_of_range.again(at, epoch, now),
                Decision::ReadOn => {
                    moved.insert(at, (epoch, position));
                }
                Decision::SkipTo { to, .. } => {
                    moved.insert(at.clone(), (epoch, to));
                    let offset = Offset(to.0 - 1);
                    self.step(Event::Passed { at, epoch, offset });
                }
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

    fn read_on(&mut self, mut moved: HashMap<TopicPartition, (Epoch, Offset)>) {
        moved.retain(|at, (epoch, _)| self.engine.owns(at, *epoch));
        if moved.is_empty() {
            return;
        }
        if self.inside > 0 {
            return self.after_commits(AfterCommits::ReadOn(moved));
        }
        let positions = self.positions().map(|(at, position)| {
            let moved = moved.get(at).map(|(_, to)| *to);
            (at.clone(), moved.unwrap_or(position))
        });
        let positions = positions.collect();
        self.effects.push(Effect::Assign(positions));
    }
}

/// Topics, and whether all goes well.
impl Member {
    /// There is memory enough in the simulation; `read_ahead.rs` has tests of its own.
    fn read_ahead(&mut self) {
        let queues = self.engine.partitions().map(|at| read_ahead::Queue {
            at: at.clone(),
            queued: 0,
            record: self.engine.record_size(at),
            wanted: self.engine.is_reading(at),
            left: None,
        });
        let queues: Vec<_> = queues.collect();
        self.read_ahead.look(&queues, usize::MAX, self.now);
    }

    fn update_subscription(&mut self) {
        for step in self.subscription.steps(self.now) {
            match step {
                Step::Ask(topic) => self.call(Call::Count(topic)),
                Step::Create(_) => {}
                Step::Subscribe(topics) => self.effects.push(Effect::Subscribe(topics)),
            }
        }
    }

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

    fn read_from_start(&mut self, topics: &BTreeSet<Arc<str>>) -> bool {
        if !self.membership.is_settled() || !self.stall.may_replace(self.now) {
            return false;
        }
        for topic in topics {
            self.subscription.made_again(topic);
        }
        let owned = self.owned().into_iter();
        let ours = owned.filter(|at| topics.contains(&at.topic));
        self.topic_ids.created_again(ours);
        self.renew("deleted and created again");
        true
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

    fn look(&mut self) {
        let now = self.now;
        let mut holds = self.engine.holds();
        let owned = self.engine.partitions();
        let partitions = owned.filter_map(|at| self.see(at, holds.remove(at)));
        let partitions: Vec<_> = partitions.collect();
        let joins = self.membership.is_idle() && self.subscription.is_joining();
        let look = self.stall.look(&partitions, joins, now);
        let (quiet, asks, ends) = (
            look.quiet,
            look.ask_whether_a_broker_answers,
            look.ask_for_ends,
        );
        if !quiet.is_empty() {
            self.call(Call::LookAt(quiet));
        }
        if asks {
            self.call(Call::AskWhetherABrokerAnswers);
        }
        if !ends.is_empty() {
            self.call(Call::Ends {
                partitions: ends,
                assigned: false,
            });
        }
        if self.topic_ids.ids_asked.is_due(now) {
            let topics: Vec<_> = self.subscription.topics().cloned().collect();
            if !topics.is_empty() {
                self.topic_ids.ids_asked.asked(now);
                self.call(Call::Identities(topics));
            }
        }
        self.ask_for_log_ends(&partitions);
        self.replace_broken_consumer();
    }

    fn ask_for_log_ends(&mut self, partitions: &[stall::Partition]) {
        if !self.membership.is_owning() || !self.topic_ids.ends_asked.is_due(self.now) {
            return;
        }
        let without_id = partitions
            .iter()
            .filter(|partition| !self.topic_ids.knows(&partition.at.topic))
            .map(|partition| (partition.at.clone(), partition.epoch, partition.position));
        let without_id: Vec<_> = without_id.collect();
        if !without_id.is_empty() {
            self.topic_ids.ends_asked.asked(self.now);
            self.call(Call::ShortLogs(without_id));
        }
    }

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
                if !self.stall.may_replace(self.now) {
                    continue;
                }
                if stands == Stands::Found(AtPosition::EndsBefore) {
                    self.subscription.made_again(&at.topic);
                    self.topic_ids.created_again([at.clone()]);
                }
                return self.renew(&reason);
            }
            match stands {
                Stands::Found(AtPosition::NoRecordBefore(end)) if end > *position => {
                    let offset = Offset(end.0 - 1);
                    let (at, epoch) = (at.clone(), *epoch);
                    self.step(Event::Passed { at, epoch, offset });
                }
                Stands::OpenTransaction | Stands::Found(_) => {}
            }
        }
    }

    fn replace_broken_consumer(&mut self) {
        if self.fatal && self.stall.may_replace(self.now) {
            let reason = "fatal".to_owned();
            self.pending.push_back(membership::Event::Broken { reason });
        }
    }

    fn renew(&mut self, reason: &str) {
        let reason = reason.to_owned();
        self.pending.push_back(membership::Event::Renew { reason });
    }

    fn replace_consumer(&mut self) {
        self.stall.replaced(self.now);
        self.fatal = false;
        self.inside = 0;
        self.commits = Commits::default();
        self.after_commits = 0;
        self.out_of_range = OutOfRange::default();
        self.read_ahead.start_over();
        self.stall.start_over();
        self.topic_ids.start_over();
        self.subscription.start_over(self.now);
        self.effects.push(Effect::Replace);
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Counted { topic, result } => {
                let count = result.ok();
                let count = count.map(|shape| shape.map_or(0, |shape| shape.partitions));
                if self.subscription.learned(&topic, count, self.now) {
                    self.effects.push(Effect::Refresh);
                }
            }
            Done::Starts { generation, starts } => self.starts(generation, starts),
            Done::Decided {
                generation,
                starts,
                results,
            } => self.decided(generation, starts, results),
            Done::Committed {
                batch,
                offsets,
                epochs,
                results,
                ..
            } => self.committed(batch, offsets, epochs, results),
            Done::CommitLeft(batch) => self.commits.left(batch),
            Done::CommitsEnded {
                generation, then, ..
            } => self.commits_ended(generation, then),
            Done::LastCommit { generation, .. } => {
                let ended = membership::Event::LastCommitEnded { generation };
                self.pending.push_back(ended);
            }
            Done::Logs { epochs, logs, ids } => self.logs(epochs, logs, &ids),
            Done::Looked(found) => self.looked(found),
            Done::Joining(answers) => {
                let reason = self.stall.join_answered(answers, self.now);
                if let Some(reason) = reason.filter(|_| self.membership.is_idle()) {
                    self.renew(&reason);
                }
            }
            Done::Ends { assigned, ends } => {
                self.stall.ends_came(!assigned, ends);
                self.read_ahead.ends_came(self.now);
            }
            Done::Identities(told) => {
                self.topic_ids.ids_asked.ended();
                if let Ok(told) = told {
                    self.take_ids(&told);
                }
            }
            Done::ShortLogs(short) => self.short_logs(short),
            Done::Created { .. }
            | Done::Refreshed(_)
            | Done::Depths(_)
            | Done::DeadLetterTopic { .. } => {}
        }
    }
}
