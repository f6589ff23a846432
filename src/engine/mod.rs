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
use window::Window;

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
    window: Window,
    ready: HashMap<Arc<str>, VecDeque<Ready>>,
    retries: Schedule<Ready>,
    in_flight: HashMap<DeliveryId, InFlight>,
    last_delivery: u64,
    paused: bool,
}

impl Engine {
    /// An engine that owns no partition and has no lane.
    pub fn new(limits: Limits) -> Self {
        Self {
            window: Window::new(limits.max_in_flight, limits.max_in_flight_bytes),
            limits,
            partitions: BTreeMap::new(),
            lanes: Lanes::default(),
            ready: HashMap::new(),
            retries: Schedule::default(),
            in_flight: HashMap::new(),
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
            Event::LaneOpened { lane, topic } => self.lanes.open(lane, topic),
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

    /// How many records of this partition lanes have and did not answer yet.
    pub fn in_flight(&self, at: &TopicPartition) -> usize {
        self.in_flight
            .values()
            .filter(|in_flight| in_flight.ready.at == *at)
            .count()
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
    /// flight: its answers find nothing and change nothing (I9).
    fn revoke(&mut self, at: &TopicPartition) {
        let Some(partition) = self.partitions.remove(at) else {
            return;
        };
        for record in partition.sequences.records() {
            self.window.remove(record.size());
        }
        let lanes = &mut self.lanes;
        self.in_flight.retain(|_, in_flight| {
            let keep = in_flight.ready.at != *at;
            if !keep {
                lanes.release(in_flight.lane);
            }
            keep
        });
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
        self.window.add(record.size());
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
    fn gate(&mut self, actions: &mut Vec<Action>) {
        let open = self.window.open();
        for (at, partition) in &mut self.partitions {
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
                    held_by: held_at.then(|| partition.offsets.commit_point()),
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
