//! What must become of a record that was answered, or of a dead letter.

use super::{super::*, model::*};

/// What a failed attempt says of its record.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Evidence {
    None,
    Suspected,
    MayHaveBroken,
    Refused,
    Broke,
}

impl Model {
    pub(super) fn give_back(&mut self, handed: &Handed) {
        let from = self.now;
        if let Some(unfinished) = self.unfinished(handed) {
            unfinished.state = State::Waiting { from };
        }
    }

    pub(super) fn answer(&mut self, delivery: DeliveryId, outcome: &Outcome) {
        let Some(handed) = self.handed.remove(&delivery) else {
            return;
        };
        let topic = handed.at.topic.clone();
        self.expected.answered = Some((topic, outcome.clone(), handed.when));
        let began = self.began(delivery, &handed).unwrap_or(handed.when);
        let doubted = self.see_absence(delivery, outcome);
        self.release(&handed, delivery, outcome);
        let alone = self.see_breaks(outcome, began);
        if self.unfinished(&handed).is_some() {
            self.judge_answer(&handed, delivery, outcome, (doubted, began, alone));
        }
        match outcome {
            Outcome::Absent(_)
            | Outcome::NotAsked(_)
            | Outcome::Unreachable(_)
            | Outcome::TimedOut(_)
            | Outcome::Unknown(_) => {
                self.redeliver_acked(&[began]);
                self.settle_acked(false);
            }
            Outcome::Ack | Outcome::Nack(_) => self.settle_acked(!doubted),
            Outcome::TooLarge(_) => self.settle_acked(false),
        }
    }

    fn judge_answer(
        &mut self,
        handed: &Handed,
        delivery: DeliveryId,
        outcome: &Outcome,
        (doubted, began, alone): (bool, Instant, bool),
    ) {
        let is_head = self.owned[&handed.at].is_head(handed.offset);
        match outcome {
            Outcome::Ack if doubted => {
                let acked = (handed.at.clone(), handed.offset);
                self.expected.doubted.insert(acked);
                self.give_back(handed);
            }
            Outcome::Ack => {
                self.judge(handed, delivery, false);
                let when = self.now;
                if let Some(unfinished) = self.unfinished(handed) {
                    unfinished.state = State::Acked { began, when };
                }
            }
            _ if !is_head => self.give_back(handed),
            Outcome::Nack(_) => {
                self.judge(handed, delivery, true);
                if let Some(unfinished) = self.unfinished(handed) {
                    unfinished.in_company = 0;
                }
                self.refuse(handed, Evidence::Refused);
            }
            Outcome::TimedOut(_) => {
                self.judge(handed, delivery, true);
                self.refuse(handed, Evidence::Refused);
            }
            Outcome::Unreachable(_) => {
                self.judge(handed, delivery, true);
                let evidence = self.see_break(handed, alone);
                self.refuse(handed, evidence);
            }
            Outcome::Absent(_) | Outcome::NotAsked(_) => self.refuse_absent(handed),
            Outcome::TooLarge(_) => self.refuse_too_large(handed),
            Outcome::Unknown(_) => self.give_back(handed),
        }
    }

    fn release(&mut self, handed: &Handed, delivery: DeliveryId, outcome: &Outcome) {
        let by_app = matches!(outcome, Outcome::Ack | Outcome::Nack(_));
        let until = self.now + self.limits.lane_hold;
        if let Some(lane) = self.lanes.get_mut(&handed.lane) {
            let is_first = lane.has.first() == Some(&delivery);
            if by_app && (is_first || lane.concurrent) {
                let released = lane.released.filter(|_| !lane.concurrent);
                let began = released.into_iter().chain([handed.when]).max();
                let took = self.now - began.unwrap_or(handed.when);
                let before = lane.takes.unwrap_or_default();
                lane.takes = Some(took.max(before * 7 / 8));
            }
            lane.concurrent |= by_app && lane.has.first().is_some_and(|first| *first < delivery);
            lane.has.remove(&delivery);
            lane.released = Some(self.now);
            self.overtaken |= lane.concurrent;
            if matches!(outcome, Outcome::Unknown(_)) {
                lane.held_until = Some(until);
            }
        }
    }

    fn judge(&mut self, handed: &Handed, delivery: DeliveryId, failed: bool) {
        let (now, limits, last) = (self.now, self.limits.breaker, self.last_delivery);
        let Some(record) = self.unfinished(handed).map(|found| found.record.clone()) else {
            return;
        };
        let stands = match key(&record) {
            Some(key) => (Some(key), (0, None)),
            None if self.limits.ordering == Ordering::None => {
                (None, (record.at.partition, Some(record.offset)))
            }
            None => (None, (record.at.partition, None)),
        };
        if self.policy(&handed.at.topic).dead_letter.is_none() {
            return;
        }
        if let Some(subscription) = self.subscriptions.get_mut(&handed.at.topic) {
            let breaker = &mut subscription.breaker;
            if breaker.is_open() && Some(delivery) <= subscription.opened_after {
                return;
            }
            let change = breaker.answered(stands, failed, now, &limits);
            if change == Some(true) {
                subscription.opened_after = Some(last);
            }
            self.expected.breaker = change.map(|opens| (handed.at.topic.clone(), opens));
        }
    }

    /// Takes in whether a call ended without the app's answer; true if it broke while no other
    /// was under way.
    fn see_breaks(&mut self, outcome: &Outcome, began: Instant) -> bool {
        let now = Some(self.now);
        match outcome {
            Outcome::Unreachable(_) | Outcome::Unknown(_) => {
                let before = std::mem::replace(&mut self.broke, now);
                let others = self.handed.iter();
                let mut starts =
                    others.filter_map(|(delivery, other)| self.began(*delivery, other));
                before.is_none_or(|before| before < began) && !starts.any(|start| start < self.now)
            }
            Outcome::Absent(_) => {
                self.refused = now;
                false
            }
            Outcome::Nack(_) => {
                self.witness = self.witness.max(Some(began));
                false
            }
            Outcome::Ack | Outcome::TimedOut(_) | Outcome::NotAsked(_) | Outcome::TooLarge(_) => {
                false
            }
        }
    }

    /// What a record's broken call says of it: it is the cause if the call broke alone, and the app
    /// has lived since it did so before.
    fn see_break(&mut self, handed: &Handed, alone: bool) -> Evidence {
        let (now, witness, refused) = (self.now, self.witness, self.refused);
        let open = self.is_open(&handed.at.topic);
        let Some(unfinished) = self.unfinished(handed) else {
            return Evidence::None;
        };
        if !alone {
            unfinished.in_company += 1;
            return if unfinished.is_suspected() {
                Evidence::Suspected
            } else {
                Evidence::None
            };
        }
        let lived = unfinished.broke.is_none_or(|before| {
            let answered = witness.is_some_and(|witness| witness > before);
            answered || refused.is_none_or(|refused| refused < before)
        });
        unfinished.broke = Some(now);
        if open {
            return Evidence::None;
        }
        unfinished.alone += 1;
        if lived {
            unfinished.breaks += 1;
            Evidence::Broke
        } else {
            Evidence::MayHaveBroken
        }
    }

    /// An attempt failed; it counts unless it says nothing against the record.
    fn refuse(&mut self, handed: &Handed, evidence: Evidence) {
        let now = self.now;
        let policy = self.policy(&handed.at.topic);
        let open = self.is_open(&handed.at.topic);
        let draining = self.is_draining(&handed.at);
        let probe_every = self.limits.breaker.probe_every;
        let least_breaks = self.limits.least_breaks;
        let Some(unfinished) = self.unfinished(handed) else {
            return;
        };
        unfinished.failed += 1;
        if matches!(evidence, Evidence::Refused | Evidence::Broke) && !open {
            unfinished.attempts += 1;
            unfinished.first.get_or_insert(now);
        }
        let age = unfinished.first.map_or(Duration::ZERO, |first| now - first);
        let (attempts, breaks, alone) = (unfinished.attempts, unfinished.breaks, unfinished.alone);
        let used_up = policy.max_attempts.is_some_and(|most| attempts >= most)
            || policy.max_elapsed.is_some_and(|most| age >= most);
        let delay = delays(&policy.backoff, unfinished.failed);
        let retry = |standing, delay, at_once| Refusal::Retry {
            standing,
            delay,
            at_once,
        };
        let refusal = if open {
            retry(Standing::AppFailing, (probe_every, probe_every), true)
        } else if evidence == Evidence::None {
            retry(Standing::AppFailing, delay, false)
        } else if evidence == Evidence::Suspected {
            retry(Standing::Suspected, delay, false)
        } else if matches!(evidence, Evidence::Broke | Evidence::MayHaveBroken) {
            let enough = policy.max_breaks.is_some_and(|most| alone >= most)
                || used_up && breaks >= least_breaks;
            let is_over = enough && age >= policy.min_age && !draining;
            if is_over && policy.dead_letter.is_some() {
                Refusal::Letter(Failure::BrokeTheApp)
            } else if evidence == Evidence::Broke {
                retry(Standing::BreaksTheApp, delay, false)
            } else {
                retry(Standing::MayBreakTheApp, delay, false)
            }
        } else if !used_up {
            retry(Standing::Retrying, delay, false)
        } else if policy.dead_letter.is_none() {
            let longest = longest(&policy.backoff);
            retry(Standing::Held, (longest, longest), false)
        } else if age < policy.min_age || draining {
            retry(Standing::Retrying, delay, false)
        } else {
            Refusal::Letter(Failure::Rejected)
        };
        self.expected.refusal = Some((handed.at.clone(), handed.offset, refusal));
    }

    fn refuse_too_large(&mut self, handed: &Handed) {
        let now = self.now;
        let policy = self.policy(&handed.at.topic);
        let draining = self.is_draining(&handed.at);
        let Some(unfinished) = self.unfinished(handed) else {
            return;
        };
        unfinished.failed += 1;
        unfinished.attempts += 1;
        unfinished.first.get_or_insert(now);
        let longest = longest(&policy.backoff);
        let refusal = if policy.dead_letter.is_some() && !draining {
            Refusal::Letter(Failure::TooLargeForDaprd)
        } else {
            Refusal::Retry {
                standing: Standing::Held,
                delay: (longest, longest),
                at_once: false,
            }
        };
        self.expected.refusal = Some((handed.at.clone(), handed.offset, refusal));
    }

    pub(super) fn written(&mut self, letter: LetterId, confirmed: bool) {
        let Some(pending) = self.letters.get(&letter) else {
            return;
        };
        if confirmed {
            let (at, offset) = (pending.at.clone(), pending.content.record.offset);
            self.letters.remove(&letter);
            self.finish(&at, offset);
        } else if pending.again.is_none() {
            self.expected.delayed = Some(letter);
        }
    }
}

/// The shortest and the longest wait after so many failed attempts.
fn delays(backoff: &Backoff, failed: u32) -> (Duration, Duration) {
    match *backoff {
        Backoff::Constant(delay) => (delay, delay),
        Backoff::Exponential {
            initial,
            max,
            multiplier,
            randomization,
        } => {
            let mut plain = initial.as_secs_f64();
            for _ in 1..failed {
                plain = (plain * multiplier).min(max.as_secs_f64());
            }
            let rounding = 1e-8;
            let shortest = (plain * (1.0 - randomization) - rounding).max(0.0);
            let longest = plain * (1.0 + randomization) + rounding;
            (
                Duration::from_secs_f64(shortest),
                Duration::from_secs_f64(longest),
            )
        }
    }
}

fn longest(backoff: &Backoff) -> Duration {
    match *backoff {
        Backoff::Constant(delay) => delay,
        Backoff::Exponential { max, .. } => max,
    }
}
