//! The heart: which record goes to the app next, and how far the group may
//! commit.
//!
//! Pure and synchronous: [`Engine::step`] takes an event and the time, and
//! returns what to do about it. No IO, no clock, no locks, no tasks: so that
//! order, window and commit point are tested by values.
//!
//! ```text
//! Received ─▶ keys (one sequence per key) ─▶ lanes (streams to daprd) ─▶ Deliver
//! Answered ─▶ Ack: offsets ─▶ Commit     Nack: retry ─▶ (later) Deliver
//!                                              └─▶ DeadLetter ─▶ Written ─▶ Commit
//! ```

mod answer;
mod deliver;
mod event;
mod health;
mod keys;
mod lanes;
mod letters;
mod offsets;
mod partition;
mod pool;
mod retry;
mod state;
mod suspect_acks;
mod topic;
mod window;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

pub use event::{Action, DeliveryId, Event, LaneId, Letter, LetterId, Limits, Standing};
pub use health::{BreakerLimits, IsolationLimits};
pub use state::{Hold, TopicState, WaitsFor};

use crate::model::{Epoch, Offset, Progress, Record, TopicPartition};
use health::AppHealth;
use keys::SequenceId;
use letters::Letters;
use partition::Partition;
use pool::Pool;
use retry::Schedule;
use suspect_acks::SuspectAcks;
use topic::Topic;

/// A sequence whose head may be handed to the app.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ready {
    at: TopicPartition,
    epoch: Epoch,
    sequence: SequenceId,
}

/// A record that a lane has and that was not answered yet.
#[derive(Debug)]
struct InFlight {
    ready: Ready,
    record: Arc<Record>,
    lane: LaneId,
    handed: Instant,
}

/// Delivery for one consumer group: all its partitions, lanes and deadlines.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    partitions: BTreeMap<TopicPartition, Partition>,
    pool: Pool,
    topics: BTreeMap<Arc<str>, Topic>,
    /// The topic of each lane.
    lanes: HashMap<LaneId, Arc<str>>,
    retries: Schedule<Ready>,
    letters: Letters,
    in_flight: HashMap<DeliveryId, InFlight>,
    /// What lanes still have of partitions that are not ours any more: it takes
    /// up their room until it is answered.
    orphans: HashMap<DeliveryId, InFlight>,
    suspects: SuspectAcks,
    /// An answer on some stream overtook an older one: daprd begins each call as it gets it.
    daprd_is_concurrent: bool,
    /// Partitions in which this step has finished suspect records.
    settled_in: BTreeSet<TopicPartition>,
    last_delivery: u64,
    paused: bool,
    health: AppHealth,
}

impl Engine {
    /// An engine that owns no partition and has no lane.
    pub fn new(limits: Limits) -> Self {
        Self {
            pool: Pool::new(&limits),
            limits,
            partitions: BTreeMap::new(),
            topics: BTreeMap::new(),
            lanes: HashMap::new(),
            retries: Schedule::default(),
            letters: Letters::default(),
            in_flight: HashMap::new(),
            orphans: HashMap::new(),
            suspects: SuspectAcks::default(),
            daprd_is_concurrent: false,
            settled_in: BTreeSet::new(),
            last_delivery: 0,
            paused: false,
            health: AppHealth::default(),
        }
    }

    /// Takes in what happened and says what to do about it, in this order.
    ///
    /// `now` must not go backwards from call to call.
    pub fn step(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let touched = self.take_in(event, now, &mut actions);
        let woken = self.wake(now, &mut actions);
        let settled_in = std::mem::take(&mut self.settled_in);
        match touched {
            Some(at) if !woken => {
                self.deliver(&at.topic, now, &mut actions);
                for settled in settled_in.iter().filter(|settled| **settled != at) {
                    self.gate(settled, &mut actions);
                }
                self.gate(&at, &mut actions);
            }
            _ => {
                self.deliver_all(now, &mut actions);
                let owned: Vec<_> = self.partitions.keys().cloned().collect();
                for at in owned {
                    self.gate(&at, &mut actions);
                }
            }
        }
        if self.isolate(now, &mut actions) {
            self.deliver_all(now, &mut actions);
        }
        while let Some(at) = self.pool.next().cloned() {
            self.gate(&at, &mut actions);
        }
        actions
    }

    /// Returns the only partition that the event can have changed, if it is one.
    fn take_in(
        &mut self,
        event: Event,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Option<TopicPartition> {
        match event {
            Event::Received { epoch, record } => {
                self.receive(epoch, &record, now, actions);
                return Some(record.at.clone());
            }
            Event::Passed { at, epoch, offset } => {
                self.pass(&at, epoch, offset, now, actions);
                return Some(at);
            }
            Event::Committed { at, epoch, offset } => {
                if self.owns(&at, epoch)
                    && let Some(partition) = self.partitions.get_mut(&at)
                {
                    partition.offsets.confirm(offset);
                }
                return Some(at);
            }
            Event::Answered { delivery, outcome } => {
                return self.answer(delivery, outcome, now, actions);
            }
            Event::Written { letter, result } => return self.written(letter, result, now, actions),
            Event::Assigned { partitions } => self.assign(partitions),
            Event::Draining { partitions } => self.drain(&partitions),
            Event::Revoked { partitions } => {
                self.revoke(&partitions.iter().collect());
                self.pool.resize(self.partitions.len());
            }
            Event::LaneOpened {
                lane,
                topic,
                policy,
            } => self.open_lane(lane, &topic, policy, actions),
            Event::LaneClosed { lane } => self.close_lane(lane, now, actions),
            Event::Paused => self.paused = true,
            Event::Resumed => self.paused = false,
            Event::Tick => {}
        }
        None
    }

    /// When [`Event::Tick`] is due, if nothing else happens before.
    pub fn next_wake(&self) -> Option<Instant> {
        let topics = self.topics.values().filter_map(Topic::next_wake).min();
        let health = self.next_health_wake();
        let suspects = self.suspects.due(self.limits.ack_settles_in_silence);
        let retries = self.retries.next();
        [retries, self.letters.next(), topics, health, suspects]
            .into_iter()
            .flatten()
            .min()
    }

    /// How many records of all partitions lanes have and did not answer yet, or
    /// are on their way to a dead-letter topic.
    pub fn total_in_flight(&self) -> usize {
        self.in_flight.len() + self.letters.under_way()
    }

    /// How many records of all partitions lanes have and did not answer yet.
    pub fn unanswered(&self) -> usize {
        self.in_flight.len()
    }

    /// The offset that may be committed for this partition: everything before it
    /// is finished. `None` if the partition is not ours.
    pub fn commit_point(&self, at: &TopicPartition) -> Option<Offset> {
        self.partitions
            .get(at)
            .map(|partition| partition.offsets.commit_point())
    }

    /// What is to be committed for this partition: the commit point, and what is finished
    /// above it. `None` if the partition is not ours.
    pub fn progress(&self, at: &TopicPartition) -> Option<Progress> {
        let partition = self.partitions.get(at)?;
        Some(partition.offsets.progress())
    }

    /// The first offset of this partition that was not received yet. `None` if the
    /// partition is not ours.
    pub fn position(&self, at: &TopicPartition) -> Option<Offset> {
        self.partitions
            .get(at)
            .map(|partition| partition.offsets.next())
    }

    /// Whether this partition is ours, in this epoch.
    pub fn owns(&self, at: &TopicPartition, epoch: Epoch) -> bool {
        self.partitions
            .get(at)
            .is_some_and(|partition| partition.epoch == epoch)
    }

    /// The partitions that are ours.
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    fn assign(&mut self, partitions: Vec<(TopicPartition, Epoch, Progress)>) {
        self.revoke(&partitions.iter().map(|(at, ..)| at).collect());
        for (at, epoch, start) in partitions {
            self.topics.entry(at.topic.clone()).or_default();
            self.partitions.insert(at, Partition::new(epoch, start));
        }
        self.pool.resize(self.partitions.len());
    }

    fn drain(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            if let Some(partition) = self.partitions.get_mut(at) {
                partition.draining = true;
            }
        }
    }

    /// Forgets partitions. What lanes still have of them is no longer in flight: its answers
    /// change nothing (I9), but that its lane has room again.
    fn revoke(&mut self, partitions: &HashSet<&TopicPartition>) {
        let mut topics = BTreeSet::new();
        for at in partitions {
            if let Some(mut partition) = self.partitions.remove(*at) {
                self.pool.forget(&at.topic, &mut partition.share);
                topics.insert(&at.topic);
            }
        }
        if topics.is_empty() {
            return;
        }
        self.letters.forget(partitions);
        self.suspects.forget(partitions);
        self.health.forget(partitions);
        self.retries.retain(|ready| !partitions.contains(&ready.at));
        let gone = self
            .in_flight
            .extract_if(|_, in_flight| partitions.contains(&in_flight.ready.at));
        for (delivery, in_flight) in gone {
            if let Some(topic) = self.topics.get_mut(&in_flight.ready.at.topic) {
                topic.in_flight -= 1;
            }
            self.orphans.insert(delivery, in_flight);
        }
        for topic in topics {
            if let Some(topic) = self.topics.get_mut(topic) {
                topic.ready.retain(|ready| !partitions.contains(&ready.at));
            }
        }
    }

    fn receive(
        &mut self,
        epoch: Epoch,
        record: &Arc<Record>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let Some(partition) = self.partitions.get_mut(&record.at) else {
            return;
        };
        if partition.epoch != epoch {
            return;
        }
        if partition.offsets.was_finished(record.offset) {
            return self.pass(&record.at, epoch, record.offset, now, actions);
        }
        if let Some(sequence) = partition.receive(record, self.limits.ordering, now)
            && let Some(topic) = self.topics.get_mut(&record.at.topic)
        {
            let at = record.at.clone();
            topic.ready.push_back(Ready {
                at,
                epoch,
                sequence,
            });
        }
    }

    fn pass(
        &mut self,
        at: &TopicPartition,
        epoch: Epoch,
        offset: Offset,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let owned = self.partitions.get_mut(at);
        let Some(partition) = owned.filter(|partition| partition.epoch == epoch) else {
            return;
        };
        if partition.offsets.receive(offset, now) {
            let moved = partition.offsets.finish(offset);
            actions.push(commit(at.clone(), moved));
        }
    }

    /// Tells whether to read from a partition, if that changed.
    fn gate(&mut self, at: &TopicPartition, actions: &mut Vec<Action>) {
        let Some(partition) = self.partitions.get_mut(at) else {
            return;
        };
        let held = partition.is_held(&self.limits);
        let wants = !partition.draining && !held;
        let (has, reads) = (partition.size(), partition.reading);
        let read = self
            .pool
            .admits(at, &mut partition.share, has, (reads, wants));
        if reads == read {
            return;
        }
        partition.reading = read;
        actions.push(if read {
            Action::Read { at: at.clone() }
        } else {
            let held_by = partition.holder().filter(|_| held);
            Action::Pause {
                at: at.clone(),
                held_by: held_by.map(|(record, _)| record),
            }
        });
    }
}

/// What to commit when a record is finished; `moved` if the commit point moved by that.
fn commit(at: TopicPartition, moved: Option<Offset>) -> Action {
    match moved {
        Some(offset) => Action::Commit { at, offset },
        None => Action::CommitAbove { at },
    }
}

#[cfg(test)]
mod tests;
