//! What the engine tells the owner to do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::error::TrySendError;

use super::{Delivery, owner::Owner};
use crate::{
    engine::{Action, Event, LaneId, Standing},
    model::{Outcome, Record, TopicPartition},
    telemetry::events,
};

impl Owner {
    /// Lets the engine take an event in, and does what it says.
    pub(super) fn step(&mut self, event: Event) {
        let now = Instant::now();
        for action in self.engine.step(event, now) {
            self.perform(action, now);
        }
        while let Some(lane) = self.gone.pop() {
            self.close_lane(lane);
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
            Action::Answered {
                topic,
                outcome,
                took,
            } => self.answered(&topic, &outcome, took),
            Action::Commit { at, .. } | Action::CommitAbove { at } => self.commits.add(at, now),
            Action::Read { at } => self.readers.set_open(&at, true),
            Action::Pause { at, held_by } => self.pause(&at, held_by.as_deref()),
            Action::Retry {
                record,
                failed,
                delay,
                standing,
                reason,
            } => events::Refused {
                instance: &self.instance,
                at: &record.at,
                offset: record.offset,
                failed,
                delay,
                standing: words(standing),
                reason: &reason,
            }
            .emit(),
            Action::DeadLetter { letter, content } => self.write_letter(letter, content),
            Action::LetterDelayed {
                content,
                failed,
                delay,
                reason,
            } => events::DeadLetterDelayed {
                instance: &self.instance,
                at: &content.record.at,
                offset: content.record.offset,
                topic: &content.topic,
                failed,
                delay,
                reason: &reason,
            }
            .emit(),
            Action::BreakerOpened { topic } => self.breaker(&topic, true),
            Action::BreakerClosed { topic } => self.breaker(&topic, false),
            Action::AppGone { reason } => self.app(Some(&reason)),
            Action::AppBack => self.app(None),
            Action::SuspectAcks { records } => events::SuspectAcks {
                instance: &self.instance,
                records: &records,
            }
            .emit(),
            Action::OneSerialLane { topic } => events::OneSerialLane {
                instance: &self.instance,
                topic: &topic,
            }
            .emit(),
        }
    }

    fn answered(&self, topic: &Arc<str>, outcome: &Outcome, took: Duration) {
        let instance = &self.instance;
        if let Outcome::Unknown(reason) = outcome {
            events::Returned {
                instance,
                topic,
                reason,
            }
            .emit();
        }
        events::Answered {
            instance,
            topic,
            outcome: outcome.name(),
            took,
        }
        .emit();
    }

    fn breaker(&self, topic: &str, open: bool) {
        let instance = &self.instance;
        events::BreakerChanged {
            instance,
            topic,
            open,
        }
        .emit();
    }

    fn app(&self, failure: Option<&str>) {
        let instance = &self.instance;
        events::AppPresence { instance, failure }.emit();
    }

    fn deliver(&mut self, lane: LaneId, delivery: Delivery) {
        let sent = self
            .lanes
            .get(&lane)
            .map(|lane| lane.sender.try_send(delivery));
        match sent {
            // Whoever asked for it may be gone before it could close it: then
            // nobody else gives back what it has.
            Some(Err(TrySendError::Closed(_))) => self.gone.push(lane),
            // No lane has more than the window, which is its capacity.
            Some(Err(TrySendError::Full(lost))) => tracing::error!(
                instance = %self.instance,
                "a lane is full; {} offset {} waits until its stream closes",
                lost.record.at,
                lost.record.offset
            ),
            Some(Ok(())) | None => {}
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

/// What a standing means for those who read the log.
fn words(standing: Standing) -> &'static str {
    match standing {
        Standing::Retrying => "the records of its key wait",
        Standing::Held => {
            "its attempts are used up and there is no dead-letter topic, so it is tried for ever \
             and the records of its key wait"
        }
        Standing::AppFailing => "the app as a whole is failing, so this says nothing of the record",
    }
}
