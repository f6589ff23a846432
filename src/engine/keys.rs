//! What must stay in order, and the queue behind each of it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;

use crate::model::{Offset, Ordering, Record};

/// A sequence of records of one partition that are handed out one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum SequenceId {
    Key(Bytes),
    NoKey,
    Partition,
    Single(Offset),
}

impl SequenceId {
    pub(super) fn of(record: &Record, ordering: Ordering) -> Self {
        match (ordering, &record.key) {
            (Ordering::Key, Some(key)) => Self::Key(key.clone()),
            (Ordering::Key, None) => Self::NoKey,
            (Ordering::Partition, _) => Self::Partition,
            (Ordering::None, _) => Self::Single(record.offset),
        }
    }
}

/// What became of a sequence's head so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    /// Attempts that count against the bound.
    pub(super) attempts: u32,
    /// All that failed, also those that say nothing of the record.
    pub(super) all: u32,
    /// When the first one failed.
    pub(super) first: Option<Instant>,
}

/// The unfinished records of one partition, by sequence.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    map: HashMap<SequenceId, Sequence>,
}

#[derive(Debug, Default)]
struct Sequence {
    records: VecDeque<Arc<Record>>,
    failures: Failures,
    /// It waits behind a head that failed: it does not count against the window.
    parked: bool,
}

impl Sequences {
    /// Appends a record; tells whether it is the head, which makes the sequence
    /// ready, and whether the sequence is parked.
    pub(super) fn push(&mut self, id: SequenceId, record: Arc<Record>) -> (bool, bool) {
        let sequence = self.map.entry(id).or_default();
        sequence.records.push_back(record);
        (sequence.records.len() == 1, sequence.parked)
    }

    /// The head, and how often it failed.
    pub(super) fn head(&self, id: &SequenceId) -> Option<(Arc<Record>, Failures)> {
        let sequence = self.map.get(id)?;
        Some((sequence.records.front()?.clone(), sequence.failures))
    }

    /// Counts a failure of the head; `counts` if against the bound of attempts.
    pub(super) fn fail(&mut self, id: &SequenceId, counts: bool, now: Instant) {
        if let Some(Sequence { failures, .. }) = self.map.get_mut(id) {
            failures.all = failures.all.saturating_add(1);
            if counts {
                failures.attempts = failures.attempts.saturating_add(1);
                failures.first.get_or_insert(now);
            }
        }
    }

    /// Parks a sequence, or ends that; returns how many records it has if that
    /// is a change.
    pub(super) fn park(&mut self, id: &SequenceId, parked: bool) -> usize {
        match self.map.get_mut(id) {
            Some(sequence) if sequence.parked != parked => {
                sequence.parked = parked;
                sequence.records.len()
            }
            _ => 0,
        }
    }

    /// Takes the finished head off.
    pub(super) fn finish(&mut self, id: &SequenceId) -> Option<Arc<Record>> {
        let sequence = self.map.get_mut(id)?;
        sequence.failures = Failures::default();
        let record = sequence.records.pop_front();
        if sequence.records.is_empty() {
            self.map.remove(id);
        }
        record
    }

    /// Whether records of this sequence are left.
    pub(super) fn has(&self, id: &SequenceId) -> bool {
        self.map.contains_key(id)
    }

    /// The head with this offset, and how often it failed. The oldest unfinished
    /// record of a partition is always a head.
    pub(super) fn head_at(&self, offset: Offset) -> Option<(Arc<Record>, Failures)> {
        self.map.values().find_map(|sequence| {
            let head = sequence.records.front()?;
            (head.offset == offset).then(|| (head.clone(), sequence.failures))
        })
    }
}
