//! Calls that wait for a broker, beside the owner.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};

use super::calls::Done;

/// The calls under way. Each comes back once, also one that ends early.
#[derive(Default)]
pub(super) struct BrokerCalls {
    running: JoinSet<Done>,
    /// What each call comes back with if it ends early, by a panic.
    otherwise: HashMap<Id, Done>,
}

impl BrokerCalls {
    /// Starts a call.
    pub(super) fn spawn(
        &mut self,
        otherwise: Done,
        call: impl Future<Output = Done> + Send + 'static,
    ) {
        let id = self.running.spawn(call).id();
        self.otherwise.insert(id, otherwise);
    }

    /// What the next call comes back with; `None` if none is under way. Nothing is lost if the
    /// future is dropped.
    pub(super) async fn next(&mut self) -> Option<Done> {
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
        let mut calls = BrokerCalls::default();
        calls.spawn(Done::Joining(false), async { panic!("on purpose") });
        let done = calls.next().await;
        assert!(matches!(done, Some(Done::Joining(false))));
        calls.spawn(Done::Joining(false), async { Done::Joining(true) });
        let done = calls.next().await;
        assert!(matches!(done, Some(Done::Joining(true))));
        assert!(calls.otherwise.is_empty() && calls.next().await.is_none());
    }
}
