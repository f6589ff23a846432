//! What the owner does when partitions come and go.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    Drained,
    calls::Done,
    membership::{self, Facts, Generation},
    owner::Owner,
    recreated::PATIENCE,
};
use crate::{
    engine::Event,
    kafka::{Cause, Signal, Start, StartFrom, Starts, TopicId, Wanted},
    model::{
        Continue, Epoch, Evidence, Log, Offset, Progress, Reason, SameTopic, TopicPartition, resume,
    },
    telemetry::events,
};

/// How long to wait before something is asked for again that a broker did not say.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Partitions whose position a broker called out of range.
#[derive(Debug, Default)]
pub(super) struct OutOfRange {
    partitions: BTreeMap<TopicPartition, Epoch>,
    /// When their logs are asked for.
    pub(super) due: Option<Instant>,
}

/// How long partitions gather that are out of range: librdkafka says so of one after the other.
pub(super) const GATHER_LOST: Duration = Duration::from_millis(50);

impl Owner {
    pub(super) fn signal(&mut self, signal: Signal) {
        self.pending.push_back(match signal {
            Signal::Assigned(partitions) => membership::Event::Assigned(partitions),
            Signal::Revoked { lost } => membership::Event::Revoked { lost },
        });
    }

    pub(super) fn shut_down(&mut self, until: Instant, reply: oneshot::Sender<Drained>) {
        self.leaving.push(reply);
        self.pending
            .push_back(membership::Event::Shutdown { until });
    }

    /// Lets the membership take in what has happened, and does what it says.
    pub(super) async fn settle_membership(&mut self) {
        self.pending.push_back(membership::Event::Look);
        while let Some(event) = self.pending.pop_front() {
            let facts = Facts {
                // A commit that is under way could end after the last one, and undo it.
                settled: self.engine.total_in_flight() == 0 && !self.commits.is_under_way(),
                owns: self.engine.partitions().next().is_some(),
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
                    self.failed("answering the rebalance", &cause);
                }
            }
            Action::FindStarts(partitions) => {
                self.recreated.assigned(&partitions);
                self.ask_for_starts(partitions, Duration::ZERO);
            }
            Action::Drain => {
                for at in self.owned() {
                    self.step(Event::Draining { at });
                }
                self.readers.stop().await;
            }
            Action::LastCommit(generation) => self.last_commit(generation),
            Action::GiveBack => self.give_back().await,
            Action::Replace { reason } => {
                let ok = self.make_consumer_anew(&reason);
                self.pending.push_back(membership::Event::Replaced { ok });
            }
            Action::Leave => self.has_left = true,
        }
    }

    fn ask_for_starts(&mut self, partitions: Vec<TopicPartition>, wait: Duration) {
        let wanted: Vec<_> = partitions
            .into_iter()
            .map(|at| Wanted {
                start: self.subscription.start_at(&at),
                recreated: self.recreated.is_of_a_topic_before(&at),
                at,
            })
            .collect();
        let consumer = self.consumer.clone();
        let generation = self.membership.generation();
        let known = self.recreated.known.ids();
        let places = wanted.iter().map(|wanted| wanted.at.clone());
        let early = Done::Starts {
            generation,
            starts: Starts {
                results: places.map(|at| (at, Err(Cause::ended_early()))).collect(),
                ids: HashMap::new(),
            },
        };
        self.calls.spawn(early, async move {
            tokio::time::sleep(wait).await;
            let starts = consumer.start_positions(wanted, known, PATIENCE).await;
            Done::Starts { generation, starts }
        });
    }

    /// Reads what has a committed start; a start that we decided is committed
    /// first, so that a crash in between skips nothing.
    pub(super) async fn starts(&mut self, generation: Generation, starts: Starts) {
        if !self.membership.accepts(generation) {
            return;
        }
        let Starts { results, ids } = starts;
        // Nothing of a topic is handed out, or committed, as if it were the one before.
        if self.are_others(&ids) {
            let all = results.into_iter().map(|(at, _)| at).collect();
            return self.ask_for_starts(all, ASK_AGAIN);
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
            self.ask_for_starts(again, ASK_AGAIN);
        }
        self.commit_starts(decided, Duration::ZERO);
        self.take_on(committed).await;
    }

    /// Commits starts that the group did not have, after a wait.
    fn commit_starts(&mut self, starts: Vec<Start>, wait: Duration) {
        if starts.is_empty() {
            return;
        }
        let offsets = starts.iter();
        let offsets = offsets.map(|start| (start.at.clone(), start.progress.clone()));
        let offsets = offsets.collect();
        let consumer = self.consumer.clone();
        let generation = self.membership.generation();
        let ids = self.recreated.known.ids();
        let early = Done::Decided {
            generation,
            results: vec![Err(Cause::ended_early()); starts.len()],
            starts: starts.clone(),
        };
        self.calls.spawn(early, async move {
            tokio::time::sleep(wait).await;
            let results = consumer.commit(offsets, ids).await;
            Done::Decided {
                generation,
                starts,
                results,
            }
        });
    }

    /// The starts that we decided were committed, or not.
    pub(super) async fn decided(
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
            let Start { at, from, .. } = &start;
            if let Err(cause) = result {
                self.tries_again(&format!("committing where {at} starts"), &cause);
                again.push(start);
                continue;
            }
            if let StartFrom::Moved { position, reason } = *from {
                self.report_move(at, position, start.progress.point, reason);
            }
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
        let epochs = match self.try_take_on(&starts).await {
            Ok(epochs) => epochs,
            Err(cause) => {
                self.tries_again("taking the assignment", &cause);
                let again = starts.into_iter().map(|start| start.at).collect();
                return self.ask_for_starts(again, ASK_AGAIN);
            }
        };
        for Start {
            at,
            progress,
            topic,
            ..
        } in &starts
        {
            self.recreated.starts_at(at, progress.point, *topic);
            self.recreated.has_started(at);
        }
        let starts: Vec<_> = starts
            .into_iter()
            .map(|start| (start.at, start.progress))
            .collect();
        events::Assigned {
            instance: &self.instance,
            starts: &starts,
        }
        .emit();
        for ((at, start), epoch) in starts.into_iter().zip(epochs) {
            self.step(Event::Assigned { at, epoch, start });
        }
    }

    /// Begins to read partitions, each in an epoch of its own: a record that is read at once
    /// belongs to that epoch already.
    async fn try_take_on(&mut self, starts: &[Start]) -> Result<Vec<Epoch>, Cause> {
        let mut epochs = Vec::new();
        for Start { at, .. } in starts {
            // The one before ends first: its end would take the wake-ups from the new one.
            self.readers.remove(at).await;
            let epoch = self.next_epoch();
            self.readers.add(self.consumer.reader(at)?, epoch);
            epochs.push(epoch);
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

    fn last_commit(&mut self, generation: Generation) {
        let offsets = self.progress(self.owned());
        let consumer = self.consumer.clone();
        let ids = self.recreated.known.ids();
        let early = Done::LastCommit {
            generation,
            results: vec![Err(Cause::ended_early()); offsets.len()],
            offsets: offsets.clone(),
        };
        self.calls.spawn(early, async move {
            let results = consumer.commit(offsets.clone(), ids).await;
            Done::LastCommit {
                generation,
                offsets,
                results,
            }
        });
    }

    pub(super) fn last_commit_ended(
        &mut self,
        generation: Generation,
        offsets: &[(TopicPartition, Progress)],
        results: &[Result<(), Cause>],
    ) {
        self.tell_failed_commits(offsets, results);
        let ended = membership::Event::LastCommitEnded { generation };
        self.pending.push_back(ended);
    }

    /// Forgets all partitions and lets the group have them.
    async fn give_back(&mut self) {
        self.readers.stop().await;
        self.unanswered = self.engine.total_in_flight();
        let owned = self.owned();
        events::Revoked {
            instance: &self.instance,
            partitions: owned.len(),
            unanswered: self.unanswered,
        }
        .emit();
        for at in owned {
            self.commits.forget(&at);
            self.step(Event::Revoked { at });
        }
        if let Err(cause) = self.consumer.unassign() {
            self.failed("giving the assignment back", &cause);
        }
    }

    /// A broker calls a partition's position out of range, and librdkafka has stopped fetching
    /// it. librdkafka will not seek there, but takes a new assignment. Each assignment stops and
    /// starts all partitions, so those that are found within a moment share one.
    pub(super) fn out_of_range(&mut self, at: TopicPartition, epoch: Epoch, wait: Duration) {
        if self.engine.owns(&at, epoch) {
            self.lost.partitions.insert(at, epoch);
            let due = Instant::now() + wait;
            self.lost.due.get_or_insert(due);
        }
    }

    /// Asks for the logs of the partitions whose position was called out of range.
    pub(super) fn ask_for_logs(&mut self) {
        self.lost.due = None;
        let epochs = std::mem::take(&mut self.lost.partitions);
        let consumer = self.consumer.clone();
        let early = Done::Logs {
            epochs: epochs.clone(),
            logs: HashMap::new(),
            ids: Err(Cause::ended_early()),
        };
        self.calls.spawn(early, async move {
            let logs = consumer.logs(epochs.keys().cloned().collect()).await;
            let topics: BTreeSet<_> = epochs.keys().map(|at| at.topic.clone()).collect();
            let told = consumer
                .topic_ids(topics.into_iter().collect(), PATIENCE)
                .await;
            Done::Logs {
                epochs,
                logs,
                ids: told,
            }
        });
    }

    /// Decides where partitions continue whose position was called out of range.
    pub(super) fn logs(
        &mut self,
        epochs: BTreeMap<TopicPartition, Epoch>,
        mut logs: HashMap<TopicPartition, Result<Log, Cause>>,
        ids: &Result<HashMap<Arc<str>, TopicId>, Cause>,
    ) {
        if !self.membership.is_owning() {
            return;
        }
        let told = ids.as_ref().ok().cloned().unwrap_or_default();
        // An id that is heard of for the first time says nothing of our position.
        let known = self.recreated.known.ids();
        // Their first records belong to a period of their own, which a new consumer begins.
        let are_others = self.are_others(&told);
        let (mut moved, mut starts) = (HashMap::new(), Vec::new());
        for (at, epoch) in epochs {
            let position = self.engine.position(&at);
            let Some(position) = position.filter(|_| self.engine.owns(&at, epoch)) else {
                continue;
            };
            let log = match logs.remove(&at) {
                Some(Ok(log)) if !are_others => Some(log),
                Some(Err(cause)) => {
                    self.tries_again(&format!("finding where {at} begins and ends"), &cause);
                    None
                }
                _ => None,
            };
            let Some(log) = log else {
                self.out_of_range(at, epoch, ASK_AGAIN);
                continue;
            };
            // Without an answer a log that was cut looks like another topic's.
            if let Err(cause) = ids
                && log.end < position
                && known.contains_key(&at.topic)
            {
                self.tries_again(&format!("asking for the id of topic {}", at.topic), cause);
                self.out_of_range(at, epoch, ASK_AGAIN);
                continue;
            }
            let is_same = known.contains_key(&at.topic) && told.contains_key(&at.topic);
            let is_known = is_same && !self.recreated.is_doubtful(&at, position);
            let evidence = Evidence {
                topic: if is_known {
                    SameTopic::Yes
                } else {
                    SameTopic::Unknown
                },
                log: Some(log),
            };
            match resume(position, evidence) {
                Continue::Here | Continue::AskForLog => {
                    tracing::warn!(
                        instance = %self.instance,
                        "{at}: a broker calls offset {position} out of range, but has it: reading on there"
                    );
                    moved.insert(at, position);
                }
                Continue::Moved(to, reason @ Reason::Removed(_)) => {
                    self.report_move(&at, position, to, reason);
                    moved.insert(at, to);
                }
                // What was read from there on is not in the log any more.
                Continue::Moved(to, reason) => {
                    self.commits.forget(&at);
                    self.step(Event::Revoked { at: at.clone() });
                    starts.push(Start {
                        at,
                        progress: to.into(),
                        from: StartFrom::Moved { position, reason },
                        topic: SameTopic::Yes,
                    });
                }
            }
        }
        self.commit_starts(starts, Duration::ZERO);
        if moved.is_empty() {
            return;
        }
        let positions = self.positions().map(|(at, position)| {
            let position = moved.get(at).copied().unwrap_or(position);
            (at, position)
        });
        if let Err(cause) = self.consumer.assign(positions) {
            self.tries_again("reading on from other offsets", &cause);
            for at in moved.into_keys() {
                let epoch = self.engine.epoch(&at).unwrap_or_default();
                self.out_of_range(at, epoch, ASK_AGAIN);
            }
        }
    }

    fn report_move(&self, at: &TopicPartition, from: Offset, to: Offset, reason: Reason) {
        events::OutOfRange {
            instance: &self.instance,
            at,
            from,
            to,
            reason,
        }
        .emit();
    }

    pub(super) fn owned(&self) -> Vec<TopicPartition> {
        self.engine.partitions().cloned().collect()
    }

    /// What is to be committed of these partitions.
    pub(super) fn progress(
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

    fn next_epoch(&mut self) -> Epoch {
        self.epochs += 1;
        Epoch(self.epochs)
    }
}
