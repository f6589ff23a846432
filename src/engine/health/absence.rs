//! An app that can't be reached.
//!
//! While it is down, a record that is handed out comes back at once: handing out all
//! of them would only make each one wait. So one is handed out at a time, until the
//! app answers one.
//!
//! It also keeps records from being lost. daprd 1.13 to 1.18.3 mixes up what became
//! of two calls to an HTTP app that begin at the same moment, and may say of one
//! that failed that the app took it (docs/daprd-acks.md). One call at a time can't be
//! mixed up; of what was in hand when the app went, what is said to be done is not
//! believed.

use super::{Action, DeliveryId, Duration, Engine, Instant, Limits, Outcome, Ready, Standing};

/// Since when the app can't be reached, and when it is tried again.
#[derive(Debug)]
pub(super) struct Absence {
    /// The last delivery before it was known. Later ones are probes.
    last: DeliveryId,
    began: Instant,
    /// Probes that failed.
    failed: u32,
    next_probe: Instant,
    /// When the engine last looked whether a probe may go out.
    looked: Instant,
}

impl Absence {
    fn begin(last: DeliveryId, now: Instant, limits: &Limits) -> Self {
        Self {
            last,
            began: now,
            failed: 0,
            next_probe: now + limits.absent_probe.0,
            looked: now,
        }
    }

    fn probe_failed(&mut self, now: Instant, limits: &Limits) {
        let (first, longest) = limits.absent_probe;
        self.failed = self.failed.saturating_add(1);
        let delay = first.saturating_mul(2_u32.saturating_pow(self.failed));
        self.next_probe = now + delay.min(longest);
    }
}

impl Engine {
    /// Takes in what an answer says of the app as a whole. True if it says that the
    /// app is done with a record, and is not to be believed.
    pub(in crate::engine) fn note_presence(
        &mut self,
        delivery: DeliveryId,
        outcome: &Outcome,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(absence) = &mut self.health.absence else {
            if let Outcome::Absent(reason)
            | Outcome::NotAsked(reason)
            | Outcome::Unreachable(reason) = outcome
            {
                let last = DeliveryId(self.last_delivery);
                self.health.absence = Some(Absence::begin(last, now, &self.limits));
                let reason = reason.clone();
                actions.push(Action::AppGone { reason });
            }
            return false;
        };
        if delivery <= absence.last {
            let lately = now.saturating_duration_since(absence.began) < self.limits.dial;
            return matches!(outcome, Outcome::Ack) && lately;
        }
        if let Outcome::Ack | Outcome::Nack(_) = outcome {
            self.health.absence = None;
            actions.push(Action::AppBack);
        } else {
            absence.probe_failed(now, &self.limits);
        }
        false
    }

    /// Puts a record back that was never with the app: its turn is the first that comes,
    /// and nothing is counted.
    pub(in crate::engine) fn absent(
        &mut self,
        ready: Ready,
        reason: String,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let next = self
            .health
            .absence
            .as_ref()
            .map(|absence| absence.next_probe);
        let delay = next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        if let Some((record, failures)) = self.head(&ready) {
            actions.push(Action::Retry {
                record,
                failed: failures.all,
                delay,
                standing: Standing::AppFailing,
                reason,
            });
        }
        self.give_back(ready);
    }

    /// How many records may be handed out now, as far as the app is there.
    pub(in crate::engine) fn presence_allowance(&self, now: Instant) -> usize {
        match self.probe_due() {
            None => usize::MAX,
            Some(due) => usize::from(due <= now),
        }
    }

    /// The engine has tried to hand out all that may be: a probe whose time had come
    /// waits for something else than the time.
    pub(in crate::engine) fn looked_for_probe(&mut self, now: Instant) {
        if let Some(absence) = &mut self.health.absence {
            absence.looked = now;
        }
    }

    /// When a probe may go out, if that is later than what was tried last.
    pub(in crate::engine) fn next_presence_wake(&self) -> Option<Instant> {
        let looked = self.health.absence.as_ref()?.looked;
        self.probe_due().filter(|due| *due > looked)
    }

    /// When the next probe may go out, if the app is absent: no sooner than what is
    /// under way, and began lately, can no longer be mixed up with it.
    fn probe_due(&self) -> Option<Instant> {
        let absence = self.health.absence.as_ref()?;
        let under_way = self.in_flight.values().chain(self.orphans.values());
        let settled = under_way.map(|in_flight| in_flight.handed + self.limits.dial);
        Some(settled.fold(absence.next_probe, Instant::max))
    }
}
