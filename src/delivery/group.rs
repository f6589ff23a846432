//! The handle with which others reach a group's owner.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::{
    inbox::{Command, Drained},
    lanes::{Conflict, Lane, Subscriber},
};
use crate::{
    engine::{DeliveryId, LaneId},
    model::Outcome,
};

/// Requests that may wait for the owner. More make the askers wait, which are
/// the streams from daprd: that is the back-pressure wanted.
const COMMANDS: usize = 1024;

/// daprd reloads subscriptions one after the other: each old stream is closed when
/// its handler is done, and each new one is opened at once and never again
/// (dapr/dapr v1.16.5, `pkg/runtime/processor/subscriber`). So a new lane waits so
/// long for old ones with other metadata to close: waiting keeps nobody.
const CONFLICT_WAIT: Duration = Duration::from_secs(60);
const CONFLICT_AGAIN: Duration = Duration::from_millis(50);

/// A consumer group of one component instance. Cheap to clone.
#[derive(Clone)]
pub struct Group {
    commands: mpsc::Sender<Command>,
}

/// The group has shut down.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the consumer group has shut down")]
pub struct Closed;

/// A lane was not opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// The group has shut down.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// Another lane of the topic has other metadata.
    #[error(transparent)]
    Conflict(#[from] Conflict),
}

impl Group {
    /// A handle, and where its commands come.
    pub(super) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        (Self { commands }, receiver)
    }

    /// Opens a lane.
    pub async fn subscribe(&self, subscriber: Subscriber) -> Result<Lane, Refused> {
        let until = Instant::now() + CONFLICT_WAIT;
        let mut told = false;
        loop {
            let (reply, lane) = oneshot::channel();
            let subscriber = subscriber.clone();
            self.ask(Command::Subscribe { subscriber, reply }).await?;
            match lane.await.map_err(|_| Closed)? {
                Err(conflict) if Instant::now() < until => {
                    if !told {
                        tracing::warn!("waiting up to {CONFLICT_WAIT:?}: {conflict}");
                    }
                    told = true;
                    tokio::time::sleep(CONFLICT_AGAIN).await;
                }
                opened => return Ok(opened?),
            }
        }
    }

    /// Closes a lane; what it was given and did not answer is delivered again.
    pub async fn close_lane(&self, lane: LaneId) -> Result<(), Closed> {
        self.ask(Command::CloseLane(lane)).await
    }

    /// Tells what came of a delivery. An answer to nothing changes nothing.
    pub async fn answer(&self, delivery: DeliveryId, outcome: Outcome) -> Result<(), Closed> {
        self.ask(Command::Answer { delivery, outcome }).await
    }

    /// Hands out nothing until [`Group::resume`].
    pub async fn pause(&self) -> Result<(), Closed> {
        self.ask(Command::Pause).await
    }

    /// Goes on after [`Group::pause`].
    pub async fn resume(&self) -> Result<(), Closed> {
        self.ask(Command::Resume).await
    }

    /// Stops fetching at once, waits until `until` for answers, commits, and
    /// leaves the group. All lanes end.
    pub async fn shutdown(&self, until: Instant) -> Drained {
        let (reply, drained) = oneshot::channel();
        if self.ask(Command::Shutdown { until, reply }).await.is_err() {
            return Drained::default();
        }
        drained.await.unwrap_or_default()
    }

    async fn ask(&self, command: Command) -> Result<(), Closed> {
        self.commands.send(command).await.map_err(|_| Closed)
    }
}
