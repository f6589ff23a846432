//! A deterministic simulation of the delivery core.
//!
//! The machines of `delivery/` and the engine (`machines.rs`) run against a simulated broker, daprd
//! and app, driven as the owner drives them. A seed decides everything: how the world is set up, what is
//! produced, what goes wrong and when, and how long each call takes. Faults happen for some seconds;
//! then everything must settle. A judge holds each step, and the end, against the invariants of
//! ARCHITECTURE.md.
//!
//! ```text
//! cargo test --workspace --lib delivery::simulation    # as `make test` does
//! make load ONLY=simulation SEEDS=1000000              # more of them
//! SIMULATION_SEED=4711 cargo test --workspace --lib delivery::simulation::every -- --nocapture
//! ```
//!
//! The last plays one seed and tells each step. A failing run prints its seeds. Write what a seed
//! finds as a test by hand, together with the correction: a change of the simulation makes another
//! schedule of each seed.

mod app;
mod broker;
mod calls;
mod cuts;
mod group;
mod judge;
mod member;
mod random;
mod schedule;
mod world;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
    time::Instant,
};

use world::World;

/// Schedules of each run of the tests.
const SEEDS: u64 = 2000;

/// Of those that fail so many are shown.
const SHOWN: usize = 20;
const SHOWN_OF_EACH: usize = 3;

/// What must happen this often in as many schedules, so that it is tested.
const OF_EACH: usize = 50;
const KINDS: [&str; 22] = [
    "rebalance",
    "crash",
    "cut off",
    "consumer replaced",
    "daprd ends",
    "app dies",
    "log cut",
    "written after a cut that nobody has noticed",
    "retention",
    "out of range",
    "topic created again",
    "transaction",
    "commit",
    "commit waits inside librdkafka",
    "delivery",
    "ack",
    "nack",
    "unreachable",
    "false ack",
    "dead letter",
    "record that always ends the app",
    "dead letter of a record that broke the app",
];

/// When each schedule begins.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How often each kind of thing happened.
type Counts = BTreeMap<&'static str, usize>;

/// Plays the schedule of one seed.
///
/// # Errors
/// What the judge found.
fn play(seed: u64, tells: bool) -> Result<Counts, String> {
    let judge = World::new(seed, tells).play();
    if judge.findings.is_empty() {
        return Ok(judge.counts);
    }
    let found = &judge.findings[..judge.findings.len().min(SHOWN_OF_EACH)];
    Err(format!("seed {seed}:\n  {}", found.join("\n  ")))
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[test]
fn every_schedule_keeps_the_invariants() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let played = play(seed, true);
        println!("{:#?}", played.unwrap_or_else(|found| panic!("{found}")));
        return;
    }
    let first = RandomState::new().hash_one(Instant::now());
    let first = number("SIMULATION_FIRST").unwrap_or(first);
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let (mut counts, mut failed) = (Counts::new(), Vec::new());
    for number in 0..seeds {
        match play(first.wrapping_add(number), false) {
            Ok(played) => {
                for (what, count) in played {
                    *counts.entry(what).or_default() += count;
                }
            }
            Err(found) => failed.push(found),
        }
    }
    println!("{counts:#?}");
    let count = |kind: &str| counts.get(kind).copied().unwrap_or_default();
    let mut rare = KINDS.iter().filter(|kind| count(kind) < OF_EACH);
    assert!(
        seeds < SEEDS || rare.next().is_none(),
        "too rare: {counts:#?}"
    );
    let shown = failed.len().min(SHOWN);
    assert!(
        failed.is_empty(),
        "{} of {seeds} schedules broke an invariant:\n{}\nSIMULATION_SEED=<seed> plays one again; \
         {} says how.",
        failed.len(),
        failed[..shown].join("\n"),
        file!()
    );
}

#[test]
fn a_seed_plays_the_same_schedule_each_time() {
    for seed in 0..200 {
        assert_eq!(play(seed, false), play(seed, false), "seed {seed}");
    }
}
