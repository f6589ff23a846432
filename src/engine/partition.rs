use std::{sync::Arc, time::Instant};

use super::{
    Limits,
    keys::{Failures, SequenceId, Sequences},
    offsets::Offsets,
    pool::{Share, Size},
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
    /// What it takes up of the pool.
    pub(super) share: Share,
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
            share: Share::default(),
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
        self.change(sequence, |sequences| {
            sequences.fail(sequence, counts, now);
        });
    }

    /// Takes a record off its sequence, and finishes it; returns the commit point if
    /// that moved it.
    pub(super) fn finish(&mut self, sequence: &SequenceId, offset: Offset) -> Option<Offset> {
        let record = self.acknowledge(sequence, offset)?.0;
        self.settle(&record)
    }

    /// Takes a record off its sequence that is to be settled.
    pub(super) fn acknowledge(
        &mut self,
        sequence: &SequenceId,
        offset: Offset,
    ) -> Option<(Arc<Record>, Failures)> {
        let taken = self.change(sequence, |sequences| sequences.take(sequence, offset))?;
        self.window.acknowledge();
        Some(taken)
    }

    /// Finishes an acknowledged record; returns the commit point if that moved it.
    pub(super) fn settle(&mut self, record: &Record) -> Option<Offset> {
        self.window.remove(record.size());
        self.offsets.finish(record.offset)
    }

    /// Puts an acknowledged record back into its place; tells whether it is the head.
    pub(super) fn put_back(
        &mut self,
        sequence: &SequenceId,
        record: Arc<Record>,
        failures: Failures,
    ) -> bool {
        self.window.put_back();
        self.change(sequence, |sequences| {
            sequences.put_back(sequence.clone(), record, failures)
        })
    }

    /// Changes a sequence. What waits in it is parked afterwards if its head has failed.
    fn change<T>(&mut self, sequence: &SequenceId, change: impl FnOnce(&mut Sequences) -> T) -> T {
        self.window.unpark(self.sequences.parked(sequence));
        let changed = change(&mut self.sequences);
        self.sequences.park(sequence);
        self.window.park(self.sequences.parked(sequence));
        changed
    }

    /// Records that are received and not finished.
    pub(super) fn unfinished(&self) -> usize {
        self.window.records()
    }

    /// The unfinished record that the commit point stands at.
    pub(super) fn holder(&self) -> Option<(Arc<Record>, Failures)> {
        self.sequences.head_at(self.offsets.commit_point())
    }

    /// What it takes up of the window.
    pub(super) fn size(&self) -> Size {
        self.window.size()
    }

    /// The average size of its unfinished records, in bytes.
    pub(super) fn average(&self) -> Option<usize> {
        self.window.average()
    }

    /// Whether too much of it is not committed.
    pub(super) fn is_held(&self, limits: &Limits) -> bool {
        self.offsets.uncommitted() >= limits.max_uncommitted
    }
}
