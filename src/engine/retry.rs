//! What waits for a time.

use std::{collections::BTreeMap, time::Instant};

/// Items by due time; items of the same time keep the order they came in.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    queue: BTreeMap<(Instant, u64), T>,
    pushed: u64,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self {
            queue: BTreeMap::new(),
            pushed: 0,
        }
    }
}

impl<T> Schedule<T> {
    pub(super) fn push(&mut self, due: Instant, item: T) {
        self.pushed += 1;
        self.queue.insert((due, self.pushed), item);
    }

    /// Forgets items for good.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.queue.retain(|_, item| keep(item));
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let first = self.queue.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }
}
