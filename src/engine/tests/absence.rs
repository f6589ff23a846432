use super::*;

fn absent() -> Outcome {
    Outcome::Absent("connection refused".into())
}

fn is_gone(action: &Action) -> bool {
    matches!(action, Action::AppGone { .. })
}

fn is_back(action: &Action) -> bool {
    matches!(action, Action::AppBack)
}

fn is_doubted(action: &Action) -> bool {
    matches!(action, Action::SuspectAcks { .. })
}

impl Bench {
    fn count(&self, is: fn(&Action) -> bool) -> usize {
        self.log.iter().filter(|action| is(action)).count()
    }
}

/// An app that has six records in hand when its port closes.
fn gone() -> Bench {
    let mut bench = Bench::new(limits());
    for offset in 0..6 {
        bench.receive_unique(offset);
    }
    assert_eq!(bench.count(is_gone), 0);
    bench.answer(0, absent());
    bench
}

#[test]
fn an_app_that_is_gone_gets_one_record_at_a_time() {
    let mut bench = gone();
    assert_eq!(bench.count(is_gone), 1);
    for offset in 1..6 {
        bench.answer(offset, absent());
    }
    assert_eq!(bench.count(is_gone), 1, "told twice");
    bench.receive_unique(6);
    assert_eq!(bench.pass(Duration::from_millis(99)), NOTHING);
    assert_eq!(bench.pass(Duration::from_millis(1)), [5], "given back last");
    assert_eq!(
        bench.pass(limits().dial.saturating_sub(Duration::from_millis(1))),
        NOTHING
    );
    assert_eq!(delivered(&bench.ack(5)), [4, 3, 2, 1, 0, 6]);
    assert_eq!(bench.count(is_back), 1);
}

#[test]
fn a_timeout_does_not_show_that_the_app_is_back() {
    let mut bench = gone();
    for offset in 1..6 {
        bench.answer(offset, absent());
    }
    assert_eq!(bench.pass(Duration::from_millis(100)), [5]);
    let actions = bench.answer(5, timed_out());
    assert_eq!(bench.count(is_back), 0, "{actions:?}");
    assert_eq!(bench.pass(limits().absent_probe.1), [4]);
    bench.ack(4);
    assert_eq!(bench.count(is_back), 1);
}

#[test]
fn an_app_that_stays_away_is_tried_every_second() {
    let mut bench = Bench::with(
        limits(),
        Policy {
            backoff: Backoff::Constant(Duration::ZERO),
            ..policy()
        },
    );
    bench.receive(0, "a");
    for millis in [100, 200, 400, 800, 1000, 1000, 1000] {
        bench.answer(0, absent());
        assert_eq!(bench.pass(Duration::from_millis(millis - 1)), NOTHING);
        assert_eq!(bench.pass(Duration::from_millis(1)), [0]);
    }
    let first = |action: &Action| matches!(action, Action::Deliver { attempt: 1, .. });
    assert_eq!(
        bench.count(first),
        8,
        "a call that was refused is no attempt"
    );
}

#[test]
fn what_was_in_hand_when_it_went_is_not_believed_to_be_done() {
    let mut bench = gone();
    let actions = bench.ack(1);
    assert_eq!(committed(&actions), NOTHING);
    assert!(actions.iter().any(is_doubted), "{actions:?}");
    for offset in 2..6 {
        bench.answer(offset, absent());
    }
    assert_eq!(bench.pass(Duration::from_millis(100)), [5]);
    assert_eq!(delivered(&bench.ack(5)), [4, 3, 2, 1, 0], "1 once more");
}

#[test]
fn what_is_said_later_is_believed() {
    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    bench.receive(1, "b");
    bench.answer(1, absent());
    bench.pass(limits().dial);
    bench.ack(0);
    assert_eq!(committed(&bench.ack(1)), [1, 2]);
    assert_eq!(bench.count(is_doubted), 0);
}

#[test]
fn a_record_whose_call_is_cut_waits_as_its_policy_says_and_others_go_before() {
    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    bench.answer(0, Outcome::Unreachable("EOF".into()));
    bench.receive(1, "b");
    assert_eq!(bench.pass(Duration::from_millis(100)), [1]);
    assert_eq!(delivered(&bench.ack(1)), NOTHING);
    assert_eq!(bench.pass(RETRY_DELAY), [0]);
}

#[test]
fn a_probe_waits_until_nothing_can_be_mixed_up_with_it() {
    let mut bench = gone();
    for offset in 1..5 {
        bench.answer(offset, absent());
    }
    // 5 is out: its call may be about to begin.
    assert_eq!(
        bench.pass(limits().dial.saturating_sub(Duration::from_millis(1))),
        NOTHING
    );
    assert_eq!(bench.pass(Duration::from_millis(1)), [4]);
}
