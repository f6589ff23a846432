//! A lock that Kafka keeps: membership in a group that subscribes to a topic of one partition.
//!
//! Only one member of a group has the partition, and it holds the lock as long as its heartbeats
//! arrive. Rebalancing is cooperative, so a member that joins later does not take the partition
//! from the holder.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rdkafka::{
    ClientContext,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance, StreamConsumer},
    error::KafkaError,
};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Cause, Kind, logged_in::LoggedIn};
use crate::metadata::{Settings, librdkafka};

/// How long the coordinator may take to answer, on top of the session of a holder that was
/// killed: it must end first. Brokers wait for 3 s before a group's first assignment
/// (`group.initial.rebalance.delay.ms`).
const ANSWER: Duration = Duration::from_secs(10);

/// How long to pause after an error of the consumer, which recovers by itself.
const PAUSE: Duration = Duration::from_millis(200);

/// A lock that is held as long as this lives, unless the group loses its holder.
pub struct Exclusive {
    consumer: LoggedIn<Arc<StreamConsumer<Turn>>>,
    held: watch::Receiver<bool>,
    poll: AbortOnDropHandle<()>,
}

/// The lock could not be obtained.
#[derive(Debug)]
pub enum Refused {
    /// Another member of the group holds it. Names the members, if brokers do.
    Taken(Vec<String>),
    /// Kafka refused.
    Failed(Cause),
}

/// Notes whether the partition is assigned.
struct Turn {
    held: watch::Sender<bool>,
    instance: Arc<str>,
}

impl ClientContext for Turn {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(instance = %self.instance, "librdkafka: {error}: {reason}");
    }
}

impl ConsumerContext for Turn {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if !matches!(rebalance, Rebalance::Assign(_)) {
            self.held.send_replace(false);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            // A member that gets nothing is told so, too.
            self.held.send_if_modified(|held| {
                !*held && partitions.count() > 0 && {
                    *held = true;
                    true
                }
            });
        }
    }
}

impl Exclusive {
    /// Joins a group and waits for the only partition of a topic, a little longer than the
    /// session of a holder that was killed.
    ///
    /// # Errors
    /// When another member keeps the partition, or Kafka refuses.
    pub async fn obtain(
        settings: &Settings,
        group: &str,
        topic: &str,
        instance: Arc<str>,
    ) -> Result<Self, Refused> {
        let (sender, mut held) = watch::channel(false);
        let context = Turn {
            held: sender,
            instance,
        };
        let pairs = librdkafka::exclusive(settings, group);
        let consumer: LoggedIn<StreamConsumer<Turn>> =
            super::create(settings, pairs, context).map_err(Refused::Failed)?;
        let consumer = consumer.shared();
        let subscribed = consumer.subscribe(&[topic]);
        subscribed.map_err(|error| Refused::Failed(error.into()))?;
        let (failed, mut failure) = watch::channel(None);
        let poll = tokio::spawn(poll(consumer.clone(), failed));
        let lock = Self {
            consumer,
            held: held.clone(),
            poll: AbortOnDropHandle::new(poll),
        };
        let deadline = Instant::now() + settings.group.session_timeout + ANSWER;
        let obtained = timeout_at(deadline, async {
            tokio::select! {
                assigned = held.wait_for(|held| *held) => assigned.map(drop).map_err(Cause::other),
                failed = failure.wait_for(Option::is_some) => Err(match failed {
                    Ok(cause) => cause.clone().unwrap_or_else(|| Cause::other("the group is gone")),
                    Err(closed) => Cause::other(closed),
                }),
            }
        });
        match obtained.await {
            Ok(Ok(())) => Ok(lock),
            Ok(Err(cause)) => {
                lock.release().await;
                Err(Refused::Failed(cause))
            }
            Err(_) => {
                let members = lock.members(group).await;
                lock.release().await;
                Err(Refused::Taken(members))
            }
        }
    }

    /// Waits until the group has taken the lock from this member.
    pub async fn lost(&mut self) {
        // Without a sender the client is gone, and the lock with it.
        let _ = self.held.wait_for(|held| !held).await;
    }

    /// Leaves the group, so that the next holder need not wait for the end of a session.
    pub async fn release(self) {
        let Self { consumer, poll, .. } = self;
        poll.abort();
        // The task holds the consumer until it has ended, which is no error here.
        let _ = poll.await;
        // Closing waits for the coordinator.
        let _ = spawn_blocking(move || drop(consumer)).await;
    }

    /// The group's other members, as `client at host`.
    async fn members(&self, group: &str) -> Vec<String> {
        let (consumer, group) = (self.consumer.clone(), group.to_owned());
        let asked = spawn_blocking(move || {
            let groups = consumer.fetch_group_list(Some(&group), ANSWER).ok()?;
            let found = groups.groups().iter().find(|found| found.name() == group)?;
            let members = found.members().iter();
            let clients: BTreeSet<_> = members
                .map(|member| {
                    let host = member.client_host().trim_start_matches('/');
                    format!("{} at {host}", member.client_id())
                })
                .collect();
            Some(clients.into_iter().collect())
        });
        asked.await.ok().flatten().unwrap_or_default()
    }
}

/// Serves the group's events. What is written to the topic is of no interest. The first error
/// that does not end by itself is reported.
async fn poll(consumer: LoggedIn<Arc<StreamConsumer<Turn>>>, failed: watch::Sender<Option<Cause>>) {
    loop {
        if let Err(error) = consumer.recv().await {
            let cause = Cause::from(error);
            if matches!(cause.kind, Kind::Forbidden | Kind::Fatal) {
                failed.send_replace(Some(cause));
            }
            sleep(PAUSE).await;
        }
    }
}
