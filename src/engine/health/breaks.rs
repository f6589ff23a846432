//! Records that break the app: a handler that panics and cuts its connection, or that takes the
//! process with it.
//!
//! A broken call alone says nothing of its record, since an app that is restarted breaks calls as
//! well. It counts against a record if nothing else can be the cause: no other call was under way
//! when it broke, and the app has lived since the record broke it before.

use std::collections::{HashMap, HashSet};

use super::{Engine, Instant, TopicPartition};
use crate::model::Offset;

/// Breaks in company that make a record suspected: by then others that were under way at the first
/// break have usually been answered.
const SUSPECTED: u32 = 2;

/// What is known of calls that broke, and of the app between them.
#[derive(Debug, Default)]
pub(in crate::engine) struct Breaks {
    /// When a call broke last.
    last: Option<Instant>,
    /// When a connection to the app was refused last: then its process was gone.
    refused: Option<Instant>,
    /// When the last call began that the app is known to have answered.
    witness: Option<Instant>,
    /// The unfinished records whose calls broke.
    records: HashMap<(TopicPartition, Offset), History>,
}

/// How often the calls of one record broke.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    /// Breaks while others were under way, since the app answered it last.
    in_company: u32,
    /// Breaks while no other was under way that count against the record.
    counted: u32,
    /// When it broke the app last while no other was under way.
    alone: Option<Instant>,
}

impl Breaks {
    /// A connection to the app was refused.
    pub(in crate::engine) fn refused(&mut self, now: Instant) {
        self.refused = Some(now);
    }

    /// The app has answered a call that began then.
    pub(in crate::engine) fn answered(&mut self, began: Instant) {
        self.witness = self.witness.max(Some(began));
    }

    /// A call that began then broke, or ended without an answer. Whether it was the only one, as
    /// far as those tell that ended before: they may have been under way together.
    pub(in crate::engine) fn broke(&mut self, began: Instant, now: Instant) -> bool {
        let last = self.last.replace(now);
        last < Some(began)
    }

    /// Whom to blame for a record's call that broke now, given whether it was the only one.
    pub(in crate::engine) fn blame(
        &mut self,
        at: &TopicPartition,
        offset: Offset,
        alone: bool,
        now: Instant,
    ) -> Blame {
        let history = self.records.entry((at.clone(), offset)).or_default();
        if !alone {
            history.in_company += 1;
            return Blame::Nobody;
        }
        // It answered a call that began later, or its process was there all the time, so that
        // only the handler broke.
        let has_lived = |since| self.witness > Some(since) || self.refused < Some(since);
        match history.alone.replace(now) {
            Some(before) if !has_lived(before) => Blame::Perhaps,
            _ => Blame::Record,
        }
    }

    /// Counts a break against a record; returns how many count by now.
    pub(in crate::engine) fn count(&mut self, at: &TopicPartition, offset: Offset) -> u32 {
        let history = self.records.entry((at.clone(), offset)).or_default();
        history.counted += 1;
        history.counted
    }

    /// The app has answered a record whose calls may have broken before.
    pub(in crate::engine) fn survived(&mut self, at: &TopicPartition, offset: Offset) {
        if self.are_any()
            && let Some(history) = self.records.get_mut(&(at.clone(), offset))
        {
            history.in_company = 0;
        }
    }

    /// Whether calls of any unfinished record broke.
    pub(super) fn are_any(&self) -> bool {
        !self.records.is_empty()
    }

    /// Whether a record is tested while nothing else is under way.
    pub(super) fn is_suspected(&self, at: &TopicPartition, offset: Offset) -> bool {
        let history = self.records.get(&(at.clone(), offset));
        history.is_some_and(History::is_suspected)
    }

    /// How many records of a topic may be what breaks the app.
    pub(super) fn suspected(&self, topic: &str) -> usize {
        let of_topic = self
            .records
            .iter()
            .filter(|((at, _), _)| *at.topic == *topic);
        let may_be =
            of_topic.filter(|(_, history)| history.is_suspected() || history.alone.is_some());
        may_be.count()
    }

    /// A record is finished.
    pub(in crate::engine) fn forget(&mut self, at: &TopicPartition, offset: Offset) {
        if self.are_any() {
            self.records.remove(&(at.clone(), offset));
        }
    }

    pub(super) fn forget_partitions(&mut self, partitions: &HashSet<&TopicPartition>) {
        self.records.retain(|(at, _), _| !partitions.contains(at));
    }
}

impl History {
    fn is_suspected(&self) -> bool {
        self.in_company >= SUSPECTED
    }
}

impl Engine {
    /// Whether the app works on any call that began before now. A serial daprd begins the next one
    /// of a lane when the one before has ended, which is no sooner than now.
    pub(in crate::engine) fn is_at_work(&self, now: Instant) -> bool {
        let mut calls = self.in_flight.iter().chain(&self.orphans);
        calls.any(|(delivery, call)| self.began(*delivery, call).is_some_and(|began| began < now))
    }
}

/// Who is to blame for a broken call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Blame {
    /// Others were under way, or broke as well.
    Nobody,
    /// It was the only one, and there is no evidence that the app has lived since the record broke it
    /// before.
    Perhaps,
    /// The record.
    Record,
}
