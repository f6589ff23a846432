//! Handing records to lanes, and what their answers change.

use std::time::Instant;

use super::{Action, DeliveryId, Engine, InFlight, LaneId, Ready};
use crate::model::Outcome;

impl Engine {
    /// Brings back what waited for its time.
    pub(super) fn wake(&mut self, now: Instant) {
        self.lanes.release_due(now);
        while let Some(ready) = self.retries.pop_due(now) {
            if self.owns(&ready.at, ready.epoch) {
                let topic = ready.at.topic.clone();
                self.ready.entry(topic).or_default().push_back(ready);
            }
        }
    }

    /// Hands out what lanes have room for, oldest first.
    pub(super) fn deliver(&mut self, actions: &mut Vec<Action>) {
        if self.paused {
            return;
        }
        for (topic, queue) in &mut self.ready {
            // Sequences of a draining partition stay, for the revocation to
            // forget, or for an assignment that never came.
            let mut kept = std::collections::VecDeque::new();
            while let Some(lane) = self.lanes.pick(topic, self.limits.lane_depth) {
                let Some(ready) = queue.pop_front() else {
                    break;
                };
                let Some(partition) = self.partitions.get_mut(&ready.at) else {
                    continue;
                };
                if partition.draining {
                    kept.push_back(ready);
                    continue;
                }
                let Some((record, attempt)) = partition.sequences.start(&ready.sequence) else {
                    continue;
                };
                self.last_delivery += 1;
                let delivery = DeliveryId(self.last_delivery);
                self.lanes.take(lane);
                self.in_flight.insert(
                    delivery,
                    InFlight {
                        ready,
                        offset: record.offset,
                        lane,
                    },
                );
                actions.push(Action::Deliver {
                    lane,
                    delivery,
                    record,
                    attempt,
                });
            }
            kept.append(queue);
            *queue = kept;
        }
        self.ready.retain(|_, queue| !queue.is_empty());
    }

    pub(super) fn answer(
        &mut self,
        delivery: DeliveryId,
        outcome: Outcome,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let Some(in_flight) = self.in_flight.remove(&delivery) else {
            // Of a revoked partition; else of a closed lane, or a second answer.
            if let Some(lane) = self.orphans.remove(&delivery) {
                self.lanes.release(lane);
            }
            return;
        };
        self.lanes.release(in_flight.lane);
        match outcome {
            Outcome::Ack => self.finish(in_flight, actions),
            Outcome::Nack(reason) => self.retry(in_flight.ready, reason, now, actions),
            Outcome::Unknown(_) => {
                self.lanes.hold(in_flight.lane, now + self.limits.lane_hold);
                self.give_back(in_flight.ready);
            }
        }
    }

    pub(super) fn close_lane(&mut self, lane: LaneId) {
        self.lanes.close(lane);
        self.orphans.retain(|_, of| *of != lane);
        let mut unanswered: Vec<DeliveryId> = self
            .in_flight
            .iter()
            .filter(|(_, in_flight)| in_flight.lane == lane)
            .map(|(delivery, _)| *delivery)
            .collect();
        // Given back newest first, each before the one given back before it.
        unanswered.sort_unstable_by(|a, b| b.cmp(a));
        for delivery in unanswered {
            if let Some(in_flight) = self.in_flight.remove(&delivery) {
                self.give_back(in_flight.ready);
            }
        }
    }

    fn finish(&mut self, in_flight: InFlight, actions: &mut Vec<Action>) {
        let ready = in_flight.ready;
        let Some(partition) = self.partitions.get_mut(&ready.at) else {
            return;
        };
        if let Some(record) = partition.sequences.finish(&ready.sequence) {
            partition.window.remove(record.size());
        }
        if let Some(offset) = partition.offsets.finish(in_flight.offset) {
            actions.push(Action::Commit {
                at: ready.at.clone(),
                offset,
            });
        }
        if partition.sequences.has(&ready.sequence) {
            let topic = ready.at.topic.clone();
            self.ready.entry(topic).or_default().push_back(ready);
        }
    }

    fn retry(&mut self, ready: Ready, reason: String, now: Instant, actions: &mut Vec<Action>) {
        let Some(partition) = self.partitions.get_mut(&ready.at) else {
            return;
        };
        let Some((record, attempts)) = partition.sequences.refuse(&ready.sequence) else {
            return;
        };
        let delay = self.limits.retry_delay;
        self.retries.push(now + delay, ready);
        actions.push(Action::Retry {
            record,
            attempts,
            delay,
            reason,
        });
    }

    /// Puts a sequence back in front: its head was never judged.
    fn give_back(&mut self, ready: Ready) {
        if !self.owns(&ready.at, ready.epoch) {
            return;
        }
        let topic = ready.at.topic.clone();
        self.ready.entry(topic).or_default().push_front(ready);
    }
}
