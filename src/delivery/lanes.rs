//! The streams to daprd, and how records get there.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use crate::{
    engine::{DeliveryId, LaneId},
    model::{Policy, Record},
};

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
    fn between(wanted: &Subscriber, present: &Subscriber) -> Option<Self> {
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

/// The lanes that are open.
#[derive(Default)]
pub(super) struct Lanes {
    open: HashMap<LaneId, (Subscriber, mpsc::Sender<Delivery>)>,
    last: u64,
}

impl Lanes {
    /// Opens a lane with room for `capacity` records, and sends the reply. `None` if
    /// another lane of the topic has other metadata, or nobody waits for the lane any more.
    pub(super) fn open(
        &mut self,
        subscriber: Subscriber,
        capacity: usize,
        reply: oneshot::Sender<Result<Lane, Conflict>>,
    ) -> Option<LaneId> {
        let conflict = self
            .subscribers()
            .find_map(|present| Conflict::between(&subscriber, present));
        if let Some(conflict) = conflict {
            // The subscriber may have stopped waiting.
            let _ = reply.send(Err(conflict));
            return None;
        }
        self.last += 1;
        let id = LaneId(self.last);
        let (sender, deliveries) = mpsc::channel(capacity);
        reply.send(Ok(Lane { id, deliveries })).ok()?;
        self.open.insert(id, (subscriber, sender));
        Some(id)
    }

    /// Closes a lane; `None` if it is closed already.
    pub(super) fn close(&mut self, lane: LaneId) -> Option<Subscriber> {
        let (subscriber, _) = self.open.remove(&lane)?;
        Some(subscriber)
    }

    /// Puts a record on its way; what is for a closed lane is dropped.
    pub(super) fn send(
        &self,
        lane: LaneId,
        delivery: Delivery,
    ) -> Result<(), TrySendError<Delivery>> {
        let lane = self.open.get(&lane);
        lane.map_or(Ok(()), |(_, sender)| sender.try_send(delivery))
    }

    /// The subscribers of all open lanes.
    pub(super) fn subscribers(&self) -> impl Iterator<Item = &Subscriber> {
        self.open.values().map(|(subscriber, _)| subscriber)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Backoff;

    fn subscriber(topic: &str, metadata: &[(&str, &str)]) -> Subscriber {
        let pairs = metadata.iter();
        Subscriber {
            name: topic.to_owned(),
            topic: topic.into(),
            metadata: pairs
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            policy: Arc::new(Policy {
                backoff: Backoff::Constant(Duration::ZERO),
                max_attempts: None,
                max_elapsed: None,
                max_breaks: None,
                dead_letter: None,
                min_age: Duration::ZERO,
            }),
        }
    }

    #[test]
    fn lanes_of_one_topic_have_the_same_metadata() {
        let mut lanes = Lanes::default();
        let mut open = |subscriber| {
            let (reply, mut lane) = oneshot::channel();
            let opened = lanes.open(subscriber, 1, reply);
            (opened, lane.try_recv().expect("an answer").err())
        };
        let (first, refused) = open(subscriber("orders", &[]));
        assert!(first.is_some() && refused.is_none());
        let (second, refused) = open(subscriber("orders", &[("maxDeliveryAttempts", "3")]));
        let refused = refused.expect("a conflict").to_string();
        assert!(second.is_none() && refused.contains("maxDeliveryAttempts"));
        let (third, refused) = open(subscriber("others", &[("maxDeliveryAttempts", "3")]));
        assert!(third.is_some() && third != first && refused.is_none());
    }

    #[test]
    fn a_lane_that_nobody_waits_for_is_not_open() {
        let mut lanes = Lanes::default();
        let (reply, _) = oneshot::channel();
        assert_eq!(lanes.open(subscriber("orders", &[]), 1, reply), None);
        assert_eq!(lanes.subscribers().count(), 0);
    }
}
