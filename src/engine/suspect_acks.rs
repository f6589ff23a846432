//! Acknowledgements that may turn out to be false.
//!
//! When an app dies with several calls in flight, daprd may acknowledge one of the failed
//! calls (docs/daprd-acks.md has the versions). If daprd is shutting down as well, it does
//! not report the other failures before it closes its streams.
//!
//! A false ack arrives at the moment the app dies. So while other calls are in flight, an
//! acknowledged record is finished only once the app has proved that it lived on: it
//! answered another call at least [`Limits::ack_settles`] later, or it answered every call.
//! After [`Limits::ack_settles_in_silence`] the ack is trusted in any case. Until then the
//! record is suspect and holds the commit point. The next record of its key does not wait.
//! If a call fails first, or a stream closes with an unanswered call, the suspects whose
//! calls began at the same moment return to their places in their key queues and are
//! redelivered: daprd mixes up only calls that begin together.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Action, Engine, Ready, commit, keys::Failures};
use crate::model::{Offset, Record, TopicPartition};

/// An acknowledged record that is not finished yet.
#[derive(Debug)]
struct Acked {
    ready: Ready,
    record: Arc<Record>,
    failures: Failures,
    /// When daprd began the call.
    began: Instant,
    /// When the ack came.
    when: Instant,
}

/// The acknowledged records that are not finished yet, oldest ack first.
///
/// It is empty whenever no stream has an unanswered call: the answer to the last call
/// finishes all of them, or its failure returns them.
#[derive(Debug, Default)]
pub(super) struct SuspectAcks {
    queue: VecDeque<Acked>,
}

impl SuspectAcks {
    /// Takes the oldest ack out if it arrived at least `age` ago.
    fn pop(&mut self, age: Duration, now: Instant) -> Option<Acked> {
        let first = self.queue.front()?;
        let is_old = now.saturating_duration_since(first.when) >= age;
        is_old.then(|| self.queue.pop_front())?
    }

    /// When the oldest ack was there for so long.
    pub(super) fn due(&self, age: Duration) -> Option<Instant> {
        self.queue.front().map(|acked| acked.when + age)
    }

    /// Takes out the acks whose call began at most `apart` from one of these, and that came after
    /// both had begun.
    fn take_twins(&mut self, failed: &[Instant], apart: Duration) -> Vec<Acked> {
        let is_twin = |acked: &Acked| {
            let distance = |other: &Instant| {
                let later = acked.began.saturating_duration_since(*other);
                later.max(other.saturating_duration_since(acked.began))
            };
            let is_twin = |other: &Instant| *other < acked.when && distance(other) <= apart;
            failed.iter().any(is_twin)
        };
        let queue = std::mem::take(&mut self.queue);
        let (twins, others) = queue.into_iter().partition::<VecDeque<_>, _>(is_twin);
        self.queue = others;
        twins.into()
    }

    /// Drops the acks of partitions that were revoked.
    pub(super) fn forget(&mut self, partitions: &HashSet<&TopicPartition>) {
        self.queue
            .retain(|acked| !partitions.contains(&acked.ready.at));
    }
}

impl Engine {
    /// Takes an acknowledged record off its sequence and makes the next one ready. The record
    /// is suspect until [`Engine::settle`] finishes it.
    pub(super) fn acknowledge(
        &mut self,
        ready: Ready,
        offset: Offset,
        began: Instant,
        now: Instant,
    ) {
        let Some(partition) = self.partitions.get_mut(&ready.at) else {
            return;
        };
        let Some((record, failures)) = partition.acknowledge(&ready.sequence, offset) else {
            return;
        };
        if partition.sequences.has(&ready.sequence) {
            self.make_ready(ready.clone());
        }
        self.suspects.queue.push_back(Acked {
            ready,
            record,
            failures,
            began,
            when: now,
        });
    }

    /// Finishes the acknowledged records that cannot have failed: all of them if no call is in
    /// flight, and else the old enough ones; fewer if the app has not just answered a call
    /// (`app_answered`).
    pub(super) fn settle(&mut self, app_answered: bool, now: Instant, actions: &mut Vec<Action>) {
        let in_silence = self.limits.ack_settles_in_silence;
        let age = match app_answered {
            _ if self.in_flight.is_empty() && self.orphans.is_empty() => Duration::ZERO,
            true => self.limits.ack_settles.min(in_silence),
            false => in_silence,
        };
        while let Some(acked) = self.suspects.pop(age, now) {
            let Acked {
                ready,
                record,
                began,
                ..
            } = acked;
            self.health.breaks.note_answer(began);
            self.health.breaks.forget(&record.at, record.offset);
            let Some(partition) = self.partitions.get_mut(&ready.at) else {
                continue;
            };
            let moved = partition.settle(&record);
            actions.push(commit(ready.at.clone(), moved));
            self.settled_in.insert(ready.at);
        }
    }

    /// Calls that began at these times failed, or will never be answered. The suspects whose call
    /// began at the same moment as one of them may have failed instead: each returns to its
    /// place. Returns whether there were any.
    pub(super) fn redeliver_suspects(
        &mut self,
        failed: &[Instant],
        actions: &mut Vec<Action>,
    ) -> bool {
        let twins = self.suspects.take_twins(failed, self.limits.mixed_up);
        let mut records = Vec::new();
        for acked in twins {
            let Acked {
                ready,
                record,
                failures,
                ..
            } = acked;
            let Some(partition) = self.partitions.get_mut(&ready.at) else {
                continue;
            };
            let is_head = partition.put_back(&ready.sequence, record.clone(), failures);
            records.push(record);
            if is_head {
                self.make_ready_now(ready);
            }
        }
        let is_any = !records.is_empty();
        if is_any {
            actions.push(Action::SuspectAcks { records });
        }
        is_any
    }

    /// Makes a sequence ready now, unless one of its records is in flight or a dead letter:
    /// then the answer or the confirmation makes it ready.
    fn make_ready_now(&mut self, ready: Ready) {
        let mut in_flight = self.in_flight.values();
        if in_flight.any(|in_flight| in_flight.ready == ready) || self.letters.has(&ready) {
            return;
        }
        self.retries.retain(|other| *other != ready);
        self.health.withdraw(&ready);
        if let Some(topic) = self.topics.get_mut(&ready.at.topic) {
            topic.ready.retain(|other| *other != ready);
        }
        self.give_back(ready);
    }
}
