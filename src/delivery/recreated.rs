//! Topics that were deleted and created again.
//!
//! librdkafka (2.12) takes the new topic for the old one: it goes on at the position that
//! it had there, and as long as the new one's leader epochs are lower than those that it
//! knows it takes no leader for it and reads nothing at all. Only a topic's id tells.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{assignment::Phase, calls::Done, owner::Owner};
use crate::{
    kafka::{Cause, GroupConsumer, TopicId},
    model::{Offset, Progress, TopicPartition},
};

/// How often the topics are asked who they are: one request for all of them.
const EVERY: Duration = Duration::from_secs(5);

/// How long a broker may take to answer: a consumer that is to be closed waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long it may take before a last commit, for which a whole group waits.
const BEFORE_COMMIT: Duration = Duration::from_secs(1);

/// A topic, as the group's positions belong to it.
#[derive(Clone, Copy, Debug)]
struct Identity {
    id: TopicId,
    /// The one of this name before: a broker may not have heard of its end yet.
    before: Option<TopicId>,
}

/// The topics that the group's positions belong to.
#[derive(Clone, Debug, Default)]
pub(super) struct Identities(HashMap<Arc<str>, Identity>);

impl Identities {
    /// Takes in topics that are not known yet; returns those that are others than before.
    fn told(&mut self, told: &HashMap<Arc<str>, TopicId>) -> HashMap<Arc<str>, TopicId> {
        let mut others = HashMap::new();
        for (topic, id) in told {
            if self.is_other(topic, *id) {
                others.insert(topic.clone(), *id);
            } else {
                let identity = Identity {
                    id: *id,
                    before: None,
                };
                self.0.entry(topic.clone()).or_insert(identity);
            }
        }
        others
    }

    fn is_other(&self, topic: &str, id: TopicId) -> bool {
        let known = self.0.get(topic);
        known.is_some_and(|known| known.id != id && known.before != Some(id))
    }

    /// The group's positions belong to this one from now on.
    fn replace(&mut self, topic: Arc<str>, id: TopicId) {
        let before = self.0.get(&topic).map(|known| known.id);
        self.0.insert(topic, Identity { id, before });
    }

    /// The ids that are known.
    pub(super) fn ids(&self) -> HashMap<Arc<str>, TopicId> {
        let known = self.0.iter();
        known.map(|(topic, it)| (topic.clone(), it.id)).collect()
    }

    /// What may be committed of these offsets: those of a topic that is another one by now
    /// say nothing about it, and of that one nothing may be skipped.
    pub(super) async fn committable(
        &self,
        consumer: &GroupConsumer,
        mut offsets: Vec<(TopicPartition, Progress)>,
    ) -> Vec<(TopicPartition, Progress)> {
        let topics: BTreeSet<_> = offsets.iter().map(|(at, _)| at.topic.clone()).collect();
        let topics = topics
            .into_iter()
            .filter(|topic| self.0.contains_key(topic));
        let topics: Vec<_> = topics.collect();
        if topics.is_empty() {
            return offsets;
        }
        // Without an answer a commit will hardly get one.
        let told = consumer.topic_ids(topics, BEFORE_COMMIT).await;
        self.rewind(&mut offsets, &told.unwrap_or_default());
        offsets
    }

    fn rewind(
        &self,
        offsets: &mut [(TopicPartition, Progress)],
        told: &HashMap<Arc<str>, TopicId>,
    ) {
        for (at, progress) in offsets {
            let told = told.get(&at.topic);
            if told.is_some_and(|id| self.is_other(&at.topic, *id)) {
                *progress = Offset(0).into();
            }
        }
    }
}

/// What is known of topics that were created again.
#[derive(Debug)]
pub(super) struct Recreated {
    pub(super) known: Identities,
    /// Those for which a new consumer is on its way.
    others: HashMap<Arc<str>, TopicId>,
    due: Instant,
    asking: bool,
}

impl Recreated {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            known: Identities::default(),
            others: HashMap::new(),
            due: now,
            asking: false,
        }
    }

    /// The start in topics that are others now was not committed: it is tried again, with
    /// another new consumer.
    pub(super) fn not_committed(&mut self) {
        self.others.clear();
    }

    /// The consumer is a new one, which knows nothing of topics that are gone.
    pub(super) fn start_over(&mut self) {
        self.asking = false;
        for (topic, id) in self.others.drain() {
            self.known.replace(topic, id);
        }
    }
}

impl Owner {
    pub(super) fn ask_for_identities(&mut self, now: Instant) {
        if self.recreated.asking || now < self.recreated.due {
            return;
        }
        let topics: Vec<_> = self.subscription.topics().cloned().collect();
        if topics.is_empty() {
            return;
        }
        self.recreated.due = now + EVERY;
        self.recreated.asking = true;
        let consumer = self.consumer.clone();
        self.calls.spawn(async move {
            let told = consumer.topic_ids(topics, PATIENCE).await;
            Done::Identities(told)
        });
    }

    pub(super) fn identities(&mut self, told: Result<HashMap<Arc<str>, TopicId>, Cause>) {
        self.recreated.asking = false;
        match told {
            Ok(told) => {
                self.are_others(&told);
            }
            // It is asked again, and nothing waits for it.
            Err(cause) => {
                tracing::debug!(instance = %self.instance, "asking for topics' ids: {cause}");
            }
        }
    }

    /// Whether one of these topics is another one than the group's positions belong to.
    /// Such are read from their start, with a new consumer.
    pub(super) fn are_others(&mut self, told: &HashMap<Arc<str>, TopicId>) -> bool {
        let others = self.recreated.known.told(told);
        if others.is_empty() {
            return false;
        }
        let settled = matches!(self.phase, Phase::Idle | Phase::Owning) && self.leaving.is_empty();
        if !settled || !self.watch.health.may_make_anew(Instant::now()) {
            return true;
        }
        for topic in others.keys() {
            self.subscription.made_again(topic);
        }
        let names: BTreeSet<_> = others.keys().map(AsRef::as_ref).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let names = names.join(", ");
        let reason = format!("deleted and created again, and read from the start: {names}");
        self.recreated.others = others;
        if self.phase == Phase::Owning {
            self.renew(reason);
        } else {
            self.broken = Some(reason);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: TopicId = TopicId(1, 1);
    const NEW: TopicId = TopicId(2, 2);
    const NEWEST: TopicId = TopicId(3, 3);

    fn told(id: TopicId) -> HashMap<Arc<str>, TopicId> {
        HashMap::from([("orders".into(), id)])
    }

    fn others(recreated: &mut Recreated, id: TopicId) -> Option<TopicId> {
        recreated.known.told(&told(id)).remove("orders")
    }

    #[test]
    fn a_topic_is_another_one_until_a_new_consumer_reads_it() {
        let mut recreated = Recreated::new(Instant::now());
        assert_eq!(others(&mut recreated, OLD), None, "the first one");
        assert_eq!(others(&mut recreated, OLD), None, "the same");
        assert!(
            recreated.known.told(&HashMap::new()).is_empty(),
            "it is gone"
        );
        assert_eq!(others(&mut recreated, NEW), Some(NEW));
        assert_eq!(others(&mut recreated, NEW), Some(NEW), "nothing was done");
        recreated.others = told(NEW);
        recreated.not_committed();
        recreated.start_over();
        assert_eq!(others(&mut recreated, NEW), Some(NEW), "it failed");
        recreated.others = told(NEW);
        recreated.start_over();
        assert_eq!(others(&mut recreated, NEW), None);
        assert_eq!(others(&mut recreated, NEWEST), Some(NEWEST), "and again");
    }

    #[test]
    fn a_broker_that_has_not_heard_of_the_new_one_starts_nothing() {
        let mut recreated = Recreated::new(Instant::now());
        recreated.known.told(&told(OLD));
        recreated.others = told(NEW);
        recreated.start_over();
        assert_eq!(others(&mut recreated, OLD), None);
        assert_eq!(others(&mut recreated, NEW), None);
    }

    #[test]
    fn only_what_belongs_to_a_topic_that_is_gone_is_committed_as_its_start() {
        let mut recreated = Recreated::new(Instant::now());
        let (orders, other) = (
            TopicPartition::new("orders", 0),
            TopicPartition::new("x", 0),
        );
        let five = Progress {
            point: Offset(5),
            above: vec![Offset(6)..Offset(7)],
        };
        let seven = Progress::from(Offset(7));
        let mut offsets = [(orders, five.clone()), (other, seven.clone())];
        recreated.known.rewind(&mut offsets, &told(NEW));
        assert_eq!(offsets[0].1, five, "nothing is known");
        recreated.known.told(&told(OLD));
        recreated.known.rewind(&mut offsets, &HashMap::new());
        assert_eq!(offsets[0].1, five, "nobody told");
        recreated.known.rewind(&mut offsets, &told(OLD));
        assert_eq!(offsets[0].1, five, "the same");
        recreated.known.rewind(&mut offsets, &told(NEW));
        assert_eq!(
            offsets.map(|(_, progress)| progress),
            [Offset(0).into(), seven]
        );
    }
}
