use std::{sync::Arc, time::Instant};

use super::{
    Limits,
    keys::{Failures, SequenceId, Sequences},
    offsets::Offsets,
    window::Window,
};
use crate::model::{Epoch, Offset, Ordering, Progress, Record};

/// One partition, for as long as it is ours.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) epoch: Epoch,
    pub(super) offsets: Offsets,
    pub(super) sequences: Sequences,
    window: Window,
    /// Nothing of it is handed out any more.
    pub(super) draining: bool,
    /// What the shell was told last; it starts out not reading.
    pub(super) reading: bool,
}

impl Partition {
    pub(super) fn new(epoch: Epoch, start: Progress) -> Self {
        Self {
            epoch,
            offsets: Offsets::new(start),
            sequences: Sequences::default(),
            window: Window::default(),
            draining: false,
            reading: false,
        }
    }

    /// Takes a record in; returns its sequence if that becomes ready by it.
    pub(super) fn receive(
        &mut self,
        record: &Arc<Record>,
        ordering: Ordering,
        now: Instant,
    ) -> Option<SequenceId> {
        if !self.offsets.receive(record.offset, now) {
            return None;
        }
        let sequence = SequenceId::of(record, ordering);
        let (ready, parked) = self.sequences.push(sequence.clone(), record.clone());
        self.window.add(record.size(), parked);
        ready.then_some(sequence)
    }

    /// Counts a failure of a sequence's head. What waits behind it is parked.
    pub(super) fn fail(&mut self, sequence: &SequenceId, counts: bool, now: Instant) {
        self.sequences.fail(sequence, counts, now);
        self.window.park(self.sequences.park(sequence, true));
    }

    /// Takes a sequence's head off; returns the commit point if that moved it.
    pub(super) fn finish(&mut self, sequence: &SequenceId) -> Option<Offset> {
        self.window.unpark(self.sequences.park(sequence, false));
        let record = self.sequences.finish(sequence)?;
        self.window.remove(record.size());
        self.offsets.finish(record.offset)
    }

    /// Records that are received and not finished.
    pub(super) fn unfinished(&self) -> usize {
        self.window.records()
    }

    /// The unfinished record that the commit point stands at.
    pub(super) fn holder(&self) -> Option<(Arc<Record>, Failures)> {
        self.sequences.head_at(self.offsets.commit_point())
    }

    /// Whether it may be read from, being one of `owned` partitions; and whether
    /// it is the commit point that forbids it.
    ///
    /// Each partition has an equal share of the window: what fills one never
    /// takes up another's.
    pub(super) fn may_read(&mut self, limits: &Limits, owned: usize) -> (bool, bool) {
        let records = (limits.max_in_flight / owned).max(1);
        let bytes = (limits.max_in_flight_bytes / owned).max(1);
        let open = self.window.open(records, bytes);
        let held = self.offsets.uncommitted() >= limits.max_uncommitted;
        (open && !self.draining && !held, held)
    }
}
