use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::OnceCell;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

use super::status;
use crate::{
    delivery::{Drained, Group},
    kafka::{Cause, Outgoing, Producer},
    metadata::{self, Settings},
    telemetry::{
        events::{PublishFailed, TriesAgain},
        readiness::Readiness,
    },
};

/// How long Init waits for a broker: daprd gives up after 5 s, and then counts
/// even a later success as a failure (dapr/dapr v1.16.5,
/// `pkg/runtime/processor/components.go`).
const REACH_TIMEOUT: Duration = Duration::from_millis(3500);

/// How long to wait between attempts while no broker answers.
const REACH_AGAIN: Duration = Duration::from_secs(1);

/// One component as daprd initialised it: its settings, its producer, and, from
/// the first subscription on, its consumer group.
pub(super) struct Instance {
    name: Arc<str>,
    settings: Settings,
    producer: Producer,
    group: OnceCell<Group>,
    /// Ends what runs in the background for this instance.
    _background: DropGuard,
}

impl Instance {
    /// Resolves the metadata, and makes sure that a broker answers.
    pub(super) async fn start(
        name: Arc<str>,
        properties: &HashMap<String, String>,
        readiness: &Readiness,
    ) -> Result<Self, Status> {
        let resolved = metadata::resolve(properties)
            .map_err(|problems| Status::invalid_argument(problems.to_string()))?;
        for note in &resolved.notes {
            tracing::warn!(instance = %name, "metadata: {note}");
        }
        let settings = resolved.settings;
        let producer = Producer::new(&settings, name.clone())
            .map_err(|cause| status::cause("creating the producer", &cause))?;
        let background = CancellationToken::new();
        match producer.reach(REACH_TIMEOUT).await {
            Ok(brokers) => {
                tracing::info!(instance = %name, brokers, "connected to {}", settings.brokers.join(","));
            }
            Err(unreachable) if settings.start_without_brokers => {
                tracing::warn!(instance = %name, "started without brokers: {unreachable}");
                let waiting = wait_for_brokers(name.clone(), producer.clone(), readiness.clone());
                tokio::spawn(background.clone().run_until_cancelled_owned(waiting));
            }
            Err(unreachable) => {
                // It waits for its threads, and daprd does not wait for that.
                tokio::task::spawn_blocking(move || drop(producer));
                return Err(Status::unavailable(unreachable.to_string()));
            }
        }
        Ok(Self {
            name,
            settings,
            producer,
            group: OnceCell::new(),
            _background: background.drop_guard(),
        })
    }

    /// Publishes a record; a failure is logged and told.
    pub(super) async fn publish(&self, record: &Outgoing) -> Result<(), Status> {
        let sent = self.producer.send(record).await;
        sent.map_err(|error| {
            let status = status::publish(&record.topic, &error);
            PublishFailed {
                instance: &self.name,
                reason: status.message(),
            }
            .emit();
            status
        })
    }

    /// Waits until everything published was acknowledged or has failed.
    pub(super) async fn flush(&self, timeout: Duration) -> Result<(), Cause> {
        self.producer.flush(timeout).await
    }

    /// The consumer group, started when it is first needed.
    pub(super) async fn group(&self) -> Result<&Group, Status> {
        self.group
            .get_or_try_init(|| async {
                let group = self.settings.consumer_group.as_deref().ok_or_else(|| {
                    Status::failed_precondition(
                        "there is no consumer group: set consumerGroup (daprd sends the app id \
                         as consumerID by itself)",
                    )
                })?;
                Group::start(&self.settings, group, self.name.clone())
                    .map_err(|cause| status::cause("creating the consumer", &cause))
            })
            .await
    }

    /// The consumer group, if anything was subscribed.
    pub(super) fn started_group(&self) -> Option<&Group> {
        self.group.get()
    }

    /// Ends all subscriptions, and leaves the group.
    pub(super) async fn drain(&self, until: Instant) -> Drained {
        match self.group.get() {
            Some(group) => group.shutdown(until).await,
            None => Drained::default(),
        }
    }
}

/// Says that no broker answers, until one does.
async fn wait_for_brokers(name: Arc<str>, producer: Producer, readiness: Readiness) {
    let _hold = readiness.hold();
    loop {
        tokio::time::sleep(REACH_AGAIN).await;
        match producer.reach(REACH_TIMEOUT).await {
            Ok(brokers) => {
                tracing::info!(instance = %name, brokers, "a broker answers now");
                return;
            }
            Err(unreachable) => TriesAgain {
                instance: &name,
                what: "reaching a broker",
                reason: &unreachable.to_string(),
            }
            .emit(),
        }
    }
}
