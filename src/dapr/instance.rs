use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::{DashMap, DashSet};
use metrics::gauge;
use tokio::sync::OnceCell;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tonic::Status;

use super::{
    brokers::Reach,
    diagnosis::{Brokers, Used, Uses},
    lanes, limits,
    publish::Publisher,
    status,
};
use crate::{
    delivery::{self, Budget, Drained, Group, Lane, Refused, Subscriber},
    doctor,
    kafka::{BrokerWatch, Cause, InOrder, Outgoing, Producers, SendError, Session},
    metadata::{self, Headers, Settings},
    model::{
        dead_letter::{self, Failure},
        topic,
    },
    telemetry::{
        Member,
        events::{DaprdDeadLettered, PublishFailed, Published, TriesAgain},
        metrics::PRODUCER_QUEUE,
        readiness::Readiness,
    },
};

/// What Init needs of its time to say what it found.
const TELL: Duration = Duration::from_millis(500);

/// The part of Init's time that fetching a token for the login may take, in eighths: the rest is
/// for reaching a broker.
const LOGIN_EIGHTHS: u32 = 5;

/// How long one look for a broker takes while an instance runs without any.
const REACH_TIMEOUT: Duration = Duration::from_millis(3500);

/// How long to wait between attempts while no broker answers.
const REACH_AGAIN: Duration = Duration::from_secs(1);

/// One component as daprd initialised it: its settings, its producer, and, from
/// the first subscription on, its consumer group.
pub(super) struct Instance {
    name: Arc<str>,
    settings: Settings,
    producer: Producers,
    group: OnceCell<Group>,
    /// For what the group reads ahead; shared with other instances.
    budget: Budget,
    /// It was ended: no group starts any more.
    retired: AtomicBool,
    reach: Reach,
    /// As daprd gave them, secrets included.
    properties: HashMap<String, String>,
    /// Topics that a publish reached: only these become labels of metrics.
    published: DashSet<String>,
    /// Topics that were subscribed to, each with its subscription's last metadata.
    subscribed: DashMap<String, HashMap<String, String>>,
    /// Its streams, counted.
    streams: TaskTracker,
    /// Finds out why connections to brokers break.
    _watch: BrokerWatch,
    /// Keeps the login's token fresh.
    _session: Session,
    /// Ends what runs in the background for this instance.
    _background: DropGuard,
}

impl Instance {
    /// Resolves the metadata of a component of the type `pubsub.{kind}`, and makes
    /// sure that a broker answers.
    pub(super) async fn start(
        name: Arc<str>,
        kind: &str,
        properties: &HashMap<String, String>,
        readiness: &Readiness,
        budget: Budget,
    ) -> Result<Self, Status> {
        let resolved = metadata::resolve_for(kind, properties).map_err(|problems| {
            Status::invalid_argument(format!("{}: {problems}", doctor::metadata_code()))
        })?;
        for note in &resolved.notes {
            tracing::warn!(instance = %name, "metadata: {note}");
        }
        let settings = resolved.settings;
        let begun = Instant::now();
        let session = log_in(&settings, &name).await?;
        let producer = Producers::new(&settings, name.clone())
            .map_err(|cause| status::cause("creating the producer", &cause))?;
        let background = CancellationToken::new();
        let left = settings.init_timeout.saturating_sub(TELL + begun.elapsed());
        match producer.reach(left.max(settings.init_timeout / 4)).await {
            Ok(brokers) => {
                tracing::info!(instance = %name, brokers, "connected to {}", settings.brokers.join(","));
            }
            Err(unreachable) if settings.start_without_brokers => {
                unreachable.tell(&name);
                tracing::warn!(instance = %name, "started without brokers: {unreachable}");
                let waiting = wait_for_brokers(name.clone(), producer.clone(), readiness.clone());
                tokio::spawn(background.clone().run_until_cancelled_owned(waiting));
            }
            Err(unreachable) => {
                unreachable.tell(&name);
                session.linger();
                // It waits for its threads, and daprd does not wait for that.
                tokio::task::spawn_blocking(move || drop(producer));
                return Err(Status::unavailable(unreachable.to_string()));
            }
        }
        Ok(Self {
            _watch: BrokerWatch::open(&settings, &name),
            name,
            settings,
            producer,
            group: OnceCell::new(),
            budget,
            retired: AtomicBool::new(false),
            reach: Reach::default(),
            properties: properties.clone(),
            published: DashSet::new(),
            subscribed: DashMap::new(),
            streams: TaskTracker::new(),
            _session: session,
            _background: background.drop_guard(),
        })
    }

    /// Publishes a record; what came of it is logged, counted and told.
    pub(super) async fn publish(&self, mut record: Outgoing) -> Result<(), Status> {
        let begun = Instant::now();
        let sent = self.producer.send(&mut record).await;
        self.published(&record, sent, begun.elapsed())
    }

    /// The same for a record of several that keep their order.
    pub(super) async fn publish_in(
        &self,
        order: &InOrder<'_>,
        mut record: Outgoing,
    ) -> Result<(), Status> {
        let begun = Instant::now();
        let sent = order.send(&mut record).await;
        self.published(&record, sent, begun.elapsed())
    }

    /// Prepares to publish several records to a topic in their order; `to_partitions` if some
    /// name theirs.
    pub(super) async fn in_order(&self, topic: &str, to_partitions: bool) -> InOrder<'_> {
        self.producer.in_order(topic, to_partitions).await
    }

    fn published(
        &self,
        record: &Outgoing,
        sent: Result<(), SendError>,
        took: Duration,
    ) -> Result<(), Status> {
        let (instance, topic) = (&self.name, &record.topic);
        match sent {
            Ok(()) => {
                if !self.published.contains(topic) {
                    self.published.insert(topic.clone());
                }
                Published {
                    instance,
                    topic,
                    took,
                }
                .emit();
                self.count_daprds_dead_letter(record);
                Ok(())
            }
            Err(error) => {
                let status = status::publish(record, &error);
                PublishFailed {
                    instance,
                    topic: self.published.contains(topic).then_some(topic),
                    took,
                    reason: status.message(),
                }
                .emit();
                Err(status)
            }
        }
    }

    /// Who publishes.
    pub(super) fn publisher(&self) -> Publisher<'_> {
        Publisher {
            component: &self.name,
            group: self.settings.consumer_group.as_deref(),
            headers: &self.settings.headers,
        }
    }

    /// The component and its group; the group's name is empty if it has none.
    pub(super) fn member(&self) -> Member {
        let group = self.settings.consumer_group.as_deref();
        Member {
            component: self.name.clone(),
            group: group.unwrap_or_default().into(),
        }
    }

    /// Which headers pass, and how.
    pub(super) fn headers(&self) -> &Headers {
        &self.settings.headers
    }

    /// Waits until everything published was acknowledged or has failed.
    pub(super) async fn flush(&self, timeout: Duration) -> Result<(), Cause> {
        self.producer.flush(timeout).await
    }

    /// The consumer group, started when it is first needed, unless the instance was
    /// ended before.
    pub(super) async fn group(&self) -> Result<&Group, Status> {
        self.group
            .get_or_try_init(|| async {
                if self.retired.load(Ordering::Acquire) {
                    return Err(Status::unavailable(format!(
                        "this instance of component \"{}\" was ended: it was initialised again, or \
                         the process ends",
                        self.name
                    )));
                }
                let group = self.settings.consumer_group.as_deref().ok_or_else(|| {
                    Status::failed_precondition(
                        "there is no consumer group: set consumerGroup (daprd sends the app id \
                         as consumerID by itself)",
                    )
                })?;
                delivery::start(&self.settings, group, self.name.clone(), &self.budget)
                    .map_err(|cause| status::cause("creating the consumer", &cause))
            })
            .await
    }

    /// Counts what daprd gave up, beside what we did; of topics that are subscribed
    /// to, since a label's values must have a bound.
    fn count_daprds_dead_letter(&self, record: &Outgoing) {
        let failure = dead_letter::text(&record.headers, dead_letter::FAILURE);
        let topic = dead_letter::text(&record.headers, dead_letter::TOPIC);
        let is_daprds = failure == Some(Failure::DeadLetteredByDaprd.name());
        if let (Some(topic), Some(group)) = (topic, &self.settings.consumer_group)
            && is_daprds
            && self.subscribed.contains_key(topic)
        {
            DaprdDeadLettered {
                instance: &Member {
                    component: self.name.clone(),
                    group: group.as_str().into(),
                },
                topic: &topic.into(),
            }
            .emit();
        }
    }

    /// Room for one more stream, until the answer is dropped.
    pub(super) fn stream(&self) -> Result<TaskTrackerToken, Status> {
        limits::stream(&self.streams)
    }

    /// Opens a lane for a subscriber: `name` is a topic, or a lane of one.
    pub(super) async fn subscribe(
        &self,
        name: &str,
        metadata: HashMap<String, String>,
    ) -> Result<Lane, Status> {
        lanes::check(&self.settings, &self.properties, name).map_err(Status::permission_denied)?;
        let (topic, _) = topic::subscribed(name);
        let policy = self.settings.policy(topic, &metadata).map_err(|problem| {
            Status::invalid_argument(format!("subscription to {name}: {problem}"))
        })?;
        self.subscribed.insert(topic.to_owned(), metadata.clone());
        let subscription = Subscriber {
            name: name.to_owned(),
            topic: topic.into(),
            metadata,
            policy: Arc::new(policy),
        };
        let opened = self.group().await?.subscribe(subscription).await;
        opened.map_err(|refused| match refused {
            Refused::Closed(closed) => Status::unavailable(closed.to_string()),
            Refused::Conflict(_) => Status::invalid_argument(refused.to_string()),
        })
    }

    /// The consumer group, if anything was subscribed.
    pub(super) fn started_group(&self) -> Option<&Group> {
        self.group.get()
    }

    /// The name of its consumer group, if it has one.
    pub(super) fn group_name(&self) -> Option<&str> {
        self.settings.consumer_group.as_deref()
    }

    /// What daprd gave at Init, secrets included: only for the admin Unix socket.
    pub(super) fn properties(&self) -> &HashMap<String, String> {
        &self.properties
    }

    /// The topics that it was used for.
    pub(super) fn uses(&self) -> Uses {
        let mut published: Vec<_> = self.published.iter().map(|topic| topic.clone()).collect();
        published.sort_unstable();
        let subscriptions = self.subscribed.iter().map(|entry| Used {
            topic: entry.key().clone(),
            metadata: entry.value().clone(),
        });
        let mut subscriptions: Vec<_> = subscriptions.collect();
        subscriptions.sort_unstable_by(|a, b| a.topic.cmp(&b.topic));
        Uses {
            published,
            subscriptions,
        }
    }

    /// Asks its brokers whether they answer.
    pub(super) async fn brokers(&self) -> Brokers {
        self.reach.ask(&self.producer).await
    }

    /// Sets the gauges that are only worth knowing when someone looks.
    pub(super) fn observe(&self) {
        gauge!(PRODUCER_QUEUE, "component" => self.name.clone()).set(self.producer.in_flight());
    }

    /// Ends all subscriptions, and leaves the group; none is joined afterwards.
    pub(super) async fn drain(&self, until: Instant) -> Drained {
        self.retired.store(true, Ordering::Release);
        // It waits for a group that is being started right now, and starts none.
        match self.group().await {
            Ok(group) => group.shutdown(until).await,
            Err(_) => Drained::default(),
        }
    }
}

/// Makes sure that there is a token, if the login needs one. With `startWithoutBrokers`
/// it may come later.
async fn log_in(settings: &Settings, name: &Arc<str>) -> Result<Session, Status> {
    let failed = |cause: Cause| status::cause(&format!("{}: login", doctor::token_code()), &cause);
    let session = Session::open(settings, name).map_err(failed)?;
    match session
        .ready(settings.init_timeout * LOGIN_EIGHTHS / 8)
        .await
    {
        Ok(()) => {}
        Err(cause) if settings.start_without_brokers => {
            tracing::warn!(instance = %name, "started without a token for the login: {cause}");
        }
        Err(cause) => {
            session.linger();
            return Err(failed(cause));
        }
    }
    Ok(session)
}

/// Says that no broker answers, until one does.
async fn wait_for_brokers(name: Arc<str>, producer: Producers, readiness: Readiness) {
    let _hold = readiness.hold(format!("component \"{name}\" has no broker that answers"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::EmbeddedBroker;

    /// A stream may be open whose first message comes after the end.
    #[tokio::test]
    async fn an_instance_that_was_ended_starts_no_group() {
        let broker = EmbeddedBroker::start(["orders"]).expect("a broker");
        let address = broker.address().expect("its address");
        let given = [
            ("brokers", &*address),
            ("authType", "none"),
            ("consumerID", "group"),
        ];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let given = HashMap::from(given);
        let readiness = Readiness::default();
        let started = Instance::start("todo".into(), "kafka", &given, &readiness, Budget::new(0));
        let instance = started.await.expect("it starts");
        instance.drain(Instant::now()).await;
        let opened = instance.subscribe("orders", HashMap::new()).await;
        let refused = opened.map(drop).expect_err("it was ended");
        assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
        assert!(instance.started_group().is_none());
    }
}
