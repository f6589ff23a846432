//! Which calls belong to which component instance.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use futures_util::future::join_all;
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tonic::{Request, Status};

use super::{
    diagnosis::{InstanceHealth, InstanceInfo, Uses},
    inits::Inits,
    instance::Instance,
    limits,
    owners::{Claim, Owners},
    peer::{self, Opened},
    uninitialised::{Component, Ledger, Uninitialised},
};
use crate::{
    delivery::{Budget, Drained},
    telemetry::{events, readiness::Readiness},
};

/// How long an instance that nobody calls any more may take to drain. If its daprd has
/// ended its streams are closed, and there is little to wait for; after a second Init
/// its app may still work on what it was handed, and as long as this lasts it keeps
/// those partitions.
const RETIRE_DRAIN: Duration = Duration::from_secs(5);

/// How long an Init waits for the instance before it to leave: daprd gives up
/// after 5 s (dapr/dapr v1.16.5, `pkg/runtime/processor/components.go`). What takes
/// longer goes on beside the new instance, as another member of the group does.
const HAND_OVER: Duration = Duration::from_millis(3500);

/// Whose a call is. On one machine two daprds may share the socket folder, and
/// both have an instance of one name: the process tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    /// The socket's `--name`: the component type's.
    pub(super) socket: Arc<str>,
    /// The peer's process id, where the kernel tells it.
    pub(super) process: Option<i32>,
    /// The component's name, from daprd's header.
    name: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.component().fmt(f)
    }
}

impl Identity {
    pub(super) fn component(&self) -> Component {
        Component::new(&*self.name, &format!("pubsub.{}", self.socket))
    }

    pub(super) fn of<T>(request: &Request<T>, socket: &Arc<str>) -> Result<Self, Status> {
        Ok(Self {
            socket: socket.clone(),
            process: peer::process(request),
            name: peer::instance(request)?,
        })
    }
}

/// All component instances of this process. Cheap to clone.
///
/// An instance outlives its connections: gRPC closes a connection that had no
/// call for 30 minutes, and comes back on a new one without Init.
#[derive(Clone)]
pub struct Instances {
    map: Arc<DashMap<Identity, Arc<Instance>>>,
    /// Shared by all of them.
    budget: Budget,
    /// Whose those are whose process is unknown.
    owners: Arc<Owners>,
    /// Why others are not in the map.
    inits: Arc<Inits>,
    ledger: Arc<Ledger>,
    readiness: Readiness,
    /// The process ends: no new instance, no new subscription.
    closing: Arc<AtomicBool>,
    /// Instances that left the map and are still draining.
    retiring: TaskTracker,
}

impl Instances {
    /// None yet; `readiness` is held while one of them has no broker, and all of them together
    /// may read ahead so many bytes.
    pub fn new(readiness: Readiness, for_reading_ahead: usize) -> Self {
        Self {
            budget: Budget::new(for_reading_ahead),
            map: Arc::default(),
            owners: Arc::default(),
            inits: Arc::default(),
            ledger: Arc::default(),
            readiness,
            closing: Arc::default(),
            retiring: TaskTracker::new(),
        }
    }

    /// Claims an identity for the connection on which its Init came, until the result is dropped.
    ///
    /// # Errors
    /// When another daprd has it, which the Init would evict.
    pub(super) async fn claim(
        &self,
        identity: &Identity,
        connection: Option<&Opened>,
    ) -> Result<Claim, Status> {
        self.owners.claim(identity, connection).await
    }

    /// Starts an instance, and lets go of those of processes that have ended.
    ///
    /// One of the same identity is ended first, whatever comes of this: daprd has
    /// closed it (hot reload: dapr/dapr v1.16.5,
    /// `pkg/runtime/hotreload/reconciler/components.go`), and what it was given may no
    /// longer be used. It answers, commits and leaves its group before the new one
    /// joins.
    pub(super) async fn init(
        &self,
        identity: Identity,
        properties: &HashMap<String, String>,
    ) -> Result<(), Status> {
        self.check_open()?;
        self.sweep();
        let _under_way = self.inits.begin(&identity);
        // Two looks, and another Init may come between them.
        let is_there = usize::from(self.map.contains_key(&identity));
        let others = self.map.len().saturating_sub(is_there);
        limits::instance(others, self.inits.under_way())?;
        self.ledger.initialised(identity.component());
        let until = Instant::now() + HAND_OVER;
        let replaced = self.map.remove(&identity).map(|(_, old)| {
            tracing::info!(
                "component {identity} is initialised again: the instance before is ended"
            );
            self.retire(old)
        });
        let name = identity.name.as_str().into();
        let kind = &identity.socket;
        let instance =
            match Instance::start(name, kind, properties, &self.readiness, self.budget.clone())
                .await
            {
                Ok(instance) => instance,
                Err(status) => {
                    self.inits.keep(&identity, properties);
                    self.failed(&identity, replaced.is_some(), status.message());
                    return Err(status);
                }
            };
        if let Some(retired) = replaced
            && tokio::time::timeout_at(until.into(), retired)
                .await
                .is_err()
        {
            tracing::warn!(
                "component {identity}: the instance before is still finishing what its app works \
                 on, and keeps its partitions for up to {RETIRE_DRAIN:?}"
            );
        }
        tracing::info!("component {identity} is initialised");
        let instance = Arc::new(instance);
        if let Some(other) = self.map.insert(identity.clone(), instance) {
            self.retire(other);
        }
        self.inits.succeeded(&identity);
        // Whoever called meanwhile found none.
        self.ledger.initialised(identity.component());
        Ok(())
    }

    /// An Init failed, of an identity that may have lost its instance.
    fn failed(&self, identity: &Identity, took_away: bool, why: &str) {
        self.ledger.initialised(identity.component());
        self.inits.failed(identity, took_away, || {
            // Another Init of it may have succeeded beside this one.
            if self.map.contains_key(identity) {
                return None;
            }
            let told = format!(
                "component {identity} has no instance any more: nothing is published or consumed \
                 until an Init succeeds; the last one failed: {why}"
            );
            tracing::error!("{told}");
            Some(self.readiness.hold(told))
        });
    }

    /// Refuses what would have to be drained again, once the process ends.
    pub(super) fn check_open(&self) -> Result<(), Status> {
        if self.closing.load(Ordering::Acquire) {
            return Err(Status::unavailable("the component is shutting down"));
        }
        Ok(())
    }

    /// The instance that a call is for: the one that the caller's own process has initialised,
    /// never a neighbour's.
    pub(super) fn find(
        &self,
        identity: &Identity,
        connection: Option<&Opened>,
    ) -> Result<Arc<Instance>, Status> {
        let own = || self.map.get(identity).map(|entry| entry.value().clone());
        if let Some(instance) = own() {
            self.owners.check(identity, connection)?;
            return Ok(instance);
        }
        self.inits.check(identity)?;
        // An Init may have succeeded between the two looks.
        if let Some(instance) = own() {
            return Ok(instance);
        }
        self.ledger
            .called(identity.component(), identity.process, &self.readiness);
        Err(Status::failed_precondition(format!(
            "component {identity} was never initialised in this process: it was started after \
             daprd, which initialises a component only once; restart daprd"
        )))
    }

    /// All instances, and those whose last Init failed.
    pub fn list(&self) -> Vec<InstanceInfo> {
        self.inits.forget_the_ended();
        let all = self.map.iter();
        let mut all: Vec<_> = all
            .map(|entry| InstanceInfo::new(entry.key(), entry.value().group_name()))
            .collect();
        let refused = self.inits.given();
        let refused = refused.iter().filter(|(identity, _)| {
            // Another Init of it may have succeeded beside the one that failed.
            !self.map.contains_key(identity)
        });
        all.extend(refused.map(|(identity, _)| InstanceInfo::refused(identity)));
        all
    }

    /// All instances, each with what its brokers answer; takes up to 2 s if they
    /// do not.
    pub async fn health(&self) -> Vec<InstanceHealth> {
        let all = self.map.iter();
        let all: Vec<_> = all
            .map(|entry| (entry.key().clone(), entry.value().clone()))
            .collect();
        let asked = all.iter().map(|(identity, instance)| async {
            InstanceHealth {
                instance: InstanceInfo::new(identity, instance.group_name()),
                brokers: instance.brokers().await,
            }
        });
        join_all(asked).await
    }

    /// What daprd gave an instance at Init, secrets included; none if it is gone.
    pub fn properties(&self, wanted: &InstanceInfo) -> Option<HashMap<String, String>> {
        let own = self.at(wanted, |instance| instance.properties().clone());
        own.or_else(|| self.refused(wanted))
    }

    /// The topics that an instance was used for; none if it is gone.
    pub fn uses(&self, wanted: &InstanceInfo) -> Option<Uses> {
        let own = self.at(wanted, Instance::uses);
        own.or_else(|| self.refused(wanted).map(|_| Uses::default()))
    }

    /// What an Init gave that failed.
    fn refused(&self, wanted: &InstanceInfo) -> Option<HashMap<String, String>> {
        let given = self.inits.given().into_iter();
        let mut given = given.filter(|(identity, _)| {
            identity.component() == wanted.component && identity.process == wanted.process
        });
        given.next().map(|(_, properties)| properties)
    }

    fn at<T>(&self, wanted: &InstanceInfo, tell: impl Fn(&Instance) -> T) -> Option<T> {
        let found = self.map.iter().find(|entry| {
            let identity = entry.key();
            identity.component() == wanted.component && identity.process == wanted.process
        });
        found.map(|entry| tell(entry.value()))
    }

    /// Whether daprd called Init for a component since this process started.
    pub fn was_initialised(&self, component: &Component) -> bool {
        self.ledger.was_initialised(component)
    }

    /// Components that are called and were never initialised in this process.
    pub fn uninitialised(&self) -> Vec<Uninitialised> {
        self.inits.forget_the_ended();
        self.ledger.uninitialised()
    }

    /// Takes what was found of daprd: it has loaded these components, and none else, that
    /// it will not initialise here.
    pub fn proven(&self, components: impl Iterator<Item = Component>) {
        self.ledger.proven(components);
    }

    /// Sets the gauges that are only worth knowing when someone looks.
    pub fn observe(&self) {
        self.inits.forget_the_ended();
        self.ledger.forget_the_ended();
        let runs = |process: Option<i32>| process.is_none_or(is_running);
        let served = self.map.iter().filter(|entry| runs(entry.key().process));
        events::served(served.count(), self.ledger.count());
        for entry in self.map.iter() {
            entry.value().observe();
        }
    }

    /// Ends the subscriptions of all instances; there are no new ones afterwards.
    pub async fn drain(&self, until: Instant) -> Drained {
        self.closing.store(true, Ordering::Release);
        let all: Vec<_> = self.map.iter().map(|entry| entry.value().clone()).collect();
        let drained = join_all(all.iter().map(|instance| instance.drain(until))).await;
        self.retiring.close();
        self.retiring.wait().await;
        Drained {
            unanswered: drained.iter().map(|drained| drained.unanswered).sum(),
        }
    }

    /// Waits until everything published was acknowledged or has failed.
    pub async fn flush(&self, until: Instant) {
        let all: Vec<_> = self.map.iter().map(|entry| entry.value().clone()).collect();
        let left = until.saturating_duration_since(Instant::now());
        for flushed in join_all(all.iter().map(|instance| instance.flush(left))).await {
            if let Err(cause) = flushed {
                tracing::warn!("not everything published was acknowledged: {cause}");
            }
        }
    }

    /// Lets go of the instances of processes that have ended.
    fn sweep(&self) {
        let runs = |identity: &Identity| identity.process.is_none_or(is_running);
        self.inits.forget_the_ended();
        let gone: Vec<_> = self
            .map
            .iter()
            .map(|entry| entry.key().clone())
            .filter(|identity| !runs(identity))
            .collect();
        for identity in gone {
            if let Some((_, instance)) = self.map.remove(&identity) {
                tracing::info!("the daprd of component {identity} has ended");
                self.retire(instance);
            }
        }
    }

    /// Ends an instance that nobody will call again, beside the caller: nothing more
    /// is handed out, answers come in, what is finished is committed, the group is
    /// left, and what was published goes out.
    fn retire(&self, instance: Arc<Instance>) -> JoinHandle<()> {
        let until = Instant::now() + RETIRE_DRAIN;
        self.retiring.spawn(async move {
            instance.drain(until).await;
            let left = until.saturating_duration_since(Instant::now());
            if let Err(cause) = instance.flush(left).await {
                tracing::warn!("not everything published was acknowledged: {cause}");
            }
            // Its producer waits for its threads.
            tokio::task::spawn_blocking(move || drop(instance));
        })
    }
}

pub(super) fn is_running(process: i32) -> bool {
    // Signal 0 only asks. Not being allowed to ask means that it runs.
    kill(Pid::from_raw(process), None) != Err(Errno::ESRCH)
}

#[cfg(test)]
mod tests;
