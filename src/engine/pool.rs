//! The window of unfinished records, which all partitions share.
//!
//! Each partition has a small floor of its own; the rest is a common pool. So one busy partition
//! may fill most of the window, and no partition stands still because others are slow. While
//! several topics have or want more than their floors, none gets more than half of the pool.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::Limits;
use crate::model::TopicPartition;

/// The most records that a partition's floor has: enough to keep an app busy.
const LARGEST_FLOOR: usize = 16;

/// Records, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl Size {
    fn map(self, change: impl Fn(usize) -> usize) -> Self {
        Self {
            records: change(self.records),
            bytes: change(self.bytes),
        }
    }

    fn with(self, other: Self, change: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            records: change(self.records, other.records),
            bytes: change(self.bytes, other.bytes),
        }
    }

    fn is_below(self, bound: Self) -> bool {
        self.records < bound.records && self.bytes < bound.bytes
    }

    fn is_at_most(self, bound: Self) -> bool {
        self.records <= bound.records && self.bytes <= bound.bytes
    }
}

/// What a partition takes up of the pool.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// What it has beyond its floor; while it reads beyond its floor, with one record more.
    taken: Size,
    /// Its place in the queue, if it waits for the pool.
    waits: Option<u64>,
}

/// The window.
#[derive(Debug)]
pub(super) struct Pool {
    all: Size,
    /// What each partition may have at least.
    floor: Size,
    /// What all partitions together may have beyond their floors.
    shared: Size,
    taken: Size,
    /// What each topic has taken.
    topics: HashMap<Arc<str>, Size>,
    /// Topics that took their half, and an eighth of it is not free again.
    full_topics: HashSet<Arc<str>>,
    /// Partitions that wait for the pool, by topic, in the order in which they came.
    waiting: BTreeMap<Arc<str>, BTreeMap<u64, TopicPartition>>,
    last_ticket: u64,
    /// The pool was used up, and an eighth of it is not free again: partitions are not paused
    /// and resumed record by record.
    full: bool,
}

impl Pool {
    pub(super) fn new(limits: &Limits) -> Self {
        let all = Size {
            records: limits.max_in_flight,
            bytes: limits.max_in_flight_bytes,
        };
        Self {
            all,
            floor: all,
            shared: Size::default(),
            taken: Size::default(),
            topics: HashMap::new(),
            full_topics: HashSet::new(),
            waiting: BTreeMap::new(),
            last_ticket: 0,
            full: false,
        }
    }

    /// So many partitions are ours. If their floors change by that, [`Pool::admits`] is due for
    /// each.
    pub(super) fn resize(&mut self, partitions: usize) {
        let partitions = partitions.max(1);
        let half = self.all.map(|all| all / (2 * partitions));
        let floor = Size {
            records: half.records.clamp(1, LARGEST_FLOOR),
            bytes: half.bytes.max(1),
        };
        let floors = floor.map(|floor| floor * partitions);
        self.shared = self.all.with(floors, usize::saturating_sub);
        self.floor = floor;
        self.note_full();
        let topics: Vec<_> = self.topics.keys().cloned().collect();
        self.full_topics
            .retain(|topic| self.topics.contains_key(topic));
        for topic in topics {
            self.note_full_topic(&topic);
        }
    }

    /// Takes in what a partition has, whether it reads, and whether it may be read from as far as
    /// others than the window go. Returns whether it is to be read from.
    pub(super) fn admits(
        &mut self,
        at: &TopicPartition,
        share: &mut Share,
        has: Size,
        (reads, wants): (bool, bool),
    ) -> bool {
        let beyond = has.with(self.floor, usize::saturating_sub);
        self.take(&at.topic, share, beyond);
        let is_low = if reads {
            has.is_below(self.floor)
        } else {
            has.is_at_most(self.floor.map(|floor| floor * 3 / 4))
        };
        let admitted = wants && (is_low || self.has_room(&at.topic));
        if admitted && has.records >= self.floor.records {
            let mut taken = share.taken;
            taken.records += 1;
            self.take(&at.topic, share, taken);
        }
        if wants && !admitted {
            self.wait(at, share);
        } else {
            self.stop_waiting(&at.topic, share);
        }
        admitted
    }

    /// A partition is not ours any more.
    pub(super) fn forget(&mut self, topic: &Arc<str>, share: &mut Share) {
        self.take(topic, share, Size::default());
        self.stop_waiting(topic, share);
    }

    /// A partition that waits, and for which there is room now: of the topic that has taken least.
    pub(super) fn next(&self) -> Option<&TopicPartition> {
        let topics = self.waiting.keys();
        let fitting = topics.filter(|topic| self.has_room(topic));
        let least = fitting.min_by_key(|topic| self.taken_by(topic).records)?;
        self.waiting[least].values().next()
    }

    fn taken_by(&self, topic: &str) -> Size {
        self.topics.get(topic).copied().unwrap_or_default()
    }

    /// Whether a topic may take more.
    fn has_room(&self, topic: &str) -> bool {
        let competes = |other: &Arc<str>| **other != *topic;
        let is_alone = || {
            let mut others = self.topics.keys().chain(self.waiting.keys());
            !others.any(competes)
        };
        !self.full && (!self.full_topics.contains(topic) || is_alone())
    }

    /// What a topic gets at the most while others have or want some.
    fn half(&self) -> Size {
        self.shared.map(|shared| shared.div_ceil(2))
    }

    fn take(&mut self, topic: &Arc<str>, share: &mut Share, taken: Size) {
        let before = std::mem::replace(&mut share.taken, taken);
        if before == taken {
            return;
        }
        let change = |all: Size| {
            let rest = all.with(before, |all, before| all - before);
            rest.with(taken, |rest, taken| rest + taken)
        };
        self.taken = change(self.taken);
        let of_topic = change(self.taken_by(topic));
        if of_topic == Size::default() {
            self.topics.remove(topic);
        } else {
            self.topics.insert(topic.clone(), of_topic);
        }
        self.note_full();
        self.note_full_topic(topic);
    }

    fn note_full_topic(&mut self, topic: &Arc<str>) {
        let (of_topic, half) = (self.taken_by(topic), self.half());
        if !of_topic.is_below(half) {
            self.full_topics.insert(topic.clone());
        } else if of_topic.is_at_most(low(half)) {
            self.full_topics.remove(topic);
        }
    }

    fn note_full(&mut self) {
        if !self.taken.is_below(self.shared) {
            self.full = true;
        } else if self.taken.is_at_most(low(self.shared)) {
            self.full = false;
        }
    }

    fn wait(&mut self, at: &TopicPartition, share: &mut Share) {
        if share.waits.is_none() {
            self.last_ticket += 1;
            share.waits = Some(self.last_ticket);
            let waiting = self.waiting.entry(at.topic.clone()).or_default();
            waiting.insert(self.last_ticket, at.clone());
        }
    }

    fn stop_waiting(&mut self, topic: &str, share: &mut Share) {
        if let Some(ticket) = share.waits.take()
            && let Some(waiting) = self.waiting.get_mut(topic)
        {
            waiting.remove(&ticket);
            if waiting.is_empty() {
                self.waiting.remove(topic);
            }
        }
    }
}

/// An eighth below a bound.
fn low(bound: Size) -> Size {
    bound.map(|bound| bound - bound.div_ceil(8))
}
