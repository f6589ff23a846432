//! What follows when the app can't be reached.

use std::collections::BTreeMap;

use super::{super::*, checks::Check, ensure, model::*};

/// The app is gone.
#[derive(Debug)]
pub(super) struct PlainAbsence {
    /// Deliveries after this one are probes.
    last: DeliveryId,
    began: Instant,
    failed: u32,
    next: Instant,
}

impl Model {
    /// Whether an ack is not believed.
    pub(super) fn see_absence(&mut self, delivery: DeliveryId, outcome: &Outcome) -> bool {
        let (now, (first, longest)) = (self.now, self.limits.absent_probe);
        let dial = self.limits.dial;
        match (&mut self.absence, outcome) {
            (None, Outcome::Absent(_) | Outcome::NotAsked(_) | Outcome::Unreachable(_)) => {
                self.absence = Some(PlainAbsence {
                    last: self.last_delivery,
                    began: now,
                    failed: 0,
                    next: now + first,
                });
                self.expected.app = Some(false);
                false
            }
            (None, _) => false,
            (Some(absence), _) if delivery <= absence.last => {
                *outcome == Outcome::Ack && now < absence.began + dial
            }
            (Some(_), Outcome::Ack | Outcome::Nack(_)) => {
                self.absence = None;
                self.expected.app = Some(true);
                false
            }
            (Some(absence), _) => {
                absence.failed += 1;
                let doubled = (0..absence.failed).fold(first, |delay, _| (delay * 2).min(longest));
                absence.next = now + doubled.min(longest);
                false
            }
        }
    }

    /// It waits for the app, and for nothing else; the app never had it.
    pub(super) fn refuse_absent(&mut self, handed: &Handed) {
        let now = self.now;
        let next = self.absence.as_ref().map_or(now, |absence| absence.next);
        let delay = next.saturating_duration_since(now);
        let refusal = Refusal::Retry {
            standing: Standing::AppFailing,
            delay: (delay, delay),
            at_once: true,
        };
        self.expected.refusal = Some((handed.at.clone(), handed.offset, refusal));
    }

    /// When the app may be tried, if it is gone: nothing is under way then that began
    /// lately.
    pub(super) fn probe_due(&self) -> Option<Instant> {
        let next = self.absence.as_ref()?.next;
        let under_way = self.handed.values();
        let over = under_way.map(|handed| handed.when + self.limits.dial);
        Some(over.fold(next, Instant::max))
    }

    pub(super) fn app_may_be_tried(&self) -> bool {
        self.probe_due().is_none_or(|due| due <= self.now)
    }

    pub(super) fn take_app(&mut self, back: bool) -> Check {
        let wanted = self.expected.app.take();
        ensure!(
            wanted == Some(back),
            "the app is back or gone, and expected was {wanted:?}"
        );
        Ok(())
    }

    pub(super) fn take_doubted(&mut self, record: &Arc<Record>) -> Check {
        let doubted = &mut self.expected.doubted;
        ensure!(
            doubted.remove(&(record.at.clone(), record.offset)),
            "an ack of {} {} is not believed, and expected was {doubted:?}",
            record.at,
            record.offset
        );
        Ok(())
    }

    /// Calls failed that began then: what was acknowledged and began at the same moment may have
    /// failed as well, and comes again, before the others of its sequence.
    pub(super) fn redeliver_acked(&mut self, failed: &[Instant]) {
        let from = self.now;
        let apart = self.limits.mixed_up;
        let near = |a: Instant, b: Instant| a <= b + apart && b <= a + apart;
        for (at, owned) in &mut self.owned {
            let acked = owned.slots.iter_mut();
            let acked = acked.filter_map(|(offset, slot)| Some((*offset, slot.as_mut()?)));
            let mut put_back = BTreeMap::new();
            for (offset, unfinished) in acked {
                let State::Acked { began, when } = unfinished.state else {
                    continue;
                };
                if !failed.iter().any(|call| *call < when && near(began, *call)) {
                    continue;
                }
                unfinished.state = State::Waiting { from };
                put_back.entry(unfinished.sequence).or_insert(offset);
                self.expected.doubted.insert((at.clone(), offset));
            }
            // What is behind them waits for them, and for no time.
            for (offset, slot) in &mut owned.slots {
                if let Some(unfinished) = slot
                    && let State::Waiting { from } = &mut unfinished.state
                    && put_back
                        .get(&unfinished.sequence)
                        .is_some_and(|first| first <= offset)
                {
                    *from = self.now;
                }
            }
        }
    }

    /// What was acknowledged long enough before the app was `heard` of is finished; all is
    /// if no call is under way.
    pub(super) fn settle_acked(&mut self, heard: bool) {
        let all = self.handed.is_empty();
        let (now, silence) = (self.now, self.limits.ack_settles_in_silence);
        let settles = if heard {
            silence.min(self.limits.ack_settles)
        } else {
            silence
        };
        for slot in self
            .owned
            .values_mut()
            .flat_map(|owned| owned.slots.values_mut())
        {
            if let Some(unfinished) = slot
                && let State::Acked { began, when } = unfinished.state
                && (all || when + settles <= now)
            {
                self.witness = self.witness.max(Some(began));
                *slot = None;
            }
        }
    }
}
