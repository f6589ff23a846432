//! Tests of records that may be what breaks the app.
//!
//! A record that was under way at two breaks, with others, is suspected. Suspected records are not
//! handed out with the others: once nothing is under way, half of them are handed out, and nothing
//! else. If the app breaks again, fewer are tested together next time, in the end each alone, and a
//! break then counts against the record (see [`super::breaks`]). Those that the app answers are
//! cleared.
//!
//! Nothing else is handed out during a test, so tests take a bounded part of the time. An app that
//! always has something under way for longer cannot be tested: its suspected records are handed
//! out with the others then, so that they wait no longer than for the next test.

use std::collections::{HashSet, VecDeque};

use super::{Action, Duration, Engine, Instant, Outcome, Ready, TopicPartition};
use crate::model::Record;

/// How much of the time tests may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsolationLimits {
    /// How long a test may take, the wait for what is under way included. Afterwards others are
    /// handed out again, whatever has been answered. No test begins while a call has been under
    /// way for so long.
    pub longest: Duration,
    /// The least time between two tests, as a multiple of what the one before took.
    pub rest: u32,
}

impl IsolationLimits {
    /// The longest that a suspected record waits for the next test, and for the end of it.
    pub(in crate::engine) fn longest_wait(&self) -> Duration {
        self.longest.saturating_mul(self.rest.saturating_add(1))
    }
}

/// The suspected records that wait, and the test that is going on.
#[derive(Debug, Default)]
pub(super) struct Isolation {
    /// Sequences whose head is suspected, in the order in which their waits ended.
    waiting: VecDeque<Ready>,
    /// The most that are tested together, after a test that broke the app.
    size_bound: Option<usize>,
    test: Option<Test>,
    /// When the next test may begin, if one took place before.
    next: Option<Instant>,
    /// When the engine last looked whether a test may begin.
    looked: Option<Instant>,
}

/// A test: first what is under way comes to its end, then suspected records are handed out.
#[derive(Debug)]
struct Test {
    began: Instant,
    /// How many were handed out; zero at first.
    handed: usize,
    /// The app has answered one of them.
    answered: bool,
    /// A call broke.
    broke: bool,
}

impl Isolation {
    pub(super) fn is_testing(&self) -> bool {
        self.test.is_some()
    }

    pub(super) fn forget(&mut self, partitions: &HashSet<&TopicPartition>) {
        self.waiting.retain(|ready| !partitions.contains(&ready.at));
    }

    pub(super) fn withdraw(&mut self, ready: &Ready) {
        self.waiting.retain(|other| other != ready);
    }

    /// How many are tested together next.
    fn size(&self) -> usize {
        let half = self.waiting.len().div_ceil(2);
        self.size_bound.map_or(half, |bound| half.min(bound))
    }

    /// Takes in what became of a call. During the second half of a test no others are under way
    /// than those of its records.
    pub(super) fn note(&mut self, outcome: &Outcome) {
        if let Some(test) = self.test.as_mut().filter(|test| test.handed > 0) {
            test.answered |= matches!(outcome, Outcome::Ack | Outcome::Nack(_));
            test.broke |= matches!(outcome, Outcome::Unreachable(_));
        }
    }

    /// Nothing is to be tested within the time that a test that took so long allows.
    fn rest(&mut self, took: Duration, now: Instant, limits: &IsolationLimits) {
        self.next = Some(now + took.saturating_mul(limits.rest));
    }

    fn end(&mut self, now: Instant, limits: &IsolationLimits) {
        let Some(test) = self.test.take() else {
            return;
        };
        self.rest(now.saturating_duration_since(test.began), now, limits);
        if test.broke {
            self.size_bound = Some((test.handed / 2).max(1));
        } else if test.answered {
            self.size_bound = self.size_bound.map(|bound| bound.saturating_mul(2));
            self.size_bound.take_if(|_| self.waiting.is_empty());
        }
    }
}

impl Engine {
    /// Keeps a sequence with a suspected head from being handed out with others; false if its head is
    /// not suspected.
    pub(in crate::engine) fn keep_if_suspected(&mut self, ready: &Ready, first: bool) -> bool {
        if !self.health.breaks.are_any() {
            return false;
        }
        let Some((head, _)) = self.head(ready) else {
            return false;
        };
        if !self.health.breaks.is_suspected(&head.at, head.offset) {
            return false;
        }
        let waiting = &mut self.health.isolation.waiting;
        if first {
            waiting.push_front(ready.clone());
        } else {
            waiting.push_back(ready.clone());
        }
        true
    }

    /// Whether a record waits for its turn in a test, or for the end of one.
    pub(in crate::engine) fn waits_for_test(&self, record: &Record) -> bool {
        let mut waiting = self.health.isolation.waiting.iter();
        let is_head = |ready: &Ready| {
            let head = self.head(ready);
            ready.at == record.at && head.is_some_and(|(head, _)| head.offset == record.offset)
        };
        self.health.is_isolating() || waiting.any(is_head)
    }

    /// Ends a test that is over; true if others may be handed out again.
    pub(in crate::engine) fn end_test_if_over(&mut self, now: Instant) -> bool {
        let Some(test) = &self.health.isolation.test else {
            return false;
        };
        let limits = self.limits.isolation;
        let is_late = now.saturating_duration_since(test.began) >= limits.longest;
        let is_waiting = test.handed == 0;
        let is_over = if is_waiting {
            // There is nothing to wait for any more.
            self.health.is_absent() || self.health.isolation.waiting.is_empty() || self.paused
        } else {
            self.is_idle()
        };
        if !is_over && !is_late {
            return false;
        }
        self.health.isolation.end(now, &limits);
        if is_waiting && !is_over {
            self.release_suspected();
        }
        true
    }

    /// Begins a test if it is time for one, and hands out its records once nothing else is under
    /// way. Asked after all others that may be were handed out; true if more may be after all,
    /// because the test was given up.
    pub(in crate::engine) fn isolate(&mut self, now: Instant, actions: &mut Vec<Action>) -> bool {
        self.health.isolation.looked = Some(now);
        if self.health.isolation.waiting.is_empty() || self.paused {
            return false;
        }
        if self.health.is_absent() {
            // No other is left that could show whether the app is back.
            if self.app_allowance(now) > 0 {
                self.hand_out_suspected(1, now, actions);
            }
            return false;
        }
        let isolation = &self.health.isolation;
        let is_time = isolation.next.is_none_or(|next| next <= now);
        if isolation.test.is_none() && is_time && self.may_test_any(now) {
            if self.is_never_idle(now) {
                let limits = self.limits.isolation;
                self.health.isolation.rest(limits.longest, now, &limits);
                self.release_suspected();
                return true;
            }
            self.health.isolation.test = Some(Test {
                began: now,
                handed: 0,
                answered: false,
                broke: false,
            });
        }
        let waits = |test: &Test| test.handed == 0;
        if !self.health.isolation.test.as_ref().is_some_and(waits) || !self.is_idle() {
            return false;
        }
        let size = self.health.isolation.size();
        let handed = self.hand_out_suspected(size, now, actions);
        if handed == 0 {
            self.health.isolation.end(now, &self.limits.isolation);
        } else if let Some(test) = &mut self.health.isolation.test {
            test.handed = handed;
        }
        handed == 0
    }

    /// When a test must end, or the next may begin.
    pub(super) fn next_isolation_wake(&self) -> Option<Instant> {
        let isolation = &self.health.isolation;
        if let Some(test) = &isolation.test {
            return Some(test.began + self.limits.isolation.longest);
        }
        let waiting = isolation.waiting.iter();
        let probe = |ready: &Ready| {
            let topic = self.topics.get(&ready.at.topic)?;
            Some(
                topic
                    .breaker
                    .next_probe()
                    .into_iter()
                    .chain(isolation.next)
                    .max(),
            )
        };
        let wakes = waiting.filter_map(probe).flatten();
        wakes.filter(|wake| Some(*wake) > isolation.looked).min()
    }

    /// Whether lanes have nothing that is not answered.
    fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.orphans.is_empty()
    }

    /// Whether the app is known to have something under way for longer than a test may take.
    fn is_never_idle(&self, now: Instant) -> bool {
        let longest = self.limits.isolation.longest;
        let mut topics = self.topics.values();
        let mut calls = self.in_flight.iter().chain(&self.orphans);
        let is_long = |began| now.saturating_duration_since(began) >= longest;
        topics.any(|topic| topic.lanes.takes() >= longest)
            || calls.any(|(delivery, call)| self.began(*delivery, call).is_some_and(is_long))
    }

    /// Makes the suspected records ready like all others: they can't be tested.
    fn release_suspected(&mut self) {
        for ready in std::mem::take(&mut self.health.isolation.waiting) {
            if let Some(topic) = self.topics.get_mut(&ready.at.topic) {
                topic.ready.push_back(ready);
            }
        }
    }

    fn may_test_any(&self, now: Instant) -> bool {
        let mut waiting = self.health.isolation.waiting.iter();
        waiting.any(|ready| {
            let topic = self.topics.get(&ready.at.topic);
            self.may_test(ready) && topic.is_some_and(|topic| topic.may_be_tried(now))
        })
    }

    fn may_test(&self, ready: &Ready) -> bool {
        let partition = self.partitions.get(&ready.at);
        partition.is_some_and(|partition| !partition.draining && partition.epoch == ready.epoch)
    }

    /// Hands out so many suspected records at the most; returns how many.
    fn hand_out_suspected(
        &mut self,
        most: usize,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> usize {
        let waiting = std::mem::take(&mut self.health.isolation.waiting);
        let mut handed = 0;
        for ready in waiting {
            let action = if handed < most && self.may_test(&ready) {
                self.hand_out_suspect(&ready, now)
            } else {
                None
            };
            if let Some(action) = action {
                actions.push(action);
                handed += 1;
            } else {
                self.health.isolation.waiting.push_back(ready);
            }
        }
        handed
    }

    fn hand_out_suspect(&mut self, ready: &Ready, now: Instant) -> Option<Action> {
        let topic = self.topics.get(&ready.at.topic)?;
        if topic.allowance(now) == 0 {
            return None;
        }
        let lane = topic.lanes.pick(&self.limits)?;
        self.hand(ready.clone(), lane, now)
    }
}
