//! Whether the group's partitions are ours: rebalances, drains, the shutdown, and a
//! consumer that is replaced.
//!
//! Pure: [`Membership::step`] takes an event and returns what to do about it, in this
//! order. Other modules own, read and commit partitions; this one decides when that starts
//! and stops.
//!
//! ```text
//!                Assigned                  Revoked, Shutdown, Renew
//!        Idle ─────────────▶ Owning ─────────────────────────────▶ Draining
//!          ▲                   │ lost                                  │ settled, or late
//!          │     GiveBack      ▼                 GiveBack              ▼
//!          └───────────────────┴──────────────────────────────── Committing
//! ```

use std::time::{Duration, Instant};

use crate::model::TopicPartition;

/// How long the replacement of a consumer waits at the most: nobody else waits for it, and nothing
/// is read meanwhile.
const RENEWAL_DRAIN: Duration = Duration::from_secs(5);

/// How long to wait before another consumer is made, after one could not be.
const REPLACE_AGAIN: Duration = Duration::from_secs(5);

/// Where the group stands with its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has none.
    Idle,
    /// It was given some; those whose start is known are being read.
    Owning,
    /// It gives them back when all is answered, or at the latest then.
    Draining { until: Instant },
    /// Its last commit before giving them back is under way.
    Committing,
}

/// Incremented on every drain and return of partitions. Results of broker calls that
/// were started under an older generation are discarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(u64);

/// What happened.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The group gives us these partitions.
    Assigned(Vec<TopicPartition>),
    /// The group takes all partitions away; `lost` if they are gone already, because the session
    /// timed out.
    Revoked { lost: bool },
    /// Drain, give everything back until then, and end.
    Shutdown { until: Instant },
    /// Replace the consumer, once everything is drained.
    Renew { reason: String },
    /// The consumer can't be used any more: replace it now.
    Broken { reason: String },
    /// The consumer was replaced, or could not be.
    Replaced { ok: bool },
    /// The last commit of this generation ended, however.
    LastCommitEnded { generation: Generation },
    /// Something happened elsewhere that may have changed the facts, or time has passed.
    Look,
}

/// What a step needs to know of others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Nothing that was delivered is unanswered, and no commit is under way.
    pub(super) settled: bool,
    /// There is something to commit before partitions are given back.
    pub(super) owns: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Answer the rebalance with an empty assignment: until then librdkafka sees neither a lost
    /// session nor the next rebalance.
    AnswerRebalance,
    /// Find out where these partitions start, and read them.
    FindStarts(Vec<TopicPartition>),
    /// Stop reading, and hand nothing more out.
    Drain,
    /// Commit all progress, and report it as [`Event::LastCommitEnded`].
    LastCommit(Generation),
    /// Forget all partitions, and let the group have them.
    GiveBack,
    /// Join the group with a new consumer, and report it as [`Event::Replaced`].
    Replace { reason: String },
    /// Leave the group: nothing more happens.
    Leave,
}

/// A group's membership.
#[derive(Debug)]
pub(super) struct Membership {
    /// How long a revocation waits for what was delivered already. The whole group waits with it;
    /// what is not answered by then is delivered again.
    longest_drain: Duration,
    phase: Phase,
    generation: Generation,
    /// The group is shutting down.
    leaves: bool,
    /// Why the consumer is to be replaced, and when.
    replace: Option<(String, Instant)>,
}

impl Membership {
    /// A group without partitions, which waits so long for answers before it gives partitions back.
    pub(super) fn new(longest_drain: Duration) -> Self {
        Self {
            longest_drain,
            phase: Phase::Idle,
            generation: Generation(0),
            leaves: false,
            replace: None,
        }
    }

    /// Takes an event in, and says what to do about it, in this order.
    pub(super) fn step(&mut self, event: Event, facts: Facts, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Assigned(partitions) => self.assigned(partitions, &mut actions),
            Event::Revoked { lost: true } => self.give_back(&mut actions),
            Event::Revoked { .. } => self.revoked(now, &mut actions),
            Event::Shutdown { until } => {
                self.leaves = true;
                self.replace = None;
                match &mut self.phase {
                    // The whole group waits for a revocation that is being drained.
                    Phase::Draining { until: before } => *before = until.min(*before),
                    Phase::Committing => {}
                    Phase::Idle | Phase::Owning => self.drain(until, &mut actions),
                }
            }
            Event::Renew { reason } if self.is_owning() => {
                self.replace = Some((reason, now));
                let longest = self.longest_drain.min(RENEWAL_DRAIN);
                self.drain(now + longest, &mut actions);
            }
            Event::Renew { reason } if self.is_idle() && !self.leaves => {
                self.replace = Some((reason, now));
            }
            Event::Broken { reason } if !self.leaves => {
                self.replace = Some((reason, now));
                self.give_back(&mut actions);
            }
            Event::Renew { .. } | Event::Broken { .. } | Event::Look => {}
            Event::Replaced { ok } => {
                if let Some((_, again)) = &mut self.replace {
                    *again = now + REPLACE_AGAIN;
                }
                if ok {
                    self.replace = None;
                }
            }
            Event::LastCommitEnded { generation } => {
                if self.phase == Phase::Committing && generation == self.generation {
                    self.give_back(&mut actions);
                }
            }
        }
        self.go_on(facts, now, &mut actions);
        actions
    }

    /// When [`Event::Look`] is due, if nothing else happens before.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        match (self.phase, &self.replace) {
            (Phase::Draining { until }, _) => Some(until),
            (Phase::Idle, Some((_, when))) => Some(*when),
            _ => None,
        }
    }

    /// The present generation.
    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether results that were asked for under this generation still count.
    pub(super) fn accepts(&self, generation: Generation) -> bool {
        self.is_owning() && generation == self.generation
    }

    /// Whether partitions are being read, or about to be.
    pub(super) fn is_owning(&self) -> bool {
        self.phase == Phase::Owning
    }

    /// Whether there are no partitions.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Whether progress may be committed: the last commit says all, and comes last.
    pub(super) fn may_commit(&self) -> bool {
        !matches!(self.phase, Phase::Idle | Phase::Committing)
    }

    /// Whether the group neither ends nor changes, so that its consumer may be replaced.
    pub(super) fn is_settled(&self) -> bool {
        !self.leaves && !self.is_ending() && self.replace.is_none()
    }

    fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. } | Phase::Committing)
    }

    fn assigned(&mut self, partitions: Vec<TopicPartition>, actions: &mut Vec<Action>) {
        if self.phase != Phase::Idle {
            // A new assignment without a revocation: the partitions of the old one are gone.
            self.give_back(actions);
        }
        actions.push(Action::AnswerRebalance);
        // A consumer that leaves, or is about to be replaced, takes nothing on.
        if !self.leaves && self.replace.is_none() {
            self.phase = Phase::Owning;
            actions.push(Action::FindStarts(partitions));
        }
    }

    fn revoked(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let latest = now + self.longest_drain;
        match &mut self.phase {
            // What is being drained already keeps its deadline, if that is sooner.
            Phase::Draining { until } => *until = latest.min(*until),
            Phase::Committing => {}
            Phase::Idle | Phase::Owning => self.drain(latest, actions),
        }
    }

    fn drain(&mut self, until: Instant, actions: &mut Vec<Action>) {
        self.generation.0 += 1;
        self.phase = Phase::Draining { until };
        actions.push(Action::Drain);
    }

    fn give_back(&mut self, actions: &mut Vec<Action>) {
        self.generation.0 += 1;
        self.phase = Phase::Idle;
        actions.push(Action::GiveBack);
    }

    /// Does what waits for others, or for a time.
    fn go_on(&mut self, facts: Facts, now: Instant, actions: &mut Vec<Action>) {
        if let Phase::Draining { until } = self.phase
            && (facts.settled || until <= now)
        {
            if facts.owns {
                self.phase = Phase::Committing;
                actions.push(Action::LastCommit(self.generation));
            } else {
                self.give_back(actions);
            }
        }
        if self.phase != Phase::Idle {
            return;
        }
        if self.leaves {
            actions.push(Action::Leave);
        } else if let Some((reason, when)) = &mut self.replace
            && *when <= now
        {
            // Asked for once, however late it is reported.
            *when = now + REPLACE_AGAIN;
            let reason = reason.clone();
            actions.push(Action::Replace { reason });
        }
    }
}

#[cfg(test)]
mod tests;
