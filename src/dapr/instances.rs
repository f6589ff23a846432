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
use tokio_util::task::TaskTracker;
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
    /// Whether a caller that is not this one may be its daprd all the same: one of
    /// the two processes is unknown, or this one has ended. Never one that runs:
    /// its consumer group is another's.
    fn may_be(&self, caller: &Self) -> bool {
        let same_name = self.socket == caller.socket && self.name == caller.name;
        same_name
            && match (self.process, caller.process) {
                (Some(process), Some(_)) => !is_running(process),
                _ => true,
            }
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
    readiness: Readiness,
    /// The process ends: no new instance, no new subscription.
    closing: Arc<AtomicBool>,
    /// Instances that left the map and are still draining.
    retiring: TaskTracker,
}

impl Instances {
    /// None yet; `readiness` is held while one of them has no broker.
    pub fn new(readiness: Readiness) -> Self {
        Self {
            map: Arc::default(),
            readiness,
            closing: Arc::default(),
            retiring: TaskTracker::new(),
        }
    }

    /// Starts an instance; one of the same identity is replaced, and those of
    /// processes that have ended are let go.
    pub(super) async fn init(
        &self,
        identity: Identity,
        properties: &HashMap<String, String>,
    ) -> Result<(), Status> {
        self.check_open()?;
        self.sweep();
        let name = identity.name.as_str().into();
        let instance = Instance::start(name, properties, &self.readiness).await?;
        tracing::info!("component {identity} is initialised");
        if let Some(replaced) = self.map.insert(identity, Arc::new(instance)) {
            self.retire(replaced);
        }
        Ok(())
    }

    /// Refuses what would have to be drained again, once the process ends.
    pub(super) fn check_open(&self) -> Result<(), Status> {
        if self.closing.load(Ordering::Acquire) {
            return Err(Status::unavailable("the component is shutting down"));
        }
        Ok(())
    }

    /// The instance that a call is for: that of its own process, else the only one
    /// of that name that no other running process has.
    pub(super) fn find(&self, identity: &Identity) -> Result<Arc<Instance>, Status> {
        if let Some(instance) = self.map.get(identity) {
            return Ok(instance.clone());
        }
        let candidates: Vec<_> = self
            .map
            .iter()
            .filter(|entry| entry.key().may_be(identity))
            .map(|entry| entry.value().clone())
            .collect();
        match &candidates[..] {
            [instance] => Ok(instance.clone()),
            [] => Err(Status::failed_precondition(format!(
                "component {identity} was never initialised in this process: it was started after \
                 daprd, which initialises a component only once; restart daprd"
            ))),
            several => Err(Status::failed_precondition(format!(
                "component {identity} was not initialised by this daprd, and {} others of that name \
                 are; restart daprd",
                several.len()
            ))),
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
        let gone: Vec<_> = self
            .map
            .iter()
            .map(|entry| entry.key().clone())
            .filter(|identity| identity.process.is_some_and(|process| !is_running(process)))
            .collect();
        for identity in gone {
            if let Some((_, instance)) = self.map.remove(&identity) {
                tracing::info!("the daprd of component {identity} has ended");
                self.retire(instance);
            }
        }
    }

    /// Drains an instance that nobody will call again, beside the caller.
    fn retire(&self, instance: Arc<Instance>) {
        let until = Instant::now() + RETIRE_DRAIN;
        self.retiring.spawn(async move {
            instance.drain(until).await;
            // Its producer waits for its threads.
            tokio::task::spawn_blocking(move || drop(instance));
        });
    }
}

fn is_running(process: i32) -> bool {
    // Signal 0 only asks. Not being allowed to ask means that it runs.
    kill(Pid::from_raw(process), None) != Err(Errno::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(socket: &str, process: Option<i32>, name: &str) -> Identity {
        let (socket, name) = (socket.into(), name.to_owned());
        Identity {
            socket,
            process,
            name,
        }
    }

    #[test]
    fn an_instance_of_another_running_daprd_is_never_adopted() {
        let me = i32::try_from(std::process::id()).expect("a process id");
        let mine = of("kafka", Some(me), "todo");
        assert!(!mine.may_be(&of("kafka", Some(me + 1), "todo")));
        assert!(mine.may_be(&of("kafka", None, "todo")), "unknown caller");
        assert!(of("kafka", None, "todo").may_be(&mine), "unknown owner");
        let ended = std::process::Command::new("true")
            .spawn()
            .and_then(|mut child| {
                let id = child.id();
                child.wait().map(|_| id)
            });
        let ended = i32::try_from(ended.expect("a child")).expect("a process id");
        assert!(
            of("kafka", Some(ended), "todo").may_be(&mine),
            "its owner ended"
        );
        for other in [of("rdkafka", None, "todo"), of("kafka", None, "other")] {
            assert!(!mine.may_be(&other));
        }
    }
}
