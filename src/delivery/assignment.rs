//! What the owner does when partitions come and go.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{
    Drained,
    owner::{Done, Owner, Starts},
};
use crate::{
    engine::Event,
    kafka::{Cause, Signal},
    model::{Epoch, Offset, TopicPartition},
    telemetry::events,
};

/// How long a revocation waits for what was delivered already. The whole group
/// waits with it; what is not answered by then is delivered again.
const REVOKE_DRAIN: Duration = Duration::from_secs(5);

/// How long to wait before start positions are asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Where the group stands with its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has none.
    Idle,
    /// It was given some, and their start positions are being asked for.
    Resolving,
    /// It has some.
    Owning,
    /// It gives them back when all is answered, or at the latest then.
    Draining { until: Instant },
    /// Its last commit before giving them back is under way.
    Committing,
}

impl Phase {
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Self::Draining { until } => Some(until),
            _ => None,
        }
    }
}

impl Owner {
    pub(super) async fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Assigned(partitions) => {
                self.generation += 1;
                self.phase = Phase::Resolving;
                self.ask_for_starts(partitions, Duration::ZERO);
            }
            Signal::Revoked { lost: true, .. } => {
                self.generation += 1;
                self.give_back().await;
            }
            Signal::Revoked { .. } => {
                self.generation += 1;
                // Partitions that are being drained already keep their deadline.
                if !matches!(self.phase, Phase::Draining { .. } | Phase::Committing) {
                    self.drain(Instant::now() + REVOKE_DRAIN);
                }
            }
        }
    }

    pub(super) fn shut_down(&mut self, until: Instant, reply: oneshot::Sender<Drained>) {
        self.leaving = Some(reply);
        self.generation += 1;
        self.drain(until);
    }

    fn ask_for_starts(&mut self, partitions: Vec<TopicPartition>, wait: Duration) {
        let wanted = partitions
            .iter()
            .map(|at| (at.clone(), self.subscription.start_at(at)))
            .collect();
        let consumer = self.consumer.clone();
        let generation = self.generation;
        self.calls.spawn(async move {
            tokio::time::sleep(wait).await;
            let result = consumer.start_positions(wanted).await;
            let result = result.map_err(|cause| (partitions, cause));
            Done::Starts { generation, result }
        });
    }

    pub(super) fn starts(&mut self, generation: u64, result: Starts) {
        if generation != self.generation || self.phase != Phase::Resolving {
            return;
        }
        let starts = match result {
            Ok(starts) => starts,
            Err((partitions, cause)) => {
                self.tries_again("finding the start positions", &cause);
                self.ask_for_starts(partitions, ASK_AGAIN);
                return;
            }
        };
        let readers = match self.consumer.assign(&starts) {
            Ok(readers) => readers,
            Err(cause) => {
                self.tries_again("taking the assignment", &cause);
                let partitions = starts.into_iter().map(|(at, _)| at).collect();
                self.ask_for_starts(partitions, ASK_AGAIN);
                return;
            }
        };
        self.phase = Phase::Owning;
        let epoch = self.next_epoch();
        for reader in readers {
            self.readers.add(reader, epoch);
        }
        let instance = self.instance.clone();
        events::Assigned {
            instance: &instance,
            starts: &starts,
        }
        .emit();
        for (at, start) in starts {
            self.step(Event::Assigned { at, epoch, start });
        }
    }

    fn drain(&mut self, until: Instant) {
        self.phase = Phase::Draining { until };
        for at in self.owned() {
            self.step(Event::Draining { at });
        }
    }

    /// Goes on with a drain once all is answered, or its time is up.
    pub(super) async fn check_drained(&mut self) {
        let Phase::Draining { until } = self.phase else {
            return;
        };
        self.readers.stop().await;
        if self.engine.total_in_flight() > 0 && Instant::now() < until {
            return;
        }
        let engine = &self.engine;
        let offsets: Vec<_> = engine
            .partitions()
            .filter_map(|at| Some((at.clone(), engine.commit_point(at)?)))
            .collect();
        if offsets.is_empty() {
            self.give_back().await;
            return;
        }
        self.phase = Phase::Committing;
        let consumer = self.consumer.clone();
        self.calls
            .spawn(async move { Done::LastCommit(consumer.commit(offsets).await) });
    }

    pub(super) async fn last_commit(&mut self, result: Result<(), Cause>) {
        if let Err(cause) = result {
            events::CommitFailed {
                instance: &self.instance,
                reason: &cause.text,
            }
            .emit();
        }
        if self.phase == Phase::Committing {
            self.give_back().await;
        }
    }

    /// Forgets all partitions and lets the group have them.
    async fn give_back(&mut self) {
        self.readers.stop().await;
        self.unanswered = self.engine.total_in_flight();
        let owned = self.owned();
        events::Revoked {
            instance: &self.instance,
            partitions: owned.len(),
            unanswered: self.unanswered,
        }
        .emit();
        for at in owned {
            self.commits.forget(&at);
            self.step(Event::Revoked { at });
        }
        if let Err(cause) = self.consumer.unassign() {
            self.tries_again("giving the assignment back", &cause);
        }
        self.phase = Phase::Idle;
    }

    pub(super) fn out_of_range(&mut self, at: TopicPartition, epoch: Epoch) {
        events::OutOfRange {
            instance: &self.instance,
            at: &at,
        }
        .emit();
        let consumer = self.consumer.clone();
        self.calls.spawn(async move {
            let result = consumer.seek_to_oldest(&at).await;
            Done::Oldest { at, epoch, result }
        });
    }

    /// The partition goes on at another position, possibly an earlier one (the
    /// topic was recreated): for the engine that is a new assignment.
    pub(super) fn oldest(
        &mut self,
        at: &TopicPartition,
        epoch: Epoch,
        result: Result<Offset, Cause>,
    ) {
        if !self.engine.owns(at, epoch) {
            return;
        }
        match result {
            Ok(start) => {
                let epoch = self.next_epoch();
                self.readers.set_epoch(at, epoch);
                let at = at.clone();
                self.step(Event::Assigned { at, epoch, start });
            }
            Err(cause) => {
                self.tries_again(&format!("finding the earliest offset of {at}"), &cause);
                self.out_of_range(at.clone(), epoch);
            }
        }
    }

    fn owned(&self) -> Vec<TopicPartition> {
        self.engine.partitions().cloned().collect()
    }

    fn next_epoch(&mut self) -> Epoch {
        self.epochs += 1;
        Epoch(self.epochs)
    }
}
