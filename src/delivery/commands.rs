//! What the owner is asked to do.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::{
    Conflict, Lane, Subscriber,
    group::Command,
    owner::{OpenLane, Owner},
};
use crate::engine::{Event, LaneId};

impl Owner {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Subscribe { subscriber, reply } => self.open_lane(subscriber, reply),
            Command::CloseLane(lane) => self.close_lane(lane),
            Command::Answer { delivery, outcome } => {
                self.step(Event::Answered { delivery, outcome });
            }
            Command::Pause => self.step(Event::Paused),
            Command::Resume => self.step(Event::Resumed),
            Command::Shutdown { until, reply } => self.shut_down(until, reply),
        }
    }

    /// Closes a lane, unless it is closed already.
    pub(super) fn close_lane(&mut self, lane: LaneId) {
        if let Some(closed) = self.lanes.remove(&lane) {
            let topic = &closed.subscriber.topic;
            self.subscription.lane_closed(topic, Instant::now());
            self.step(Event::LaneClosed { lane });
        }
    }

    fn open_lane(
        &mut self,
        subscriber: Subscriber,
        reply: oneshot::Sender<Result<Lane, Conflict>>,
    ) {
        let mut present = self.lanes.values().map(|lane| &lane.subscriber);
        let conflict = present.find_map(|present| Conflict::between(&subscriber, present));
        if let Some(conflict) = conflict {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(Err(conflict));
            return;
        }
        self.last_lane += 1;
        let id = LaneId(self.last_lane);
        // The engine gives a lane no more than the window holds.
        let (sender, deliveries) = mpsc::channel(self.max_in_flight);
        if reply.send(Ok(Lane { id, deliveries })).is_err() {
            return;
        }
        let first = self
            .lanes
            .values()
            .all(|lane| lane.subscriber.topic != subscriber.topic);
        let (topic, policy) = (subscriber.topic.clone(), subscriber.policy.clone());
        self.lanes.insert(id, OpenLane { subscriber, sender });
        if first && let Some(dead_letter) = policy.dead_letter.clone() {
            self.check_dead_letter_topic(topic.clone(), dead_letter, Duration::ZERO);
        }
        self.subscription.lane_opened(topic.clone(), Instant::now());
        self.step(Event::LaneOpened {
            lane: id,
            topic,
            policy,
        });
    }
}
