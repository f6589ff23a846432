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
    /// In the order of their offsets.
    records: VecDeque<(Arc<Record>, Failures)>,
    /// It waits behind a head that failed: it does not count against the window.
    parked: bool,
}

impl Sequences {
    /// Appends a record; tells whether it is the head, which makes the sequence
    /// ready, and whether the sequence is parked.
    pub(super) fn push(&mut self, id: SequenceId, record: Arc<Record>) -> (bool, bool) {
        let sequence = self.map.entry(id).or_default();
        sequence.records.push_back((record, Failures::default()));
        (sequence.records.len() == 1, sequence.parked)
    }

    /// The head, and how often it failed.
    pub(super) fn head(&self, id: &SequenceId) -> Option<(Arc<Record>, Failures)> {
        self.map.get(id)?.records.front().cloned()
    }

    /// Counts a failure of the head; `counts` if against the bound of attempts.
    pub(super) fn fail(&mut self, id: &SequenceId, counts: bool, now: Instant) {
        let sequence = self.map.get_mut(id);
        if let Some((_, failures)) = sequence.and_then(|sequence| sequence.records.front_mut()) {
            failures.all = failures.all.saturating_add(1);
            if counts {
                failures.attempts = failures.attempts.saturating_add(1);
                failures.first.get_or_insert(now);
            }
        }
    }

    /// How many records are parked in a sequence.
    pub(super) fn parked(&self, id: &SequenceId) -> usize {
        let sequence = self.map.get(id).filter(|sequence| sequence.parked);
        sequence.map_or(0, |sequence| sequence.records.len())
    }

    /// Parks a sequence if its head has failed, and ends that if not.
    pub(super) fn park(&mut self, id: &SequenceId) {
        if let Some(sequence) = self.map.get_mut(id) {
            let head = sequence.records.front();
            sequence.parked = head.is_some_and(|(_, failures)| failures.all > 0);
        }
    }

    /// Takes a record off. It is the head, unless records were put back before it while
    /// it was under way.
    pub(super) fn take(
        &mut self,
        id: &SequenceId,
        offset: Offset,
    ) -> Option<(Arc<Record>, Failures)> {
        let records = &mut self.map.get_mut(id)?.records;
        let place = records
            .iter()
            .position(|(record, _)| record.offset == offset)?;
        let taken = records.remove(place);
        if records.is_empty() {
            self.map.remove(id);
        }
        taken
    }

    /// Puts a record that was taken off back into its place; tells whether it is the head.
    pub(super) fn put_back(
        &mut self,
        id: SequenceId,
        record: Arc<Record>,
        failures: Failures,
    ) -> bool {
        let records = &mut self.map.entry(id).or_default().records;
        let place = records.partition_point(|(other, _)| other.offset < record.offset);
        records.insert(place, (record, failures));
        place == 0
    }

    /// Whether records of this sequence are left.
    pub(super) fn has(&self, id: &SequenceId) -> bool {
        self.map.contains_key(id)
    }

    /// The head with this offset, and how often it failed. The oldest record of a
    /// partition is always a head.
    pub(super) fn head_at(&self, offset: Offset) -> Option<(Arc<Record>, Failures)> {
        let mut heads = self
            .map
            .values()
            .filter_map(|sequence| sequence.records.front());
        heads.find(|(head, _)| head.offset == offset).cloned()
    }
}
