//! The logs of the simulated brokers, and what the group has committed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    kafka::TopicId,
    model::{Log, Offset, TopicPartition},
};

/// What stands at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A record, by its number in the judge's ledger, and the transaction that it is part of.
    Record(usize, Option<u64>),
    /// The marker that ends a transaction.
    Marker,
}

/// One partition's log, as its leader has it.
#[derive(Debug, Default)]
pub(super) struct PartitionLog {
    pub(super) entries: BTreeMap<i64, Entry>,
    pub(super) first: i64,
    pub(super) end: i64,
    /// Open transactions, and the first offset of each.
    open: BTreeMap<u64, i64>,
    aborted: BTreeSet<u64>,
    /// The lowest offset that a cut took, as long as somebody may count on what stood there.
    pub(super) cut: Option<i64>,
}

/// What a fetch brings.
pub(super) enum Fetched {
    Record(i64, usize),
    Nothing,
    OutOfRange,
}

impl PartitionLog {
    pub(super) fn append(&mut self, entry: Entry) -> i64 {
        let offset = self.end;
        if let Entry::Record(_, Some(transaction)) = entry {
            self.open.entry(transaction).or_insert(offset);
        }
        self.entries.insert(offset, entry);
        self.end += 1;
        offset
    }

    /// Ends a transaction; returns the records that it takes back.
    pub(super) fn end_transaction(&mut self, transaction: u64, commits: bool) -> Vec<usize> {
        if self.open.remove(&transaction).is_none() {
            return Vec::new();
        }
        self.append(Entry::Marker);
        if commits {
            return Vec::new();
        }
        self.aborted.insert(transaction);
        let entries = self.entries.values();
        let of_it = entries.filter_map(|entry| match entry {
            Entry::Record(number, of) if *of == Some(transaction) => Some(*number),
            _ => None,
        });
        of_it.collect()
    }

    /// The offset after the last record that a `read_committed` consumer may see.
    pub(super) fn last_stable(&self) -> i64 {
        self.open.values().min().copied().unwrap_or(self.end)
    }

    pub(super) fn log(&self) -> Log {
        Log {
            first: Offset(self.first),
            end: Offset(self.end),
        }
    }

    pub(super) fn fetch(&self, position: i64) -> Fetched {
        if position < self.first || position > self.end {
            return Fetched::OutOfRange;
        }
        let stable = self.last_stable();
        if position >= stable {
            return Fetched::Nothing;
        }
        let mut visible = self.entries.range(position..stable);
        let record = visible.find_map(|(offset, entry)| match entry {
            Entry::Record(_, Some(transaction)) if self.aborted.contains(transaction) => None,
            Entry::Record(number, _) => Some((*offset, *number)),
            Entry::Marker => None,
        });
        match record {
            Some((offset, number)) => Fetched::Record(offset, number),
            None => Fetched::Nothing,
        }
    }

    /// Loses all from `end` on; returns the records that are gone.
    pub(super) fn cut(&mut self, end: i64) -> Vec<usize> {
        let gone = self.entries.split_off(&end);
        self.end = end;
        self.cut = Some(self.cut.map_or(end, |cut| cut.min(end)));
        self.open.retain(|_, first| *first < end);
        records(&gone)
    }

    /// Removes all before `first`; returns the records that are gone.
    pub(super) fn remove_before(&mut self, first: i64) -> Vec<usize> {
        let left = self.entries.split_off(&first);
        let gone = std::mem::replace(&mut self.entries, left);
        self.first = first;
        records(&gone)
    }
}

fn records(entries: &BTreeMap<i64, Entry>) -> Vec<usize> {
    let entries = entries.values();
    let records = entries.filter_map(|entry| match entry {
        Entry::Record(number, _) => Some(*number),
        Entry::Marker => None,
    });
    records.collect()
}

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: TopicId,
    pub(super) exists: bool,
    /// How often a topic of this name was created.
    pub(super) incarnation: i64,
    pub(super) partitions: Vec<PartitionLog>,
}

impl Topic {
    pub(super) fn new(name: i64, incarnation: i64, partitions: usize) -> Self {
        Self {
            id: TopicId(name + 1, incarnation),
            exists: true,
            incarnation,
            partitions: (0..partitions).map(|_| PartitionLog::default()).collect(),
        }
    }
}

/// An offset that the group has committed, with its metadata.
#[derive(Clone, Debug)]
pub(super) struct Committed {
    pub(super) offset: Offset,
    pub(super) metadata: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Broker {
    pub(super) topics: BTreeMap<Arc<str>, Topic>,
    pub(super) committed: BTreeMap<TopicPartition, Committed>,
}

impl Broker {
    pub(super) fn log(&self, at: &TopicPartition) -> Option<&PartitionLog> {
        let topic = self.topics.get(&at.topic).filter(|topic| topic.exists)?;
        topic.partitions.get(usize::try_from(at.partition).ok()?)
    }

    pub(super) fn log_mut(&mut self, at: &TopicPartition) -> Option<&mut PartitionLog> {
        let topic = self.topics.get_mut(&at.topic).filter(|it| it.exists)?;
        topic
            .partitions
            .get_mut(usize::try_from(at.partition).ok()?)
    }

    pub(super) fn incarnation(&self, topic: &str) -> i64 {
        self.topics.get(topic).map_or(0, |topic| topic.incarnation)
    }

    /// All partitions of these topics that exist.
    pub(super) fn partitions(&self, topics: &[Arc<str>]) -> Vec<TopicPartition> {
        let mut partitions = Vec::new();
        for name in topics {
            let topic = self.topics.get(name).filter(|topic| topic.exists);
            let count = topic.map_or(0, |topic| topic.partitions.len());
            let count = i32::try_from(count).unwrap_or_default();
            partitions.extend((0..count).map(|number| TopicPartition::new(name.clone(), number)));
        }
        partitions
    }
}
