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
//! ```

mod deliver;
mod event;
mod keys;
mod lanes;
mod offsets;
mod partition;
mod retry;
mod window;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

pub use event::{Action, DeliveryId, Event, LaneId, Limits};

use crate::model::{Epoch, Offset, Record, TopicPartition};
use keys::SequenceId;
use lanes::Lanes;
use partition::Partition;
use retry::Schedule;

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
    offset: Offset,
    lane: LaneId,
}

/// Delivery for one consumer group: all its partitions, lanes and deadlines.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    partitions: BTreeMap<TopicPartition, Partition>,
    lanes: Lanes,
    ready: HashMap<Arc<str>, VecDeque<Ready>>,
    retries: Schedule<Ready>,
    in_flight: HashMap<DeliveryId, InFlight>,
    /// What lanes still have of partitions that are not ours any more: it takes
    /// up their room until it is answered.
    orphans: HashMap<DeliveryId, LaneId>,
    last_delivery: u64,
    paused: bool,
}

impl Engine {
    /// An engine that owns no partition and has no lane.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            partitions: BTreeMap::new(),
            lanes: Lanes::default(),
            ready: HashMap::new(),
            retries: Schedule::default(),
            in_flight: HashMap::new(),
            orphans: HashMap::new(),
            last_delivery: 0,
            paused: false,
        }
    }

    /// Takes in what happened and says what to do about it, in this order.
    ///
    /// `now` must not go backwards from call to call.
    pub fn step(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Assigned { at, epoch, start } => self.assign(at, epoch, start),
            Event::Draining { at } => self.drain(&at),
            Event::Revoked { at } => self.revoke(&at),
            Event::Received { epoch, record } => self.receive(epoch, &record),
            Event::LaneOpened { lane, topic } => {
                // daprd pauses the streams that it is about to close, and never
                // resumes (v1.18.3): a new stream is to be used.
                self.paused = false;
                self.lanes.open(lane, topic);
            }
            Event::LaneClosed { lane } => self.close_lane(lane),
            Event::Answered { delivery, outcome } => {
                self.answer(delivery, outcome, now, &mut actions);
            }
            Event::Paused => self.paused = true,
            Event::Resumed => self.paused = false,
            Event::Tick => {}
        }
        self.wake(now);
        self.deliver(&mut actions);
        self.gate(&mut actions);
        actions
    }

    /// When [`Event::Tick`] is due, if nothing else happens before.
    pub fn next_wake(&self) -> Option<Instant> {
        [self.retries.next(), self.lanes.next_release()]
            .into_iter()
            .flatten()
            .min()
    }

    /// How many records of all partitions lanes have and did not answer yet.
    pub fn total_in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The offset that may be committed for this partition: everything before it
    /// is finished. `None` if the partition is not ours.
    pub fn commit_point(&self, at: &TopicPartition) -> Option<Offset> {
        self.partitions
            .get(at)
            .map(|partition| partition.offsets.commit_point())
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

    fn assign(&mut self, at: TopicPartition, epoch: Epoch, start: Offset) {
        self.revoke(&at);
        self.partitions.insert(at, Partition::new(epoch, start));
    }

    fn drain(&mut self, at: &TopicPartition) {
        if let Some(partition) = self.partitions.get_mut(at) {
            partition.draining = true;
        }
    }

    /// Forgets the partition. What lanes still have of it is no longer in
    /// flight: its answers change nothing (I9), but that its lane has room again.
    fn revoke(&mut self, at: &TopicPartition) {
        if self.partitions.remove(at).is_none() {
            return;
        }
        let orphans = self
            .in_flight
            .extract_if(|_, in_flight| in_flight.ready.at == *at)
            .map(|(delivery, in_flight)| (delivery, in_flight.lane));
        self.orphans.extend(orphans);
        if let Some(ready) = self.ready.get_mut(&at.topic) {
            ready.retain(|ready| ready.at != *at);
        }
    }

    fn receive(&mut self, epoch: Epoch, record: &Arc<Record>) {
        let Some(partition) = self.partitions.get_mut(&record.at) else {
            return;
        };
        if partition.epoch != epoch || !partition.offsets.receive(record.offset) {
            return;
        }
        partition.window.add(record.size());
        let sequence = SequenceId::of(record, self.limits.ordering);
        if partition.sequences.push(sequence.clone(), record.clone()) {
            self.ready
                .entry(record.at.topic.clone())
                .or_default()
                .push_back(Ready {
                    at: record.at.clone(),
                    epoch,
                    sequence,
                });
        }
    }

    /// Tells which partitions to read from, where that changed.
    ///
    /// Each partition has an equal share of the window: records that wait behind
    /// a refused one fill their own share, and never another partition's.
    fn gate(&mut self, actions: &mut Vec<Action>) {
        let owned = self.partitions.len().max(1);
        let records = (self.limits.max_in_flight / owned).max(1);
        let bytes = (self.limits.max_in_flight_bytes / owned).max(1);
        for (at, partition) in &mut self.partitions {
            let open = partition.window.open(records, bytes);
            let held_at = partition.offsets.uncommitted() >= self.limits.max_uncommitted;
            let read = open && !partition.draining && !held_at;
            if partition.reading == read {
                continue;
            }
            partition.reading = read;
            actions.push(if read {
                Action::Read { at: at.clone() }
            } else {
                Action::Pause {
                    at: at.clone(),
                    held_by: partition.holder().filter(|_| held_at),
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
