//! How much of a partition is unfinished.

use super::pool::Size;

/// Counts received, unfinished records and their bytes.
///
/// Records that wait behind a failed one of their key are parked: they hold
/// memory, but no place among those that the app can work on. So a failing key
/// delays no other before its bytes fill the window or `max_uncommitted` is
/// reached.
#[derive(Debug, Default)]
pub(super) struct Window {
    records: usize,
    parked: usize,
    /// Records whose ack is not settled: they hold memory, and the app is done with them.
    acknowledged: usize,
    bytes: usize,
}

impl Window {
    pub(super) fn add(&mut self, bytes: usize, parked: bool) {
        self.records += 1;
        self.parked += usize::from(parked);
        self.bytes += bytes;
    }

    pub(super) fn acknowledge(&mut self) {
        self.acknowledged += 1;
    }

    pub(super) fn put_back(&mut self) {
        self.acknowledged -= 1;
    }

    /// Removes an acknowledged record.
    pub(super) fn remove(&mut self, bytes: usize) {
        self.acknowledged -= 1;
        self.records -= 1;
        self.bytes -= bytes;
    }

    pub(super) fn records(&self) -> usize {
        self.records
    }

    pub(super) fn park(&mut self, records: usize) {
        self.parked += records;
    }

    pub(super) fn unpark(&mut self, records: usize) {
        self.parked -= records;
    }

    /// The average size of what is unfinished, in bytes.
    pub(super) fn average(&self) -> Option<usize> {
        self.bytes.checked_div(self.records)
    }

    /// What counts against the bounds.
    pub(super) fn size(&self) -> Size {
        Size {
            records: self.records - self.parked - self.acknowledged,
            bytes: self.bytes,
        }
    }
}
