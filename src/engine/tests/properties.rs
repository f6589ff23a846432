//! Drives the engine with random schedules, and holds every step against a naive
//! model of what is allowed.
//!
//! Each run has a seed of its own, which a failure tells. To run it again:
//!
//! ```text
//! PROPTEST_RNG_SEED=<seed> cargo test --lib engine::tests::properties
//! PROPTEST_CASES=20000     cargo test --lib engine::tests::properties   # longer
//! ```
//!
//! A failing schedule is made as short as possible and printed, and its seed goes
//! to `properties.regressions` beside this file, which each run tries first:
//! commit it together with the correction.

mod absence;
mod actions;
mod answers;
mod breaker;
mod checks;
mod model;
mod schedule;
mod world;

use std::{
    cell::RefCell,
    hash::{BuildHasher, RandomState},
};

use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, RngSeed, TestCaseError, TestRunner,
};

use super::*;
use schedule::schedules;
use world::{Counts, World};

/// Steps of all cases together, and of each kind of thing among them.
const STEPS: usize = 100_000;
const OF_EACH: usize = 500;
const CASES: u32 = 1400;

/// It takes several breaks of one record, in company or alone, and an app that lives in between.
const SELDOM: [(&str, usize); 4] = [
    ("Retry: suspected", 100),
    ("DeadLetter: broke the app", 50),
    ("Retry: may break the app", 10),
    ("isolated", 50),
];

/// Whatever must occur so often that it is tested.
const KINDS: [&str; 46] = [
    // Events.
    "Assigned",
    "Draining",
    "Revoked",
    "Received",
    "Passed",
    "LaneOpened",
    "LaneClosed",
    "Answered",
    "Written",
    "Committed",
    "Paused",
    "Resumed",
    "Tick",
    // Actions.
    "Deliver",
    "Commit",
    "CommitAbove",
    "Retry: retrying",
    "Retry: held",
    "Retry: app failing",
    "Retry: breaks the app",
    "DeadLetter",
    "LetterDelayed",
    "BreakerOpened",
    "BreakerClosed",
    "AppGone",
    "AppBack",
    "SuspectAcks",
    "OneSerialLane",
    "Pause",
    "Pause: held",
    "Read",
    // Answers.
    "Ack",
    "Nack",
    "TimedOut",
    "Unreachable",
    "Absent",
    "NotAsked",
    "TooLarge",
    "Unknown",
    // What becomes of letters.
    "confirmed",
    "not written",
    // What must change nothing.
    "letters of a revoked partition",
    "late answers",
    "read again",
    "finished before",
    "read in an old epoch",
];

/// Fails a check, and says what was broken.
macro_rules! ensure {
    ($holds:expr, $($broken:tt)+) => {
        if !$holds {
            return Err(format!($($broken)+));
        }
    };
}
use ensure;

#[test]
fn every_schedule_keeps_the_invariants() {
    let counts = RefCell::new(Counts::new());
    let config = config();
    let (seed, cases) = (config.rng_seed, config.cases);
    let played = TestRunner::new(config).run(&schedules(), |schedule| {
        World::play(&schedule, &mut counts.borrow_mut()).map_err(TestCaseError::fail)
    });
    if let Err(broken) = played {
        panic!(
            "{broken}\nThe seed of this run: {seed:?}. How to run it again stands in {}.",
            file!()
        );
    }
    let counts = counts.into_inner();
    let count = |kind| counts.get(kind).copied().unwrap_or_default();
    if cases >= CASES {
        assert!(count("steps") >= STEPS, "{counts:#?}");
        let rare: Vec<_> = KINDS.iter().filter(|kind| count(kind) < OF_EACH).collect();
        assert!(rare.is_empty(), "too rare: {rare:?} of {counts:#?}");
        for (kind, least) in SELDOM {
            assert!(count(kind) >= least, "too rare: {kind} of {counts:#?}");
        }
    }
}

fn config() -> Config {
    let mut config = Config {
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        // Enough for schedules, and several times faster than the default.
        rng_algorithm: RngAlgorithm::XorShift,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().hash_one(Instant::now()));
    }
    config
}
