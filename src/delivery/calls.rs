//! Calls beside the owner, each of which comes back once.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};

/// The calls under way. Each comes back once, also one that ends early.
pub(super) struct Calls<T> {
    running: JoinSet<T>,
    /// What each call comes back with if it ends early, by a panic.
    otherwise: HashMap<Id, T>,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self {
            running: JoinSet::new(),
            otherwise: HashMap::new(),
        }
    }
}

impl<T: Send + 'static> Calls<T> {
    /// Starts a call, which comes back with `otherwise` if it ends early.
    pub(super) fn spawn(&mut self, otherwise: T, call: impl Future<Output = T> + Send + 'static) {
        let id = self.running.spawn(call).id();
        self.otherwise.insert(id, otherwise);
    }

    /// What the next call comes back with; `None` if none is under way. Nothing is lost if the
    /// future is dropped.
    pub(super) async fn next(&mut self) -> Option<T> {
        match self.running.join_next_with_id().await? {
            Ok((id, done)) => {
                self.otherwise.remove(&id);
                Some(done)
            }
            Err(ended) => {
                tracing::error!("a call to a broker ended early: {ended}");
                self.otherwise.remove(&ended.id())
            }
        }
    }

    /// Ends all calls. What waits for a broker in them ends by its own timeout.
    pub(super) fn abort_all(&mut self) {
        self.running.abort_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_ends_early_comes_back_as_well() {
        let mut calls = Calls::default();
        calls.spawn(1, async { panic!("on purpose") });
        assert_eq!(calls.next().await, Some(1));
        calls.spawn(1, async { 2 });
        assert_eq!(calls.next().await, Some(2));
        assert!(calls.otherwise.is_empty() && calls.next().await.is_none());
    }
}
