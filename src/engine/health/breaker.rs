//! Keeps a broken app from draining a topic into its dead-letter topic.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// When the breaker opens, and how it finds out that it may close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// How many distinct sequences must have been answered for.
    pub sequences: usize,
    /// How many of a hundred of them must have failed last.
    pub percent: usize,
    /// How far back is looked.
    pub window: Duration,
    /// How long after a failed probe the next one comes.
    pub probe_every: Duration,
}

/// Answers that are looked back at: many times what a decision needs, and
/// little memory, however many keys a topic has.
const REMEMBERED: usize = 1024;

/// Probes that must succeed, one after the other, before all is handed out again.
const PROBES: u32 = 3;

/// The breaker of one subscription.
#[derive(Debug, Default)]
pub(in crate::engine) struct Breaker {
    /// The last answer of each sequence: when, and whether it was a failure.
    last: HashMap<u64, (Instant, bool)>,
    /// The sequences in the order of their answers; outdated where `last` has a
    /// later time.
    order: VecDeque<(Instant, u64)>,
    failed: usize,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    next_probe: Instant,
    succeeded: u32,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Change {
    Opened,
    Closed,
}

impl Breaker {
    /// Takes an answer in; `sequence` stands for its key, or for its partition
    /// if it has none.
    pub(in crate::engine) fn answered(
        &mut self,
        sequence: u64,
        failed: bool,
        now: Instant,
        limits: &BreakerLimits,
    ) -> Option<Change> {
        if let Some(open) = &mut self.open {
            if !open.answered(failed, now, limits) {
                return None;
            }
            *self = Self::default();
            return Some(Change::Closed);
        }
        self.remember(sequence, failed, now);
        self.forget(now, limits);
        let enough = self.last.len() >= limits.sequences;
        if enough && self.failed * 100 >= self.last.len() * limits.percent {
            self.open = Some(Open {
                next_probe: now + limits.probe_every,
                succeeded: 0,
            });
            return Some(Change::Opened);
        }
        None
    }

    pub(in crate::engine) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether one may be handed out now, given that none is.
    pub(in crate::engine) fn probes(&self, now: Instant) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.next_probe <= now)
    }

    pub(in crate::engine) fn next_probe(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.next_probe)
    }

    fn remember(&mut self, sequence: u64, failed: bool, now: Instant) {
        let before = self.last.insert(sequence, (now, failed));
        self.failed += usize::from(failed);
        self.failed -= usize::from(before.is_some_and(|(_, failed)| failed));
        self.order.push_back((now, sequence));
    }

    fn forget(&mut self, now: Instant, limits: &BreakerLimits) {
        while let Some((when, sequence)) = self.order.front().copied() {
            let old = now.saturating_duration_since(when) > limits.window;
            if !old && self.order.len() <= REMEMBERED {
                return;
            }
            self.order.pop_front();
            if self
                .last
                .get(&sequence)
                .is_some_and(|(last, _)| *last == when)
            {
                let removed = self.last.remove(&sequence);
                self.failed -= usize::from(removed.is_some_and(|(_, failed)| failed));
            }
        }
    }
}

impl Open {
    /// True if the app is well again.
    fn answered(&mut self, failed: bool, now: Instant, limits: &BreakerLimits) -> bool {
        if failed {
            self.succeeded = 0;
            self.next_probe = now + limits.probe_every;
            return false;
        }
        self.succeeded += 1;
        self.next_probe = now;
        self.succeeded >= PROBES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits {
        sequences: 20,
        percent: 80,
        window: Duration::from_secs(60),
        probe_every: Duration::from_secs(5),
    };

    fn feed(breaker: &mut Breaker, answers: &[(u64, bool)], now: Instant) -> Vec<Change> {
        let answer =
            |(sequence, failed): &(u64, bool)| breaker.answered(*sequence, *failed, now, &LIMITS);
        answers.iter().filter_map(answer).collect()
    }

    fn all_fail(sequences: std::ops::Range<u64>) -> Vec<(u64, bool)> {
        sequences.map(|sequence| (sequence, true)).collect()
    }

    #[test]
    fn it_opens_when_enough_sequences_fail() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        assert_eq!(feed(&mut breaker, &all_fail(0..19), now), []);
        assert_eq!(feed(&mut breaker, &all_fail(19..20), now), [Change::Opened]);
    }

    #[test]
    fn few_sequences_never_open_it_however_often_they_fail() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..1000 {
            assert_eq!(feed(&mut breaker, &all_fail(0..19), now), []);
        }
    }

    #[test]
    fn it_stays_closed_as_long_as_a_part_is_well() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        let answers: Vec<_> = (0..100).map(|n| (n, n % 4 != 0)).collect();
        assert_eq!(feed(&mut breaker, &answers, now), [], "75 of 100 fail");
    }

    #[test]
    fn the_last_answer_of_a_sequence_counts() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        feed(&mut breaker, &all_fail(0..19), now);
        let healed: Vec<_> = (0..19).map(|sequence| (sequence, false)).collect();
        assert_eq!(feed(&mut breaker, &healed, now), []);
        assert_eq!(feed(&mut breaker, &all_fail(19..24), now), []);
    }

    #[test]
    fn what_is_long_ago_counts_for_nothing() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        feed(&mut breaker, &all_fail(0..19), now);
        let later = now + LIMITS.window + Duration::from_millis(1);
        assert_eq!(feed(&mut breaker, &all_fail(19..30), later), []);
        assert_eq!(breaker.last.len(), 11);
    }

    #[test]
    fn it_remembers_a_bounded_number() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        let well: Vec<_> = (0..5000).map(|sequence| (sequence, false)).collect();
        feed(&mut breaker, &well, now);
        assert_eq!(breaker.last.len(), REMEMBERED);
        assert_eq!(breaker.order.len(), REMEMBERED);
    }

    #[test]
    fn it_closes_after_some_probes_in_a_row() {
        let mut breaker = Breaker::default();
        let mut now = Instant::now();
        feed(&mut breaker, &all_fail(0..20), now);
        assert!(breaker.is_open() && !breaker.probes(now));
        now += LIMITS.probe_every;
        assert!(breaker.probes(now));
        assert_eq!(feed(&mut breaker, &[(1, false), (2, true)], now), []);
        assert!(!breaker.probes(now), "a failed one is waited after");
        now += LIMITS.probe_every;
        let well = [(1, false), (2, false), (3, false)];
        assert_eq!(feed(&mut breaker, &well, now), [Change::Closed]);
        assert!(!breaker.is_open());
        assert_eq!(feed(&mut breaker, &all_fail(0..19), now), [], "starts anew");
    }
}
