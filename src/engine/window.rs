//! How much of a partition may be unfinished at once.

/// Counts received, unfinished records and their bytes.
#[derive(Debug, Default)]
pub(super) struct Window {
    records: usize,
    bytes: usize,
    full: bool,
}

impl Window {
    pub(super) fn add(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes;
    }

    pub(super) fn remove(&mut self, bytes: usize) {
        self.records -= 1;
        self.bytes -= bytes;
    }

    /// Whether more may come in. It closes at a bound and opens again at three
    /// quarters of it, so that a partition is not paused and resumed per record.
    pub(super) fn open(&mut self, max_records: usize, max_bytes: usize) -> bool {
        self.full = if self.full {
            self.records > max_records * 3 / 4 || self.bytes > max_bytes * 3 / 4
        } else {
            self.records >= max_records || self.bytes >= max_bytes
        };
        !self.full
    }
}
