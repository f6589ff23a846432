//! The pure machines of a group, and the decisions that take several of them.
//!
//! The owner drives them against librdkafka, brokers and daprd, and the simulation
//! (`simulation/member.rs`) against its own. Calls to brokers are returned as values.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    broker_calls::Call,
    commits::{Batch, Commits},
    inbox::AfterCommits,
    membership::{self, Facts, Generation, Membership},
    out_of_range::{self, Decision, OutOfRange, decide},
    read_ahead::ReadAhead,
    stall::{self, Look, Quiet, Stall, Stands},
    subscription::Subscription,
    topic_ids::TopicIds,
};
use crate::{
    engine::{Engine, Event, Limits},
    kafka::{AtPosition, Cause, Signal, Start, StartFrom, Starts, TopicId, Wanted},
    metadata::Settings,
    model::{Epoch, Log, Offset, Progress, SameTopic, TopicPartition},
};

/// How long to wait before a start is committed again that could not be.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// A group's machines.
pub(super) struct Machines {
    pub(super) engine: Engine,
    pub(super) membership: Membership,
    pub(super) subscription: Subscription,
    pub(super) commits: Commits,
    pub(super) topic_ids: TopicIds,
    pub(super) out_of_range: OutOfRange,
    pub(super) stall: Stall,
    pub(super) read_ahead: ReadAhead,
    /// What the membership has to take in.
    pub(super) pending: VecDeque<membership::Event>,
    /// How much waits until no commit is inside librdkafka.
    after_commits: usize,
    last_epoch: Epoch,
}

/// What a commit came back with.
#[derive(Default)]
pub(super) struct Returned {
    /// What is confirmed, for the engine to take in.
    pub(super) confirmed: Vec<Event>,
    /// What failed, of partitions that are still ours.
    pub(super) failed: Vec<TopicPartition>,
}

/// What to do about partitions whose start was asked for, or committed.
#[derive(Default)]
pub(super) struct Starting {
    /// Read these.
    pub(super) read: Vec<Start>,
    pub(super) calls: Vec<Call>,
    /// What failed, and is tried again.
    pub(super) failed: Vec<(String, Cause)>,
}

/// What to do about partitions whose position was called out of range.
#[derive(Default)]
pub(super) struct Continuing {
    /// What was decided of each, which was at this position.
    pub(super) decisions: Vec<(TopicPartition, Offset, Decision)>,
    /// What the engine is to take in.
    pub(super) events: Vec<Event>,
    /// Commit these starts.
    pub(super) starts: Vec<Start>,
    /// Read these on from other offsets.
    pub(super) moved: HashMap<TopicPartition, (Epoch, Offset)>,
}

/// What to do about quiet partitions that were looked at.
#[derive(Default)]
pub(super) struct LookedAt {
    /// What the engine is to take in.
    pub(super) events: Vec<Event>,
    /// Partitions that wait for a transaction, and their positions.
    pub(super) open_transactions: Vec<(TopicPartition, Offset)>,
}

impl Machines {
    pub(super) fn new(settings: &Settings, limits: &Limits, now: Instant) -> Self {
        Self {
            engine: Engine::new(*limits),
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
            pending: VecDeque::new(),
            after_commits: 0,
            last_epoch: Epoch(0),
        }
    }

    /// When something is due, if nothing else happens before.
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

    /// When [`Machines::commit`] has something.
    pub(super) fn commit_due(&self) -> Option<Instant> {
        let due = self.commits.due();
        due.filter(|_| self.membership.may_commit() && self.after_commits == 0)
    }

    /// The consumer is a new one: results of the old one's calls count for nothing.
    pub(super) fn start_over(&mut self, now: Instant) {
        self.commits = Commits::default();
        self.after_commits = 0;
        self.out_of_range = OutOfRange::default();
        self.read_ahead.start_over();
        self.stall.start_over();
        self.topic_ids.start_over();
        self.subscription.start_over(now);
    }
}

/// Partitions.
impl Machines {
    pub(super) fn owned(&self) -> Vec<TopicPartition> {
        self.engine.partitions().cloned().collect()
    }

    /// Whether any partition is being read.
    pub(super) fn is_reading(&self) -> bool {
        self.engine.partitions().next().is_some()
    }

    /// The partitions that are being read, and how far they have come. They may
    /// be assigned from there again: what comes twice the engine has seen.
    pub(super) fn positions(&self) -> impl Iterator<Item = (&TopicPartition, Offset)> {
        let engine = &self.engine;
        engine
            .partitions()
            .filter_map(|at| Some((at, engine.position(at)?)))
    }

    /// An epoch for a partition that is about to be read.
    pub(super) fn next_epoch(&mut self) -> Epoch {
        self.last_epoch = Epoch(self.last_epoch.0 + 1);
        self.last_epoch
    }

    /// Partitions are read from their starts on, each in its epoch; returns what the engine is to
    /// take in.
    pub(super) fn taken_on(
        &mut self,
        starts: Vec<Start>,
        epochs: Vec<Epoch>,
        now: Instant,
    ) -> Event {
        for start in &starts {
            self.topic_ids
                .started(&start.at, start.progress.point, start.topic);
        }
        let added = starts.iter().map(|start| start.at.clone());
        self.read_ahead.assigned(added, now);
        let partitions = starts.into_iter().zip(epochs);
        let partitions = partitions.map(|(start, epoch)| (start.at, epoch, start.progress));
        Event::Assigned {
            partitions: partitions.collect(),
        }
    }

    /// Nothing more is committed of the partitions that are ours; returns them.
    pub(super) fn give_up_commits(&mut self) -> Vec<TopicPartition> {
        let owned = self.owned();
        for at in &owned {
            self.commits.forget(at);
        }
        owned
    }
}

/// Commits.
impl Machines {
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

    /// The commits that are due.
    pub(super) fn commit(&mut self, now: Instant) -> Vec<Call> {
        let mut calls = Vec::new();
        for Batch { id, partitions } in self.commits.take(now) {
            let offsets = self.progress(partitions);
            // They are ours, or there would be no progress.
            let epoch = |(at, _): &(_, _)| self.engine.epoch(at).unwrap_or_default();
            calls.push(Call::Commit {
                batch: id,
                epochs: offsets.iter().map(epoch).collect(),
                offsets,
                ids: self.topic_ids.ids(),
            });
        }
        calls
    }

    /// What a commit came back with. The engine takes in what is confirmed, and then the commits
    /// what failed ([`Commits::ended`]).
    pub(super) fn returned(
        &self,
        offsets: Vec<(TopicPartition, Progress)>,
        epochs: Vec<Epoch>,
        results: Vec<Result<(), Cause>>,
    ) -> Returned {
        let mut returned = Returned::default();
        for (((at, progress), epoch), result) in offsets.into_iter().zip(epochs).zip(results) {
            let offset = progress.point;
            if result.is_ok() {
                let confirmed = Event::Committed { at, epoch, offset };
                returned.confirmed.push(confirmed);
            } else if self.engine.position(&at).is_some() {
                // As far as they are ours now: what failed may be of an earlier epoch.
                returned.failed.push(at);
            }
        }
        returned
    }

    /// The commit of all progress, before partitions are given back.
    pub(super) fn last_commit(&self, generation: Generation) -> Call {
        Call::LastCommit {
            offsets: self.progress(self.owned()),
            ids: self.topic_ids.ids(),
            generation,
        }
    }

    /// Does something once no commit is inside librdkafka: while one is, a new assignment would
    /// stop what is being read until that commit has ended, and a coordinator that is silent
    /// keeps it for a minute. Until then nothing else is committed.
    pub(super) fn after_commits(&mut self, then: AfterCommits) -> Call {
        self.after_commits += 1;
        Call::AfterCommits {
            generation: self.membership.generation(),
            then,
        }
    }

    /// No commit is inside librdkafka any more, or that takes too long. Returns whether what
    /// waited for that still counts.
    pub(super) fn commits_ended(&mut self, generation: Generation) -> bool {
        self.after_commits -= 1;
        self.membership.accepts(generation)
    }
}

/// Partitions that come and go.
impl Machines {
    pub(super) fn signal(&mut self, signal: Signal) {
        self.pending.push_back(match signal {
            Signal::Assigned(partitions) => membership::Event::Assigned(partitions),
            Signal::Revoked { lost } => membership::Event::Revoked { lost },
        });
    }

    /// What the membership needs to know of others.
    pub(super) fn facts(&self) -> Facts {
        Facts {
            // A commit that is under way could end after the last one, and undo it.
            settled: self.engine.total_in_flight() == 0 && !self.commits.is_under_way(),
            owns: self.is_reading(),
        }
    }

    /// Asks where partitions start; `again` if no broker said.
    pub(super) fn find_starts(&self, partitions: Vec<TopicPartition>, again: bool) -> Call {
        let wanted = partitions.into_iter().map(|at| Wanted {
            start: self.subscription.start_at(&at),
            recreated: self.topic_ids.is_of_a_topic_before(&at),
            at,
        });
        Call::FindStarts {
            wanted: wanted.collect(),
            known: self.topic_ids.ids(),
            generation: self.membership.generation(),
            again,
        }
    }

    /// Commits starts that the group did not have, after a wait.
    pub(super) fn commit_starts(&self, starts: Vec<Start>, wait: Duration) -> Option<Call> {
        (!starts.is_empty()).then(|| Call::CommitStarts {
            starts,
            ids: self.topic_ids.ids(),
            generation: self.membership.generation(),
            wait,
        })
    }

    /// Reads what has a committed start; a start that we decided is committed
    /// first, so that a crash in between skips nothing.
    pub(super) fn starts(
        &mut self,
        generation: Generation,
        starts: Starts,
        now: Instant,
    ) -> Starting {
        let mut starting = Starting::default();
        if !self.membership.accepts(generation) {
            return starting;
        }
        let Starts { results, ids } = starts;
        // Nothing of a topic is handed out, or committed, as if it were the one before.
        if self.take_ids(&ids, now) {
            let all = results.into_iter().map(|(at, _)| at).collect();
            starting.calls.push(self.find_starts(all, true));
            return starting;
        }
        let (mut decided, mut again) = (Vec::new(), Vec::new());
        for (at, result) in results {
            match result {
                Ok(start) if start.from == StartFrom::Commit => starting.read.push(start),
                Ok(start) => decided.push(start),
                Err(cause) => {
                    let what = format!("finding where {at} starts");
                    starting.failed.push((what, cause));
                    again.push(at);
                }
            }
        }
        if !again.is_empty() {
            starting.calls.push(self.find_starts(again, true));
        }
        let commit = self.commit_starts(decided, Duration::ZERO);
        starting.calls.extend(commit);
        starting
    }

    /// The starts that we decided were committed, or not.
    pub(super) fn decided(
        &self,
        generation: Generation,
        starts: Vec<Start>,
        results: Vec<Result<(), Cause>>,
    ) -> Starting {
        let mut starting = Starting::default();
        if !self.membership.accepts(generation) {
            return starting;
        }
        let mut again = Vec::new();
        for (start, result) in starts.into_iter().zip(results) {
            match result {
                Ok(()) => starting.read.push(start),
                Err(cause) => {
                    let what = format!("committing where {} starts", start.at);
                    starting.failed.push((what, cause));
                    again.push(start);
                }
            }
        }
        // The same starts: the newest offset would be a later one by then, and skip records.
        let commit = self.commit_starts(again, COMMIT_AGAIN);
        starting.calls.extend(commit);
        starting
    }
}

/// Positions that are called out of range.
impl Machines {
    /// A broker called a partition's position out of range.
    pub(super) fn is_out_of_range(&mut self, at: TopicPartition, epoch: Epoch, now: Instant) {
        if self.engine.owns(&at, epoch) {
            self.out_of_range.add(at, epoch, now);
        }
    }

    /// Decides where partitions continue whose position was called out of range.
    pub(super) fn logs(
        &mut self,
        epochs: BTreeMap<TopicPartition, Epoch>,
        mut logs: HashMap<TopicPartition, Result<Log, Cause>>,
        ids: &Result<HashMap<Arc<str>, TopicId>, Cause>,
        now: Instant,
    ) -> Continuing {
        let mut continuing = Continuing::default();
        if !self.membership.is_owning() {
            return continuing;
        }
        let ours = epochs.into_iter().filter_map(|(at, epoch)| {
            let position = self.engine.position(&at);
            let position = position.filter(|_| self.engine.owns(&at, epoch))?;
            let topic = self.topic_ids.is_same(&at, position, ids);
            Some((at, epoch, position, topic))
        });
        let ours: Vec<_> = ours.collect();
        // Their first records belong to a period of their own, which a new consumer begins.
        let are_others = ids.as_ref().is_ok_and(|ids| self.take_ids(ids, now));
        let mut gone = Vec::new();
        for (at, epoch, position, topic) in ours {
            let Some(log) = logs.remove(&at).filter(|_| !are_others) else {
                self.out_of_range.again(at, epoch, now);
                continue;
            };
            let decision = decide(&at, position, log, topic);
            let decided = (at.clone(), position, decision.clone());
            continuing.decisions.push(decided);
            match decision {
                Decision::AskAgain { .. } => self.out_of_range.again(at, epoch, now),
                Decision::ReadOn => {
                    continuing.moved.insert(at, (epoch, position));
                }
                Decision::SkipTo { to, .. } => {
                    // The group's offset passes what is gone: else the next assignment would be out of
                    // range as well, and there would be lag.
                    continuing.moved.insert(at.clone(), (epoch, to));
                    let offset = Offset(to.0 - 1);
                    let passed = Event::Passed { at, epoch, offset };
                    continuing.events.push(passed);
                }
                // What was read from there on is not in the log any more.
                Decision::StartAt { to, reason } => {
                    self.commits.forget(&at);
                    let point = self.engine.commit_point(&at);
                    gone.push(at.clone());
                    continuing.starts.push(Start {
                        at,
                        progress: out_of_range::start(point, to, reason),
                        from: StartFrom::Moved { position, reason },
                        topic: SameTopic::Yes,
                    });
                }
            }
        }
        if !gone.is_empty() {
            let revoked = Event::Revoked { partitions: gone };
            continuing.events.push(revoked);
        }
        continuing
    }

    /// Where to read on, given the partitions that are read on from other offsets. Nothing if none
    /// of these is ours.
    pub(super) fn moved(
        &self,
        moved: &mut HashMap<TopicPartition, (Epoch, Offset)>,
    ) -> Vec<(TopicPartition, Offset)> {
        moved.retain(|at, (epoch, _)| self.engine.owns(at, *epoch));
        if moved.is_empty() {
            return Vec::new();
        }
        let positions = self.positions().map(|(at, position)| {
            let moved = moved.get(at).map(|(_, to)| *to);
            (at.clone(), moved.unwrap_or(position))
        });
        positions.collect()
    }
}

/// Topics that are created again.
impl Machines {
    /// Takes in the ids of topics. True if some were created again: they are read from their
    /// start, with a new consumer, as soon as one may be made.
    pub(super) fn take_ids(&mut self, told: &HashMap<Arc<str>, TopicId>, now: Instant) -> bool {
        let others = self.topic_ids.told(told);
        if others.is_empty() {
            return false;
        }
        if self.read_from_start(&others.keys().cloned().collect(), now) {
            self.topic_ids.replaces(others);
        }
        true
    }

    /// Reads topics from their start, with a new consumer. False if that is not possible now.
    fn read_from_start(&mut self, topics: &BTreeSet<Arc<str>>, now: Instant) -> bool {
        if !self.membership.is_settled() || !self.stall.may_replace(now) {
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
        self.renew(format!(
            "deleted and created again, and read from the start: {names}"
        ));
        true
    }

    /// Takes in which logs end before our position.
    pub(super) fn short_logs(&mut self, short: Vec<(TopicPartition, Epoch)>, now: Instant) {
        self.topic_ids.ends_asked.ended();
        let short = short.into_iter();
        let short = short.filter(|(at, epoch)| self.engine.owns(at, *epoch));
        let topics = self.topic_ids.are_short(short.map(|(at, _)| at).collect());
        if !topics.is_empty() {
            self.read_from_start(&topics, now);
        }
    }

    /// Drains what the app still has, and then replaces the consumer.
    fn renew(&mut self, reason: String) {
        self.pending.push_back(membership::Event::Renew { reason });
    }
}

/// Whether all goes well.
impl Machines {
    /// The partitions as they are now.
    pub(super) fn partitions(&self) -> Vec<stall::Partition> {
        let engine = &self.engine;
        let mut holds = engine.holds();
        let partitions = engine.partitions().filter_map(|at| {
            Some(stall::Partition {
                at: at.clone(),
                epoch: engine.epoch(at)?,
                commit_point: engine.commit_point(at)?,
                position: engine.position(at)?,
                is_reading: engine.is_reading(at) && self.read_ahead.fetches(at),
                unfinished: engine.unfinished(at),
                uncommitted: engine.uncommitted(at),
                hold: holds.remove(at),
            })
        });
        partitions.collect()
    }

    /// Looks at the partitions; returns what is found, and what is to be asked.
    pub(super) fn look<'a>(
        &mut self,
        partitions: &'a [stall::Partition],
        now: Instant,
    ) -> (Look<'a>, Vec<Call>) {
        let joins = self.membership.is_idle() && self.subscription.is_joining();
        let mut look = self.stall.look(partitions, joins, now);
        let mut calls = Vec::new();
        let quiet = std::mem::take(&mut look.quiet);
        if !quiet.is_empty() {
            calls.push(Call::LookAt(quiet));
        }
        if look.ask_whether_a_broker_answers {
            calls.push(Call::AskWhetherABrokerAnswers);
        }
        let partitions_without_end = std::mem::take(&mut look.ask_for_ends);
        if !partitions_without_end.is_empty() {
            calls.push(Call::Ends {
                partitions: partitions_without_end,
                assigned: false,
            });
        }
        calls.extend(self.ask_for_ids(now));
        calls.extend(self.ask_for_log_ends(partitions, now));
        (look, calls)
    }

    fn ask_for_ids(&mut self, now: Instant) -> Option<Call> {
        if !self.topic_ids.ids_asked.is_due(now) {
            return None;
        }
        let topics: Vec<_> = self.subscription.topics().cloned().collect();
        if topics.is_empty() {
            return None;
        }
        self.topic_ids.ids_asked.asked(now);
        Some(Call::Identities(topics))
    }

    /// Asks where partitions end whose topics have no ids: an end before our position is all that
    /// tells that such a topic was created again.
    fn ask_for_log_ends(&mut self, partitions: &[stall::Partition], now: Instant) -> Option<Call> {
        if !self.membership.is_owning() || !self.topic_ids.ends_asked.is_due(now) {
            return None;
        }
        let without_id = partitions
            .iter()
            .filter(|partition| !self.topic_ids.knows(&partition.at.topic))
            .map(|partition| (partition.at.clone(), partition.epoch, partition.position));
        let without_id: Vec<_> = without_id.collect();
        if without_id.is_empty() {
            return None;
        }
        self.topic_ids.ends_asked.asked(now);
        Some(Call::ShortLogs(without_id))
    }

    /// What stands at the positions of quiet partitions was found.
    pub(super) fn looked(&mut self, found: Vec<(Quiet, Stands)>, now: Instant) -> LookedAt {
        let mut looked = LookedAt::default();
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
                if !self.stall.may_replace(now) {
                    continue;
                }
                if stands == Stands::Found(AtPosition::EndsBefore) {
                    self.subscription.made_again(&at.topic);
                    self.topic_ids.created_again([at.clone()]);
                }
                self.renew(reason);
                break;
            }
            match stands {
                Stands::OpenTransaction => {
                    looked.open_transactions.push((at.clone(), *position));
                }
                // Markers are committed with what stands before them: else there would be lag.
                Stands::Found(AtPosition::NoRecordBefore(end)) if end > *position => {
                    let offset = Offset(end.0 - 1);
                    let (at, epoch) = (at.clone(), *epoch);
                    looked.events.push(Event::Passed { at, epoch, offset });
                }
                Stands::Found(_) => {}
            }
        }
        looked
    }

    /// Whether a broker answers a fresh client, while no assignment comes.
    pub(super) fn join_answered(&mut self, answers: bool, now: Instant) {
        let reason = self.stall.join_answered(answers, now);
        if let Some(reason) = reason.filter(|_| self.membership.is_idle()) {
            self.renew(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{delivery::owner::limits, metadata::resolve, model::Record};

    const ID: TopicId = TopicId(1, 1);

    fn at() -> TopicPartition {
        TopicPartition::new("orders", 0)
    }

    fn record(offset: i64) -> Record {
        Record {
            at: at(),
            offset: Offset(offset),
            timestamp: None,
            appended: false,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    /// Machines that own a partition, and have received its records up to an offset.
    fn reading(start: Progress, position: i64, now: Instant) -> Machines {
        let given = [("brokers", "localhost:9092"), ("authType", "none")];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let resolved = resolve(&HashMap::from(given));
        let settings = resolved.expect("the settings are right").settings;
        let mut machines = Machines::new(&settings, &limits(&settings), now);
        machines.topic_ids.told(&HashMap::from([(at().topic, ID)]));
        let (assigned, facts) = (membership::Event::Assigned(vec![at()]), machines.facts());
        machines.membership.step(assigned, facts, now);
        let (first, epoch) = (start.point.0, machines.next_epoch());
        let start = Start {
            at: at(),
            progress: start,
            from: StartFrom::Commit,
            topic: SameTopic::Yes,
        };
        let assigned = machines.taken_on(vec![start], vec![epoch], now);
        machines.engine.step(assigned, now);
        for offset in first..position {
            let record = Arc::new(record(offset));
            machines.engine.step(Event::Received { epoch, record }, now);
        }
        machines
    }

    /// A broker calls the position out of range, and the log of the same topic is this.
    fn out_of_range(machines: &mut Machines, first: i64, end: i64, now: Instant) -> Continuing {
        let log = Log {
            first: Offset(first),
            end: Offset(end),
        };
        let epochs = BTreeMap::from([(at(), machines.last_epoch)]);
        let logs = HashMap::from([(at(), Ok(log))]);
        let ids = Ok(HashMap::from([(at().topic, ID)]));
        machines.logs(epochs, logs, &ids, now)
    }

    #[test]
    fn records_before_a_cut_that_are_unfinished_are_read_again() {
        let now = Instant::now();
        let mut machines = reading(Offset(10).into(), 15, now);
        let continuing = out_of_range(&mut machines, 0, 13, now);
        let starts: Vec<_> = continuing.starts.iter().collect();
        assert_eq!(starts.len(), 1);
        assert_eq!(starts[0].progress, Offset(10).into());
    }

    #[test]
    fn records_that_are_written_after_a_cut_are_read_whatever_was_finished_at_their_offsets() {
        let now = Instant::now();
        let start = Progress {
            point: Offset(10),
            above: vec![Offset(12)..Offset(14)],
        };
        let mut machines = reading(start.clone(), 20, now);
        assert_eq!(machines.engine.progress(&at()), Some(start), "before");
        // The log may have been cut at 11, and have 6 new records.
        let continuing = out_of_range(&mut machines, 0, 17, now);
        assert_eq!(continuing.starts[0].progress, Offset(10).into());
    }

    #[test]
    fn the_groups_offset_passes_what_retention_removed() {
        let now = Instant::now();
        let mut machines = reading(Offset(10).into(), 10, now);
        let continuing = out_of_range(&mut machines, 30, 40, now);
        let reads_on = HashMap::from([(at(), (Epoch(1), Offset(30)))]);
        assert_eq!(continuing.moved, reads_on);
        for event in continuing.events {
            machines.engine.step(event, now);
        }
        assert_eq!(machines.engine.commit_point(&at()), Some(Offset(30)));
    }

    #[test]
    fn a_consumer_that_does_not_notice_where_its_log_begins_is_replaced() {
        let now = Instant::now();
        let mut machines = reading(Offset(10).into(), 10, now);
        let quiet = Quiet {
            at: at(),
            epoch: Epoch(1),
            position: Offset(10),
        };
        let stands = Stands::Found(AtPosition::BeginsAfter);
        machines.looked(vec![(quiet, stands)], now);
        let mut pending = machines.pending.iter();
        assert!(pending.any(|event| matches!(event, membership::Event::Renew { .. })));
    }
}
