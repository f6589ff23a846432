//! What must stay in order, and the queue behind each of it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
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

/// The unfinished records of one partition, by sequence.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    map: HashMap<SequenceId, Sequence>,
}

#[derive(Debug, Default)]
struct Sequence {
    records: VecDeque<Arc<Record>>,
    /// How often the head was refused.
    refused: u32,
}

impl Sequences {
    /// Appends a record; true if it is the head, which makes the sequence ready.
    pub(super) fn push(&mut self, id: SequenceId, record: Arc<Record>) -> bool {
        let records = &mut self.map.entry(id).or_default().records;
        records.push_back(record);
        records.len() == 1
    }

    /// The head, and the number of the attempt that begins with it.
    pub(super) fn start(&self, id: &SequenceId) -> Option<(Arc<Record>, u32)> {
        let sequence = self.map.get(id)?;
        Some((sequence.records.front()?.clone(), sequence.refused + 1))
    }

    /// Counts a refusal of the head; returns it with the count.
    pub(super) fn refuse(&mut self, id: &SequenceId) -> Option<(Arc<Record>, u32)> {
        let sequence = self.map.get_mut(id)?;
        sequence.refused += 1;
        Some((sequence.records.front()?.clone(), sequence.refused))
    }

    /// Takes the finished head off.
    pub(super) fn finish(&mut self, id: &SequenceId) -> Option<Arc<Record>> {
        let sequence = self.map.get_mut(id)?;
        sequence.refused = 0;
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

    /// The head with this offset. The oldest unfinished record of a partition is
    /// always a head.
    pub(super) fn head_at(&self, offset: Offset) -> Option<Arc<Record>> {
        let mut heads = self
            .map
            .values()
            .filter_map(|sequence| sequence.records.front());
        heads.find(|head| head.offset == offset).cloned()
    }
}
