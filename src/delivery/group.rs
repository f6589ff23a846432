use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use super::owner::Owner;
use crate::{
    engine::{DeliveryId, LaneId},
    kafka::{Cause, GroupConsumer},
    metadata::Settings,
    model::{Outcome, Policy, Record},
    telemetry::Member,
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

/// What a subscriber wants.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// The name that it subscribes to: the topic's, or that of a lane.
    pub name: String,
    /// The Kafka topic, which need not exist yet.
    pub topic: Arc<str>,
    /// The subscription's own metadata. All lanes of a topic must have the same.
    pub metadata: HashMap<String, String>,
    /// What happens to refused records.
    pub policy: Arc<Policy>,
}

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

/// Two lanes of a topic do not agree on what happens to its records.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{name} and {other} are lanes of topic {topic} with different subscription metadata \
     ({name}: {wanted:?}; {other}: {present:?}); give all lanes of a topic the same"
)]
pub struct Conflict {
    name: String,
    other: String,
    topic: Arc<str>,
    wanted: BTreeMap<String, String>,
    present: BTreeMap<String, String>,
}

impl Conflict {
    pub(super) fn between(wanted: &Subscriber, present: &Subscriber) -> Option<Self> {
        let differ = wanted.topic == present.topic && wanted.metadata != present.metadata;
        let sorted = |subscriber: &Subscriber| subscriber.metadata.clone().into_iter().collect();
        differ.then(|| Self {
            name: wanted.name.clone(),
            other: present.name.clone(),
            topic: wanted.topic.clone(),
            wanted: sorted(wanted),
            present: sorted(present),
        })
    }
}

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
        subscriber: Subscriber,
        reply: oneshot::Sender<Result<Lane, Conflict>>,
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
        let group = group.into();
        let instance = Member {
            component: instance,
            group,
        };
        let (consumer, signals) = GroupConsumer::new(settings, instance.clone())?;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let owner = Owner::new(settings, instance, consumer, signals, receiver);
        tokio::spawn(owner.run());
        Ok(Self { commands })
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
