//! Topics that were deleted and created again.
//!
//! librdkafka (2.12) takes the new topic for the old one: it goes on at the position that
//! it had there, and as long as the new one's leader epochs are lower than those that it
//! knows it takes no leader for it and reads nothing at all. Only a topic's id tells.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{calls::Done, owner::Owner};
use crate::{
    kafka::{Cause, TopicId},
    model::{Epoch, Offset, SameTopic, TopicPartition},
};

/// How often the topics are asked who they are: one request for all of them.
const EVERY: Duration = Duration::from_secs(5);

/// How long a broker may take to answer: a consumer that is to be closed waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A topic, as the group's positions belong to it.
#[derive(Clone, Copy, Debug)]
struct Identity {
    id: TopicId,
    /// The one of this name before: a broker may not have heard of its end yet.
    before: Option<TopicId>,
}

/// The topics that the group's positions belong to.
#[derive(Debug, Default)]
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

    /// Whether a topic's id is known.
    fn knows(&self, topic: &str) -> bool {
        self.0.contains_key(topic)
    }

    /// The ids that are known.
    pub(super) fn ids(&self) -> HashMap<Arc<str>, TopicId> {
        let known = self.0.iter();
        known.map(|(topic, it)| (topic.clone(), it.id)).collect()
    }
}

/// What is known of topics that were created again.
#[derive(Debug)]
pub(super) struct Recreated {
    pub(super) known: Identities,
    /// Those for which a new consumer is on its way.
    others: HashMap<Arc<str>, TopicId>,
    /// Partitions that were ours when their topic was created again, and of which the group has
    /// committed nothing since: a commit that names no topic belongs to the topic before.
    of_before: HashSet<TopicPartition>,
    /// Where partitions started whose commit does not tell that it belongs to this topic.
    doubtful: HashMap<TopicPartition, Offset>,
    due: Instant,
    asking: bool,
    ends_due: Instant,
    asking_ends: bool,
    /// Partitions whose log ended before our position when it was asked for last.
    short: HashSet<TopicPartition>,
}

impl Recreated {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            known: Identities::default(),
            others: HashMap::new(),
            of_before: HashSet::new(),
            doubtful: HashMap::new(),
            due: now,
            asking: false,
            ends_due: now,
            asking_ends: false,
            short: HashSet::new(),
        }
    }

    /// These partitions are another topic's by now.
    pub(super) fn created_again(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.of_before.extend(partitions);
    }

    /// Whether a commit of this partition that names no topic belongs to the topic before.
    pub(super) fn is_of_a_topic_before(&self, at: &TopicPartition) -> bool {
        self.of_before.contains(at)
    }

    /// Partitions were assigned: those that others have may be committed by others.
    pub(super) fn assigned(&mut self, partitions: &[TopicPartition]) {
        self.of_before.retain(|at| partitions.contains(at));
    }

    /// This partition is being read.
    pub(super) fn has_started(&mut self, at: &TopicPartition) {
        self.of_before.remove(at);
    }

    /// A partition is read from this offset on.
    pub(super) fn starts_at(&mut self, at: &TopicPartition, offset: Offset, topic: SameTopic) {
        if topic == SameTopic::Yes {
            self.doubtful.remove(at);
        } else {
            self.doubtful.insert(at.clone(), offset);
        }
    }

    /// Whether nothing tells that a position belongs to this topic: it is the one of a commit, and
    /// nothing was read from there on.
    pub(super) fn is_doubtful(&self, at: &TopicPartition, position: Offset) -> bool {
        self.doubtful.get(at) == Some(&position)
    }

    /// Takes in the partitions whose log ends before our position; returns those of which that
    /// was so the time before as well. A leader that was just elected may answer with an end that
    /// is too low, once.
    fn still_short(&mut self, short: HashSet<TopicPartition>) -> Vec<TopicPartition> {
        let again = short.intersection(&self.short).cloned().collect();
        self.short = short;
        again
    }

    /// The consumer is a new one, which knows nothing of topics that are gone.
    pub(super) fn start_over(&mut self) {
        (self.asking, self.asking_ends) = (false, false);
        self.short.clear();
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
        let early = Done::Identities(Err(Cause::ended_early()));
        self.calls.spawn(early, async move {
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
        let topics: BTreeSet<_> = others.keys().cloned().collect();
        if self.read_from_start(&topics) {
            self.recreated.others = others;
        }
        true
    }

    /// Reads topics from their start, with a new consumer. False if that is not possible now.
    fn read_from_start(&mut self, topics: &BTreeSet<Arc<str>>) -> bool {
        if !self.membership.is_settled() || !self.watch.health.may_make_anew(Instant::now()) {
            return false;
        }
        for topic in topics {
            self.subscription.made_again(topic);
        }
        let owned = self.owned().into_iter();
        let ours = owned.filter(|at| topics.contains(&at.topic));
        self.recreated.created_again(ours);
        let names: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
        let names = names.join(", ");
        let reason = format!("deleted and created again, and read from the start: {names}");
        self.renew(reason);
        true
    }

    /// Asks where partitions end whose topics have no ids: an end before our position is all that
    /// tells that such a topic was created again.
    pub(super) fn ask_for_log_ends(&mut self, owned: &[TopicPartition], now: Instant) {
        if self.recreated.asking_ends
            || now < self.recreated.ends_due
            || !self.membership.is_owning()
        {
            return;
        }
        self.recreated.ends_due = now + EVERY;
        let without_id = owned
            .iter()
            .filter(|at| !self.recreated.known.knows(&at.topic));
        let asked: Vec<_> = without_id
            .filter_map(|at| {
                let (epoch, position) = (self.engine.epoch(at)?, self.engine.position(at)?);
                Some((at.clone(), epoch, position))
            })
            .collect();
        if asked.is_empty() {
            return;
        }
        self.recreated.asking_ends = true;
        let consumer = self.consumer.clone();
        self.calls.spawn(Done::ShortLogs(Vec::new()), async move {
            let places = asked.iter().map(|(at, ..)| at.clone()).collect();
            let ends: HashMap<_, _> = consumer.log_ends(places).await.into_iter().collect();
            let short = asked.into_iter().filter(|(at, _, position)| {
                let end = ends.get(at);
                end.is_some_and(|end| end < position)
            });
            Done::ShortLogs(short.map(|(at, epoch, _)| (at, epoch)).collect())
        });
    }

    pub(super) fn short_logs(&mut self, short: Vec<(TopicPartition, Epoch)>) {
        self.recreated.asking_ends = false;
        let short = short.into_iter();
        let short = short.filter(|(at, epoch)| self.engine.owns(at, *epoch));
        let short = short.map(|(at, _)| at).collect();
        let short = self.recreated.still_short(short);
        let topics: BTreeSet<_> = short.into_iter().map(|at| at.topic).collect();
        if !topics.is_empty() {
            self.read_from_start(&topics);
        }
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
    fn a_log_that_ends_before_our_position_counts_the_second_time() {
        let mut recreated = Recreated::new(Instant::now());
        let at = |partition| TopicPartition::new("orders", partition);
        let mut short = |partitions: &[i32]| {
            let short = partitions.iter().map(|partition| at(*partition));
            recreated.still_short(short.collect())
        };
        assert_eq!(short(&[1, 2]), [], "the first time");
        assert_eq!(short(&[2, 3]), [at(2)]);
        assert_eq!(short(&[]), []);
        assert_eq!(short(&[2]), [], "it was well in between");
    }

    #[test]
    fn what_was_ours_of_the_topic_before_is_known_until_the_new_one_has_started() {
        let mut recreated = Recreated::new(Instant::now());
        let at = TopicPartition::new("orders", 0);
        assert!(!recreated.is_of_a_topic_before(&at));
        recreated.created_again([at.clone()]);
        recreated.start_over();
        let other = TopicPartition::new("orders", 1);
        recreated.created_again([other.clone()]);
        recreated.assigned(std::slice::from_ref(&at));
        assert!(!recreated.is_of_a_topic_before(&other), "another has it");
        assert!(recreated.is_of_a_topic_before(&at));
        recreated.has_started(&at);
        assert!(!recreated.is_of_a_topic_before(&at));
    }
}
