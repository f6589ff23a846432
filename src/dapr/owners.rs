//! Which connection an instance belongs to, where the kernel does not tell the process: a daprd in
//! another PID namespace, such as a container's.
//!
//! daprd has one connection per component, and closes it before a reload calls Init on a new one
//! (dapr/dapr v1.18.3, `pkg/components/pluggable/grpc.go`). So another connection that is open at
//! the same time is another daprd's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tonic::Status;

use super::{instances::Identity, peer::Opened};

/// How long an Init waits for the connection of the one before to close. daprd closes it before,
/// but the two connections are looked at by different tasks.
const CLOSES: Duration = Duration::from_secs(1);

/// The owners of instances whose process is unknown.
#[derive(Default)]
pub(super) struct Owners {
    state: Mutex<HashMap<Identity, Owner>>,
}

#[derive(Clone)]
struct Owner {
    connection: Opened,
    /// When its Init began.
    since: Instant,
}

/// An Init's claim. Dropped before [`Claim::keep`] the instance has no owner: the Init failed.
pub(super) struct Claim {
    owners: Arc<Owners>,
    identity: Identity,
    connection: Option<Opened>,
}

impl Claim {
    /// The Init has succeeded.
    pub(super) fn keep(mut self) {
        self.connection = None;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        let mut state = self.owners.lock();
        if state
            .get(&self.identity)
            .is_some_and(|owner| owner.connection == *connection)
        {
            state.remove(&self.identity);
        }
    }
}

impl Owners {
    /// Claims an identity for the connection on which its Init came.
    ///
    /// # Errors
    /// When another daprd has it.
    pub(super) async fn claim(
        self: &Arc<Self>,
        identity: &Identity,
        connection: Option<&Opened>,
    ) -> Result<Claim, Status> {
        let connection = connection.filter(|_| identity.process.is_none());
        let claim = Claim {
            owners: self.clone(),
            identity: identity.clone(),
            connection: connection.cloned(),
        };
        let Some(connection) = connection else {
            return Ok(claim);
        };
        let until = tokio::time::Instant::now() + CLOSES;
        while let Some(other) = self.take(identity, connection) {
            if tokio::time::timeout_at(until, other.closed())
                .await
                .is_err()
            {
                // The claim that is dropped here was never entered.
                return Err(another(identity));
            }
        }
        Ok(claim)
    }

    /// Enters a connection as the owner, unless another one that is open is: that one.
    fn take(&self, identity: &Identity, connection: &Opened) -> Option<Opened> {
        let mut state = self.lock();
        if let Some(owner) = state.get(identity)
            && owner.connection != *connection
            && !owner.connection.is_closed()
        {
            return Some(owner.connection.clone());
        }
        let owner = Owner {
            connection: connection.clone(),
            since: Instant::now(),
        };
        state.insert(identity.clone(), owner);
        None
    }

    /// Refuses a call of a daprd that surely is another than the one that called Init: its
    /// connection is older than the Init, and not the Init's own. A newer connection may be the
    /// owner's: gRPC opens another when one is used up.
    ///
    /// # Errors
    /// When the call is another daprd's.
    pub(super) fn check(
        &self,
        identity: &Identity,
        connection: Option<&Opened>,
    ) -> Result<(), Status> {
        let Some(connection) = connection.filter(|_| identity.process.is_none()) else {
            return Ok(());
        };
        let mut state = self.lock();
        let Some(owner) = state.get_mut(identity) else {
            return Ok(());
        };
        if owner.connection != *connection && connection.since < owner.since {
            return Err(Status::failed_precondition(format!(
                "component {identity} was never initialised by this daprd, but by another one in \
                 another container; give each daprd a socket folder and a component of its own, \
                 and restart daprd"
            )));
        }
        if owner.connection.is_closed() {
            // gRPC closes a connection that had no call for long, and comes back on a new one.
            owner.connection = connection.clone();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identity, Owner>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn another(identity: &Identity) -> Status {
    Status::failed_precondition(format!(
        "component {identity} is used by another daprd, in another container, whose subscriptions \
         this Init would end: give each daprd a socket folder and a component of its own, or let \
         the containers share a PID namespace, which tells the daprds apart"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn todo() -> Identity {
        Identity::named("todo")
    }

    #[tokio::test]
    async fn a_second_daprd_is_refused_until_the_first_has_gone() {
        let (owners, first, second) = (
            Arc::<Owners>::default(),
            Opened::new(None),
            Opened::new(None),
        );
        owners
            .claim(&todo(), Some(&first))
            .await
            .expect("it is the first")
            .keep();
        owners
            .claim(&todo(), Some(&first))
            .await
            .expect("a second Init of the same daprd")
            .keep();
        let refused = owners.claim(&todo(), Some(&second)).await.map(drop);
        let refused = refused.expect_err("the first is open");
        assert!(refused.message().contains("socket folder"), "{refused}");
        let closing = tokio::spawn({
            let (owners, second) = (owners.clone(), second.clone());
            async move { owners.claim(&todo(), Some(&second)).await.map(Claim::keep) }
        });
        tokio::task::yield_now().await;
        drop(first.closes());
        closing.await.expect("no panic").expect("the first closed");
    }

    #[tokio::test]
    async fn an_init_that_failed_owns_nothing() {
        let (owners, first, second) = (
            Arc::<Owners>::default(),
            Opened::new(None),
            Opened::new(None),
        );
        drop(
            owners
                .claim(&todo(), Some(&first))
                .await
                .expect("it is free"),
        );
        let claimed = owners.claim(&todo(), Some(&second)).await;
        claimed.expect("the first one failed").keep();
    }

    #[tokio::test]
    async fn calls_on_a_connection_that_is_older_than_the_init_are_another_daprds() {
        let owners = Arc::<Owners>::default();
        let (older, mine) = (Opened::new(None), Opened::new(None));
        owners
            .check(&todo(), Some(&older))
            .expect("nobody owns it yet");
        let claimed = owners.claim(&todo(), Some(&mine)).await;
        claimed.expect("it is free").keep();
        owners.check(&todo(), Some(&mine)).expect("its own");
        let newer = Opened::new(None);
        owners.check(&todo(), Some(&newer)).expect("may be its own");
        let refused = owners.check(&todo(), Some(&older)).expect_err("older");
        assert!(refused.message().contains("never initialised"), "{refused}");

        drop(mine.closes());
        owners.check(&todo(), Some(&newer)).expect("it came back");
        owners
            .check(&todo(), Some(&older))
            .expect_err("older than the Init all the same");
        let refused = owners.claim(&todo(), Some(&Opened::new(None))).await;
        refused.map(drop).expect_err("it is used on the newer one");
    }
}
