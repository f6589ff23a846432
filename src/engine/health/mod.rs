//! How the app is doing, and what it may be given because of that.
//!
//! What fails has a scope, and each scope has its own answer:
//!
//! | scope | what fails | what the engine does | where |
//! |---|---|---|---|
//! | record | the app refuses it | the record waits for its back-off | `Policy` |
//! | record | its calls break | the record is tested while nothing else is under way | [`breaks`], [`isolation`] |
//! | topic | most keys fail | the topic gets one record at a time | [`breaker`] |
//! | app | no connection | all topics together get one record at a time | [`absence`] |

mod absence;
mod breaker;
mod breaks;
mod isolation;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use super::{Action, DeliveryId, Engine, Limits, Ready, Standing};
use crate::model::{Outcome, TopicPartition};
use absence::Absence;
pub use breaker::BreakerLimits;
pub(super) use breaker::{Breaker, Change};
pub(super) use breaks::AloneBreak;
use breaks::Breaks;
use isolation::Isolation;
pub use isolation::IsolationLimits;

/// How the app is doing, as far as all topics together show it. The health of one topic is its
/// breaker's.
#[derive(Debug, Default)]
pub(super) struct AppHealth {
    /// The app can't be reached.
    absence: Option<Absence>,
    pub(super) breaks: Breaks,
    isolation: Isolation,
}

impl AppHealth {
    /// Whether the app can't be reached.
    pub(super) fn is_absent(&self) -> bool {
        self.absence.is_some()
    }

    /// Whether records may be handed out without regard to the app.
    pub(super) fn lets_all_through(&self) -> bool {
        !self.is_absent() && !self.is_isolating()
    }

    /// Whether a test of suspected records goes on, so that nothing else is handed out.
    pub(super) fn is_isolating(&self) -> bool {
        self.isolation.is_testing()
    }

    /// How many records of a topic may be what breaks the app.
    pub(super) fn suspected(&self, topic: &str) -> usize {
        self.breaks.suspected(topic)
    }

    /// Takes in what an answer shows of the test that is going on, if one is.
    pub(super) fn note_in_test(&mut self, outcome: &Outcome) {
        self.isolation.note(outcome);
    }

    /// Forgets what concerns these partitions.
    pub(super) fn forget(&mut self, partitions: &HashSet<&TopicPartition>) {
        self.breaks.forget_partitions(partitions);
        self.isolation.forget(partitions);
    }

    /// Takes a sequence off the suspected ones that wait, because its head changed.
    pub(super) fn withdraw(&mut self, ready: &Ready) {
        self.isolation.withdraw(ready);
    }
}

impl Engine {
    /// How many records of all topics may be handed out now, as far as the app goes.
    pub(super) fn app_allowance(&self, now: Instant) -> usize {
        if self.health.is_isolating() {
            return 0;
        }
        self.presence_allowance(now)
    }

    /// When something is due by time alone, as far as the app goes.
    pub(super) fn next_health_wake(&self) -> Option<Instant> {
        let wakes = [self.next_presence_wake(), self.next_isolation_wake()];
        wakes.into_iter().flatten().min()
    }
}
