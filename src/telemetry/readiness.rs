//! Whether the process can do its work.

use std::sync::Arc;

use tokio::sync::watch;

/// A latch: ready as long as nobody holds it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Readiness {
    holds: Arc<watch::Sender<usize>>,
}

/// Keeps the process from being ready until it is dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Arc<watch::Sender<usize>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            holds: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl Readiness {
    /// Takes a hold.
    pub fn hold(&self) -> Hold {
        self.holds.send_modify(|holds| *holds += 1);
        Hold {
            holds: self.holds.clone(),
        }
    }

    /// The number of holds, now and whenever it changes.
    pub fn watch(&self) -> watch::Receiver<usize> {
        self.holds.subscribe()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.send_modify(|holds| *holds -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_again_when_the_last_hold_is_gone() {
        let readiness = Readiness::default();
        let holds = readiness.watch();
        let first = readiness.hold();
        let second = readiness.clone().hold();
        assert_eq!(*holds.borrow(), 2);
        drop(first);
        drop(second);
        assert_eq!(*holds.borrow(), 0);
    }
}
