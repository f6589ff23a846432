//! How much may be unfinished at once.

/// Counts records and bytes against their bounds.
#[derive(Debug)]
pub(super) struct Window {
    records: usize,
    bytes: usize,
    max_records: usize,
    max_bytes: usize,
    open: bool,
}

impl Window {
    pub(super) fn new(max_records: usize, max_bytes: usize) -> Self {
        Self {
            records: 0,
            bytes: 0,
            max_records,
            max_bytes,
            open: true,
        }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes;
    }

    pub(super) fn remove(&mut self, bytes: usize) {
        self.records -= 1;
        self.bytes -= bytes;
    }

    /// Whether more may come in. It closes at the bound and opens again at three
    /// quarters of it, so that partitions are not paused and resumed per record.
    pub(super) fn open(&mut self) -> bool {
        self.open = if self.open {
            self.records < self.max_records && self.bytes < self.max_bytes
        } else {
            self.records <= self.max_records / 4 * 3 && self.bytes <= self.max_bytes / 4 * 3
        };
        self.open
    }
}
