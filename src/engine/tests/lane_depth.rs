//! How many records a lane gets ahead.

use super::*;

const ROOM: Duration = Duration::from_secs(30);

/// One lane, and more records than it gets.
fn bench() -> Bench {
    let mut bench = Bench::new(Limits {
        only_lane_depth: 8,
        new_lane_depth: 1,
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
fn a_lane_gets_one_record_until_the_app_has_answered() {
    let mut bench = bench();
    assert_eq!(bench.engine.total_in_flight(), 1);
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
fn a_lane_that_answers_in_order_for_long_gets_one_at_a_time_of_a_very_slow_app() {
    let mut bench = bench();
    let slow = Duration::from_secs(40);
    assert_eq!(has(&mut bench, slow, 0..8), 2);
    assert_eq!(has(&mut bench, slow, 8..10), 1);
    // Now and then it is put to the test: another daprd may be there.
    let mut tested = 0;
    for offset in 10..36 {
        tested += usize::from(has(&mut bench, slow, offset..offset + 1) == 2);
    }
    assert_eq!(tested, 1);
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
