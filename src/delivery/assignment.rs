//! What the owner does when partitions come and go.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{Drained, calls::Done, owner::Owner, recreated::PATIENCE};
use crate::{
    engine::Event,
    kafka::{Cause, GroupConsumer, Signal, Start, StartFrom, TopicId},
    model::{Epoch, Offset, Progress, TopicPartition},
    telemetry::events,
};

/// How long a revocation waits for what was delivered already. The whole group
/// waits with it; what is not answered by then is delivered again.
pub(super) const REVOKE_DRAIN: Duration = Duration::from_secs(5);

/// How long to wait before something is asked for again that a broker did not say.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Where the group stands with its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has none.
    Idle,
    /// It was given some; those whose start is known are being read.
    Owning,
    /// It gives them back when all is answered, or at the latest then.
    Draining { until: Instant },
    /// Its last commit before giving them back is under way.
    Committing,
}

impl Phase {
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Self::Draining { until } => Some(until),
            _ => None,
        }
    }
}

impl Owner {
    pub(super) async fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Assigned(partitions) => {
                self.generation += 1;
                // Answered at once, with nothing: until it is, librdkafka sees
                // neither a lost session nor the next rebalance. The partitions
                // follow as soon as it is known where they start.
                if let Err(cause) = self.consumer.assign([]) {
                    self.failed("answering the rebalance", &cause);
                }
                self.phase = Phase::Owning;
                self.ask_for_starts(partitions, Duration::ZERO);
            }
            Signal::Revoked { lost: true } => self.give_back().await,
            // Partitions that are being drained already keep their deadline.
            Signal::Revoked { .. }
                if matches!(self.phase, Phase::Draining { .. } | Phase::Committing) => {}
            Signal::Revoked { .. } => self.drain(Instant::now() + REVOKE_DRAIN),
        }
    }

    pub(super) fn shut_down(&mut self, until: Instant, reply: oneshot::Sender<Drained>) {
        self.leaving.push(reply);
        self.drain(until);
    }

    fn ask_for_starts(&mut self, partitions: Vec<TopicPartition>, wait: Duration) {
        let topics: BTreeSet<_> = partitions.iter().map(|at| at.topic.clone()).collect();
        let wanted = partitions
            .into_iter()
            .map(|at| {
                let start = self.subscription.start_at(&at);
                (at, start)
            })
            .collect();
        let consumer = self.consumer.clone();
        let generation = self.generation;
        self.calls.spawn(async move {
            tokio::time::sleep(wait).await;
            let results = consumer.start_positions(wanted).await;
            Done::Starts {
                generation,
                results,
                ids: ids(&consumer, topics).await,
            }
        });
    }

    /// Reads what has a committed start; a start that we decided is committed
    /// first, so that a crash in between skips nothing.
    pub(super) fn starts(
        &mut self,
        generation: u64,
        results: Vec<(TopicPartition, Result<Start, Cause>)>,
        ids: &HashMap<Arc<str>, TopicId>,
    ) {
        if !self.is_owning(generation) {
            return;
        }
        // Nothing of a topic is handed out, or committed, as if it were the one before.
        if self.are_others(ids) {
            let all = results.into_iter().map(|(at, _)| at).collect();
            return self.ask_for_starts(all, ASK_AGAIN);
        }
        let known = self.recreated.known.ids();
        let mut again = Vec::new();
        let (mut committed, mut decided) = (Vec::new(), Vec::new());
        for (at, result) in results {
            match result {
                Ok(mut start) if start.from == StartFrom::Commit => {
                    // Of another topic, perhaps in another cluster, no record is finished.
                    let topic = &start.at.topic;
                    let is_of = |ids: &HashMap<_, _>| ids.get(topic) == start.topic.as_ref();
                    if !is_of(ids) || !is_of(&known) {
                        start.progress.above.clear();
                    }
                    committed.push(start);
                }
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
        if !decided.is_empty() {
            let offsets = decided.iter();
            let offsets = offsets.map(|start| (start.at.clone(), start.progress.clone()));
            let offsets = offsets.collect();
            let consumer = self.consumer.clone();
            self.calls.spawn(async move {
                let results = consumer.commit(offsets, HashMap::new()).await;
                Done::Decided {
                    generation,
                    starts: decided,
                    results,
                }
            });
        }
        self.take_on(committed);
    }

    /// The starts that we decided were committed, or not.
    pub(super) fn decided(
        &mut self,
        generation: u64,
        starts: Vec<Start>,
        results: Vec<Result<(), Cause>>,
    ) {
        if !self.is_owning(generation) {
            return;
        }
        let (mut committed, mut again) = (Vec::new(), Vec::new());
        for (start, result) in starts.into_iter().zip(results) {
            let Start { at, from, .. } = &start;
            if let Err(cause) = result {
                self.tries_again(&format!("committing where {at} starts"), &cause);
                again.push(start.at);
                continue;
            }
            if *from == StartFrom::OutOfRange {
                let instance = &self.instance;
                events::OutOfRange { instance, at }.emit();
            }
            committed.push(start);
        }
        if !again.is_empty() {
            self.ask_for_starts(again, ASK_AGAIN);
        }
        self.take_on(committed);
    }

    /// Adds partitions to those that are being read.
    fn take_on(&mut self, starts: Vec<Start>) {
        if starts.is_empty() {
            return;
        }
        if let Err(cause) = self.try_take_on(&starts) {
            self.tries_again("taking the assignment", &cause);
            let again = starts.into_iter().map(|start| start.at).collect();
            self.ask_for_starts(again, ASK_AGAIN);
            return;
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
        for (at, start) in starts {
            let epoch = self.next_epoch();
            self.readers.set_epoch(&at, epoch);
            self.step(Event::Assigned { at, epoch, start });
        }
    }

    fn try_take_on(&mut self, starts: &[Start]) -> Result<(), Cause> {
        for Start { at, .. } in starts {
            self.readers.add(self.consumer.reader(at)?);
        }
        let added = starts.iter().map(|start| (&start.at, start.progress.point));
        self.consumer.assign(self.positions().chain(added))
    }

    /// The partitions that are being read, and how far they have come. They may
    /// be assigned from there again: what comes twice the engine has seen.
    fn positions(&self) -> impl Iterator<Item = (&TopicPartition, Offset)> {
        let engine = &self.engine;
        engine
            .partitions()
            .filter_map(|at| Some((at, engine.position(at)?)))
    }

    fn is_owning(&self, generation: u64) -> bool {
        generation == self.generation && self.phase == Phase::Owning
    }

    pub(super) fn drain(&mut self, until: Instant) {
        self.generation += 1;
        self.phase = Phase::Draining { until };
        for at in self.owned() {
            self.step(Event::Draining { at });
        }
    }

    /// Goes on with a drain once all is answered, or its time is up.
    pub(super) async fn check_drained(&mut self) {
        let Phase::Draining { until } = self.phase else {
            return;
        };
        self.readers.stop().await;
        // A commit that is under way could end after the last one, and undo it.
        let waits = self.engine.total_in_flight() > 0 || self.commits.is_under_way();
        if waits && Instant::now() < until {
            return;
        }
        let offsets = self.progress(self.owned());
        if offsets.is_empty() {
            self.give_back().await;
            return;
        }
        self.phase = Phase::Committing;
        let consumer = self.consumer.clone();
        let generation = self.generation;
        let known = self.recreated.known.clone();
        self.calls.spawn(async move {
            let offsets = known.committable(&consumer, offsets).await;
            let results = consumer.commit(offsets.clone(), known.ids()).await;
            Done::LastCommit {
                generation,
                offsets,
                results,
            }
        });
    }

    pub(super) async fn last_commit(
        &mut self,
        generation: u64,
        offsets: &[(TopicPartition, Progress)],
        results: &[Result<(), Cause>],
    ) {
        if results.iter().any(Result::is_err) {
            self.recreated.not_committed();
            self.tell_failed_commits(offsets, results);
        }
        if generation == self.generation && self.phase == Phase::Committing {
            self.give_back().await;
        }
    }

    /// Forgets all partitions and lets the group have them.
    pub(super) async fn give_back(&mut self) {
        self.generation += 1;
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
        self.phase = Phase::Idle;
    }

    /// A partition's position is not on the broker any more, and librdkafka has
    /// stopped fetching it. It will not seek there, but takes a new assignment.
    pub(super) fn out_of_range(&mut self, at: TopicPartition, epoch: Epoch, wait: Duration) {
        if !self.engine.owns(&at, epoch) {
            return;
        }
        let consumer = self.consumer.clone();
        self.calls.spawn(async move {
            tokio::time::sleep(wait).await;
            let result = consumer.ends(&at).await.map(|(oldest, _)| oldest);
            let ids = ids(&consumer, [at.topic.clone()]).await;
            Done::Oldest {
                at,
                epoch,
                result,
                ids,
            }
        });
    }

    pub(super) fn oldest(
        &mut self,
        at: TopicPartition,
        epoch: Epoch,
        result: Result<Offset, Cause>,
        ids: &HashMap<Arc<str>, TopicId>,
    ) {
        if self.phase != Phase::Owning || !self.engine.owns(&at, epoch) {
            return;
        }
        // Its first records belong to a period of their own, which a new consumer begins.
        if self.are_others(ids) {
            return self.out_of_range(at, epoch, ASK_AGAIN);
        }
        let assigned = result.and_then(|oldest| {
            let others = self.positions().filter(|(other, _)| **other != at);
            self.consumer.assign(others.chain([(&at, oldest)]))?;
            Ok(oldest)
        });
        match assigned {
            Ok(start) => {
                let instance = &self.instance;
                events::OutOfRange { instance, at: &at }.emit();
                // Earlier than where we were means that the topic was recreated, and
                // has no id: what is known of the old one counts for nothing.
                if self
                    .engine
                    .position(&at)
                    .is_some_and(|position| start < position)
                {
                    let epoch = self.next_epoch();
                    self.readers.set_epoch(&at, epoch);
                    let start = start.into();
                    self.step(Event::Assigned { at, epoch, start });
                }
            }
            Err(cause) => {
                self.tries_again(&format!("finding the earliest offset of {at}"), &cause);
                self.out_of_range(at, epoch, ASK_AGAIN);
            }
        }
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

/// Topics' ids. Without an answer they count as known: they are asked again by and by.
async fn ids(
    consumer: &GroupConsumer,
    topics: impl IntoIterator<Item = Arc<str>>,
) -> HashMap<Arc<str>, TopicId> {
    let topics = topics.into_iter().collect();
    let told = consumer.topic_ids(topics, PATIENCE).await;
    told.unwrap_or_default()
}
