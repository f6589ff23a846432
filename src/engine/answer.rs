//! What an answer changes.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Action, DeliveryId, Engine, InFlight, Ready, Standing, commit,
    health::{AloneBreak, Change},
    keys::{Failures, SequenceId},
};
use crate::model::{Offset, Outcome, Policy, Record, TopicPartition, dead_letter::Failure};

/// A delivery that was answered.
struct Answered {
    in_flight: InFlight,
    delivery: DeliveryId,
    /// When its call began.
    began: Instant,
    /// Its call broke, and no other was under way.
    broke_alone: bool,
}

/// What a failed attempt says of its record.
#[derive(Clone, Copy, Debug)]
enum Evidence {
    None,
    /// It was under way when several calls broke, twice by now.
    Suspected,
    /// The app refused it, or did not answer in time.
    Refused,
    /// Its call broke while no other was under way.
    BrokeAlone(AloneBreak),
}

impl Engine {
    /// Returns the partition that it was about, if it is still ours.
    pub(super) fn answer(
        &mut self,
        delivery: DeliveryId,
        outcome: Outcome,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Option<TopicPartition> {
        let in_flight = self.with_lane(delivery)?;
        actions.push(Action::Answered {
            topic: in_flight.ready.at.topic.clone(),
            outcome: outcome.clone(),
            took: now.saturating_duration_since(in_flight.handed),
        });
        // What was answered before its turn was not waiting for its turn.
        let began = self.began(delivery, in_flight).unwrap_or(in_flight.handed);
        let by_app = matches!(outcome, Outcome::Ack | Outcome::Nack(_));
        let failed = matches!(
            outcome,
            Outcome::Absent(_)
                | Outcome::NotAsked(_)
                | Outcome::Unreachable(_)
                | Outcome::TimedOut(_)
                | Outcome::Unknown(_)
        );
        if let Outcome::Unknown(_) = outcome {
            self.hold_lane(delivery, now);
        }
        let was_absent = self.health.is_absent();
        let is_doubtful = self.note_presence(delivery, &outcome, now, actions);
        let breaks = &mut self.health.breaks;
        let was_only = match outcome {
            Outcome::Unreachable(_) | Outcome::Unknown(_) => breaks.note_end(began, now),
            Outcome::Nack(_) => {
                breaks.note_answer(began);
                false
            }
            Outcome::Absent(_) => {
                breaks.note_refusal(now);
                false
            }
            Outcome::Ack | Outcome::TimedOut(_) | Outcome::NotAsked(_) | Outcome::TooLarge(_) => {
                false
            }
        };
        self.health.note_in_test(&outcome);
        let taken = self.take_back(delivery, by_app, now);
        let at = taken.as_ref().map(|taken| taken.ready.at.clone());
        let broke_alone = was_only && !self.is_at_work(now);
        if let Some(in_flight) = taken {
            let answered = Answered {
                in_flight,
                delivery,
                began,
                broke_alone,
            };
            self.judge_answer(answered, outcome, is_doubtful, now, actions);
        }
        let doubted = failed && self.redeliver_suspects(&[began], actions);
        self.settle(by_app && !is_doubtful, now, actions);
        // An app that is back concerns all topics, and so do records that were put back. So
        // does an answer about a partition that is gone: its lane has room again.
        let is_back = was_absent && !self.health.is_absent();
        at.filter(|_| !is_back && !doubted)
    }

    /// What becomes of the record that was answered.
    fn judge_answer(
        &mut self,
        answered: Answered,
        outcome: Outcome,
        is_doubtful: bool,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let Answered {
            in_flight: InFlight { ready, record, .. },
            delivery,
            began,
            broke_alone,
        } = answered;
        let head = self.head(&ready);
        let is_head = head.is_some_and(|(head, _)| head.offset == record.offset);
        match outcome {
            Outcome::Ack if is_doubtful => {
                let records = vec![record];
                actions.push(Action::SuspectAcks { records });
                self.give_back(ready);
            }
            Outcome::Ack => {
                self.judge(&ready, &record, delivery, false, now, actions);
                self.acknowledge(ready, record.offset, began, now);
            }
            // Others were put back before it, and go first.
            _ if !is_head => self.give_back(ready),
            Outcome::Nack(reason) => {
                self.judge(&ready, &record, delivery, true, now, actions);
                self.health.breaks.survived(&record.at, record.offset);
                self.failed(ready, Evidence::Refused, reason, now, actions);
            }
            Outcome::TimedOut(reason) => {
                self.judge(&ready, &record, delivery, true, now, actions);
                self.failed(ready, Evidence::Refused, reason, now, actions);
            }
            Outcome::Unreachable(reason) => {
                self.judge(&ready, &record, delivery, true, now, actions);
                self.broke(ready, broke_alone, reason, now, actions);
            }
            Outcome::Absent(reason) | Outcome::NotAsked(reason) => {
                self.absent(ready, reason, now, actions);
            }
            Outcome::TooLarge(reason) => self.too_large(ready, reason, now, actions),
            Outcome::Unknown(_) => self.give_back(ready),
        }
    }

    /// Takes a finished record off its sequence; the next one is ready.
    pub(super) fn finish(&mut self, ready: Ready, offset: Offset, actions: &mut Vec<Action>) {
        let Some(partition) = self.partitions.get_mut(&ready.at) else {
            return;
        };
        let moved = partition.finish(&ready.sequence, offset);
        self.health.breaks.forget(&ready.at, offset);
        actions.push(commit(ready.at.clone(), moved));
        if partition.sequences.has(&ready.sequence) {
            self.make_ready(ready);
        }
    }

    /// Lets the topic's breaker see the answer. It protects a dead-letter topic:
    /// without one, a failing app drains nothing.
    fn judge(
        &mut self,
        ready: &Ready,
        record: &Record,
        delivery: DeliveryId,
        failed: bool,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let Some(topic) = self.topics.get_mut(&ready.at.topic) else {
            return;
        };
        if topic.policy.dead_letter.is_none() {
            return;
        }
        if topic.breaker.is_open() && delivery <= topic.opened_after {
            // It was handed out with many others, and is no probe.
            return;
        }
        let sequence = stands_for(record, &ready.sequence);
        let limits = &self.limits.breaker;
        let name = ready.at.topic.clone();
        match topic.breaker.answered(sequence, failed, now, limits) {
            Some(Change::Opened) => {
                topic.opened_after = DeliveryId(self.last_delivery);
                actions.push(Action::BreakerOpened { topic: name });
            }
            Some(Change::Closed) => actions.push(Action::BreakerClosed { topic: name }),
            None => {}
        }
    }

    /// The call of a record broke.
    fn broke(
        &mut self,
        ready: Ready,
        alone: bool,
        reason: String,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let Some((record, _)) = self.head(&ready) else {
            return;
        };
        let (at, offset) = (&record.at, record.offset);
        let counts = !self.is_open(&at.topic);
        let breaks = &mut self.health.breaks;
        let evidence = if alone {
            Evidence::BrokeAlone(breaks.broke_alone(at, offset, counts, now))
        } else if breaks.broke_in_company(at, offset) {
            Evidence::Suspected
        } else {
            Evidence::None
        };
        self.failed(ready, evidence, reason, now, actions);
    }

    /// An attempt failed.
    fn failed(
        &mut self,
        ready: Ready,
        evidence: Evidence,
        reason: String,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let topic = self.topics.get(&ready.at.topic);
        let Some((policy, app_failing)) =
            topic.map(|topic| (topic.policy.clone(), topic.breaker.is_open()))
        else {
            return;
        };
        let Some(partition) = self.partitions.get_mut(&ready.at) else {
            return;
        };
        let evidence = match evidence {
            _ if app_failing => Evidence::None,
            evidence => evidence,
        };
        let is_attempt = match evidence {
            Evidence::None | Evidence::Suspected => false,
            Evidence::Refused => true,
            Evidence::BrokeAlone(broke) => broke.is_evident,
        };
        partition.fail(&ready.sequence, is_attempt, now);
        let draining = partition.draining;
        let Some((record, failures)) = self.head(&ready) else {
            return;
        };
        let is_exhausted = is_exhausted(&policy, &failures, now);
        let (standing, may_be_given_up) = match evidence {
            Evidence::None => (Standing::AppFailing, None),
            Evidence::Suspected => (Standing::Suspected, None),
            Evidence::BrokeAlone(broke) => {
                let is_proven = is_exhausted && broke.evident >= self.limits.least_breaks;
                let is_enough = policy.max_breaks.is_some_and(|most| broke.all >= most);
                let standing = if broke.is_evident {
                    Standing::BreaksTheApp
                } else {
                    Standing::MayBreakTheApp
                };
                let failure = Failure::BrokeTheApp;
                (standing, (is_proven || is_enough).then_some(failure))
            }
            Evidence::Refused if is_exhausted && policy.dead_letter.is_none() => {
                (Standing::Held, None)
            }
            Evidence::Refused => (
                Standing::Retrying,
                is_exhausted.then_some(Failure::Rejected),
            ),
        };
        if let Some(failure) = may_be_given_up
            && let Some(topic) = policy.dead_letter.clone()
            && is_old_enough(&policy, &failures, now)
            && !draining
        {
            let letter = letter(record, topic, failure, &failures, reason, now);
            self.send_letter(ready, letter, actions);
            return;
        }
        let delay = self.delay(&policy, &record, &failures, standing);
        actions.push(Action::Retry {
            record,
            failed: failures.all,
            delay,
            standing,
            reason,
        });
        if app_failing {
            // The breaker decides when it is tried again, and which one.
            self.make_ready(ready);
        } else {
            self.retries.push(now + delay, ready);
        }
    }

    fn delay(
        &self,
        policy: &Policy,
        record: &Record,
        failures: &Failures,
        standing: Standing,
    ) -> Duration {
        match standing {
            Standing::Held => policy.backoff.longest(),
            _ if self.is_open(&record.at.topic) => self.limits.breaker.probe_every,
            _ => policy
                .backoff
                .delay(failures.all, record.offset.0.unsigned_abs()),
        }
    }

    fn is_open(&self, topic: &str) -> bool {
        self.topics
            .get(topic)
            .is_some_and(|topic| topic.breaker.is_open())
    }

    /// It never fits, so it is not tried again: it becomes a dead letter at once,
    /// or holds its key.
    fn too_large(&mut self, ready: Ready, reason: String, now: Instant, actions: &mut Vec<Action>) {
        let topic = self.topics.get(&ready.at.topic);
        let Some(policy) = topic.map(|topic| topic.policy.clone()) else {
            return;
        };
        let Some(partition) = self.partitions.get_mut(&ready.at) else {
            return;
        };
        partition.fail(&ready.sequence, true, now);
        let draining = partition.draining;
        let Some((record, failures)) = self.head(&ready) else {
            return;
        };
        match &policy.dead_letter {
            Some(topic) if !draining => {
                let failure = Failure::TooLargeForDaprd;
                let letter = letter(record, topic.clone(), failure, &failures, reason, now);
                self.send_letter(ready, letter, actions);
            }
            _ => {
                let delay = policy.backoff.longest();
                self.retries.push(now + delay, ready);
                actions.push(Action::Retry {
                    record,
                    failed: failures.all,
                    delay,
                    standing: Standing::Held,
                    reason,
                });
            }
        }
    }

    pub(super) fn head(&self, ready: &Ready) -> Option<(Arc<Record>, Failures)> {
        self.partitions
            .get(&ready.at)?
            .sequences
            .head(&ready.sequence)
    }
}

fn is_exhausted(policy: &Policy, failures: &Failures, now: Instant) -> bool {
    let attempts = policy
        .max_attempts
        .is_some_and(|most| failures.attempts >= most);
    attempts
        || policy
            .max_elapsed
            .is_some_and(|most| age(failures, now) >= most)
}

fn is_old_enough(policy: &Policy, failures: &Failures, now: Instant) -> bool {
    age(failures, now) >= policy.min_age
}

fn age(failures: &Failures, now: Instant) -> Duration {
    let first = failures.first.unwrap_or(now);
    now.saturating_duration_since(first)
}

/// What the breaker takes a record for: its key; without one its partition, or
/// itself if records do not wait for one another.
fn stands_for(record: &Record, sequence: &SequenceId) -> u64 {
    let mut hasher = DefaultHasher::new();
    match (&record.key, sequence) {
        (Some(key), _) => key.hash(&mut hasher),
        (None, SequenceId::Single(offset)) => (record.at.partition, offset).hash(&mut hasher),
        (None, _) => record.at.partition.hash(&mut hasher),
    }
    hasher.finish()
}

fn letter(
    record: Arc<Record>,
    topic: Arc<str>,
    failure: Failure,
    failures: &Failures,
    reason: String,
    now: Instant,
) -> super::Letter {
    super::Letter {
        record,
        topic,
        failure,
        deliveries: failures.all,
        first_failure: failures.first.unwrap_or(now),
        last_failure: now,
        reason,
    }
}
