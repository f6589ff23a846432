//! What a seed stands for: how the world is set up, what is produced, and what goes wrong when.

use std::{sync::Arc, time::Duration};

use super::{broker::Topic, random::Random, world::World};
use crate::{engine::IsolationLimits, metadata::InitialOffset, model::TopicPartition};

/// What the app does with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Acks,
    Slow,
    /// Refuses it so often.
    Refuses(u32),
    /// Its handler cuts the connection so often; the app lives on.
    CutsTheConnection(u32),
    /// It ends the app so often.
    KillsTheApp(u32),
}

/// How a world is set up.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) topics: Vec<Arc<str>>,
    pub(super) partitions: usize,
    pub(super) members: usize,
    pub(super) lanes: usize,
    /// daprd handles the messages of a stream one at a time.
    pub(super) is_serial: bool,
    /// daprd mixes up calls, as before 1.18.4.
    pub(super) false_acks: bool,
    pub(super) dead_letters: bool,
    pub(super) attempts: u32,
    /// Some records break the app each time: so many of 100.
    breaking: usize,
    /// The setting `maxBreaks`.
    pub(super) max_breaks: Option<u32>,
    pub(super) isolation: IsolationLimits,
    pub(super) max_in_flight: usize,
    pub(super) initial_offset: InitialOffset,
    pub(super) topics_have_ids: bool,
    /// The group's offsets of a topic are deleted with the topic.
    pub(super) offsets_go_with_their_topic: bool,
    /// A consumer goes on at its position in a topic that was created again; else it reads nothing.
    pub(super) reads_on_in_a_new_topic: bool,
    pub(super) transactions: bool,
    /// Of 100 records so many are not just acknowledged.
    difficult: usize,
    records: usize,
    faults: usize,
    /// A member crashes once in so many steps; never if it is 0.
    pub(super) crash_once_in: usize,
    /// How long faults happen.
    pub(super) trouble: Duration,
}

impl Behaviour {
    /// Whether the app breaks by other records only.
    pub(super) fn is_innocent(self) -> bool {
        matches!(self, Self::Acks | Self::Slow)
    }
}

impl Plan {
    pub(super) fn new(random: &mut Random) -> Self {
        let topics = ["orders", "payments"];
        let topics = topics[..random.between(1, 2)].iter();
        let seconds = random.between(10, 30);
        let breaks_the_app = random.percent(20);
        let max_breaks = [None, None, Some(2), Some(4)][random.below(4)];
        Self {
            topics: topics.map(|name| Arc::from(*name)).collect(),
            partitions: random.between(1, 2),
            members: random.between(1, 3),
            lanes: random.between(1, 2),
            is_serial: random.percent(40),
            false_acks: random.percent(70),
            // Without, a record that always breaks the app is held for good.
            dead_letters: breaks_the_app || random.percent(60),
            attempts: [1, 3][random.below(2)],
            breaking: if breaks_the_app { 5 } else { 0 },
            max_breaks: max_breaks.filter(|_| breaks_the_app),
            // In the product a test may take 60 s, and nine times as long passes before the next.
            isolation: IsolationLimits {
                longest: random.millis(1000, 20_000),
                rest: u32::try_from(random.between(0, 3)).unwrap_or_default(),
            },
            max_in_flight: [4, 16, 1024][random.below(3)],
            initial_offset: InitialOffset::Oldest,
            topics_have_ids: random.percent(85),
            offsets_go_with_their_topic: random.percent(60),
            reads_on_in_a_new_topic: random.percent(50),
            transactions: random.percent(50),
            difficult: [0, 10, 30][random.below(3)],
            records: random.between(10, 60),
            faults: random.between(0, 8),
            crash_once_in: [0, 0, 2000, 500][random.below(4)],
            trouble: Duration::from_secs(seconds.try_into().unwrap_or_default()),
        }
    }

    pub(super) fn behaviour(&self, random: &mut Random, in_trouble: bool) -> Behaviour {
        if in_trouble && random.percent(self.breaking) {
            return if random.percent(50) {
                Behaviour::CutsTheConnection(u32::MAX)
            } else {
                Behaviour::KillsTheApp(u32::MAX)
            };
        }
        if !in_trouble || !random.percent(self.difficult) {
            return if in_trouble && random.percent(3) {
                Behaviour::Slow
            } else {
                Behaviour::Acks
            };
        }
        let few = u32::try_from(random.between(1, 3)).unwrap_or(1);
        let always = self.dead_letters && random.percent(50);
        match random.below(4) {
            0 if always => Behaviour::CutsTheConnection(u32::MAX),
            0 => Behaviour::CutsTheConnection(few),
            1 => Behaviour::KillsTheApp(few),
            _ if always => Behaviour::Refuses(u32::MAX),
            _ => Behaviour::Refuses(few),
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Crash,
    CutOff,
    FatalError,
    Leaves,
    DaprdEnds,
    AppDies,
    PodEnds,
    CoordinatorIsSilent,
    LeadersAreSilent,
    CommitsAreRefused,
    DeadLettersFail,
    LogIsCut,
    Retention,
    TopicIsCreatedAgain,
}

const FAULTS: [Fault; 14] = [
    Fault::Crash,
    Fault::CutOff,
    Fault::FatalError,
    Fault::Leaves,
    Fault::DaprdEnds,
    Fault::AppDies,
    Fault::PodEnds,
    Fault::CoordinatorIsSilent,
    Fault::LeadersAreSilent,
    Fault::CommitsAreRefused,
    Fault::DeadLettersFail,
    Fault::LogIsCut,
    Fault::Retention,
    Fault::TopicIsCreatedAgain,
];

impl World {
    pub(super) fn any_partition(&mut self) -> TopicPartition {
        let topic = self.random.below(self.plan.topics.len());
        let partition = self.random.below(self.plan.partitions);
        let partition = i32::try_from(partition).unwrap_or_default();
        TopicPartition::new(self.plan.topics[topic].clone(), partition)
    }

    fn any_time(&mut self) -> Duration {
        let trouble = usize::try_from(self.plan.trouble.as_millis()).unwrap_or(1);
        self.random.millis(0, trouble)
    }

    /// Puts everything that a plan says into the queue.
    pub(super) fn schedule(&mut self) {
        let mut left = self.plan.records;
        while left > 0 {
            let (at, when) = (self.any_partition(), self.any_time());
            let together = self.random.between(1, 8).min(left);
            left -= together;
            let is_transaction = self.plan.transactions && self.random.percent(40);
            self.later(when, move |world| {
                world.burst(&at, together, is_transaction);
            });
        }
        for _ in 0..self.plan.faults {
            let (when, fault) = (self.any_time(), FAULTS[self.random.below(FAULTS.len())]);
            self.later(when, move |world| world.fault(fault));
        }
    }

    /// Several records at once, of a few keys.
    pub(super) fn burst(&mut self, at: &TopicPartition, records: usize, is_transaction: bool) {
        let mut transaction = None;
        if is_transaction {
            self.last_transaction += 1;
            transaction = Some(self.last_transaction);
        }
        for _ in 0..records {
            let key = self.random.below(5);
            let key = u8::try_from(key).ok().filter(|key| *key > 0);
            self.produce(at, key, transaction);
        }
        if let Some(transaction) = transaction {
            let wait = self.random.millis(10, 9000);
            let at = at.clone();
            self.later(wait, move |world| world.end_transaction(&at, transaction));
        }
    }

    fn fault(&mut self, fault: Fault) {
        if !self.in_trouble {
            return;
        }
        self.tell(|| format!("fault: {fault:?}"));
        let site = self.random.below(self.sites.len());
        let until = self.now + self.random.millis(500, 12_000);
        match fault {
            Fault::Crash => self.crash(site),
            Fault::CutOff => self.cut_off(site, until - self.now),
            Fault::FatalError => self.input(site, super::member::Input::Fatal),
            Fault::Leaves => self.input(site, super::member::Input::Shutdown),
            Fault::DaprdEnds => self.daprd_ends(site),
            Fault::AppDies => self.app_dies(site),
            Fault::PodEnds => self.pod_ends(site),
            Fault::CoordinatorIsSilent => self.coordinator_silent = until,
            Fault::LeadersAreSilent => self.leaders_silent = until,
            Fault::CommitsAreRefused => self.commits_refused = until,
            Fault::DeadLettersFail => self.dead_letters_fail = until,
            Fault::LogIsCut => self.lose_the_end(),
            Fault::Retention => self.retention(),
            Fault::TopicIsCreatedAgain => self.delete_topic(),
        }
    }

    /// All faults end; what was begun ends by itself.
    pub(super) fn end_trouble(&mut self) {
        self.tell(|| "the faults end".to_owned());
        self.in_trouble = false;
        let now = self.now;
        self.coordinator_silent = now;
        self.leaders_silent = now;
        self.dead_letters_fail = now;
        self.commits_refused = now;
        for site in 0..self.sites.len() {
            if self.sites[site].cut_off {
                self.reconnected(site);
            }
        }
        // The world is looked at every 2 s: by then these are committed.
        self.later(Duration::from_secs(1), World::easy_records);
    }

    /// Easy records now and then, until all is settled: a breaker closes by what succeeds, and a
    /// record that breaks the app is known by others that do not.
    fn easy_records(&mut self) {
        if self.is_settled() {
            return;
        }
        for at in self.broker.partitions(&self.plan.topics) {
            let key = 100 + u8::try_from(self.random.below(100)).unwrap_or_default();
            self.produce(&at, Some(key), None);
        }
        self.later(Duration::from_secs(2), World::easy_records);
    }

    fn cut_off(&mut self, site: usize, wait: Duration) {
        if self.sites[site].cut_off || self.sites[site].member.is_none() {
            return;
        }
        self.judge.count("cut off");
        self.sites[site].cut_off = true;
        let client = self.sites[site].client.id;
        self.session_ends_later(client);
        self.later(wait, move |world| {
            if world.sites[site].cut_off {
                world.reconnected(site);
            }
        });
    }

    fn retention(&mut self) {
        let at = self.any_partition();
        let removed = i64::try_from(self.random.between(1, 20)).unwrap_or_default();
        let Some(log) = self.broker.log_mut(&at) else {
            return;
        };
        let first = (log.first + removed).min(log.last_stable());
        let gone = log.remove_before(first);
        self.tell(|| format!("{at} begins at {first} now"));
        self.judge.count("retention");
        self.judge.gone(&gone);
    }

    /// A topic is deleted, and created again after a while.
    fn delete_topic(&mut self) {
        if !self.plan.topics_have_ids {
            return;
        }
        let number = self.random.below(self.plan.topics.len());
        let name = self.plan.topics[number].clone();
        let Some(topic) = self.broker.topics.get_mut(&name).filter(|it| it.exists) else {
            return;
        };
        topic.exists = false;
        let incarnation = topic.incarnation + 1;
        self.tell(|| format!("{name} is deleted"));
        self.judge.count("topic created again");
        let facts = self.judge.facts.iter_mut();
        for fact in facts.filter(|fact| fact.at.topic == name) {
            fact.gone = true;
        }
        if self.plan.offsets_go_with_their_topic {
            self.broker.committed.retain(|at, _| at.topic != name);
        }
        let wait = self.random.millis(10, 4000);
        let partitions = self.plan.partitions;
        self.later(wait, move |world| {
            let number = i64::try_from(number).unwrap_or_default();
            let topic = Topic::new(number, incarnation, partitions);
            world.tell(|| format!("{name} is created again"));
            world.broker.topics.insert(name, topic);
        });
    }
}
