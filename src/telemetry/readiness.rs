//! Whether the process can do its work, and if not, why not.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use tokio::sync::watch;

/// A latch: ready as long as nobody holds it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    latch: Arc<Latch>,
}

#[derive(Debug, Default)]
struct Latch {
    holds: watch::Sender<BTreeMap<u64, Reason>>,
    last: AtomicU64,
    started: AtomicBool,
}

/// Why the process is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What is the matter, and what to do about it.
    pub text: String,
    /// Since when.
    pub since: SystemTime,
}

/// Keeps the process from being ready until it is dropped.
#[derive(Debug)]
pub struct Hold {
    latch: Arc<Latch>,
    id: u64,
}

impl Readiness {
    /// Takes a hold.
    pub fn hold(&self, text: impl Into<String>) -> Hold {
        let id = self.latch.last.fetch_add(1, Ordering::Relaxed);
        let (text, since) = (text.into(), SystemTime::now());
        self.latch.holds.send_modify(|holds| {
            holds.insert(id, Reason { text, since });
        });
        let latch = self.latch.clone();
        Hold { latch, id }
    }

    /// The holds, oldest first, now and whenever they change.
    pub fn watch(&self) -> watch::Receiver<BTreeMap<u64, Reason>> {
        self.latch.holds.subscribe()
    }

    /// Why it is not ready, oldest first; empty if it is.
    pub fn reasons(&self) -> Vec<Reason> {
        self.latch.holds.borrow().values().cloned().collect()
    }

    /// The sockets are bound; that stays so until the process ends.
    pub fn set_started(&self) {
        self.latch.started.store(true, Ordering::Release);
    }

    /// Whether the sockets are bound.
    pub fn has_started(&self) -> bool {
        self.latch.started.load(Ordering::Acquire)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.latch.holds.send_modify(|holds| {
            holds.remove(&self.id);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_again_when_the_last_hold_is_gone() {
        let readiness = Readiness::default();
        let texts = || -> Vec<_> {
            let reasons = readiness.reasons().into_iter();
            reasons.map(|reason| reason.text).collect()
        };
        let first = readiness.hold("no broker");
        let second = readiness.clone().hold("no Init");
        assert_eq!(texts(), ["no broker", "no Init"]);
        drop(first);
        assert_eq!(texts(), ["no Init"]);
        drop(second);
        assert!(readiness.watch().borrow().is_empty());
    }
}
