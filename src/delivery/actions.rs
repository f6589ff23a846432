//! What the engine tells the owner to do.

use std::time::Instant;

use tokio::sync::mpsc::error::TrySendError;

use super::{Delivery, owner::Owner};
use crate::{
    engine::{Action, Event, LaneId},
    model::{Record, TopicPartition},
    telemetry::events,
};

impl Owner {
    /// Lets the engine take an event in, and does what it says.
    pub(super) fn step(&mut self, event: Event) {
        let now = Instant::now();
        for action in self.engine.step(event, now) {
            self.perform(action, now);
        }
    }

    fn perform(&mut self, action: Action, now: Instant) {
        match action {
            Action::Deliver {
                lane,
                delivery: id,
                record,
                ..
            } => self.deliver(lane, Delivery { id, record }),
            Action::Commit { at, offset } => self.commits.add(at, offset, now),
            Action::Read { at } => self.readers.set_open(&at, true),
            Action::Pause { at, held_by } => self.pause(&at, held_by.as_deref()),
            Action::Retry {
                record,
                attempts,
                delay,
                reason,
            } => events::Refused {
                instance: &self.instance,
                at: &record.at,
                offset: record.offset,
                attempts,
                delay,
                reason: &reason,
            }
            .emit(),
        }
    }

    fn deliver(&mut self, lane: LaneId, delivery: Delivery) {
        let sent = self
            .lanes
            .get(&lane)
            .map(|(_, lane)| lane.try_send(delivery));
        // Closed is told by a command of its own, and then this record is given
        // back. Full it can't be: the engine keeps to the lane's depth, which is
        // its capacity.
        if let Some(Err(TrySendError::Full(lost))) = sent {
            tracing::error!(
                instance = %self.instance,
                "a lane is full; {} offset {} waits until its stream closes",
                lost.record.at,
                lost.record.offset
            );
        }
    }

    fn pause(&mut self, at: &TopicPartition, held_by: Option<&Record>) {
        self.readers.set_open(at, false);
        if let Some(record) = held_by {
            let key = record.key.as_deref().map(String::from_utf8_lossy);
            events::Held {
                instance: &self.instance,
                at,
                by: record.offset,
                key: &key.unwrap_or_default(),
            }
            .emit();
        }
    }
}
