//! Which topics the group's positions belong to, and which of them were deleted and created again.
//!
//! librdkafka (2.12) takes the new topic for the old one: it goes on at the position that
//! it had there, and as long as the new one's leader epochs are lower than those that it
//! knows it takes no leader for it and reads nothing at all. Only a topic's id tells.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::question::Question;
use crate::{
    kafka::{Cause, TopicId},
    model::{Offset, SameTopic, TopicPartition},
};

/// How often is asked who the topics are.
const EVERY: Duration = Duration::from_secs(5);

/// A topic, as the group's positions belong to it.
#[derive(Clone, Copy, Debug)]
struct Identity {
    id: TopicId,
    /// The one of this name before: a broker may not have heard of its end yet.
    before: Option<TopicId>,
}

/// The topics that the group's positions belong to.
#[derive(Debug)]
pub(super) struct TopicIds {
    known: HashMap<Arc<str>, Identity>,
    /// Topics that were created again, for which a new consumer is on its way.
    others: HashMap<Arc<str>, TopicId>,
    /// Partitions that were ours when their topic was created again, and of which the group has
    /// committed nothing since: a commit that names no topic belongs to the topic before.
    of_before: HashSet<TopicPartition>,
    /// Where partitions started whose commit does not tell that it belongs to this topic.
    doubtful: HashMap<TopicPartition, Offset>,
    /// The ids of all topics: one request for all of them.
    pub(super) ids_asked: Question,
    /// The ends of partitions whose topics have no ids.
    pub(super) ends_asked: Question,
    /// Partitions whose log ended before our position when it was asked for last.
    short: HashSet<TopicPartition>,
}

impl TopicIds {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            known: HashMap::new(),
            others: HashMap::new(),
            of_before: HashSet::new(),
            doubtful: HashMap::new(),
            ids_asked: Question::new(EVERY, now),
            ends_asked: Question::new(EVERY, now),
            short: HashSet::new(),
        }
    }

    /// The ids that are known.
    pub(super) fn ids(&self) -> HashMap<Arc<str>, TopicId> {
        let known = self.known.iter();
        known.map(|(topic, it)| (topic.clone(), it.id)).collect()
    }

    /// Whether a topic's id is known.
    pub(super) fn knows(&self, topic: &str) -> bool {
        self.known.contains_key(topic)
    }

    /// Takes in what brokers say of topics; returns those that are others than the group's
    /// positions belong to.
    pub(super) fn told(&mut self, told: &HashMap<Arc<str>, TopicId>) -> HashMap<Arc<str>, TopicId> {
        let mut others = HashMap::new();
        for (topic, id) in told {
            match self.known.get(topic) {
                Some(known) if known.id == *id || known.before == Some(*id) => {}
                Some(_) => {
                    others.insert(topic.clone(), *id);
                }
                None => {
                    let (id, before) = (*id, None);
                    self.known.insert(topic.clone(), Identity { id, before });
                }
            }
        }
        others
    }

    /// A new consumer, which reads these topics, is on its way.
    pub(super) fn replaces(&mut self, others: HashMap<Arc<str>, TopicId>) {
        self.others = others;
    }

    /// Whether a position belongs to the topic that brokers tell of, before that is taken in by
    /// [`TopicIds::told`]: an id that is heard of for the first time says nothing of our position.
    /// An error if it is needed and no broker said.
    pub(super) fn is_same<'a>(
        &self,
        at: &TopicPartition,
        position: Offset,
        told: &'a Result<HashMap<Arc<str>, TopicId>, Cause>,
    ) -> Result<SameTopic, &'a Cause> {
        if !self.knows(&at.topic) {
            return Ok(SameTopic::Unknown);
        }
        let told = told.as_ref()?.contains_key(&at.topic);
        // A position of a commit from which nothing was read may be another topic's.
        let is_doubtful = self.doubtful.get(at) == Some(&position);
        Ok(if told && !is_doubtful {
            SameTopic::Yes
        } else {
            SameTopic::Unknown
        })
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

    /// A partition is read from this offset on; `topic` says whether its commit names this topic.
    pub(super) fn started(&mut self, at: &TopicPartition, offset: Offset, topic: SameTopic) {
        self.of_before.remove(at);
        if topic == SameTopic::Yes {
            self.doubtful.remove(at);
        } else {
            self.doubtful.insert(at.clone(), offset);
        }
    }

    /// Takes in the partitions whose log ends before our position; returns the topics of those of
    /// which that was so the time before as well. A leader that was just elected may answer with
    /// an end that is too low, once.
    pub(super) fn are_short(&mut self, short: HashSet<TopicPartition>) -> BTreeSet<Arc<str>> {
        let again = short.intersection(&self.short);
        let again = again.map(|at| at.topic.clone()).collect();
        self.short = short;
        again
    }

    /// The consumer is a new one, which knows nothing of topics that are gone.
    pub(super) fn start_over(&mut self) {
        self.ids_asked.ended();
        self.ends_asked.ended();
        self.short.clear();
        for (topic, id) in self.others.drain() {
            let before = self.known.get(&topic).map(|known| known.id);
            self.known.insert(topic, Identity { id, before });
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

    fn at(partition: i32) -> TopicPartition {
        TopicPartition::new("orders", partition)
    }

    fn others(ids: &mut TopicIds, id: TopicId) -> Option<TopicId> {
        ids.told(&told(id)).remove("orders")
    }

    #[test]
    fn a_topic_is_another_one_until_a_new_consumer_reads_it() {
        let mut ids = TopicIds::new(Instant::now());
        assert_eq!(others(&mut ids, OLD), None, "the first one");
        assert_eq!(others(&mut ids, OLD), None, "the same");
        assert!(ids.told(&HashMap::new()).is_empty(), "it is gone");
        assert_eq!(others(&mut ids, NEW), Some(NEW));
        assert_eq!(others(&mut ids, NEW), Some(NEW), "nothing was done");
        ids.replaces(told(NEW));
        ids.start_over();
        assert_eq!(others(&mut ids, NEW), None);
        assert_eq!(others(&mut ids, NEWEST), Some(NEWEST), "and again");
    }

    #[test]
    fn a_broker_that_has_not_heard_of_the_new_one_starts_nothing() {
        let mut ids = TopicIds::new(Instant::now());
        ids.told(&told(OLD));
        ids.replaces(told(NEW));
        ids.start_over();
        assert_eq!(others(&mut ids, OLD), None);
        assert_eq!(others(&mut ids, NEW), None);
    }

    #[test]
    fn a_log_that_ends_before_our_position_counts_the_second_time() {
        let mut ids = TopicIds::new(Instant::now());
        let mut short = |partitions: &[i32]| {
            let short = partitions.iter().map(|partition| at(*partition));
            !ids.are_short(short.collect()).is_empty()
        };
        assert!(!short(&[1, 2]), "the first time");
        assert!(short(&[2, 3]));
        assert!(!short(&[]));
        assert!(!short(&[2]), "it was well in between");
    }

    #[test]
    fn what_was_ours_of_the_topic_before_is_known_until_the_new_one_has_started() {
        let mut ids = TopicIds::new(Instant::now());
        assert!(!ids.is_of_a_topic_before(&at(0)));
        ids.created_again([at(0)]);
        ids.start_over();
        ids.created_again([at(1)]);
        ids.assigned(&[at(0)]);
        assert!(!ids.is_of_a_topic_before(&at(1)), "another has it");
        assert!(ids.is_of_a_topic_before(&at(0)));
        ids.started(&at(0), Offset(0), SameTopic::Yes);
        assert!(!ids.is_of_a_topic_before(&at(0)));
    }

    #[test]
    fn a_position_is_the_topics_where_its_id_was_known_and_is_told_again() {
        let mut ids = TopicIds::new(Instant::now());
        let same = |ids: &TopicIds, told: &Result<_, Cause>| {
            let same = ids.is_same(&at(0), Offset(5), told);
            same.map_err(Clone::clone)
        };
        let (known, silent) = (Ok(told(OLD)), Cause::ended_early());
        assert_eq!(same(&ids, &known), Ok(SameTopic::Unknown), "the first time");
        assert_eq!(same(&ids, &Err(silent.clone())), Ok(SameTopic::Unknown));
        ids.told(&told(OLD));
        assert_eq!(same(&ids, &known), Ok(SameTopic::Yes));
        assert_eq!(same(&ids, &Ok(HashMap::new())), Ok(SameTopic::Unknown));
        assert_eq!(same(&ids, &Err(silent.clone())), Err(silent));
        ids.started(&at(0), Offset(5), SameTopic::Unknown);
        assert_eq!(same(&ids, &known), Ok(SameTopic::Unknown), "of a commit");
        ids.started(&at(0), Offset(4), SameTopic::Unknown);
        assert_eq!(same(&ids, &known), Ok(SameTopic::Yes), "it was read");
    }
}
