//! Inits that are under way, and those that failed and left a component without its
//! instance.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tonic::Status;

use super::{
    instances::{Identity, is_running},
    limits,
};
use crate::telemetry::readiness::Hold;

/// Failed ones that are kept in mind: callers make up the names.
const KEPT: usize = limits::INSTANCES;

/// As many failed Inits as are told of: their properties may be large.
const GIVEN: usize = 8;

/// Why an identity has no instance although daprd called Init for it.
#[derive(Default)]
pub(super) struct Inits {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// One entry for each Init, so an identity may stand here twice.
    under_way: Vec<Identity>,
    /// Those whose instance was taken away for an Init that failed.
    failed: HashMap<Identity, Hold>,
    /// What the last Init of those gave that have no instance, oldest first.
    given: VecDeque<(Identity, HashMap<String, String>)>,
}

/// An Init that is under way, until this is dropped.
pub(super) struct UnderWay {
    inits: Arc<Inits>,
    identity: Identity,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let under_way = &mut self.inits.lock().under_way;
        if let Some(at) = under_way.iter().position(|other| *other == self.identity) {
            under_way.swap_remove(at);
        }
    }
}

impl Inits {
    /// One more Init is under way.
    pub(super) fn begin(self: &Arc<Self>, identity: &Identity) -> UnderWay {
        self.lock().under_way.push(identity.clone());
        UnderWay {
            inits: self.clone(),
            identity: identity.clone(),
        }
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> usize {
        self.lock().under_way.len()
    }

    /// An Init failed. If one took an instance away, this or another before, `hold` is
    /// asked for, and kept until one succeeds; it gives none if there is an instance
    /// all the same. No Init can succeed while it looks.
    pub(super) fn failed(
        &self,
        identity: &Identity,
        took_away: bool,
        hold: impl FnOnce() -> Option<Hold>,
    ) {
        let mut state = self.lock();
        let has_failed = state.failed.contains_key(identity);
        let is_kept = has_failed || took_away && state.failed.len() < KEPT;
        if is_kept && let Some(hold) = hold() {
            state.failed.insert(identity.clone(), hold);
        }
    }

    /// An Init succeeded, and its instance can be found.
    pub(super) fn succeeded(&self, identity: &Identity) {
        let mut state = self.lock();
        state.failed.remove(identity);
        state.given.retain(|(other, _)| other != identity);
    }

    /// Keeps what an Init gave that failed, for whoever asks what is wrong with it; of
    /// many only the newest.
    pub(super) fn keep(&self, identity: &Identity, properties: &HashMap<String, String>) {
        let given = &mut self.lock().given;
        given.retain(|(other, _)| other != identity);
        if given.len() >= GIVEN {
            given.pop_front();
        }
        given.push_back((identity.clone(), properties.clone()));
    }

    /// Those whose Init failed, with what it gave.
    pub(super) fn given(&self) -> Vec<(Identity, HashMap<String, String>)> {
        self.lock().given.iter().cloned().collect()
    }

    /// Why there is no instance; `Ok` if nothing is known of it.
    pub(super) fn check(&self, identity: &Identity) -> Result<(), Status> {
        let state = self.lock();
        if state.under_way.contains(identity) {
            return Err(Status::unavailable(format!(
                "component {identity} is being initialised, and has no instance until that is \
                 done; try again"
            )));
        }
        if state.failed.contains_key(identity) {
            return Err(Status::failed_precondition(format!(
                "component {identity} has no instance: its last Init failed, and ended the one \
                 before; correct the Component and restart daprd"
            )));
        }
        Ok(())
    }

    /// Lets go of failed ones whose process has ended: whoever starts it again will
    /// call Init.
    pub(super) fn forget_the_ended(&self) {
        let mut state = self.lock();
        state
            .failed
            .retain(|identity, _| identity.process.is_none_or(is_running));
        state
            .given
            .retain(|(identity, _)| identity.process.is_none_or(is_running));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::readiness::Readiness;

    #[test]
    fn of_two_inits_the_last_one_ends_the_wait() {
        let (inits, todo) = (Arc::<Inits>::default(), Identity::named("todo"));
        let (first, second) = (inits.begin(&todo), inits.begin(&todo));
        assert_eq!(inits.under_way(), 2);
        drop(first);
        let status = inits.check(&todo).expect_err("one is under way");
        assert_eq!(status.code(), tonic::Code::Unavailable);
        inits
            .check(&Identity::named("other"))
            .expect("not this one");
        drop(second);
        inits.check(&todo).expect("none is under way");
    }

    #[test]
    fn of_failed_inits_the_newest_are_kept_until_one_succeeds() {
        let inits = Inits::default();
        let with = |value: &str| HashMap::from([("brokers".to_owned(), value.to_owned())]);
        for number in 0..2 * GIVEN {
            inits.keep(&Identity::named(&number.to_string()), &with("first"));
        }
        let last = Identity::named(&(2 * GIVEN - 1).to_string());
        inits.keep(&last, &with("second"));
        let given = inits.given();
        assert_eq!(given.len(), GIVEN);
        assert_eq!(given[GIVEN - 1], (last.clone(), with("second")));
        inits.succeeded(&last);
        assert_eq!(inits.given().len(), GIVEN - 1);
        let mut gone = Identity::named("gone");
        gone.process = Some(i32::MAX);
        inits.keep(&gone, &with("first"));
        inits.forget_the_ended();
        assert!(inits.given().iter().all(|(identity, _)| *identity != gone));
    }

    #[test]
    fn made_up_names_are_bounded_and_the_newest_cause_is_told() {
        let (inits, readiness) = (Inits::default(), Readiness::default());
        let fail = |name: &str, took_away, text: &str| {
            let hold = || Some(readiness.hold(text));
            inits.failed(&Identity::named(name), took_away, hold);
        };
        fail("new", false, "it never had an instance");
        assert_eq!(readiness.reasons(), []);
        for number in 0..2 * KEPT {
            fail(&number.to_string(), true, "first");
        }
        assert_eq!(readiness.reasons().len(), KEPT);
        fail("0", false, "second");
        let reasons = readiness.reasons();
        assert_eq!(reasons.len(), KEPT);
        assert_eq!(reasons[KEPT - 1].text, "second");
    }
}
