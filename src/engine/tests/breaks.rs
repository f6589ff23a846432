//! Records that break the app.

use super::*;

fn broken() -> Outcome {
    Outcome::Unreachable("EOF".into())
}

fn refused() -> Outcome {
    Outcome::Absent("connection refused".into())
}

/// One attempt is enough for a refusal; breaks need more.
fn bench() -> Bench {
    let policy = Policy {
        max_attempts: Some(1),
        ..with_dead_letters()
    };
    Bench::with(limits(), policy)
}

/// What was dead-lettered, and why.
fn given_up(bench: &Bench) -> Vec<(i64, Failure)> {
    let letters = bench.letters().into_iter();
    letters
        .map(|(_, letter)| (letter.record.offset.0, letter.failure))
        .collect()
}

#[test]
fn a_handler_that_breaks_the_connection_costs_three_attempts_and_holds_nothing_up_after_that() {
    let mut bench = bench();
    for offset in 0..40 {
        bench.receive_in(EPOCH, offset, None);
    }
    for offset in 0..6 {
        bench.ack(offset);
    }
    // The process lives: no connection is refused.
    for attempt in 1..=3 {
        assert_eq!(given_up(&bench), [], "before attempt {attempt}");
        bench.answer(6, broken());
        bench.pass(RETRY_DELAY);
    }
    assert_eq!(given_up(&bench), [(6, Failure::BrokeTheApp)]);
    bench.written(Ok(()));
    bench.pass(Duration::from_secs(1));
    for offset in 7..40 {
        bench.ack(offset);
    }
    assert_eq!(bench.engine.commit_point(&at()), Some(Offset(40)));
}

#[test]
fn a_process_that_ends_each_time_and_answers_others_in_between_is_broken_by_the_record() {
    let mut bench = bench();
    bench.receive(0, "poison");
    bench.receive(1, "a");
    bench.ack(1);
    bench.pass(limits().ack_settles);
    for offset in 2..5 {
        assert_eq!(given_up(&bench), []);
        bench.answer(0, broken());
        // It is started again, and the first probe finds it away.
        bench.receive_unique(offset);
        bench.pass(Duration::from_secs(1));
        bench.answer(offset, refused());
        bench.pass(Duration::from_secs(1));
        bench.ack(offset);
        bench.pass(RETRY_DELAY);
    }
    assert_eq!(given_up(&bench), [(0, Failure::BrokeTheApp)]);
}

#[test]
fn a_process_that_ends_each_time_and_answers_nothing_is_no_evidence() {
    let mut bench = bench();
    bench.receive(0, "perhaps");
    for _ in 0..10 {
        bench.answer(0, broken());
        bench.pass(RETRY_DELAY);
        bench.answer(0, refused());
        bench.pass(RETRY_DELAY);
    }
    assert_eq!(given_up(&bench), []);
}

#[test]
fn max_breaks_gives_a_record_up_without_evidence() {
    let policy = Policy {
        max_attempts: Some(10),
        max_breaks: Some(4),
        ..with_dead_letters()
    };
    let mut bench = Bench::with(limits(), policy);
    bench.receive(0, "perhaps");
    for _ in 0..4 {
        assert_eq!(given_up(&bench), []);
        bench.answer(0, broken());
        bench.pass(RETRY_DELAY);
        if given_up(&bench).is_empty() {
            bench.answer(0, refused());
            bench.pass(RETRY_DELAY);
        }
    }
    assert_eq!(given_up(&bench), [(0, Failure::BrokeTheApp)]);
}

#[test]
fn max_breaks_takes_nothing_from_evidence() {
    let policy = Policy {
        max_attempts: Some(1),
        max_breaks: Some(10),
        ..with_dead_letters()
    };
    let mut bench = Bench::with(limits(), policy);
    bench.receive(0, "poison");
    for _ in 0..3 {
        assert_eq!(given_up(&bench), []);
        bench.answer(0, broken());
        bench.pass(RETRY_DELAY);
    }
    assert_eq!(given_up(&bench), [(0, Failure::BrokeTheApp)]);
}

/// What counts for `maxBreaks` alone is no attempt.
#[test]
fn breaks_without_evidence_use_no_attempt_up() {
    let policy = Policy {
        max_attempts: Some(2),
        max_breaks: Some(100),
        ..with_dead_letters()
    };
    let mut bench = Bench::with(limits(), policy);
    bench.receive(0, "perhaps");
    for _ in 0..10 {
        bench.answer(0, broken());
        bench.pass(RETRY_DELAY);
        bench.answer(0, refused());
        bench.pass(RETRY_DELAY);
    }
    assert_eq!(given_up(&bench), []);
    // The first break counted, and the refusal is the second attempt.
    bench.answer(0, nack());
    assert_eq!(given_up(&bench), [(0, Failure::Rejected)]);
}

/// Then daprd has not tried to connect, and the process may be there all the time.
#[test]
fn an_open_circuit_breaker_in_between_does_not_speak_for_the_record() {
    let mut bench = bench();
    bench.receive(0, "poison");
    for _ in 0..3 {
        assert_eq!(given_up(&bench), []);
        bench.answer(0, broken());
        bench.pass(RETRY_DELAY);
        if given_up(&bench).is_empty() {
            bench.answer(0, Outcome::NotAsked("circuit breaker is open".into()));
            bench.pass(RETRY_DELAY);
        }
    }
    assert_eq!(given_up(&bench), [(0, Failure::BrokeTheApp)]);
}

/// A call that timed out may have ended in a process that was just being started.
#[test]
fn a_timeout_is_no_evidence_that_the_app_has_lived() {
    let mut bench = bench();
    bench.receive(0, "perhaps");
    for offset in 1..10 {
        bench.answer(0, broken());
        bench.receive_unique(offset);
        bench.pass(Duration::from_secs(1));
        bench.answer(offset, refused());
        bench.pass(Duration::from_secs(1));
        bench.answer(offset, timed_out());
        bench.pass(RETRY_DELAY);
    }
    let broke = |(_, failure): &(i64, Failure)| *failure == Failure::BrokeTheApp;
    assert!(!given_up(&bench).iter().any(broke));
}

/// daprd has more of a stream than the app works on.
#[test]
fn what_waits_in_a_serial_daprd_is_not_under_way() {
    let mut bench = bench();
    for offset in 0..5 {
        bench.receive_unique(offset);
    }
    assert_eq!(bench.engine.total_in_flight(), 5);
    bench.pass(Duration::from_millis(10));
    let actions = bench.answer(0, broken());
    let counts = |action: &Action| matches!(action, Action::Retry { standing, .. } if *standing == Standing::BreaksTheApp);
    assert!(actions.iter().any(counts), "{actions:?}");
}

#[test]
fn of_calls_that_broke_together_none_is_to_blame() {
    let mut bench = bench();
    let two = LaneId(2);
    bench.open(two);
    for _ in 0..10 {
        for offset in [0, 1] {
            bench.receive(offset, if offset == 0 { "a" } else { "b" });
        }
        // A probe of one, and then both again.
        for offset in [0, 1] {
            bench.answer(offset, broken());
        }
        bench.receive(2, "c");
        bench.pass(Duration::from_secs(2));
        bench.pass(RETRY_DELAY);
        if !given_up(&bench).is_empty() {
            break;
        }
    }
    assert_eq!(given_up(&bench), []);
}

#[test]
fn a_record_must_have_been_failing_for_long_enough() {
    let policy = Policy {
        max_attempts: Some(1),
        min_age: Duration::from_secs(60),
        ..with_dead_letters()
    };
    let mut bench = Bench::with(limits(), policy);
    bench.receive(0, "a");
    let mut attempts = 0;
    while given_up(&bench).is_empty() && attempts < 100 {
        bench.answer(0, broken());
        bench.pass(RETRY_DELAY);
        attempts += 1;
    }
    assert_eq!(attempts, 60 / 5 + 1);
}

#[test]
fn without_a_topic_for_it_a_record_that_breaks_the_app_is_tried_for_ever() {
    let mut bench = Bench::with(limits(), policy());
    bench.receive(0, "a");
    for _ in 0..10 {
        bench.answer(0, broken());
        assert_eq!(bench.pass(RETRY_DELAY), [0]);
    }
    assert_eq!(committed(&bench.ack(0)), [1]);
}
