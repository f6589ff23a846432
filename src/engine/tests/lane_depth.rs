//! How many records a lane gets ahead.

use super::*;

const ROOM: Duration = Duration::from_secs(30);

/// One lane, and more records than it gets.
fn bench() -> Bench {
    let mut bench = Bench::new(Limits {
        only_lane_depth: 8,
        new_lane_depth: 2,
        lane_room: ROOM,
        ..limits()
    });
    for offset in 0..40 {
        bench.receive_unique(offset);
    }
    bench
}

/// How many records the lane has while the app takes so long for each.
fn has(bench: &mut Bench, takes: Duration, answers: std::ops::Range<i64>) -> usize {
    for offset in answers {
        bench.pass(takes);
        bench.ack(offset);
    }
    bench.engine.total_in_flight()
}

#[test]
fn a_lane_gets_two_records_until_the_app_has_answered() {
    let mut bench = bench();
    assert_eq!(bench.engine.total_in_flight(), 2);
    assert_eq!(has(&mut bench, Duration::from_millis(5), 0..1), 8);
}

#[test]
fn a_lane_gets_no_more_than_the_app_works_off_in_time() {
    for (seconds, wanted) in [(3, 8), (6, 5), (12, 2), (40, 2)] {
        let mut bench = bench();
        let takes = Duration::from_secs(seconds);
        assert_eq!(has(&mut bench, takes, 0..3), wanted, "{seconds} s each");
    }
}

#[test]
fn a_record_that_hangs_at_once_shows_that_a_lane_is_concurrent() {
    let mut bench = bench();
    bench.ack(1);
    assert_eq!(
        bench.engine.total_in_flight(),
        39,
        "0 hangs, and the others go on"
    );
}

#[test]
fn an_app_that_is_quick_once_is_not_taken_for_quick() {
    let mut bench = bench();
    assert_eq!(has(&mut bench, Duration::from_secs(12), 0..3), 2);
    assert_eq!(has(&mut bench, Duration::ZERO, 3..4), 2);
    assert_eq!(
        has(&mut bench, Duration::ZERO, 4..20),
        8,
        "it has become quick"
    );
}
