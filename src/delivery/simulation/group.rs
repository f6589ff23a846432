//! The group's coordinator, and each member's consumer as librdkafka is one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    broker::Fetched,
    member::{Input, Member},
    world::{Address, World},
};
use crate::{
    delivery::inbox::Read,
    kafka::{Cause, Kind, Signal},
    model::{Offset, TopicPartition},
};

const SESSION: Duration = Duration::from_secs(6);
const REBALANCE: Duration = Duration::from_secs(20);

/// What the owner was told and has not answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    Assigned,
    Revoked,
}

/// A consumer.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) id: u64,
    topics: Vec<Arc<str>>,
    has_joined: bool,
    pub(super) generation: Option<u64>,
    /// What the group has given it, if it has an assignment.
    pub(super) held: Option<BTreeSet<TopicPartition>>,
    told: Told,
    /// Something has changed since it was told.
    again: bool,
    /// The partitions that existed when it joined.
    seen: usize,
    fetches: BTreeMap<TopicPartition, Fetching>,
    /// The incarnation of each topic that it has heard of. It ignores leaders of a later one.
    pub(super) known: BTreeMap<Arc<str>, i64>,
    /// The step at which it was asked what the group has committed of each partition.
    pub(super) since: BTreeMap<TopicPartition, u64>,
    /// Questions under way whose answers a cut would make wrong.
    pub(super) asks: usize,
}

impl Client {
    /// The offset of the next record to fetch.
    pub(super) fn position(&self, at: &TopicPartition) -> Option<i64> {
        Some(self.fetches.get(at)?.position)
    }
}

#[derive(Debug)]
struct Fetching {
    position: i64,
    /// Its position was out of range.
    stopped: bool,
}

/// The group, as its coordinator sees it.
#[derive(Debug, Default)]
pub(super) struct Group {
    members: BTreeMap<u64, (Address, Vec<Arc<str>>)>,
    pub(super) generation: u64,
    /// Who has joined again, while a rebalance is under way.
    joined: Option<BTreeSet<u64>>,
    rebalances: u64,
}

impl Group {
    pub(super) fn accepts(&self, client: u64, generation: Option<u64>) -> bool {
        self.members.contains_key(&client) && generation == Some(self.generation)
    }
}

/// The coordinator.
impl World {
    fn join(&mut self, address: Address, topics: Vec<Arc<str>>) {
        let client = address.client;
        self.group.members.insert(client, (address, topics));
        self.rebalance();
        if let Some(joined) = &mut self.group.joined {
            joined.insert(client);
        }
        self.may_complete();
    }

    pub(super) fn leave(&mut self, client: u64) {
        if self.group.members.remove(&client).is_none() {
            return;
        }
        if let Some(joined) = &mut self.group.joined {
            joined.remove(&client);
        }
        if !self.group.members.is_empty() {
            self.rebalance();
            self.may_complete();
        }
    }

    fn rebalance(&mut self) {
        if self.group.joined.is_some() {
            return;
        }
        self.judge.count("rebalance");
        self.group.joined = Some(BTreeSet::new());
        self.group.rebalances += 1;
        let this = self.group.rebalances;
        self.later(REBALANCE, move |world| world.rebalance_is_late(this));
        let members = self.group.members.values();
        let members: Vec<_> = members.map(|(address, _)| *address).collect();
        for address in members {
            let wait = self.random.millis(0, 1000);
            self.later(wait, move |world| world.hear(address));
        }
    }

    /// Those that have not joined again in time are removed.
    fn rebalance_is_late(&mut self, rebalance: u64) {
        if self.group.rebalances != rebalance {
            return;
        }
        let Some(joined) = self.group.joined.clone() else {
            return;
        };
        self.group.members.retain(|id, _| joined.contains(id));
        if joined.is_empty() {
            self.group.joined = None;
        } else {
            self.may_complete();
        }
        for site in 0..self.sites.len() {
            let address = self.address(site);
            self.later(Duration::from_secs(1), move |world| world.hear(address));
        }
    }

    fn may_complete(&mut self) {
        let all = self.group.members.len();
        if all == 0 || self.group.joined.as_ref().map(BTreeSet::len) != Some(all) {
            return;
        }
        self.group.joined = None;
        self.group.generation += 1;
        let generation = self.group.generation;
        let mut shares: BTreeMap<u64, Vec<TopicPartition>> = BTreeMap::new();
        for at in self.broker.partitions(&self.plan.topics) {
            let members = self.group.members.iter();
            let takers = members.filter(|(_, (_, topics))| topics.contains(&at.topic));
            let takers: Vec<_> = takers.map(|(id, _)| *id).collect();
            let number = usize::try_from(at.partition).unwrap_or_default();
            if !takers.is_empty() {
                let taker = takers[number % takers.len()];
                shares.entry(taker).or_default().push(at);
            }
        }
        self.tell(|| format!("generation {generation}: {shares:?}"));
        let members = self.group.members.clone();
        for (id, (address, topics)) in members {
            let exist = self.broker.partitions(&topics).len();
            let share = shares.remove(&id).unwrap_or_default();
            if let Some(site) = self.sites.get_mut(address.site)
                && site.client.id == id
            {
                site.client.seen = exist;
            }
            let wait = self.random.millis(1, 30);
            self.later(wait, move |world| {
                world.assigned(address, generation, share);
            });
        }
    }

    /// The member's process, or its way to the brokers, may be gone.
    pub(super) fn session_ends_later(&mut self, client: u64) {
        self.later(SESSION, move |world| {
            let mut sites = world.sites.iter();
            let lives = sites
                .any(|site| site.member.is_some() && site.client.id == client && !site.cut_off);
            if !lives {
                world.leave(client);
            }
        });
    }
}

/// librdkafka.
impl World {
    pub(super) fn new_client(&mut self, site: usize) {
        self.last_client += 1;
        self.sites[site].client = Client {
            id: self.last_client,
            ..Client::default()
        };
        let address = self.address(site);
        self.later(Duration::ZERO, move |world| world.fetch(address));
        self.later(Duration::from_secs(10), move |world| {
            world.refresh_again(address);
        });
    }

    pub(super) fn subscribe(&mut self, site: usize, topics: Vec<Arc<str>>) {
        self.tell(|| format!("member {site} subscribes to {topics:?}"));
        self.sites[site].client.topics = topics;
        let address = self.address(site);
        let wait = self.random.millis(1, 20);
        self.later(wait, move |world| world.rejoin(address));
    }

    /// The consumer looks whether its topics have changed.
    pub(super) fn refresh(&mut self, site: usize) {
        let client = &self.sites[site].client;
        let exist = self.broker.partitions(&client.topics).len();
        if client.has_joined && exist != client.seen {
            let address = self.address(site);
            self.rejoin(address);
        }
    }

    fn refresh_again(&mut self, address: Address) {
        if self.is_there(address) {
            self.refresh(address.site);
            self.later(Duration::from_secs(10), move |world| {
                world.refresh_again(address);
            });
        }
    }

    /// Gives up what it has, and joins again.
    fn rejoin(&mut self, address: Address) {
        let site = &mut self.sites[address.site];
        if site.life != address.life || site.client.id != address.client || site.cut_off {
            return;
        }
        if site.client.told != Told::Nothing {
            site.client.again = true;
        } else if site.client.held.is_some() {
            let lost = !self.group.members.contains_key(&address.client);
            site.client.told = Told::Revoked;
            self.signal(address, Signal::Revoked { lost });
        } else {
            self.join_or_leave(address);
        }
    }

    fn join_or_leave(&mut self, address: Address) {
        if !self.is_there(address) || self.sites[address.site].cut_off {
            return;
        }
        let client = &self.sites[address.site].client;
        if client.held.is_some() || client.told != Told::Nothing {
            // It has joined in the meantime.
            return;
        }
        let topics = client.topics.clone();
        let client = &mut self.sites[address.site].client;
        client.has_joined = !topics.is_empty();
        if topics.is_empty() {
            self.leave(address.client);
        } else {
            self.join(address, topics);
        }
    }

    /// A heartbeat: the member hears of a rebalance, or that it is no member any more.
    pub(super) fn hear(&mut self, address: Address) {
        if !self.is_there(address) || !self.sites[address.site].client.has_joined {
            return;
        }
        let client = &self.sites[address.site].client;
        let is_out = !self.group.members.contains_key(&address.client);
        let is_old = match &self.group.joined {
            Some(joined) => !joined.contains(&address.client),
            None => client.generation != Some(self.group.generation),
        };
        if is_out || is_old {
            self.rejoin(address);
        }
    }

    fn signal(&mut self, address: Address, signal: Signal) {
        self.tell(|| format!("member {} is told {signal:?}", address.site));
        let wait = self.random.millis(0, 20);
        self.send(address, wait, Input::Signal(signal));
    }

    fn assigned(&mut self, address: Address, generation: u64, share: Vec<TopicPartition>) {
        let is_member = self.group.members.contains_key(&address.client);
        // It has joined again since, and waits for the next assignment.
        let is_over = self.group.joined.as_ref();
        let is_over = is_over.is_some_and(|joined| joined.contains(&address.client));
        if !self.is_there(address)
            || is_over
            || self.sites[address.site].cut_off
            || !is_member
            || self.group.generation != generation
        {
            return;
        }
        for at in &share {
            let incarnation = self.broker.incarnation(&at.topic);
            let known = &mut self.sites[address.site].client.known;
            known.entry(at.topic.clone()).or_insert(incarnation);
        }
        let client = &mut self.sites[address.site].client;
        client.generation = Some(generation);
        client.held = Some(share.iter().cloned().collect());
        client.told = Told::Assigned;
        self.signal(address, Signal::Assigned(share));
    }

    pub(super) fn assign(&mut self, site: usize, positions: &[(TopicPartition, Offset)]) {
        self.tell(|| format!("member {site} assigns {positions:?}"));
        let client = &mut self.sites[site].client;
        let held = client.held.clone().unwrap_or_default();
        client.fetches = BTreeMap::new();
        for (at, position) in positions {
            if !held.contains(at) {
                let what =
                    format!("I9: member {site} takes {at}, which the group has not given it");
                self.judge.findings.push(what);
            }
            let fetching = Fetching {
                position: position.0,
                stopped: false,
            };
            client.fetches.insert(at.clone(), fetching);
        }
        if client.told == Told::Assigned {
            client.told = Told::Nothing;
            if std::mem::take(&mut client.again) {
                let address = self.address(site);
                self.later(Duration::ZERO, move |world| world.rejoin(address));
            }
        }
    }

    pub(super) fn unassign(&mut self, site: usize) {
        self.tell(|| format!("member {site} gives its partitions back"));
        let client = &mut self.sites[site].client;
        client.fetches = BTreeMap::new();
        client.held = None;
        if client.told != Told::Nothing {
            client.told = Told::Nothing;
            client.again = false;
            let address = self.address(site);
            let wait = self.random.millis(1, 20);
            self.later(wait, move |world| world.join_or_leave(address));
        }
    }

    /// The way to the brokers is back.
    pub(super) fn reconnected(&mut self, site: usize) {
        self.sites[site].cut_off = false;
        let address = self.address(site);
        let client = &self.sites[site].client;
        let waits = client.held.is_none() && client.told == Told::Nothing;
        if waits && !client.topics.is_empty() {
            self.join_or_leave(address);
        } else {
            self.hear(address);
        }
    }

    fn fetch(&mut self, address: Address) {
        if !self.is_there(address) {
            return;
        }
        let mut came = false;
        let site = address.site;
        if !self.sites[site].cut_off && self.leaders_silent <= self.now {
            let places: Vec<_> = self.sites[site].client.fetches.keys().cloned().collect();
            for at in places {
                came |= self.fetch_one(address, &at);
            }
        }
        let wait = if came {
            self.random.millis(1, 15)
        } else {
            self.random.millis(100, 300)
        };
        self.later(wait, move |world| world.fetch(address));
    }

    fn fetch_one(&mut self, address: Address, at: &TopicPartition) -> bool {
        let site = &mut self.sites[address.site];
        let epoch = site
            .member
            .as_ref()
            .and_then(|member: &Member| member.reads(at));
        let (Some(epoch), Some(log)) = (epoch, self.broker.log(at)) else {
            return false;
        };
        let is_stale =
            site.client.known.get(&at.topic) != Some(&self.broker.incarnation(&at.topic));
        let Some(fetching) = site.client.fetches.get_mut(at) else {
            return false;
        };
        if fetching.stopped || is_stale && !self.plan.reads_on_in_a_new_topic {
            return false;
        }
        let result = match log.fetch(fetching.position) {
            Fetched::Nothing => return false,
            Fetched::OutOfRange => {
                fetching.stopped = true;
                Err(Cause {
                    kind: Kind::OutOfRange,
                    text: "out of range".to_owned(),
                })
            }
            Fetched::Record(offset, number) => {
                fetching.position = offset + 1;
                Ok(self.record(at, offset, number))
            }
        };
        if result.is_err() {
            self.tell(|| format!("member {}: {at} is out of range", address.site));
            self.judge.count("out of range");
        }
        let at = at.clone();
        let read = Read { at, epoch, result };
        // In the order of offsets.
        self.send(address, Duration::from_millis(2), Input::Read(read));
        true
    }
}
