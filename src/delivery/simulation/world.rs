//! The world: a clock, a queue of what happens when, and everybody in it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use super::{
    app::Daprd,
    broker::{Broker, Entry, Topic},
    group::{Client, Group},
    judge::Judge,
    member::{Effect, Input, Member},
    random::Random,
    schedule::{Behaviour, Plan},
};
use crate::{
    delivery::owner,
    engine::Limits,
    metadata::{Settings, resolve},
    model::{Backoff, Policy, Record, TopicPartition},
};

/// More than any schedule needs: what takes more does not end.
const MOST_STEPS: u64 = 150_000;

/// How long everything has to settle once the faults have ended.
const SETTLES_WITHIN: Duration = Duration::from_secs(400);

/// A shutdown may wait for `rebalanceDrain`, and then 5 s for the last commit.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

type Happens = Box<dyn FnOnce(&mut World)>;

/// Whom something is for: it reaches nobody if that process, or that consumer, is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) site: usize,
    pub(super) life: u64,
    pub(super) client: u64,
}

/// One member, its daprd and its app.
pub(super) struct Site {
    pub(super) member: Option<Member>,
    /// Incremented each time the member's process starts or ends.
    pub(super) life: u64,
    pub(super) client: Client,
    pub(super) daprd: Daprd,
    /// The brokers can't be reached.
    pub(super) cut_off: bool,
    wake: Option<Instant>,
    pub(super) commits: super::calls::OpenCommits,
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) random: Random,
    pub(super) now: Instant,
    began: Instant,
    pub(super) step: u64,
    queue: BTreeMap<(Instant, u64), Happens>,
    queued: u64,
    pub(super) broker: Broker,
    pub(super) group: Group,
    pub(super) sites: Vec<Site>,
    pub(super) judge: Judge,
    pub(super) behaviours: Vec<Behaviour>,
    pub(super) settings: Settings,
    pub(super) policy: Arc<Policy>,
    pub(super) last_client: u64,
    pub(super) last_transaction: u64,
    /// No answer comes from these before then.
    pub(super) coordinator_silent: Instant,
    pub(super) leaders_silent: Instant,
    pub(super) dead_letters_fail: Instant,
    /// Commits of the first topic are refused before then.
    pub(super) commits_refused: Instant,
    /// Faults happen.
    pub(super) in_trouble: bool,
    left: usize,
    /// All members are shut down, and start no more.
    is_ending: bool,
    tells: bool,
}

/// What the settings of all members have in common.
static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    let given = [
        ("brokers", "localhost:9092"),
        ("authType", "none"),
        ("stallTimeout", "5s"),
        ("rebalanceDrain", "3s"),
    ];
    let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let resolved = resolve(&HashMap::from(given));
    resolved.expect("the settings are right").settings
});

fn settings(plan: &Plan) -> Settings {
    Settings {
        initial_offset: plan.initial_offset,
        max_in_flight: plan.max_in_flight,
        ..SETTINGS.clone()
    }
}

fn policy(plan: &Plan) -> Policy {
    Policy {
        backoff: Backoff::Constant(Duration::from_millis(200)),
        max_attempts: Some(plan.attempts),
        max_elapsed: None,
        max_breaks: plan.max_breaks,
        dead_letter: plan.dead_letters.then(|| "dead".into()),
        min_age: Duration::ZERO,
    }
}

impl World {
    pub(super) fn new(seed: u64, tells: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random);
        let now = *super::EPOCH;
        let mut broker = Broker::default();
        for (number, name) in plan.topics.iter().enumerate() {
            let number = i64::try_from(number).unwrap_or_default();
            let topic = Topic::new(number, 1, plan.partitions);
            broker.topics.insert(name.clone(), topic);
        }
        Self {
            settings: settings(&plan),
            policy: Arc::new(policy(&plan)),
            plan,
            random,
            now,
            began: now,
            step: 0,
            queue: BTreeMap::new(),
            queued: 0,
            broker,
            group: Group::default(),
            sites: Vec::new(),
            judge: Judge::default(),
            behaviours: Vec::new(),
            last_client: 0,
            last_transaction: 0,
            coordinator_silent: now,
            leaders_silent: now,
            dead_letters_fail: now,
            commits_refused: now,
            in_trouble: true,
            left: 0,
            is_ending: false,
            tells,
        }
    }

    /// Plays the schedule of a seed to its end; returns what the judge found.
    pub(super) fn play(mut self) -> Judge {
        for site in 0..self.plan.members {
            self.sites.push(Site {
                member: None,
                life: 0,
                client: Client::default(),
                daprd: Daprd::default(),
                cut_off: false,
                wake: None,
                commits: super::calls::OpenCommits::default(),
            });
            let wait = self.random.millis(0, 2000);
            self.later(wait, move |world| world.start(site));
        }
        self.schedule();
        let trouble_ends = self.began + self.plan.trouble;
        self.run_until(trouble_ends, |_| false);
        self.end_trouble();
        let deadline = self.now + SETTLES_WITHIN;
        let mut settled = false;
        while !settled && self.now < deadline && self.judge.findings.is_empty() {
            let next = self.now + Duration::from_secs(2);
            self.run_until(next, |_| false);
            settled = self.is_settled();
        }
        if self.judge.findings.is_empty() {
            self.judge_the_end(settled);
        }
        let steps = usize::try_from(self.step).unwrap_or_default();
        self.judge.counts.insert("step", steps);
        self.judge
    }

    fn judge_the_end(&mut self, settled: bool) {
        if !settled {
            let unfinished = self.judge.unfinished();
            self.judge.findings.extend(unfinished);
            let behind = self.behind();
            self.judge.findings.extend(behind);
            if self.judge.findings.is_empty() {
                let what = "I6: not settled in time".to_owned();
                self.judge.findings.push(what);
            }
            return;
        }
        self.is_ending = true;
        for site in 0..self.sites.len() {
            self.input(site, Input::Shutdown);
        }
        let (deadline, all) = (self.now + ENDS_WITHIN, self.sites.len());
        self.run_until(deadline, |world| world.left == all);
        if self.left != all {
            let what = format!("I6: {} of {all} shutdowns ended", self.left);
            self.judge.findings.push(what);
        }
    }

    /// All is finished and committed.
    pub(super) fn is_settled(&self) -> bool {
        let mut sites = self.sites.iter();
        sites.all(|site| site.member.is_some())
            && self.judge.unfinished().is_empty()
            && self.behind().is_empty()
    }

    /// The partitions whose commit is not at the end.
    fn behind(&self) -> Vec<String> {
        let mut behind = Vec::new();
        for at in self.broker.partitions(&self.plan.topics) {
            let Some(log) = self.broker.log(&at) else {
                continue;
            };
            let committed = self.broker.committed.get(&at);
            let offset = committed.map_or(0, |committed| committed.offset.0);
            if offset != log.end {
                behind.push(format!(
                    "I6: the commit of {at} stays at {offset}, and the log is {:?}",
                    log.log()
                ));
            }
        }
        behind
    }

    fn run_until(&mut self, until: Instant, is_over: impl Fn(&Self) -> bool) {
        while self.judge.findings.is_empty() && !is_over(self) {
            let Some(first) = self.queue.first_entry().filter(|it| it.key().0 <= until) else {
                break;
            };
            let ((at, _), happens) = first.remove_entry();
            self.now = at;
            self.step += 1;
            happens(self);
            if self.in_trouble && self.plan.crash_once_in > 0 {
                let crash = self.random.below(self.plan.crash_once_in) == 0;
                if crash {
                    let site = self.random.below(self.sites.len());
                    self.crash(site);
                }
            }
            if self.step > MOST_STEPS {
                let what = format!("I4: {MOST_STEPS} steps and no end");
                self.judge.findings.push(what);
            }
        }
        if self.judge.findings.is_empty() {
            self.now = self.now.max(until);
        }
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.tells {
            let at = self.now - self.began;
            println!("{:>10.3} s {:>6}  {}", at.as_secs_f64(), self.step, what());
        }
    }

    pub(super) fn later(&mut self, wait: Duration, happens: impl FnOnce(&mut Self) + 'static) {
        self.queued += 1;
        let key = (self.now + wait, self.queued);
        self.queue.insert(key, Box::new(happens));
    }
}

/// Members.
impl World {
    pub(super) fn address(&self, site: usize) -> Address {
        let Site { life, client, .. } = &self.sites[site];
        Address {
            site,
            life: *life,
            client: client.id,
        }
    }

    pub(super) fn is_there(&self, address: Address) -> bool {
        let site = &self.sites[address.site];
        site.life == address.life && site.client.id == address.client && site.member.is_some()
    }

    /// A member's process starts, with a daprd of its own.
    pub(super) fn start(&mut self, site: usize) {
        if self.sites[site].member.is_some() {
            return;
        }
        self.tell(|| format!("member {site} starts"));
        let limits = Limits {
            isolation: self.plan.isolation,
            ..owner::limits(&self.settings)
        };
        let member = Member::new(&self.settings, &limits, self.now);
        let place = &mut self.sites[site];
        place.life += 1;
        place.member = Some(member);
        place.wake = None;
        place.daprd.overtook = false;
        self.new_client(site);
        self.start_daprd(site);
    }

    /// A member's process ends without a word.
    pub(super) fn crash(&mut self, site: usize) {
        if self.sites[site].member.is_none() {
            return;
        }
        self.tell(|| format!("member {site} crashes"));
        self.judge.count("crash");
        self.gone(site);
        let wait = self.random.millis(100, 5000);
        self.later(wait, move |world| world.start(site));
    }

    fn gone(&mut self, site: usize) {
        self.lose_calls(site);
        let client = self.sites[site].client.id;
        let place = &mut self.sites[site];
        place.member = None;
        place.life += 1;
        place.commits = super::calls::OpenCommits::default();
        self.session_ends_later(client);
    }

    /// Something reaches a member after a while, if it is still there.
    pub(super) fn send(&mut self, to: Address, wait: Duration, input: Input) {
        self.later(wait, move |world| {
            if world.is_there(to) {
                world.input(to.site, input);
            }
        });
    }

    pub(super) fn input(&mut self, site: usize, input: Input) {
        let now = self.now;
        let Some(member) = &mut self.sites[site].member else {
            return;
        };
        for effect in member.take(input, now) {
            self.perform(site, effect);
        }
        self.commits_may_have_ended(site);
        self.wake_later(site);
    }

    fn wake_later(&mut self, site: usize) {
        let place = &mut self.sites[site];
        let Some(member) = &place.member else {
            return;
        };
        let next = member.next_wake();
        if place.wake.is_some_and(|wake| wake <= next) {
            return;
        }
        place.wake = Some(next);
        let life = place.life;
        // A timer is no more precise.
        let least = Duration::from_millis(1);
        let wait = next.saturating_duration_since(self.now).max(least);
        self.later(wait, move |world| {
            if world.sites[site].life == life {
                world.sites[site].wake = None;
                world.input(site, Input::Due);
            }
        });
    }

    fn perform(&mut self, site: usize, effect: Effect) {
        match effect {
            Effect::Call(call) => self.call(site, call),
            Effect::Opened(lane, topic) => self.opened(site, lane, topic),
            Effect::Deliver {
                lane,
                delivery,
                record,
            } => self.deliver(site, lane, delivery, &record),
            Effect::Write(letter, content) => self.write(site, letter, content),
            Effect::Assign(positions) => self.assign(site, &positions),
            Effect::Unassign => self.unassign(site),
            Effect::Subscribe(topics) => self.subscribe(site, topics),
            Effect::Refresh => self.refresh(site),
            Effect::Replace => {
                self.tell(|| format!("member {site} replaces its consumer"));
                self.judge.count("consumer replaced");
                let old = self.sites[site].client.id;
                self.sites[site].commits = super::calls::OpenCommits::default();
                self.leave(old);
                self.new_client(site);
            }
            // Said once more if more was to be taken in.
            Effect::Left if self.sites[site].member.is_none() => {}
            Effect::Left => {
                self.tell(|| format!("member {site} has left"));
                self.left += 1;
                let client = self.sites[site].client.id;
                self.gone(site);
                self.leave(client);
                if !self.is_ending {
                    self.left -= 1;
                    let wait = self.random.millis(100, 3000);
                    self.later(wait, move |world| world.start(site));
                }
            }
        }
    }
}

/// Records.
impl World {
    pub(super) fn produce(
        &mut self,
        at: &TopicPartition,
        key: Option<u8>,
        in_transaction: Option<u64>,
    ) {
        let takes = self.takes_a_record(at);
        let incarnation = self.broker.incarnation(&at.topic);
        let Some(log) = self.broker.log_mut(at).filter(|_| takes) else {
            return;
        };
        let offset = log.end;
        let number = self.judge.produced(at, incarnation, offset, key);
        log.append(Entry::Record(number, in_transaction));
        let behaviour = self.plan.behaviour(&mut self.random, self.in_trouble);
        self.tell(|| format!("{at}@{offset} key {key:?} is produced: {behaviour:?}"));
        if behaviour == Behaviour::KillsTheApp(u32::MAX) {
            self.judge.count("record that always ends the app");
        }
        self.behaviours.push(behaviour);
    }

    pub(super) fn record(&self, at: &TopicPartition, offset: i64, number: usize) -> Record {
        let key = self.judge.facts[number].key;
        Record {
            at: at.clone(),
            offset: crate::model::Offset(offset),
            timestamp: None,
            appended: false,
            key: key.map(|key| vec![key].into()),
            value: Some(number.to_string().into()),
            headers: Vec::new(),
        }
    }
}

/// The number of a record in the judge's ledger.
pub(super) fn number(record: &Record) -> usize {
    let value = record.value.as_deref().unwrap_or_default();
    let text = std::str::from_utf8(value).unwrap_or_default();
    text.parse().expect("each record's value is its number")
}
