//! Whether daprd is to be started afresh: by values, without IO or a clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, Instant, SystemTime},
};

use crate::dapr::Component;

/// How long daprd must list a component that it never initialised here before
/// that proves anything: it may be about to.
pub(super) const LISTED: Duration = Duration::from_secs(15);

/// How often daprd may be asked within [`HOUR`], whatever restarts in between:
/// what a fresh daprd does not cure, an endless row of them does not either.
pub(super) const PER_HOUR: usize = 3;

/// An hour.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// How long to wait after the first request that failed; twice as long after each
/// further one. Whoever has to mend the cause needs minutes.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// How often the wait doubles: up to 16 minutes.
const DOUBLED: u32 = 4;

/// That daprd is older than this process, and will not initialise a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It called the component without Init. It also lists it, so it is the
    /// daprd that we would ask, and no other on this machine.
    Called(Component),
    /// It lists the component, and has not called Init for so long.
    Listed(Component, Duration),
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Called(component) => {
                write!(f, "it called component {component} without Init")
            }
            Self::Listed(component, waited) => write!(
                f,
                "it has loaded component {component}, and called no Init here for {} s",
                waited.as_secs()
            ),
        }
    }
}

/// Since when daprd lists components that were not initialised here.
#[derive(Debug, Default)]
pub(super) struct Sightings(BTreeMap<Component, Instant>);

impl Sightings {
    /// Takes what daprd lists and never initialised, and what was called without
    /// Init, and says what that proves.
    pub(super) fn look(
        &mut self,
        listed: &BTreeSet<Component>,
        called: &BTreeSet<Component>,
        now: Instant,
    ) -> Option<Proof> {
        self.0.retain(|component, _| listed.contains(component));
        for component in listed {
            self.0.entry(component.clone()).or_insert(now);
        }
        if let Some(component) = listed.intersection(called).next() {
            return Some(Proof::Called(component.clone()));
        }
        let (component, since) = self.0.iter().min_by_key(|(_, since)| **since)?;
        let waited = now.saturating_duration_since(*since);
        (waited >= LISTED).then(|| Proof::Listed(component.clone(), waited))
    }

    /// All that daprd has listed for long enough to prove it.
    pub(super) fn proven(&self, now: Instant) -> impl Iterator<Item = Component> {
        let long = move |since: &Instant| now.saturating_duration_since(*since) >= LISTED;
        let proven = self.0.iter().filter(move |(_, since)| long(since));
        proven.map(|(component, _)| component.clone())
    }
}

/// What came of asking, since this process started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It was not asked.
    No,
    /// It took the request.
    Yes,
    /// Every request failed.
    Failed {
        /// How many.
        requests: u32,
        /// When it may be asked again.
        again: Instant,
    },
}

impl Asked {
    /// One more request failed.
    pub(super) fn failed(self, now: Instant) -> Self {
        let before = match self {
            Self::Failed { requests, .. } => requests,
            Self::No | Self::Yes => 0,
        };
        Self::Failed {
            requests: before.saturating_add(1),
            again: now + ASK_AGAIN * (1 << before.min(DOUBLED)),
        }
    }
}

/// What to do about a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Ask daprd to shut down.
    Ask,
    /// It took a request since this process started; once is all.
    AskedAlready,
    /// The last request failed a short time ago.
    Wait,
    /// It was asked too often within an hour; not before this time again.
    TooOften(SystemTime),
}

/// Decides by what was done already: since this process started, and when, over
/// restarts. A time in the future (a clock was set back) counts as one of now.
pub(super) fn decide(
    asked: Asked,
    times: &[SystemTime],
    (clock, now): (Instant, SystemTime),
) -> Decision {
    match asked {
        Asked::Yes => return Decision::AskedAlready,
        Asked::Failed { again, .. } if clock < again => return Decision::Wait,
        Asked::No | Asked::Failed { .. } => {}
    }
    let mut recent: Vec<_> = times
        .iter()
        .map(|time| (*time).min(now))
        .filter(|time| now.duration_since(*time).unwrap_or_default() < HOUR)
        .collect();
    recent.sort_unstable();
    match recent.len().checked_sub(PER_HOUR) {
        None => Decision::Ask,
        Some(first) => Decision::TooOften(recent[first] + HOUR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<Component> {
        let component = |name: &&str| Component::new(*name, "pubsub.rdkafka");
        names.iter().map(component).collect()
    }

    fn one(name: &str) -> Component {
        set(&[name]).pop_first().expect("one")
    }

    #[test]
    fn a_listed_component_proves_something_only_after_15_seconds_in_a_row() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut sightings = Sightings::default();
        let mut look = |listed: &[&str], at| sightings.look(&set(listed), &set(&[]), start + at);
        assert_eq!(look(&["todo"], Duration::ZERO), None);
        assert_eq!(look(&["todo"], 14 * second), None);
        // It was initialised, or daprd could not be asked: anew from here.
        assert_eq!(look(&[], 15 * second), None);
        assert_eq!(look(&["todo"], 16 * second), None);
        assert_eq!(look(&["todo", "late"], 30 * second), None);
        let proof = Proof::Listed(one("todo"), 15 * second);
        assert_eq!(look(&["todo", "late"], 31 * second), Some(proof));
        let proven = |at| sightings.proven(start + at).collect::<BTreeSet<_>>();
        assert_eq!(proven(30 * second), set(&[]));
        assert_eq!(proven(31 * second), set(&["todo"]));
        assert_eq!(proven(45 * second), set(&["todo", "late"]));
    }

    #[test]
    fn a_call_proves_it_at_once_if_this_daprd_lists_the_component() {
        let now = Instant::now();
        let mut sightings = Sightings::default();
        let called = set(&["todo"]);
        assert_eq!(sightings.look(&set(&["other"]), &called, now), None);
        let proof = sightings.look(&set(&["other", "todo"]), &called, now);
        assert_eq!(proof, Some(Proof::Called(one("todo"))));
    }

    #[test]
    fn once_since_the_start_and_three_times_an_hour() {
        let now = SystemTime::UNIX_EPOCH + 100 * HOUR;
        let ago = |minutes: u64| now - Duration::from_secs(60 * minutes);
        let decide = |asked, times: &[_]| decide(asked, times, (Instant::now(), now));
        assert_eq!(decide(Asked::No, &[]), Decision::Ask);
        assert_eq!(decide(Asked::Yes, &[]), Decision::AskedAlready);
        assert_eq!(decide(Asked::No, &[ago(1), ago(2)]), Decision::Ask);
        assert_eq!(decide(Asked::No, &[ago(1), ago(2), ago(60)]), Decision::Ask);
        let often = [ago(59), ago(1), ago(2)];
        let until = Decision::TooOften(ago(59) + HOUR);
        assert_eq!(decide(Asked::No, &often), until);
        let oftener = [ago(59), ago(1), ago(2), ago(30)];
        let until = Decision::TooOften(ago(30) + HOUR);
        assert_eq!(decide(Asked::No, &oftener), until);
    }

    #[test]
    fn after_a_failure_it_waits_minutes_and_longer_each_time() {
        let (mut asked, mut now) = (Asked::No, Instant::now());
        let second = Duration::from_secs(1);
        for minutes in [1, 2, 4, 8, 16, 16] {
            asked = asked.failed(now);
            let decide = |at| decide(asked, &[], (at, SystemTime::now()));
            now += (60 * minutes - 1) * second;
            assert_eq!(decide(now), Decision::Wait);
            now += second;
            assert_eq!(decide(now), Decision::Ask);
        }
    }

    #[test]
    fn times_in_the_future_count_as_now() {
        let now = SystemTime::UNIX_EPOCH + 100 * HOUR;
        let later = [now + 10 * HOUR; 3];
        let decision = decide(Asked::No, &later, (Instant::now(), now));
        assert_eq!(decision, Decision::TooOften(now + HOUR));
    }
}
