//! How far a partition may commit.

use std::collections::BTreeMap;

use crate::model::Offset;

/// The offsets received since the commit point, as they were received:
/// compaction and transaction markers leave gaps, which hold nothing up.
#[derive(Debug)]
pub(super) struct Offsets {
    /// Every received offset from the commit point on, and whether it is finished.
    finished: BTreeMap<Offset, bool>,
    next: Offset,
}

impl Offsets {
    pub(super) fn new(start: Offset) -> Self {
        Self {
            finished: BTreeMap::new(),
            next: start,
        }
    }

    /// Takes an offset in; false if it was received before.
    pub(super) fn receive(&mut self, offset: Offset) -> bool {
        if offset < self.next {
            return false;
        }
        self.finished.insert(offset, false);
        self.next = offset.next();
        true
    }

    /// Marks an offset finished; returns the commit point if that moved it.
    pub(super) fn finish(&mut self, offset: Offset) -> Option<Offset> {
        let before = self.commit_point();
        *self.finished.get_mut(&offset)? = true;
        while let Some(first) = self.finished.first_entry() {
            if !*first.get() {
                break;
            }
            first.remove();
        }
        let after = self.commit_point();
        (after > before).then_some(after)
    }

    /// Everything received below this offset is finished.
    pub(super) fn commit_point(&self) -> Offset {
        self.finished
            .first_key_value()
            .map_or(self.next, |(offset, _)| *offset)
    }

    /// The lowest offset that may still be received.
    pub(super) fn next(&self) -> Offset {
        self.next
    }

    /// How many received records stand at the commit point or above.
    pub(super) fn uncommitted(&self) -> usize {
        self.finished.len()
    }
}
