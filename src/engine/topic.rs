use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{DeliveryId, Limits, Ready, health::Breaker, lanes::Lanes};
use crate::model::{Backoff, Policy};

/// One subscription: its streams, what is ready for them, and how its app does.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) policy: Arc<Policy>,
    pub(super) lanes: Lanes,
    pub(super) ready: VecDeque<Ready>,
    pub(super) breaker: Breaker,
    /// The last delivery before the breaker opened: probes come after it.
    pub(super) opened_after: DeliveryId,
    /// Records that lanes have of partitions that are ours.
    pub(super) in_flight: usize,
    /// Since when records have waited for the only lane.
    waiting_since: Option<Instant>,
    serial_told: bool,
    /// A probe's time has come, and something else is in its way.
    probe_blocked: bool,
}

impl Default for Topic {
    /// A topic nobody subscribed to: nothing is delivered, so nothing refused.
    fn default() -> Self {
        let policy = Policy {
            backoff: Backoff::Constant(Duration::ZERO),
            max_attempts: None,
            max_elapsed: None,
            max_breaks: None,
            dead_letter: None,
            min_age: Duration::ZERO,
        };
        Self {
            policy: Arc::new(policy),
            lanes: Lanes::default(),
            ready: VecDeque::new(),
            breaker: Breaker::default(),
            opened_after: DeliveryId(0),
            in_flight: 0,
            waiting_since: None,
            serial_told: false,
            probe_blocked: false,
        }
    }
}

impl Topic {
    /// How many records may be handed out now, as far as the breaker goes.
    pub(super) fn allowance(&self, now: Instant) -> usize {
        if !self.breaker.is_open() {
            return usize::MAX;
        }
        usize::from(self.in_flight == 0 && self.breaker.probes(now))
    }

    /// Whether a record may be handed out once nothing is under way.
    pub(super) fn may_be_tried(&self, now: Instant) -> bool {
        let is_allowed = !self.breaker.is_open() || self.breaker.probes(now);
        is_allowed && self.lanes.is_any_open()
    }

    /// Asked after all that could be was handed out. A probe that could not be
    /// waits for a lane, or for daprd to resume, and not for a time: being woken
    /// for it would be being woken without end.
    pub(super) fn note_blocked_probe(&mut self, now: Instant) {
        self.probe_blocked = self.breaker.is_open() && self.allowance(now) > 0;
    }

    /// When something is due by itself.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        // While a probe is out, its answer is what is waited for.
        let waits = self.in_flight == 0 && !self.probe_blocked && !self.ready.is_empty();
        let probe = self.breaker.next_probe().filter(|_| waits);
        [self.lanes.next_release(), probe]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether it is time to tell that one serial lane is not enough. Asked after
    /// all that could be was handed out, and whether something is `waiting`.
    pub(super) fn one_serial_lane(&mut self, waiting: bool, limits: &Limits, now: Instant) -> bool {
        if !waiting || !self.lanes.is_one_serial() || self.breaker.is_open() {
            self.waiting_since = None;
            return false;
        }
        let since = *self.waiting_since.get_or_insert(now);
        let tell = !self.serial_told && now.saturating_duration_since(since) >= limits.serial_after;
        self.serial_told |= tell;
        tell
    }
}
