//! Looks once a second how the group is doing: for the metrics, for the log when
//! nothing progresses, and for a consumer that hangs.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::owner::Owner;
use crate::{
    engine::WaitsFor,
    kafka::Health,
    model::{Offset, TopicPartition},
    telemetry::{events, group_state::GroupState},
};

const EVERY: Duration = Duration::from_secs(1);

/// What was seen of each partition, and when.
pub(super) struct Watch {
    /// The setting `stallTimeout`.
    pub(super) patience: Duration,
    next: Instant,
    pub(super) seen: HashMap<TopicPartition, Seen>,
    pub(super) health: Health,
    pub(super) looking: bool,
    /// Since when the group has waited for an assignment.
    joining: Option<Instant>,
    /// A broker answered a fresh client since then.
    answered: bool,
    pub(super) depths: HashMap<Arc<str>, u64>,
    pub(super) depths_due: Instant,
    /// Ends of partitions from which nothing is fetched, as the broker told.
    pub(super) ends: HashMap<TopicPartition, Offset>,
    pub(super) ends_due: Instant,
    pub(super) asking_ends: bool,
}

#[derive(Debug)]
pub(super) struct Seen {
    commit_point: Offset,
    committed: Instant,
    position: Offset,
    pub(super) received: Instant,
    told: Option<Instant>,
    /// Since when all is finished, and the broker has not confirmed a commit of it.
    unconfirmed: Option<Instant>,
}

impl Watch {
    pub(super) fn new(patience: Duration) -> Self {
        let now = Instant::now();
        Self {
            patience,
            next: now + EVERY,
            seen: HashMap::new(),
            health: Health::new(patience),
            looking: false,
            joining: None,
            answered: false,
            depths: HashMap::new(),
            depths_due: now,
            ends: HashMap::new(),
            ends_due: now,
            asking_ends: false,
        }
    }

    /// The consumer is a new one.
    pub(super) fn start_over(&mut self) {
        (self.looking, self.asking_ends) = (false, false);
        (self.joining, self.answered) = (None, false);
        self.seen.clear();
    }

    pub(super) fn due(&self) -> Instant {
        self.next
    }

    /// Takes in how far a partition is; returns for how long its commit point, and
    /// its position, have stood still.
    fn observe(
        &mut self,
        at: &TopicPartition,
        commit_point: Offset,
        position: Offset,
        now: Instant,
    ) -> (Duration, Duration) {
        let seen = self.seen.entry(at.clone()).or_insert(Seen {
            commit_point,
            committed: now,
            position,
            received: now,
            told: None,
            unconfirmed: None,
        });
        if seen.commit_point != commit_point {
            (seen.commit_point, seen.committed, seen.told) = (commit_point, now, None);
        }
        if seen.position != position {
            (seen.position, seen.received) = (position, now);
            self.health.succeeded();
        }
        (now - seen.committed, now - seen.received)
    }

    /// For how long commits of a partition have failed, given whether one is due.
    fn unconfirmed(&mut self, at: &TopicPartition, due: bool, now: Instant) -> Duration {
        let Some(seen) = self.seen.get_mut(at) else {
            return Duration::ZERO;
        };
        if !due {
            seen.unconfirmed = None;
            return Duration::ZERO;
        }
        now - *seen.unconfirmed.get_or_insert(now)
    }

    /// For how long the group has waited for an assignment, given whether it does.
    fn joining(&mut self, joining: bool, now: Instant) -> Duration {
        if !joining {
            (self.joining, self.answered) = (None, false);
            return Duration::ZERO;
        }
        now - *self.joining.get_or_insert(now)
    }

    /// Takes in whether a broker answers a fresh client while no assignment comes;
    /// true once brokers have answered all the time that is looked at.
    pub(super) fn join_hangs(&mut self, answers: bool, now: Instant) -> bool {
        let hangs = answers && self.answered;
        self.answered = answers;
        self.joining = Some(now);
        hangs
    }

    /// Whether a partition's standstill is to be told now: once per `patience`.
    fn tells(&mut self, at: &TopicPartition, now: Instant) -> bool {
        let Some(seen) = self.seen.get_mut(at) else {
            return false;
        };
        let again = seen.told.is_none_or(|told| now - told >= self.patience);
        if again {
            seen.told = Some(now);
        }
        again
    }
}

impl Owner {
    pub(super) fn look(&mut self, now: Instant) {
        self.watch.next = now + EVERY;
        let owned = self.owned();
        let engine = &self.engine;
        self.watch.seen.retain(|at, _| engine.epoch(at).is_some());
        let mut states = self.topic_states();
        let mut quiet = Vec::new();
        for at in &owned {
            let engine = &self.engine;
            let (Some(commit_point), Some(position)) =
                (engine.commit_point(at), engine.position(at))
            else {
                continue;
            };
            let hold = engine.hold(at);
            let (still, silent) = self.watch.observe(at, commit_point, position, now);
            // What came a moment ago holds nothing up, however quiet it was before.
            let still = hold
                .as_ref()
                .map_or(still, |hold| still.min(now - hold.since));
            let stalled = hold.as_ref().filter(|_| still >= self.watch.patience);
            if let Some(hold) = stalled {
                let key = hold.record.key.as_deref().map(String::from_utf8_lossy);
                let (offset, key) = (hold.record.offset, key.unwrap_or_default());
                self.tell_stall(at, offset, &key, (still, awaited(hold.waits_for)), now);
            }
            let unfinished = self.engine.unfinished(at);
            let due = unfinished == 0 && self.engine.uncommitted(at) > 0;
            let unconfirmed = self.watch.unconfirmed(at, due, now);
            let commits_fail = unconfirmed >= self.watch.patience;
            if commits_fail {
                let waits_for = "the broker's confirmation of its commit";
                self.tell_stall(at, commit_point, "", (unconfirmed, waits_for), now);
            }
            if hold.is_none() && silent >= self.watch.patience {
                quiet.extend(self.quiet(at, position));
            }
            if let Some(state) = states.get_mut(&at.topic) {
                // What was seen while fetching, and what was asked for since.
                let high = self
                    .consumer
                    .known_end(at)
                    .max(self.watch.ends.get(at).copied());
                self.add_partition(state, at, (commit_point, high), hold.as_ref(), now);
                state.stalled |= stalled.is_some() || commits_fail;
            }
        }
        GroupState {
            member: self.instance.clone(),
            topics: states.into_values().collect(),
        }
        .publish();
        let joining = self.membership.is_idle() && self.subscription.is_joining();
        if self.watch.joining(joining, now) >= self.watch.patience {
            self.look_at_joining();
        }
        self.look_at(quiet);
        self.ask_for_ends(&owned, now);
        self.ask_for_depths(now);
        self.ask_for_identities(now);
        self.ask_for_log_ends(&owned, now);
        self.replace_broken_consumer(now);
    }

    fn tell_stall(
        &mut self,
        at: &TopicPartition,
        offset: Offset,
        key: &str,
        (held, waits_for): (Duration, &'static str),
        now: Instant,
    ) {
        if self.watch.tells(at, now) {
            events::Stalled {
                instance: &self.instance,
                at,
                offset,
                key,
                held,
                waits_for,
            }
            .emit();
        }
    }
}

/// What a record waits for, for those who read the log.
fn awaited(waits_for: WaitsFor) -> &'static str {
    match waits_for {
        WaitsFor::DeadLetter => "the confirmation of its dead letter",
        WaitsFor::DeadLetterRetry => "its dead letter, which can't be written",
        WaitsFor::Answer => "the app's answer",
        WaitsFor::Stream => "a subscriber: there is no stream",
        WaitsFor::AbsentApp => "the app, which can't be reached",
        WaitsFor::PausedDaprd => "daprd, which has paused the component",
        WaitsFor::FailingApp => "the app, which is failing as a whole",
        WaitsFor::Retry => "its next attempt, after the app refused it",
        WaitsFor::Place => "a free place on a stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_standstill_is_measured_from_the_last_move_and_told_once_per_patience() {
        let mut watch = Watch::new(PATIENCE);
        let at = TopicPartition::new("orders", 0);
        let begun = Instant::now();
        let second = Duration::from_secs(1);
        watch.observe(&at, Offset(1), Offset(5), begun);
        let later = begun + 30 * second;
        let (held, silent) = watch.observe(&at, Offset(1), Offset(6), later);
        assert_eq!((held, silent), (30 * second, Duration::ZERO));
        assert!(watch.tells(&at, later));
        assert!(!watch.tells(&at, later + PATIENCE / 2));
        assert!(watch.tells(&at, later + PATIENCE));
        let (held, _) = watch.observe(&at, Offset(2), Offset(6), later + PATIENCE);
        assert_eq!(held, Duration::ZERO);
        assert!(watch.tells(&at, later + PATIENCE), "a new standstill");
    }

    #[test]
    fn a_join_hangs_only_while_brokers_answer() {
        let mut watch = Watch::new(PATIENCE);
        let begun = Instant::now();
        assert_eq!(watch.joining(true, begun), Duration::ZERO);
        let later = begun + PATIENCE;
        assert_eq!(watch.joining(true, later), PATIENCE);
        assert!(!watch.join_hangs(false, later), "they are away");
        assert!(!watch.join_hangs(true, later + PATIENCE), "they came back");
        assert_eq!(watch.joining(true, later + PATIENCE), Duration::ZERO);
        assert!(watch.join_hangs(true, later + 2 * PATIENCE));
        assert_eq!(watch.joining(false, later + 3 * PATIENCE), Duration::ZERO);
        assert!(
            !watch.join_hangs(true, later + 4 * PATIENCE),
            "another join"
        );
    }

    #[test]
    fn commits_that_fail_are_measured_from_when_all_was_finished() {
        let mut watch = Watch::new(PATIENCE);
        let at = TopicPartition::new("orders", 0);
        let begun = Instant::now();
        let second = Duration::from_secs(1);
        watch.observe(&at, Offset(1), Offset(5), begun);
        assert_eq!(watch.unconfirmed(&at, true, begun), Duration::ZERO);
        assert_eq!(watch.unconfirmed(&at, true, begun + 3 * second), 3 * second);
        assert_eq!(
            watch.unconfirmed(&at, false, begun + 4 * second),
            Duration::ZERO
        );
        assert_eq!(
            watch.unconfirmed(&at, true, begun + 5 * second),
            Duration::ZERO
        );
    }
}
