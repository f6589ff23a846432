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
    /// When a call ended last without an answer.
    last_end: Option<Instant>,
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
    /// Breaks while others were under way, since the app answered the record last.
    in_company: u32,
    /// Breaks while no other was under way.
    alone: u32,
    /// Those of them between which the app has lived.
    evident: u32,
    /// When the last of them was.
    last_alone: Option<Instant>,
}

/// A record's call broke while no other was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct AloneBreak {
    /// How often that has happened to the record.
    pub(in crate::engine) all: u32,
    /// How often the app had lived since the break before.
    pub(in crate::engine) evident: u32,
    /// Whether the app had lived this time.
    pub(in crate::engine) is_evident: bool,
}

impl Breaks {
    /// A connection to the app was refused.
    pub(in crate::engine) fn note_refusal(&mut self, now: Instant) {
        self.refused = Some(now);
    }

    /// The app has answered a call that began then.
    pub(in crate::engine) fn note_answer(&mut self, began: Instant) {
        self.witness = self.witness.max(Some(began));
    }

    /// A call that began then broke, or ended without an answer. Returns whether it was the only
    /// one, as far as those tell that ended before: they may have been under way together.
    pub(in crate::engine) fn note_end(&mut self, began: Instant, now: Instant) -> bool {
        let last = self.last_end.replace(now);
        last < Some(began)
    }

    /// A record's call broke while others were under way; true if the record is suspected now.
    pub(in crate::engine) fn broke_in_company(
        &mut self,
        at: &TopicPartition,
        offset: Offset,
    ) -> bool {
        let history = self.records.entry((at.clone(), offset)).or_default();
        history.in_company += 1;
        history.is_suspected()
    }

    /// A record's call broke while no other was under way. It `counts` unless the topic's app is
    /// known to fail as a whole.
    pub(in crate::engine) fn broke_alone(
        &mut self,
        at: &TopicPartition,
        offset: Offset,
        counts: bool,
        now: Instant,
    ) -> AloneBreak {
        let history = self.records.entry((at.clone(), offset)).or_default();
        // It answered a call that began later, or its process was there all the time, so that
        // only the handler broke.
        let has_lived = |since| self.witness > Some(since) || self.refused < Some(since);
        let is_evident = history.last_alone.replace(now).is_none_or(has_lived);
        history.alone += u32::from(counts);
        history.evident += u32::from(counts && is_evident);
        AloneBreak {
            all: history.alone,
            evident: history.evident,
            is_evident,
        }
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
            of_topic.filter(|(_, history)| history.is_suspected() || history.last_alone.is_some());
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
