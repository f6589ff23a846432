//! What becomes of records that the app refuses.

use super::*;

#[test]
fn when_its_attempts_are_used_up_a_record_is_a_dead_letter_and_then_finished() {
    let mut bench = Bench::with(limits(), with_dead_letters());
    bench.receive(0, "a");
    bench.receive(1, "a");
    let first = bench.now;
    bench.answer(0, nack());
    assert_eq!(bench.pass(RETRY_DELAY), [0]);
    let actions = bench.answer(0, nack());
    let [Action::DeadLetter { content, .. }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(content.failure, Failure::Rejected);
    assert_eq!(&*content.topic, "orders.dlq");
    assert_eq!(content.deliveries, 2);
    assert_eq!(content.first_failure, first);
    assert_eq!(content.last_failure, bench.now);
    assert_eq!(content.reason, "app said retry");
    assert_eq!(bench.engine.total_in_flight(), 1, "a drain waits for it");
    let actions = bench.written(Ok(()));
    assert_eq!(committed(&actions), [1]);
    assert_eq!(delivered(&actions), [1], "the next of its key");
}

#[test]
fn nothing_commits_before_the_dead_letter_is_confirmed() {
    let mut bench = Bench::with(limits(), with_dead_letters());
    bench.receive(0, "a");
    bench.receive(1, "b");
    bench.ack(1);
    bench.answer(0, nack());
    bench.pass(RETRY_DELAY);
    bench.answer(0, nack());
    assert_eq!(bench.engine.commit_point(&at()), Some(Offset(0)));
    let actions = bench.written(Err("no such topic".into()));
    assert_eq!(committed(&actions), NOTHING);
    assert!(matches!(
        actions[..],
        [Action::LetterDelayed { failed: 1, .. }]
    ));
    assert_eq!(bench.engine.total_in_flight(), 0);
    assert_eq!(bench.letters().len(), 1);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.letters().len(), 2, "it is tried again");
    bench.written(Err("no such topic".into()));
    assert_eq!(
        bench.engine.next_wake(),
        Some(bench.now + Duration::from_secs(2)),
        "and later each time"
    );
    bench.pass(Duration::from_secs(2));
    assert_eq!(committed(&bench.written(Ok(()))), [2]);
}

#[test]
fn a_letter_that_failed_is_sent_once_however_often_that_is_told() {
    let mut bench = Bench::with(limits(), with_dead_letters());
    bench.receive(0, "a");
    bench.answer(0, nack());
    bench.pass(RETRY_DELAY);
    bench.answer(0, nack());
    bench.written(Err("no such topic".into()));
    assert_eq!(bench.written(Err("no such topic".into())), []);
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.letters().len(), 2);
}

#[test]
fn a_letter_that_waits_goes_where_a_new_policy_says() {
    let mut bench = Bench::with(limits(), with_dead_letters());
    bench.receive(0, "a");
    bench.answer(0, nack());
    bench.pass(RETRY_DELAY);
    bench.answer(0, nack());
    bench.written(Err("no such topic".into()));
    let corrected = Policy {
        dead_letter: Some("corrected.dlq".into()),
        ..with_dead_letters()
    };
    bench.policy = Arc::new(corrected);
    assert_eq!(bench.open(LaneId(2)), [0], "it is judged once more");
    bench.answer(0, nack());
    let letters = bench.letters();
    assert_eq!(&*letters.last().expect("a letter").1.topic, "corrected.dlq");
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.letters().len(), letters.len(), "the old one is gone");
}

#[test]
fn a_confirmation_after_the_revocation_commits_nothing() {
    let mut bench = Bench::with(limits(), with_dead_letters());
    bench.receive(0, "a");
    bench.answer(0, nack());
    bench.pass(RETRY_DELAY);
    bench.answer(0, nack());
    bench.revoke();
    bench.assign(Epoch(2), 0);
    assert_eq!(bench.written(Ok(())), []);
    assert_eq!(bench.engine.commit_point(&at()), Some(Offset(0)));
}

#[test]
fn a_record_is_old_enough_before_it_is_a_dead_letter() {
    let policy = Policy {
        min_age: Duration::from_secs(12),
        ..with_dead_letters()
    };
    let mut bench = Bench::with(limits(), policy);
    bench.receive(0, "a");
    for _ in 0..3 {
        bench.answer(0, nack());
        assert_eq!(bench.letters(), []);
        assert_eq!(bench.pass(RETRY_DELAY), [0]);
    }
    bench.answer(0, nack());
    assert_eq!(bench.letters().len(), 1, "after 15 s");
}

#[test]
fn without_a_topic_for_it_a_record_is_held_and_tried_for_ever() {
    let policy = Policy {
        dead_letter: None,
        backoff: Backoff::Exponential {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
            multiplier: 2.0,
            randomization: 0.0,
        },
        ..with_dead_letters()
    };
    let mut bench = Bench::with(limits(), policy);
    bench.receive(0, "a");
    let standing = |actions: &[Action]| match actions {
        [
            Action::Retry {
                standing, delay, ..
            },
        ] => (*standing, *delay),
        other => panic!("{other:?}"),
    };
    let retrying = (Standing::Retrying, Duration::from_secs(1));
    assert_eq!(standing(&bench.answer(0, nack())), retrying);
    bench.pass(Duration::from_secs(1));
    let held = (Standing::Held, Duration::from_secs(60));
    assert_eq!(standing(&bench.answer(0, nack())), held);
    assert_eq!(bench.pass(Duration::from_secs(60)), [0]);
    assert_eq!(committed(&bench.ack(0)), [1]);
}

#[test]
fn an_app_that_cant_be_reached_costs_no_attempt() {
    let mut bench = Bench::with(limits(), with_dead_letters());
    bench.receive(0, "a");
    for _ in 0..10 {
        bench.answer(0, Outcome::Absent("connection refused".into()));
        assert_eq!(bench.pass(RETRY_DELAY), [0]);
    }
    assert_eq!(bench.letters(), []);
}

#[test]
fn what_never_fits_is_a_dead_letter_at_once_or_holds_its_key() {
    let too_large = || Outcome::TooLarge("5 MiB".into());
    let policy = Policy {
        min_age: Duration::from_secs(120),
        ..with_dead_letters()
    };
    let mut bench = Bench::with(limits(), policy);
    bench.receive(0, "a");
    bench.answer(0, too_large());
    assert_eq!(bench.letters()[0].1.failure, Failure::TooLargeForDaprd);

    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    let held = |actions: &[Action]| {
        matches!(
            actions,
            [Action::Retry {
                standing: Standing::Held,
                ..
            }]
        )
    };
    assert!(held(&bench.answer(0, too_large())));
}

#[test]
fn what_waits_behind_a_refused_record_takes_no_place_in_the_window() {
    let mut bench = Bench::new(Limits {
        max_in_flight: 4,
        ..limits()
    });
    bench.receive(0, "poison");
    bench.answer(0, nack());
    for offset in 1..10 {
        bench.receive(offset, "poison");
        assert_eq!(bench.paused(), 0, "at {offset}");
    }
    assert_eq!(bench.receive(10, "b"), [10], "others go on");
    bench.pass(RETRY_DELAY);
    bench.ack(0);
    assert_eq!(bench.paused(), 1, "now they count");
}

#[test]
fn a_record_for_another_group_is_passed_over() {
    let mut bench = Bench::new(limits());
    let pass = |offset| Event::Passed {
        at: at(),
        epoch: EPOCH,
        offset: Offset(offset),
    };
    assert_eq!(committed(&bench.step(pass(0))), [1]);
    bench.receive(1, "a");
    assert_eq!(committed(&bench.step(pass(2))), NOTHING);
    assert_eq!(committed(&bench.ack(1)), [3]);
}

/// A topic whose app has just failed 20 keys: its breaker is open.
fn broken() -> Bench {
    let policy = Policy {
        max_attempts: Some(1),
        ..with_dead_letters()
    };
    let limits = Limits {
        only_lane_depth: 30,
        ..limits()
    };
    let mut bench = Bench::with(limits, policy);
    for offset in 0..30 {
        bench.receive_unique(offset);
    }
    for offset in 0..30 {
        bench.answer(offset, nack());
    }
    bench
}

#[test]
fn a_broken_app_drains_nothing_into_the_dead_letter_topic() {
    let mut bench = broken();
    assert!(bench.log.contains(&Action::BreakerOpened {
        topic: "orders".into()
    }));
    assert_eq!(bench.letters().len(), 19, "those before it was known");
    let probe_every = limits().breaker.probe_every;
    let mut probed = Vec::new();
    for _ in 0..15 {
        let probe = bench.pass(probe_every);
        assert_eq!(probe.len(), 1, "one at a time");
        bench.answer(probe[0], nack());
        probed.extend(probe);
    }
    assert_eq!(bench.letters().len(), 19);
    let distinct: std::collections::BTreeSet<_> = probed.iter().collect();
    assert_eq!(distinct.len(), 11, "over all that wait: {probed:?}");
}

#[test]
fn an_app_that_is_well_again_gets_everything() {
    let mut bench = broken();
    let mut probe = bench.pass(limits().breaker.probe_every);
    for _ in 0..2 {
        probe = delivered(&bench.ack(probe[0]));
        assert_eq!(probe.len(), 1);
    }
    let actions = bench.ack(probe[0]);
    assert!(actions.contains(&Action::BreakerClosed {
        topic: "orders".into()
    }));
    assert_eq!(delivered(&actions).len(), 8, "all that is left");
}

#[test]
fn what_the_app_had_before_is_no_probe() {
    let mut bench = Bench::with(
        Limits {
            only_lane_depth: 30,
            ..limits()
        },
        with_dead_letters(),
    );
    for offset in 0..30 {
        bench.receive_unique(offset);
    }
    for offset in 0..20 {
        bench.answer(offset, nack());
    }
    for offset in 20..30 {
        bench.ack(offset);
    }
    let topic = "orders".into();
    assert!(!bench.log.contains(&Action::BreakerClosed { topic }));
    assert_eq!(bench.pass(limits().breaker.probe_every).len(), 1);
}

#[test]
fn nobody_is_woken_for_a_probe_that_has_no_lane() {
    let mut bench = broken();
    bench.step(Event::LaneClosed { lane: LANE });
    assert_eq!(bench.pass(limits().breaker.probe_every), NOTHING);
    assert_eq!(bench.engine.next_wake(), None, "it waits for a lane");
    assert_eq!(bench.open(LaneId(2)).len(), 1);

    let mut bench = broken();
    bench.step(Event::Paused);
    assert_eq!(bench.pass(limits().breaker.probe_every), NOTHING);
    assert_eq!(bench.engine.next_wake(), None, "it waits for daprd");
    assert_eq!(delivered(&bench.step(Event::Resumed)).len(), 1);
}

#[test]
fn without_a_dead_letter_topic_there_is_nothing_to_protect() {
    let mut bench = Bench::new(Limits {
        only_lane_depth: 30,
        ..limits()
    });
    for offset in 0..30 {
        bench.receive_unique(offset);
        bench.answer(offset, nack());
    }
    let opened = |action: &Action| matches!(action, Action::BreakerOpened { .. });
    assert!(!bench.log.iter().any(opened));
}

#[test]
fn without_its_dead_letter_topic_an_open_breaker_closes_and_says_so() {
    let mut bench = broken();
    bench.policy = Arc::new(policy());
    bench.open(LaneId(2));
    let topic = "orders".into();
    assert!(bench.log.contains(&Action::BreakerClosed { topic }));
}
