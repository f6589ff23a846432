use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{Entry, Event};

/// Where everybody who sees something writes it down. One lock gives all events
/// one order.
#[derive(Debug)]
pub struct Journal {
    started: Instant,
    entries: Mutex<Vec<Entry>>,
    attempts: AtomicU64,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            entries: Mutex::default(),
            attempts: AtomicU64::new(0),
        }
    }
}

impl Journal {
    /// Writes an event down.
    pub fn record(&self, event: Event) {
        let mut entries = self.lock();
        // Read under the lock, so that times are in the order of entries.
        let at = self.started.elapsed();
        entries.push(Entry { at, event });
    }

    /// A number for an attempt that no other has.
    pub fn next_attempt(&self) -> u64 {
        self.attempts.fetch_add(1, Ordering::Relaxed)
    }

    /// Everything so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// Everything so far, after which it is empty.
    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
