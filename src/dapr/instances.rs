//! Which calls belong to which component instance.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use dashmap::DashMap;
use futures_util::future::join_all;
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use tonic::{Request, Status};

use super::{instance::Instance, peer};
use crate::{delivery::Drained, telemetry::readiness::Readiness};

/// How long an instance that nobody calls any more may take to drain. Its streams
/// are closed already, so there is little to wait for.
const RETIRE_DRAIN: Duration = Duration::from_secs(5);

/// Whose a call is. On one machine two daprds may share the socket folder, and
/// both have an instance of one name: the process tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    /// The socket's `--name`: the component type's.
    socket: Arc<str>,
    /// The peer's process id, where the kernel tells it.
    process: Option<i32>,
    /// The component's name, from daprd's header.
    name: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { socket, name, .. } = self;
        write!(f, "\"{name}\" (pubsub.{socket})")
    }
}

impl Identity {
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
#[derive(Clone, Default)]
pub struct Instances {
    map: Arc<DashMap<Identity, Arc<Instance>>>,
    readiness: Readiness,
}

impl Instances {
    /// None yet; `readiness` is held while one of them has no broker.
    pub fn new(readiness: Readiness) -> Self {
        Self {
            map: Arc::default(),
            readiness,
        }
    }

    /// Starts an instance; one of the same identity is replaced, and those of
    /// processes that have ended are let go.
    pub(super) async fn init(
        &self,
        identity: Identity,
        properties: &HashMap<String, String>,
    ) -> Result<(), Status> {
        self.sweep(&identity);
        let name = identity.name.as_str().into();
        let instance = Instance::start(name, properties, &self.readiness).await?;
        tracing::info!("component {identity} is initialised");
        if let Some(replaced) = self.map.insert(identity, Arc::new(instance)) {
            retire(replaced);
        }
        Ok(())
    }

    /// The instance that a call is for. A connection without Init adopts the
    /// instance of its own process, else the only one of that name.
    pub(super) fn find(&self, identity: &Identity) -> Result<Arc<Instance>, Status> {
        if let Some(instance) = self.map.get(identity) {
            return Ok(instance.clone());
        }
        let of_that_name: Vec<_> = self
            .map
            .iter()
            .filter(|entry| {
                entry.key().socket == identity.socket && entry.key().name == identity.name
            })
            .map(|entry| entry.value().clone())
            .collect();
        match &of_that_name[..] {
            [instance] => Ok(instance.clone()),
            [] => Err(Status::failed_precondition(format!(
                "component {identity} was never initialised in this process: it was started after \
                 daprd, which initialises a component only once; restart daprd"
            ))),
            several => Err(Status::failed_precondition(format!(
                "component {identity} was not initialised on this connection, and {} daprds have \
                 one of that name; restart daprd",
                several.len()
            ))),
        }
    }

    /// Ends the subscriptions of all instances.
    pub async fn drain(&self, until: Instant) -> Drained {
        let all: Vec<_> = self.map.iter().map(|entry| entry.value().clone()).collect();
        let drained = join_all(all.iter().map(|instance| instance.drain(until))).await;
        Drained {
            unanswered: drained.iter().map(|drained| drained.unanswered).sum(),
        }
    }

    /// Waits until everything published was acknowledged or has failed.
    pub async fn flush(&self, until: Instant) {
        let all: Vec<_> = self.map.iter().map(|entry| entry.value().clone()).collect();
        let left = until.saturating_duration_since(Instant::now());
        for flushed in join_all(all.iter().map(|instance| instance.producer.flush(left))).await {
            if let Err(cause) = flushed {
                tracing::warn!("not everything published was acknowledged: {cause}");
            }
        }
    }

    /// Lets go of the instances of ended processes, and of one under the same
    /// name whose process is unknown: it has been replaced.
    fn sweep(&self, newcomer: &Identity) {
        let gone: Vec<_> = self
            .map
            .iter()
            .map(|entry| entry.key().clone())
            .filter(|identity| identity != newcomer)
            .filter(|identity| identity.process.is_some_and(|process| !is_running(process)))
            .collect();
        for identity in gone {
            if let Some((_, instance)) = self.map.remove(&identity) {
                tracing::info!("the daprd of component {identity} has ended");
                retire(instance);
            }
        }
    }
}

/// Drains an instance that nobody will call again, beside the caller.
fn retire(instance: Arc<Instance>) {
    tokio::spawn(async move { instance.drain(Instant::now() + RETIRE_DRAIN).await });
}

fn is_running(process: i32) -> bool {
    // Signal 0 only asks. Not being allowed to ask means that it runs.
    kill(Pid::from_raw(process), None) != Err(Errno::ESRCH)
}
