//! The breaker once more, as plainly as it can be said: over a list of all
//! answers.

use std::collections::BTreeMap;

use super::super::*;

/// What the breaker takes a record for: its key, or its partition, or itself.
type Stands = (Option<u8>, (i32, Option<Offset>));

#[derive(Debug, Default)]
pub(super) struct PlainBreaker {
    answers: Vec<(Instant, Stands, bool)>,
    /// When the next probe may go out, and how many went well in a row.
    open: Option<(Instant, u32)>,
}

impl PlainBreaker {
    /// Whether it opened or closed by this answer.
    pub(super) fn answered(
        &mut self,
        stands: Stands,
        failed: bool,
        now: Instant,
        limits: &BreakerLimits,
    ) -> Option<bool> {
        if let Some((next, succeeded)) = &mut self.open {
            *next = if failed {
                now + limits.probe_every
            } else {
                now
            };
            *succeeded = if failed { 0 } else { *succeeded + 1 };
            if *succeeded < 3 {
                return None;
            }
            *self = Self::default();
            return Some(false);
        }
        self.answers.push((now, stands, failed));
        let last: BTreeMap<Stands, bool> = self
            .answers
            .iter()
            .filter(|(when, ..)| now - *when <= limits.window)
            .map(|(_, stands, failed)| (*stands, *failed))
            .collect();
        let failing = last.values().filter(|failed| **failed).count();
        let opens = last.len() >= limits.sequences && failing * 100 >= last.len() * limits.percent;
        opens.then(|| {
            self.open = Some((now + limits.probe_every, 0));
            true
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// How many records may be handed out, given that the app has so many.
    pub(super) fn allows(&self, in_flight: usize, now: Instant) -> usize {
        match self.open {
            None => usize::MAX,
            Some((next, _)) => usize::from(in_flight == 0 && next <= now),
        }
    }
}
