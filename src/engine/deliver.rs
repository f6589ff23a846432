//! Handing records to lanes, and taking them back from lanes that close.

use std::{sync::Arc, time::Instant};

use super::{Action, DeliveryId, Engine, InFlight, LaneId, Ready, health::Breaker};
use crate::model::Policy;

impl Engine {
    /// Brings back what waited for its time; true if anything did.
    pub(super) fn wake(&mut self, now: Instant, actions: &mut Vec<Action>) -> bool {
        let mut woken = self.end_test_if_over(now);
        while let Some(ready) = self.retries.pop_due(now) {
            self.make_ready(ready);
            woken = true;
        }
        self.letters.send_due(now, actions);
        self.settle(false, now, actions);
        // A probe may be of any topic.
        woken || (self.health.is_absent() && self.app_allowance(now) > 0)
    }

    /// Puts a sequence behind the others.
    pub(super) fn make_ready(&mut self, ready: Ready) {
        if !self.owns(&ready.at, ready.epoch) || self.keep_if_suspected(&ready, false) {
            return;
        }
        if let Some(topic) = self.topics.get_mut(&ready.at.topic) {
            topic.ready.push_back(ready);
        }
    }

    /// Puts a sequence back in front: its head was never judged.
    pub(super) fn give_back(&mut self, ready: Ready) {
        if !self.owns(&ready.at, ready.epoch) || self.keep_if_suspected(&ready, true) {
            return;
        }
        if let Some(topic) = self.topics.get_mut(&ready.at.topic) {
            topic.ready.push_front(ready);
        }
    }

    /// Hands out what may be handed out of all topics.
    pub(super) fn deliver_all(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let topics: Vec<_> = self.topics.keys().cloned().collect();
        for topic in topics {
            self.deliver(&topic, now, actions);
        }
        self.looked_for_probe(now);
    }

    /// Hands out what may be handed out of a topic.
    pub(super) fn deliver(&mut self, topic: &Arc<str>, now: Instant, actions: &mut Vec<Action>) {
        if let Some(topic_state) = self.topics.get_mut(topic) {
            topic_state.lanes.release_due(now);
        }
        if !self.paused {
            self.hand_out(topic, now, actions);
        }
        if let Some(topic_state) = self.topics.get_mut(topic) {
            topic_state.note_blocked_probe(now);
        }
    }

    /// Hands out what the topic's lanes have room for, oldest first.
    fn hand_out(&mut self, topic: &Arc<str>, now: Instant, actions: &mut Vec<Action>) {
        let of_app = self.app_allowance(now);
        let of_topic = self.topics.get(topic).map(|topic| topic.allowance(now));
        let mut allowance = of_topic.unwrap_or_default().min(of_app);
        // Sequences of a draining partition stay, for the revocation to forget.
        let mut kept = Vec::new();
        while allowance > 0
            && let Some((lane, ready)) = self.next_ready(topic)
        {
            let partition = self.partitions.get(&ready.at);
            if partition.is_some_and(|partition| partition.draining) {
                kept.push(ready);
            } else if let Some(action) = self.hand(ready, lane, now) {
                actions.push(action);
                allowance -= 1;
            }
        }
        let Some(topic_state) = self.topics.get_mut(topic) else {
            return;
        };
        let may_go = |ready: &Ready| {
            let partition = self.partitions.get(&ready.at);
            partition.is_some_and(|partition| !partition.draining)
        };
        let waiting = self.health.lets_all_through() && topic_state.ready.iter().any(may_go);
        // Appending would copy the whole queue, at every event.
        for ready in kept.into_iter().rev() {
            topic_state.ready.push_front(ready);
        }
        if topic_state.one_serial_lane(waiting, &self.limits, now) {
            let topic = topic.clone();
            actions.push(Action::OneSerialLane { topic });
        }
    }

    /// Takes the oldest ready sequence of a topic off, for the lane with the most room; `None` if there
    /// is none, or no room.
    fn next_ready(&mut self, topic: &Arc<str>) -> Option<(LaneId, Ready)> {
        let topic = self.topics.get_mut(topic)?;
        let lane = topic.lanes.pick(&self.limits)?;
        Some((lane, topic.ready.pop_front()?))
    }

    /// Gives the head of a sequence to a lane; `None` if it has none.
    pub(super) fn hand(&mut self, ready: Ready, lane: LaneId, now: Instant) -> Option<Action> {
        let (record, failures) = self.head(&ready)?;
        let topic = self.topics.get_mut(&ready.at.topic)?;
        self.last_delivery += 1;
        let delivery = DeliveryId(self.last_delivery);
        topic.lanes.take(lane, delivery);
        topic.in_flight += 1;
        let in_flight = InFlight {
            ready,
            record: record.clone(),
            lane,
            handed: now,
        };
        self.in_flight.insert(delivery, in_flight);
        Some(Action::Deliver {
            lane,
            delivery,
            record,
            attempt: failures.all.saturating_add(1),
        })
    }

    pub(super) fn open_lane(
        &mut self,
        lane: LaneId,
        topic: &Arc<str>,
        policy: Arc<Policy>,
        actions: &mut Vec<Action>,
    ) {
        // daprd pauses the streams that it is about to close, and never resumes
        // (v1.18.3): a new stream is to be used.
        self.paused = false;
        let state = self.topics.entry(topic.clone()).or_default();
        if policy.dead_letter.is_none() {
            if state.breaker.is_open() {
                let topic = topic.clone();
                actions.push(Action::BreakerClosed { topic });
            }
            state.breaker = Breaker::default();
        }
        let decided_anew = state.policy.dead_letter != policy.dead_letter;
        state.policy = policy;
        state.lanes.open(lane);
        self.lanes.insert(lane, topic.clone());
        if decided_anew {
            // Else they would go on to a topic that was named by mistake.
            for ready in self.letters.take_waiting(topic) {
                self.make_ready(ready);
            }
        }
    }

    pub(super) fn close_lane(&mut self, lane: LaneId, now: Instant, actions: &mut Vec<Action>) {
        let of_lane = self.in_flight.iter().chain(&self.orphans);
        let of_lane = of_lane.filter(|(_, in_flight)| in_flight.lane == lane);
        let calls: Vec<_> = of_lane
            .filter_map(|(delivery, in_flight)| self.began(*delivery, in_flight))
            .collect();
        if !calls.is_empty() {
            // How they end is never told.
            self.health.breaks.note_end(now, now);
        }
        if let Some(topic) = self.lanes.remove(&lane)
            && let Some(topic) = self.topics.get_mut(&topic)
        {
            topic.lanes.close(lane);
        }
        let mut unanswered: Vec<DeliveryId> = self
            .in_flight
            .iter()
            .filter(|(_, in_flight)| in_flight.lane == lane)
            .map(|(delivery, _)| *delivery)
            .collect();
        // Given back newest first, each before the one given back before it.
        unanswered.sort_unstable_by(|a, b| b.cmp(a));
        for delivery in unanswered {
            if let Some(in_flight) = self.take_back(delivery, false, now) {
                self.give_back(in_flight.ready);
            }
        }
        self.orphans.retain(|_, of| of.lane != lane);
        self.redeliver_suspects(&calls, actions);
        self.settle(false, now, actions);
    }

    /// When daprd began the call for a delivery that a lane has, if it began.
    pub(super) fn began(&self, delivery: DeliveryId, in_flight: &InFlight) -> Option<Instant> {
        let InFlight { lane, handed, .. } = in_flight;
        if self.daprd_is_concurrent {
            return Some(*handed);
        }
        let topic = self.topics.get(self.lanes.get(lane)?)?;
        topic.lanes.began_serially(*lane, delivery, *handed)
    }

    /// What a lane has under this id, whoever owns its partition now.
    pub(super) fn with_lane(&self, delivery: DeliveryId) -> Option<&InFlight> {
        let in_flight = self.in_flight.get(&delivery);
        in_flight.or_else(|| self.orphans.get(&delivery))
    }

    /// Gives nothing more to the lane that has a delivery: it is closing, whoever
    /// owns the delivery's partition now.
    pub(super) fn hold_lane(&mut self, delivery: DeliveryId, now: Instant) {
        if let Some(lane) = self.with_lane(delivery).map(|in_flight| in_flight.lane)
            && let Some(topic) = self.lanes.get(&lane)
            && let Some(topic) = self.topics.get_mut(topic)
        {
            topic.lanes.hold(lane, now + self.limits.lane_hold);
        }
    }

    /// A delivery is not with its lane any more; `by_app` if the app answered it.
    /// `None` if that matters to nobody: its partition was revoked, its lane
    /// closed, or it was answered before.
    pub(super) fn take_back(
        &mut self,
        delivery: DeliveryId,
        by_app: bool,
        now: Instant,
    ) -> Option<InFlight> {
        let in_flight = self.in_flight.remove(&delivery);
        let (lane, handed) = if let Some(in_flight) = &in_flight {
            (in_flight.lane, in_flight.handed)
        } else {
            let orphan = self.orphans.remove(&delivery)?;
            (orphan.lane, orphan.handed)
        };
        if let Some(topic) = self.lanes.get(&lane)
            && let Some(topic) = self.topics.get_mut(topic)
        {
            self.daprd_is_concurrent |= topic.lanes.release(lane, (delivery, handed), by_app, now);
        }
        if let Some(InFlight { ready, .. }) = &in_flight
            && let Some(topic) = self.topics.get_mut(&ready.at.topic)
        {
            topic.in_flight -= 1;
        }
        in_flight
    }
}
