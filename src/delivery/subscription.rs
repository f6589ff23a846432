//! Which topics the group is subscribed to: the union of what its lanes ask for.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{kafka::StartAt, metadata::InitialOffset, model::TopicPartition};

/// daprd subscribes to its topics one after the other. Those that come within
/// this time of one another join the group together, not with a rebalance each.
const GATHER: Duration = Duration::from_millis(100);

/// How long the first topic waits at the most for others to follow.
const GATHER_AT_MOST: Duration = Duration::from_secs(1);

/// How often a topic that does not exist, or a broker that did not say, is asked
/// for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long a topic that could not be created waits: what refused it, a permission or a
/// policy, changes when somebody changes it.
pub(super) const CREATE_AGAIN: Duration = Duration::from_secs(30);

/// How long the known topics wait for one that no broker describes. Afterwards they are
/// subscribed to without it: its permission may be missing, which concerns no other topic.
const WAIT_FOR_UNKNOWN: Duration = Duration::from_secs(3);

/// What to do next about the subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask how many partitions a topic has, and tell [`Subscription::learned`].
    Ask(Arc<str>),
    /// Create a topic that does not exist, and tell [`Subscription::created`].
    Create(Arc<str>),
    /// Subscribe to exactly these topics.
    Subscribe(Vec<Arc<str>>),
}

/// A topic as it was when the group first subscribed to it.
#[derive(Debug)]
struct Topic {
    /// Partitions that existed then; those from this number on are new.
    partitions: usize,
    /// Whether it exists by now.
    exists: bool,
    /// When it may be created, if it does not.
    create_at: Instant,
}

#[derive(Debug)]
pub(super) struct Subscription {
    initial_offset: InitialOffset,
    /// Whether topics that do not exist are created.
    creates: bool,
    lanes: BTreeMap<Arc<str>, usize>,
    known: HashMap<Arc<str>, Topic>,
    asked: BTreeSet<Arc<str>>,
    /// Topics that no broker has described yet, and since when they are asked for.
    unknown: BTreeMap<Arc<str>, Instant>,
    applied: Vec<Arc<str>>,
    due: Option<Instant>,
    gathering_since: Option<Instant>,
}

impl Subscription {
    pub(super) fn new(initial_offset: InitialOffset, creates: bool) -> Self {
        Self {
            initial_offset,
            creates,
            lanes: BTreeMap::new(),
            known: HashMap::new(),
            asked: BTreeSet::new(),
            unknown: BTreeMap::new(),
            applied: Vec::new(),
            due: None,
            gathering_since: None,
        }
    }

    pub(super) fn lane_opened(&mut self, topic: Arc<str>, now: Instant) {
        *self.lanes.entry(topic).or_default() += 1;
        let first = *self.gathering_since.get_or_insert(now);
        self.due = Some((now + GATHER).min(first + GATHER_AT_MOST));
    }

    pub(super) fn lane_closed(&mut self, topic: &str, now: Instant) {
        if let Some(count) = self.lanes.get_mut(topic) {
            *count -= 1;
            if *count == 0 {
                self.lanes.remove(topic);
                self.due.get_or_insert(now + GATHER);
            }
        }
    }

    /// When [`Subscription::steps`] has something.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What to do now that it is due.
    pub(super) fn steps(&mut self, now: Instant) -> Vec<Step> {
        self.due = None;
        self.gathering_since = None;
        let mut steps = Vec::new();
        let mut waits = false;
        self.unknown
            .retain(|topic, _| self.lanes.contains_key(topic));
        for topic in self.lanes.keys() {
            if let Some(known) = self.known.get_mut(topic)
                && self.creates
                && !known.exists
                && known.create_at <= now
            {
                known.create_at = now + CREATE_AGAIN;
                steps.push(Step::Create(topic.clone()));
            }
            let known = self.known.get(topic);
            if known.is_some() {
                self.unknown.remove(topic);
            } else {
                let since = *self.unknown.entry(topic.clone()).or_insert(now);
                waits |= now.saturating_duration_since(since) < WAIT_FOR_UNKNOWN;
            }
            if !known.is_some_and(|topic| topic.exists) && self.asked.insert(topic.clone()) {
                steps.push(Step::Ask(topic.clone()));
            }
        }
        let wanted = self.lanes.keys();
        let wanted = wanted.filter(|topic| self.known.contains_key(*topic));
        let wanted: Vec<_> = wanted.cloned().collect();
        if !waits && wanted != self.applied {
            self.applied.clone_from(&wanted);
            steps.push(Step::Subscribe(wanted));
        }
        if steps.iter().any(|step| matches!(step, Step::Ask(_))) {
            self.due = Some(now + ASK_AGAIN);
        } else if waits {
            // A broker that is silent keeps the question under way for longer.
            let since = self.unknown.values().min().copied();
            self.due = since.map(|since| since + WAIT_FOR_UNKNOWN);
        }
        steps
    }

    /// A topic was created: it is there in a moment.
    pub(super) fn created(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// The topics that lanes ask for.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.lanes.keys()
    }

    /// A topic is another one of the same name by now: none of its partitions existed
    /// when the group subscribed.
    pub(super) fn made_again(&mut self, topic: &str) {
        if let Some(known) = self.known.get_mut(topic) {
            known.partitions = 0;
        }
    }

    /// Whether the group is subscribed to a topic that exists: then it is to be
    /// given an assignment, be it an empty one.
    pub(super) fn is_joining(&self) -> bool {
        let exists = |topic| self.known.get(topic).is_some_and(|topic| topic.exists);
        self.applied.iter().any(exists)
    }

    /// The consumer is a new one, which is subscribed to nothing.
    pub(super) fn start_over(&mut self, now: Instant) {
        self.applied.clear();
        self.asked.clear();
        self.due = Some(now);
    }

    /// Subscribing failed: do it again later.
    pub(super) fn not_applied(&mut self, now: Instant) {
        self.applied.clear();
        self.due.get_or_insert(now + ASK_AGAIN);
    }

    /// A topic was asked for; `partitions` is `None` if no broker said. Returns
    /// true if the topic has just come into being.
    pub(super) fn learned(
        &mut self,
        topic: &Arc<str>,
        partitions: Option<usize>,
        now: Instant,
    ) -> bool {
        self.asked.remove(topic);
        let Some(partitions) = partitions else {
            self.due.get_or_insert(now + ASK_AGAIN);
            return false;
        };
        let exists = partitions > 0;
        let Some(known) = self.known.get_mut(topic) else {
            let known = Topic {
                partitions,
                exists,
                create_at: now,
            };
            self.known.insert(topic.clone(), known);
            // The subscription may have waited for this.
            self.due = Some(now);
            return false;
        };
        let appeared = exists && !known.exists;
        known.exists = exists;
        if !exists {
            self.due.get_or_insert(now + ASK_AGAIN);
        }
        appeared
    }

    /// Where to start in a partition without a committed offset: one that
    /// appeared after the group subscribed is read from its first record.
    pub(super) fn start_at(&self, at: &TopicPartition) -> StartAt {
        let existed = self
            .known
            .get(&at.topic)
            .map_or(0, |known| known.partitions);
        let is_new = usize::try_from(at.partition).is_ok_and(|number| number >= existed);
        match self.initial_offset {
            InitialOffset::Newest if !is_new => StartAt::Newest,
            InitialOffset::Newest | InitialOffset::Oldest => StartAt::Oldest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    #[test]
    fn topics_that_come_together_are_one_subscription() {
        let now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Newest, false);
        subscription.lane_opened("b".into(), now);
        let later = now + GATHER / 2;
        subscription.lane_opened("a".into(), later);
        assert_eq!(subscription.due(), Some(later + GATHER));
        let asks = topics(&["a", "b"]).into_iter().map(Step::Ask);
        assert_eq!(subscription.steps(now), asks.collect::<Vec<_>>());
        subscription.learned(&"a".into(), Some(3), now);
        assert_eq!(subscription.steps(now), [], "b is not known yet");
        subscription.learned(&"b".into(), Some(3), now);
        assert_eq!(subscription.due(), Some(now));
        let both = Step::Subscribe(topics(&["a", "b"]));
        assert_eq!(subscription.steps(now), [both]);
        assert_eq!(subscription.steps(now), [], "nothing changed");
    }

    #[test]
    fn a_long_row_of_topics_does_not_keep_the_first_waiting() {
        let now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Newest, false);
        for n in 0..100 {
            subscription.lane_opened(format!("t{n}").into(), now + GATHER / 2 * n);
        }
        assert_eq!(subscription.due(), Some(now + GATHER_AT_MOST));
    }

    #[test]
    fn a_missing_topic_is_asked_for_every_second_and_read_from_its_start() {
        let now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Newest, false);
        subscription.lane_opened("new".into(), now);
        subscription.steps(now);
        subscription.learned(&"new".into(), Some(0), now);
        let ask = Step::Ask("new".into());
        let subscribe = Step::Subscribe(topics(&["new"]));
        assert_eq!(subscription.steps(now), [ask.clone(), subscribe]);
        assert!(!subscription.learned(&"new".into(), Some(0), now));
        assert_eq!(subscription.due(), Some(now + ASK_AGAIN));
        assert_eq!(subscription.steps(now), [ask]);
        assert!(subscription.learned(&"new".into(), Some(3), now));
        let at = TopicPartition::new("new", 0);
        assert_eq!(subscription.start_at(&at), StartAt::Oldest);
    }

    #[test]
    fn a_missing_topic_is_created_again_and_again_until_it_is_there() {
        let now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Newest, true);
        let (topic, ask) = (Arc::from("new"), Step::Ask("new".into()));
        let create = Step::Create("new".into());
        subscription.lane_opened("new".into(), now);
        assert_eq!(subscription.steps(now), [ask], "it may be there");
        subscription.learned(&topic, Some(0), now);
        assert!(subscription.steps(now).contains(&create));
        subscription.learned(&topic, Some(0), now);
        let soon = now + ASK_AGAIN;
        assert!(!subscription.steps(soon).contains(&create), "it failed");
        subscription.learned(&topic, Some(0), soon);
        let later = now + CREATE_AGAIN;
        assert!(subscription.steps(later).contains(&create));
        assert!(subscription.learned(&topic, Some(3), later));
        let end = later + CREATE_AGAIN;
        assert!(!subscription.steps(end).contains(&create), "it is there");
        let at = TopicPartition::new("new", 0);
        assert_eq!(subscription.start_at(&at), StartAt::Oldest);
    }

    #[test]
    fn only_partitions_that_existed_follow_the_initial_offset() {
        let now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Newest, false);
        subscription.learned(&"t".into(), Some(3), now);
        let start = |partition| subscription.start_at(&TopicPartition::new("t", partition));
        assert_eq!(start(2), StartAt::Newest);
        assert_eq!(start(3), StartAt::Oldest);
    }

    #[test]
    fn a_topic_that_was_made_again_is_read_from_its_start() {
        let now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Newest, false);
        subscription.learned(&"t".into(), Some(3), now);
        subscription.made_again("t");
        let at = TopicPartition::new("t", 0);
        assert_eq!(subscription.start_at(&at), StartAt::Oldest);
    }

    #[test]
    fn a_topic_without_lanes_is_left_and_none_at_all_leaves_the_group() {
        let now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Oldest, false);
        subscription.lane_opened("a".into(), now);
        subscription.lane_opened("a".into(), now);
        subscription.learned(&"a".into(), Some(1), now);
        subscription.steps(now);
        subscription.lane_closed("a", now);
        assert_eq!(subscription.due(), None, "a lane is left");
        subscription.lane_closed("a", now);
        assert_eq!(subscription.steps(now), [Step::Subscribe(Vec::new())]);
    }

    #[test]
    fn a_new_consumer_is_subscribed_to_the_same_and_knows_what_is_new() {
        let now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Newest, false);
        subscription.lane_opened("a".into(), now);
        subscription.learned(&"a".into(), Some(2), now);
        let subscribe = [Step::Subscribe(topics(&["a"]))];
        assert!(!subscription.is_joining());
        assert_eq!(subscription.steps(now), subscribe);
        assert!(subscription.is_joining());
        subscription.start_over(now);
        assert_eq!(subscription.due(), Some(now));
        assert_eq!(subscription.steps(now), subscribe);
        let at = TopicPartition::new("a", 2);
        assert_eq!(subscription.start_at(&at), StartAt::Oldest, "it came later");
    }

    #[test]
    fn a_topic_that_no_broker_describes_keeps_the_others_waiting_for_seconds_only() {
        let mut now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Newest, false);
        for topic in ["forbidden", "orders"] {
            subscription.lane_opened(topic.into(), now);
        }
        subscription.steps(now);
        subscription.learned(&"orders".into(), Some(3), now);
        let ask = Step::Ask("forbidden".into());
        let begun = now;
        while now < begun + WAIT_FOR_UNKNOWN {
            subscription.learned(&"forbidden".into(), None, now);
            assert_eq!(
                subscription.steps(now),
                std::slice::from_ref(&ask),
                "it may come yet"
            );
            now = subscription.due().expect("it is asked for again");
        }
        subscription.learned(&"forbidden".into(), None, now);
        let one = Step::Subscribe(topics(&["orders"]));
        assert_eq!(subscription.steps(now), [ask.clone(), one]);
        subscription.learned(&"forbidden".into(), None, now);
        assert_eq!(subscription.steps(now), [ask], "nothing changed");
        subscription.learned(&"forbidden".into(), Some(1), now);
        let both = Step::Subscribe(topics(&["forbidden", "orders"]));
        assert_eq!(subscription.steps(now), [both], "it is permitted now");
    }

    #[test]
    fn a_broker_that_is_silent_about_a_topic_keeps_the_others_no_longer() {
        let now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Newest, false);
        for topic in ["silent", "orders"] {
            subscription.lane_opened(topic.into(), now);
        }
        subscription.steps(now);
        subscription.learned(&"orders".into(), Some(3), now);
        assert_eq!(subscription.steps(now), [], "asked already");
        let late = now + WAIT_FOR_UNKNOWN;
        assert_eq!(subscription.due(), Some(late));
        let one = Step::Subscribe(topics(&["orders"]));
        assert_eq!(subscription.steps(late), [one]);
    }

    #[test]
    fn a_group_whose_only_topic_no_broker_describes_leaves_nothing() {
        let now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Newest, false);
        subscription.lane_opened("forbidden".into(), now);
        subscription.steps(now);
        subscription.learned(&"forbidden".into(), None, now);
        let later = now + WAIT_FOR_UNKNOWN;
        assert_eq!(subscription.steps(later), [Step::Ask("forbidden".into())]);
    }

    #[test]
    fn a_broker_that_does_not_say_is_asked_again() {
        let now = Instant::now();
        let mut subscription = Subscription::new(InitialOffset::Newest, false);
        subscription.lane_opened("a".into(), now);
        subscription.steps(now);
        subscription.learned(&"a".into(), None, now);
        assert!(subscription.due().is_some());
        assert_eq!(subscription.steps(now), [Step::Ask("a".into())]);
    }
}
