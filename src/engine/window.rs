//! How much of a partition may be unfinished at once.

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
    full: bool,
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

    /// Whether more may come in. It closes at a bound and opens again at three
    /// quarters of it, so that a partition is not paused and resumed per record.
    pub(super) fn open(&mut self, max_records: usize, max_bytes: usize) -> bool {
        let records = self.records - self.parked - self.acknowledged;
        self.full = if self.full {
            records > max_records * 3 / 4 || self.bytes > max_bytes * 3 / 4
        } else {
            records >= max_records || self.bytes >= max_bytes
        };
        !self.full
    }
}
