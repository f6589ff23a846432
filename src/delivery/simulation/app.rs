//! daprd and the app behind each member.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    judge::Rules,
    member::Input,
    schedule::Behaviour,
    world::{World, number},
};
use crate::{
    engine::{DeliveryId, LaneId, Letter, LetterId},
    model::{Epoch, Outcome, Record},
};

/// A daprd, and the app that it calls.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Default)]
pub(super) struct Daprd {
    /// Incremented each time daprd starts or ends.
    life: u64,
    is_up: bool,
    lanes: BTreeMap<LaneId, Lane>,
    /// Calls to the app that are under way.
    calls: BTreeMap<u64, Call>,
    last_call: u64,
    /// An answer has overtaken an older one of its stream: the component knows that daprd is
    /// concurrent. Before, a concurrent daprd is not protected from false acks
    /// (docs/daprd-acks.md).
    pub(super) overtook: bool,
    /// It ends: what fails is not reported any more.
    is_ending: bool,
    app_is_down: bool,
    /// Incremented each time the app dies.
    app_life: u64,
}

/// A stream.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<(DeliveryId, usize)>,
    calls: usize,
    /// What the component has not heard an answer of.
    unanswered: BTreeSet<DeliveryId>,
    /// The record of each of these, and the period in which it was handed out.
    records: BTreeMap<DeliveryId, (usize, Option<Epoch>)>,
}

#[derive(Clone, Debug)]
struct Call {
    lane: LaneId,
    delivery: DeliveryId,
    record: usize,
    began: Instant,
    /// The call that daprd mixes up with this one: of two that fail, the first to fail is
    /// acknowledged.
    mixed_with: Option<u64>,
}

/// daprd.
impl World {
    pub(super) fn start_daprd(&mut self, site: usize) {
        let daprd = &mut self.sites[site].daprd;
        daprd.life += 1;
        daprd.is_up = true;
        daprd.is_ending = false;
        daprd.lanes.clear();
        daprd.calls.clear();
        let to = self.address(site);
        for topic in self.plan.topics.clone() {
            for _ in 0..self.plan.lanes {
                let (topic, policy) = (topic.clone(), self.policy.clone());
                let wait = self.random.millis(1, 60);
                let life = self.sites[site].daprd.life;
                self.later(wait, move |world| {
                    let place = &world.sites[site];
                    if place.life == to.life && place.daprd.life == life {
                        world.input(site, Input::OpenLane { topic, policy });
                    }
                });
            }
        }
    }

    pub(super) fn opened(&mut self, site: usize, lane: LaneId, _topic: Arc<str>) {
        self.sites[site].daprd.lanes.insert(lane, Lane::default());
    }

    /// daprd ends: its streams close, and the app may go on with what it was given.
    pub(super) fn daprd_ends(&mut self, site: usize) {
        if self.sites[site].member.is_none() || !self.sites[site].daprd.is_up {
            return;
        }
        self.tell(|| format!("daprd {site} ends"));
        self.judge.count("daprd ends");
        let lanes: Vec<_> = self.sites[site].daprd.lanes.keys().copied().collect();
        self.lose_calls(site);
        let life = self.sites[site].life;
        for lane in lanes {
            let wait = self.random.millis(0, 20);
            self.later(wait, move |world| {
                if world.sites[site].life == life {
                    world.input(site, Input::CloseLane(lane));
                }
            });
        }
        let wait = self.random.millis(200, 3000);
        self.later(wait, move |world| {
            if world.sites[site].life == life {
                world.start_daprd(site);
            }
        });
    }

    /// Nobody waits for the app's answers any more.
    pub(super) fn lose_calls(&mut self, site: usize) {
        let daprd = &mut self.sites[site].daprd;
        daprd.life += 1;
        daprd.is_up = false;
        daprd.lanes.clear();
        let app = (!daprd.app_is_down).then_some(daprd.app_life);
        let calls = std::mem::take(&mut daprd.calls);
        for call in calls.into_values() {
            if app.is_some() && self.random.percent(50) {
                let behaviour = self.behaviours[call.record];
                if matches!(behaviour, Behaviour::Acks | Behaviour::Slow) {
                    self.judge.facts[call.record].processed = true;
                }
            }
        }
    }

    pub(super) fn deliver(
        &mut self,
        site: usize,
        lane: LaneId,
        delivery: DeliveryId,
        record: &Record,
    ) {
        let record = number(record);
        let fact = &self.judge.facts[record];
        let (at, incarnation) = (fact.at.clone(), fact.incarnation);
        let client = &self.sites[site].client;
        let is_ours = client.held.as_ref().is_some_and(|held| held.contains(&at));
        let member = self.sites[site].member.as_ref();
        let believed = member.and_then(|member| member.topic_id(&at.topic));
        // It reads a new topic at a position of the old one, until it hears of the new one's id.
        let is_stale = client.known.get(&at.topic) != Some(&incarnation)
            || believed.is_some_and(|id| id.1 != incarnation);
        let since = client.since.get(&at).copied().unwrap_or_default();
        self.tell(|| format!("member {site} hands {delivery:?} to {lane:?}: {fact:?}"));
        self.judge.count("delivery");
        if !is_ours {
            let what =
                format!("I9: member {site} hands out a record of {at}, which it does not own");
            self.judge.findings.push(what);
        }
        self.judge.handed(record, since, is_stale);
        let place = &self.sites[site];
        let epoch = place.member.as_ref().and_then(|member| member.epoch(&at));
        let lanes = place.daprd.lanes.values();
        for (other, its) in lanes.flat_map(|lane| lane.records.values()) {
            if *its == epoch {
                self.judge.beside(record, *other);
            }
        }
        let Some(open) = self.sites[site].daprd.lanes.get_mut(&lane) else {
            return;
        };
        open.unanswered.insert(delivery);
        open.records.insert(delivery, (record, epoch));
        open.waiting.push_back((delivery, record));
        self.begin_calls(site, lane);
    }

    fn begin_calls(&mut self, site: usize, lane: LaneId) {
        loop {
            let is_serial = self.plan.is_serial;
            let daprd = &mut self.sites[site].daprd;
            let Some(open) = daprd.lanes.get_mut(&lane) else {
                return;
            };
            if is_serial && open.calls > 0 {
                return;
            }
            let Some((delivery, record)) = open.waiting.pop_front() else {
                return;
            };
            open.calls += 1;
            self.begin_call(site, lane, delivery, record);
        }
    }

    fn begin_call(&mut self, site: usize, lane: LaneId, delivery: DeliveryId, record: usize) {
        let may_mix = self.plan.false_acks && self.random.percent(70);
        let (now, is_serial) = (self.now, self.plan.is_serial);
        let daprd = &mut self.sites[site].daprd;
        daprd.last_call += 1;
        let id = daprd.last_call;
        let mut mixed_with = None;
        if may_mix && (is_serial || daprd.overtook) {
            let mut calls = daprd.calls.iter_mut();
            let twin = calls.find(|(_, call)| call.began == now && call.mixed_with.is_none());
            if let Some((other, call)) = twin {
                call.mixed_with = Some(id);
                mixed_with = Some(*other);
            }
        }
        let call = Call {
            lane,
            delivery,
            record,
            began: now,
            mixed_with,
        };
        daprd.calls.insert(id, call);
        let (life, app_life, is_down) = (daprd.life, daprd.app_life, daprd.app_is_down);
        if is_down {
            let wait = self.random.millis(0, 2);
            return self.later(wait, move |world| world.call_fails(site, life, id, true));
        }
        let takes = match self.behaviours[record] {
            Behaviour::Slow => self.random.millis(500, 6000),
            _ => self.random.millis(1, 60),
        };
        self.later(takes, move |world| {
            let daprd = &world.sites[site].daprd;
            if daprd.life == life && daprd.app_life == app_life {
                world.call_ends(site, id);
            }
        });
    }

    /// The app has done what it does with a record.
    fn call_ends(&mut self, site: usize, id: u64) {
        let Some(call) = self.sites[site].daprd.calls.get(&id) else {
            return;
        };
        let record = call.record;
        let fact = &mut self.judge.facts[record];
        let behaviour = &mut self.behaviours[record];
        let life = self.sites[site].daprd.life;
        match behaviour {
            Behaviour::Acks | Behaviour::Slow => fact.processed = true,
            Behaviour::Refuses(times) if *times > 0 => {
                *times -= 1;
                fact.nacks += 1;
                self.judge.count("refusal");
                return self.call_is_answered(site, id, Outcome::Nack("no".into()));
            }
            Behaviour::CutsTheConnection(times) if *times > 0 => {
                *times -= 1;
                return self.call_fails(site, life, id, false);
            }
            Behaviour::KillsTheApp(times) if *times > 0 => {
                *times -= 1;
                return self.app_dies(site);
            }
            Behaviour::Refuses(_) | Behaviour::CutsTheConnection(_) | Behaviour::KillsTheApp(_) => {
                fact.processed = true;
            }
        }
        self.call_is_answered(site, id, Outcome::Ack);
    }

    fn call_fails(&mut self, site: usize, life: u64, id: u64, refused: bool) {
        let daprd = &mut self.sites[site].daprd;
        let Some(call) = daprd.calls.get(&id).filter(|_| daprd.life == life) else {
            return;
        };
        let (twin, record) = (call.mixed_with, call.record);
        let is_ending = daprd.is_ending;
        // The twin fails at the same time, if it is still under way and nobody answers any more.
        let is_mixed =
            twin.is_some_and(|twin| daprd.calls.contains_key(&twin)) && daprd.app_is_down;
        if !refused {
            self.judge.facts[record].breaks += 1;
        }
        if is_mixed {
            if let Some(twin) = twin.and_then(|twin| self.sites[site].daprd.calls.get_mut(&twin)) {
                twin.mixed_with = None;
            }
            self.judge.facts[record].falsely_acked = true;
            self.judge.count("false ack");
            return self.call_is_answered(site, id, Outcome::Ack);
        }
        if is_ending {
            return;
        }
        let outcome = if refused {
            Outcome::Absent("connection refused".into())
        } else {
            Outcome::Unreachable("EOF".into())
        };
        self.call_is_answered(site, id, outcome);
    }

    fn call_is_answered(&mut self, site: usize, id: u64, outcome: Outcome) {
        let Some(call) = self.sites[site].daprd.calls.remove(&id) else {
            return;
        };
        let life = self.sites[site].daprd.life;
        let wait = self.random.millis(0, 2);
        self.tell(|| format!("daprd {site} answers {:?}: {outcome:?}", call.delivery));
        self.later(wait, move |world| {
            if world.sites[site].daprd.life == life {
                world.answer_arrives(site, &call, outcome);
            }
        });
    }

    fn answer_arrives(&mut self, site: usize, call: &Call, outcome: Outcome) {
        let daprd = &mut self.sites[site].daprd;
        let delivery = call.delivery;
        if let Some(lane) = daprd.lanes.get_mut(&call.lane) {
            let is_first = lane.unanswered.first() == Some(&delivery);
            let by_app = matches!(outcome, Outcome::Ack | Outcome::Nack(_));
            daprd.overtook |= by_app && !is_first;
            lane.unanswered.remove(&delivery);
            lane.records.remove(&delivery);
            lane.calls -= 1;
        }
        self.judge.count(outcome.name());
        self.input(site, Input::Answer { delivery, outcome });
        self.begin_calls(site, call.lane);
    }
}

/// The app.
impl World {
    pub(super) fn app_dies(&mut self, site: usize) {
        let daprd = &mut self.sites[site].daprd;
        if daprd.app_is_down {
            return;
        }
        daprd.app_is_down = true;
        daprd.app_life += 1;
        let life = daprd.life;
        let calls: Vec<_> = daprd.calls.keys().copied().collect();
        self.tell(|| format!("app {site} dies"));
        self.judge.count("app dies");
        for id in calls {
            let wait = self.random.millis(0, 3);
            self.later(wait, move |world| world.call_fails(site, life, id, false));
        }
        let wait = self.random.millis(100, 6000);
        self.later(wait, move |world| world.app_is_back(site));
    }

    fn app_is_back(&mut self, site: usize) {
        if self.sites[site].daprd.is_ending {
            // A pod's containers start together, after its daprd has ended.
            let wait = Duration::from_millis(500);
            return self.later(wait, move |world| world.app_is_back(site));
        }
        self.tell(|| format!("app {site} is back"));
        self.sites[site].daprd.app_is_down = false;
    }

    /// The pod ends: the app dies, and daprd tells of no failure before it closes its streams.
    pub(super) fn pod_ends(&mut self, site: usize) {
        self.sites[site].daprd.is_ending = true;
        self.app_dies(site);
        let wait = self.random.millis(10, 4000);
        self.later(wait, move |world| {
            if world.sites[site].daprd.is_ending {
                world.daprd_ends(site);
            }
        });
    }

    /// A member writes a dead letter.
    pub(super) fn write(&mut self, site: usize, letter: LetterId, content: Arc<Letter>) {
        let to = self.address(site);
        let wait = self.random.millis(1, 20);
        self.later(wait, move |world| {
            let fails = world.dead_letters_fail > world.now || world.sites[site].cut_off;
            let is_lost = world.in_trouble && world.random.percent(5);
            if !fails {
                world.judge.count("dead letter");
                let record = number(&content.record);
                let is_innocent = world.behaviours[record].is_innocent();
                let plan = &world.plan;
                let rules = Rules {
                    attempts: plan.attempts,
                    max_breaks: plan.max_breaks,
                };
                let judge = &mut world.judge;
                judge.dead_letter(record, content.failure, is_innocent, rules);
            }
            let result = if fails || is_lost {
                Err("not written".to_owned())
            } else {
                Ok(())
            };
            let wait = Duration::from_millis(1);
            world.send(to, wait, Input::Written { letter, result });
        });
    }
}
