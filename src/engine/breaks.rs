//! Records that break the app: a handler that panics and cuts its connection, or that takes the
//! process with it.
//!
//! A broken call alone says nothing of its record, since an app that is restarted breaks calls as
//! well. It counts against a record if nothing else can be the cause: no other call was under way
//! when it broke, and the app has lived since the record broke it before.

use std::time::Instant;

use super::{Engine, keys::Failures};

/// What is known of calls that broke, and of the app between them.
#[derive(Debug, Default)]
pub(super) struct Breaks {
    /// When a call broke last.
    last: Option<Instant>,
    /// When a connection to the app was refused last: then its process was gone.
    refused: Option<Instant>,
    /// When the last call began that the app is known to have answered.
    witness: Option<Instant>,
}

impl Breaks {
    /// A connection to the app was refused.
    pub(super) fn refused(&mut self, now: Instant) {
        self.refused = Some(now);
    }

    /// The app has answered a call that began then.
    pub(super) fn answered(&mut self, began: Instant) {
        self.witness = self.witness.max(Some(began));
    }

    /// A call that began then broke, or ended without an answer. Whether it was the only one, as
    /// far as those tell that ended before: they may have been under way together.
    pub(super) fn broke(&mut self, began: Instant, now: Instant) -> bool {
        let last = self.last.replace(now);
        last < Some(began)
    }

    /// Whether the app has lived since then: it answered a call that began later, or its process
    /// was there all the time, so that only the handler broke.
    fn has_lived(&self, since: Instant) -> bool {
        self.witness > Some(since) || self.refused < Some(since)
    }
}

impl Engine {
    /// Whether the app works on any call that began before now. A serial daprd begins the next one
    /// of a lane when the one before has ended, which is no sooner than now.
    pub(super) fn is_at_work(&self, now: Instant) -> bool {
        let mut calls = self.in_flight.iter().chain(&self.orphans);
        calls.any(|(delivery, call)| self.began(*delivery, call).is_some_and(|began| began < now))
    }

    /// Whom to blame for a call that broke, given whether it was the only one, and how its record
    /// failed before.
    pub(super) fn blame(&self, alone: bool, failures: &Failures) -> Blame {
        match failures.broke {
            _ if !alone => Blame::Nobody,
            Some(before) if !self.breaks.has_lived(before) => Blame::Perhaps,
            _ => Blame::Record,
        }
    }
}

/// Who is to blame for a broken call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// Others were under way, or broke as well.
    Nobody,
    /// It was the only one, and there is no evidence that the app has lived since the record broke it
    /// before.
    Perhaps,
    /// The record.
    Record,
}
