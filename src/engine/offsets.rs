//! How far a partition may commit.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    time::Instant,
};

use crate::model::{Offset, Progress};

/// The offsets received since the confirmed commit, as they were received:
/// compaction and transaction markers leave gaps, which hold nothing up.
#[derive(Debug)]
pub(super) struct Offsets {
    /// Every received offset from the confirmed commit on.
    received: BTreeMap<Offset, Slot>,
    /// Everything received below is finished.
    commit_point: Offset,
    next: Offset,
    /// What was finished from the next offset on before the partition became ours.
    before: VecDeque<Range<Offset>>,
}

#[derive(Debug)]
struct Slot {
    finished: bool,
    since: Instant,
}

impl Offsets {
    pub(super) fn new(start: Progress) -> Self {
        Self {
            received: BTreeMap::new(),
            commit_point: start.point,
            next: start.point,
            before: start.above.into(),
        }
    }

    /// Whether an offset that was not received yet was finished before the partition
    /// became ours.
    pub(super) fn was_finished(&self, offset: Offset) -> bool {
        let mut before = self.before.iter();
        let range = before.find(|range| offset < range.end);
        range.is_some_and(|range| range.contains(&offset))
    }

    /// Takes an offset in; false if it was received before.
    pub(super) fn receive(&mut self, offset: Offset, now: Instant) -> bool {
        if offset < self.next {
            return false;
        }
        if self.commit_point == self.next {
            // Nothing is unfinished: what lies between was never there.
            self.commit_point = offset;
        }
        let slot = Slot {
            finished: false,
            since: now,
        };
        self.received.insert(offset, slot);
        self.next = offset.next();
        while let Some(first) = self.before.front_mut() {
            first.start = first.start.max(self.next);
            if !first.is_empty() {
                break;
            }
            self.before.pop_front();
        }
        true
    }

    /// Marks an offset finished; returns the commit point if that moved it.
    pub(super) fn finish(&mut self, offset: Offset) -> Option<Offset> {
        self.received.get_mut(&offset)?.finished = true;
        if offset != self.commit_point {
            return None;
        }
        let mut above = self.received.range(offset..);
        let unfinished = above.find(|(_, slot)| !slot.finished);
        self.commit_point = unfinished.map_or(self.next, |(offset, _)| *offset);
        Some(self.commit_point)
    }

    /// The broker has the group's offset up to here.
    pub(super) fn confirm(&mut self, offset: Offset) {
        let confirmed = offset.min(self.commit_point);
        self.received = self.received.split_off(&confirmed);
    }

    /// Everything received below this offset is finished.
    pub(super) fn commit_point(&self) -> Offset {
        self.commit_point
    }

    /// The commit point, and what is finished above it.
    pub(super) fn progress(&self) -> Progress {
        let mut above: Vec<Range<Offset>> = Vec::new();
        let mut goes_on = false;
        for (offset, slot) in self.received.range(self.commit_point..) {
            match above.last_mut().filter(|_| goes_on) {
                // What lies between two that were received was never there.
                Some(last) if slot.finished => last.end = offset.next(),
                None if slot.finished => above.push(*offset..offset.next()),
                _ => {}
            }
            goes_on = slot.finished;
        }
        above.extend(self.before.iter().cloned());
        let point = self.commit_point;
        Progress { point, above }
    }

    /// The lowest offset that may still be received.
    pub(super) fn next(&self) -> Offset {
        self.next
    }

    /// How many received records stand above the confirmed commit: a crash would
    /// deliver them again.
    pub(super) fn uncommitted(&self) -> usize {
        self.received.len()
    }

    /// When the oldest unfinished record was received.
    pub(super) fn oldest_since(&self) -> Option<Instant> {
        let slot = self.received.get(&self.commit_point)?;
        Some(slot.since)
    }
}
