use std::{sync::Arc, time::Instant};

use tokio::sync::{mpsc, oneshot};

use super::owner::Owner;
use crate::{
    engine::{DeliveryId, LaneId},
    kafka::{Cause, GroupConsumer},
    metadata::Settings,
    model::{Outcome, Record},
};

/// Requests that may wait for the owner. More make the askers wait, which are
/// the streams from daprd: that is the back-pressure wanted.
const COMMANDS: usize = 1024;

/// A consumer group of one component instance. Cheap to clone.
#[derive(Clone)]
pub struct Group {
    commands: mpsc::Sender<Command>,
}

/// The group has shut down.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the consumer group has shut down")]
pub struct Closed;

/// What a shutdown left over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records that were delivered and not answered in time. They will be
    /// delivered again by whoever gets their partitions.
    pub unanswered: usize,
}

/// A subscriber's end of a stream: its id and what is delivered to it.
pub struct Lane {
    /// The id under which it is closed.
    pub id: LaneId,
    /// Records to hand to the app, each to be answered once. It ends when the
    /// group shuts down.
    pub deliveries: mpsc::Receiver<Delivery>,
}

/// A record on its way to the app.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What the answer must name.
    pub id: DeliveryId,
    /// The record.
    pub record: Arc<Record>,
}

/// What the owner is asked to do.
pub(super) enum Command {
    Subscribe {
        topic: Arc<str>,
        reply: oneshot::Sender<Lane>,
    },
    CloseLane(LaneId),
    Answer {
        delivery: DeliveryId,
        outcome: Outcome,
    },
    Pause,
    Resume,
    Shutdown {
        until: Instant,
        reply: oneshot::Sender<Drained>,
    },
}

impl Group {
    /// Starts the group's owner. It joins the group with the first subscription.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn start(settings: &Settings, group: &str, instance: Arc<str>) -> Result<Self, Cause> {
        let (consumer, signals) = GroupConsumer::new(settings, group, instance.clone())?;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let owner = Owner::new(settings, instance, consumer, signals, receiver);
        tokio::spawn(owner.run());
        Ok(Self { commands })
    }

    /// Opens a lane for a topic, which need not exist yet.
    pub async fn subscribe(&self, topic: &str) -> Result<Lane, Closed> {
        let (reply, lane) = oneshot::channel();
        let topic = topic.into();
        self.ask(Command::Subscribe { topic, reply }).await?;
        lane.await.map_err(|_| Closed)
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
