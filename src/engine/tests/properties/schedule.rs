//! Random schedules: bounds, policies, and what happens one after the other.

use proptest::{collection::vec, prelude::*, sample::select};

use super::super::*;

/// One run of an engine, from its start to its end.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) limits: Limits,
    /// What the lanes of each topic are opened with; which one is in the event.
    pub(super) policies: Vec<Policy>,
    /// How many lanes the first topic starts with; the others have one.
    pub(super) lanes: usize,
    /// Each lane answers in the order in which it was handed records.
    pub(super) serial: bool,
    pub(super) moves: Vec<Move>,
}

/// What happens next, and how much time passes before.
///
/// The numbers are taken modulo what there is to pick from, so that a schedule
/// that lost a move, to make it shorter, still means something.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) millis: u64,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Assign(usize),
    Drain(usize),
    Revoke(usize),
    /// A record that follows, or, if it is not to, one that was received before.
    Receive {
        at: usize,
        read: Read,
        key: u8,
        size: u16,
    },
    Pass {
        at: usize,
        read: Read,
    },
    Answer(usize, Outcome),
    /// An answer to a delivery that was answered before, or never made.
    AnswerLate(usize, Outcome),
    Write(usize, bool),
    /// The broker confirms a commit, perhaps of an epoch that is over.
    Confirm(usize),
    WriteLate(usize, bool),
    Open {
        topic: usize,
        policy: usize,
    },
    Close(usize),
    Pause,
    Resume,
    /// As much time as was given.
    Wait,
    /// Until the engine wants to be woken.
    WaitForWake,
}

/// What is read from a partition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    /// The next record, so many offsets further; only if the engine reads.
    Next(i64),
    /// The same, although reading was paused: it was under way.
    UnderWay,
    /// An offset that was received before, counted back from the last.
    Again(i64),
    /// The next record, as read in the epoch before.
    OldEpoch,
}

pub(super) fn schedules() -> impl Strategy<Value = Schedule> {
    // How the app is goes through phases, so that its breaker opens and closes.
    let phases = vec(
        prop_oneof![
            3 => moves(well()),
            4 => moves(failing()),
            2 => moves(gone()),
            3 => moves(breaking()),
            2 => moves(ending())
        ],
        1..8,
    );
    let policies = vec(policies(), 4);
    (limits(), policies, 2..4_usize, any::<bool>(), phases).prop_map(
        |(limits, policies, lanes, serial, phases)| Schedule {
            limits,
            policies,
            lanes,
            serial,
            moves: phases.concat(),
        },
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    let orderings = select(vec![
        Ordering::Key,
        Ordering::Key,
        Ordering::Partition,
        Ordering::None,
    ]);
    let bounds = (4..150_usize, 2_000..60_000_usize, 2..30_usize);
    let serial_after = prop_oneof![Just(Duration::ZERO), millis(1..300)];
    let depths = (1..4_usize, 1..5_usize, 1..5_usize, millis(0..500));
    let lanes = (depths, serial_after, millis(1..3000));
    let breaker = (2..5_usize, 50..=100_usize, millis(1000..60_000));
    let letters = (millis(1..1000), millis(1000..5000));
    let app = (
        millis(1..500),
        millis(500..3000),
        (millis(1..2000), 1..4_u32, millis(1..3000), 1..10_u32),
        (millis(0..300), millis(0..2000), millis(0..300)),
    );
    let delays = (millis(1..4000), letters, app);
    (orderings, bounds, lanes, breaker, delays).prop_map(
        |(ordering, bounds, lanes, breaker, (probe_every, letter_delay, app))| Limits {
            ordering,
            max_in_flight: bounds.0,
            max_in_flight_bytes: bounds.1,
            max_uncommitted: bounds.2,
            lane_depth: lanes.0.0,
            only_lane_depth: lanes.0.1,
            new_lane_depth: lanes.0.2,
            lane_room: lanes.0.3,
            serial_after: lanes.1,
            lane_hold: lanes.2,
            breaker: BreakerLimits {
                sequences: breaker.0,
                percent: breaker.1,
                window: breaker.2,
                probe_every,
            },
            absent_probe: (app.0, app.1),
            dial: app.2.0,
            least_breaks: app.2.1,
            isolation: IsolationLimits {
                longest: app.2.2,
                rest: app.2.3,
            },
            ack_settles: app.3.0,
            ack_settles_in_silence: app.3.1,
            mixed_up: app.3.2,
            letter_delay,
        },
    )
}

fn policies() -> impl Strategy<Value = Policy> {
    let exponential = (1..500_u64, 1..10_u64, 1.0..3.0_f64, 0.0..1.0_f64).prop_map(
        |(initial, times, multiplier, randomization)| Backoff::Exponential {
            initial: Duration::from_millis(initial),
            max: Duration::from_millis(initial * times),
            multiplier,
            randomization,
        },
    );
    let backoff = prop_oneof![millis(0..3000).prop_map(Backoff::Constant), exponential];
    let max_attempts = proptest::option::weighted(0.8, 1..4_u32);
    let max_elapsed = proptest::option::weighted(0.3, millis(0..8000));
    let max_breaks = proptest::option::weighted(0.2, 1..5_u32);
    let dead_letter = proptest::option::weighted(0.8, Just("letters".into()));
    let min_age = prop_oneof![Just(Duration::ZERO), millis(1..5000)];
    let bounds = (max_attempts, max_elapsed, max_breaks);
    (backoff, bounds, dead_letter, min_age).prop_map(
        |(backoff, (max_attempts, max_elapsed, max_breaks), dead_letter, min_age)| Policy {
            backoff,
            max_attempts,
            max_elapsed,
            max_breaks,
            dead_letter,
            min_age,
        },
    )
}

/// What happens while the app answers so.
fn moves(outcomes: BoxedStrategy<Outcome>) -> impl Strategy<Value = Vec<Move>> {
    let time = prop_oneof![8 => Just(0), 2 => 1..100_u64, 1 => 100..2000_u64];
    let one = (time, whats(outcomes)).prop_map(|(millis, what)| Move { millis, what });
    vec(one, 1..80)
}

fn whats(outcomes: BoxedStrategy<Outcome>) -> impl Strategy<Value = What> {
    let pick = || 0..1000_usize;
    let late = outcomes.clone();
    let answer = (pick(), outcomes).prop_map(|(which, outcome)| What::Answer(which, outcome));
    let late = (pick(), late).prop_map(|(which, outcome)| What::AnswerLate(which, outcome));
    prop_oneof![
        70 => receives(),
        6 => (pick(), reads()).prop_map(|(at, read)| What::Pass { at, read }),
        70 => answer,
        4 => late,
        14 => (pick(), prop::bool::weighted(0.6)).prop_map(|(which, ok)| What::Write(which, ok)),
        2 => (pick(), any::<bool>()).prop_map(|(which, ok)| What::WriteLate(which, ok)),
        30 => pick().prop_map(What::Confirm),
        2 => pick().prop_map(What::Assign),
        2 => pick().prop_map(What::Drain),
        2 => pick().prop_map(What::Revoke),
        2 => (pick(), pick()).prop_map(|(topic, policy)| What::Open { topic, policy }),
        2 => pick().prop_map(What::Close),
        2 => Just(What::Pause),
        6 => Just(What::Resume),
        4 => Just(What::Wait),
        12 => Just(What::WaitForWake),
    ]
}

fn receives() -> impl Strategy<Value = What> {
    // Key 0 is the null key and key 1 the empty one. Few have most of the records.
    let keys = prop_oneof![0..3_u8, 0..10_u8];
    (0..1000_usize, reads(), keys, 0..1500_u16).prop_map(|(at, read, key, size)| What::Receive {
        at,
        read,
        key,
        size,
    })
}

fn reads() -> impl Strategy<Value = Read> {
    prop_oneof![
        16 => Just(Read::Next(0)),
        4 => (1..4_i64).prop_map(Read::Next),
        2 => Just(Read::UnderWay),
        1 => (0..5_i64).prop_map(Read::Again),
        1 => Just(Read::OldEpoch),
    ]
}

fn well() -> BoxedStrategy<Outcome> {
    outcomes([40, 6, 2, 1, 2, 2])
}

fn failing() -> BoxedStrategy<Outcome> {
    outcomes([4, 32, 6, 1, 2, 2])
}

/// Some records break it.
fn breaking() -> BoxedStrategy<Outcome> {
    outcomes([30, 1, 24, 1, 1, 1])
}

/// A record ends its process each time, and it is started again.
fn ending() -> BoxedStrategy<Outcome> {
    outcomes([2, 1, 24, 24, 1, 1])
}

fn gone() -> BoxedStrategy<Outcome> {
    outcomes([10, 2, 2, 20, 1, 1])
}

fn outcomes(weights: [u32; 6]) -> BoxedStrategy<Outcome> {
    let reason = || String::from("why");
    prop_oneof![
        weights[0] => Just(Outcome::Ack),
        weights[1] => prop_oneof![
            4 => Just(Outcome::Nack(reason())),
            1 => Just(Outcome::TimedOut(reason())),
        ],
        weights[2] => Just(Outcome::Unreachable(reason())),
        weights[3] => prop_oneof![
            4 => Just(Outcome::Absent(reason())),
            1 => Just(Outcome::NotAsked(reason())),
        ],
        weights[4] => Just(Outcome::TooLarge(reason())),
        weights[5] => Just(Outcome::Unknown(reason())),
    ]
    .boxed()
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}
