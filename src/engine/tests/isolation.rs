//! Records that break an app that always works on several.

use super::*;

/// An app that works on all that it has at once, 200 ms long, and that some records end. It is
/// started again at once.
struct App {
    bench: Bench,
    /// The next record that arrives.
    next: i64,
    /// Actions that were seen to.
    seen: usize,
    at_work: Vec<i64>,
    /// The records that end it.
    poison: Vec<i64>,
    /// What it had at each break.
    broke: Vec<Vec<i64>>,
    done: Vec<i64>,
    given_up: Vec<i64>,
    /// How long tests have taken.
    in_tests: Duration,
}

const WORKS: Duration = Duration::from_millis(200);

impl App {
    fn new(poison: &[i64]) -> Self {
        let limits = Limits {
            max_uncommitted: 100_000,
            max_in_flight: 1000,
            ..limits()
        };
        let policy = Policy {
            max_attempts: Some(1),
            ..with_dead_letters()
        };
        let mut bench = Bench::with(limits, policy);
        for lane in 2..10 {
            bench.open(LaneId(lane));
        }
        Self {
            bench,
            next: 0,
            seen: 0,
            at_work: Vec::new(),
            poison: poison.to_vec(),
            broke: Vec::new(),
            done: Vec::new(),
            given_up: Vec::new(),
            in_tests: Duration::ZERO,
        }
    }

    fn suspected(&self) -> usize {
        let topics = self.bench.engine.topics();
        topics.map(|topic| topic.suspected).sum()
    }

    /// Takes in what the engine has handed out and given up.
    fn take_in(&mut self) {
        while let Some(action) = self.bench.log.get(self.seen).cloned() {
            self.seen += 1;
            match action {
                Action::Deliver { record, .. } => self.at_work.push(record.offset.0),
                Action::DeadLetter { content, letter } => {
                    assert_eq!(content.failure, Failure::BrokeTheApp);
                    self.given_up.push(content.record.offset.0);
                    self.bench.step(Event::Written {
                        letter,
                        result: Ok(()),
                    });
                }
                _ => {}
            }
        }
    }

    /// Works on what there is; new records come all the time, so that the app is never idle.
    fn work(&mut self, rounds: i64, arrive: i64) {
        for _ in 0..rounds {
            for _ in 0..arrive {
                self.bench.receive_unique(self.next);
                self.next += 1;
            }
            self.take_in();
            if self.bench.engine.is_isolating() {
                self.in_tests += WORKS;
            }
            self.bench.pass(WORKS);
            self.take_in();
            let at_work = std::mem::take(&mut self.at_work);
            let breaks = at_work.iter().any(|offset| self.poison.contains(offset));
            if breaks {
                self.broke.push(at_work.clone());
            }
            for offset in at_work {
                if breaks {
                    self.bench
                        .answer(offset, Outcome::Unreachable("EOF".into()));
                } else {
                    self.bench.ack(offset);
                    self.done.push(offset);
                }
            }
            // The broker confirms everything.
            let point = self.bench.engine.commit_point(&at()).expect("it is ours");
            self.bench.confirm(EPOCH, point.0);
        }
        self.take_in();
    }
}

#[test]
fn a_record_that_always_breaks_a_busy_app_is_found_and_costs_no_other() {
    let mut app = App::new(&[7]);
    app.work(2000, 3);
    assert_eq!(app.given_up, [7]);
    let breaks = app.broke.len();
    assert!(breaks <= 12, "{breaks} breaks: {:?}", app.broke);
    assert_eq!(app.broke.last().map(Vec::as_slice), Some(&[7][..]));
    assert!(app.done.len() > 5900, "{}", app.done.len());
    assert_eq!(app.suspected(), 0);
}

#[test]
fn several_are_found() {
    let mut app = App::new(&[7, 8, 30]);
    app.work(4000, 3);
    app.given_up.sort_unstable();
    assert_eq!(app.given_up, [7, 8, 30]);
    assert!(app.done.len() > 11_900, "{}", app.done.len());
}

/// Each half of the suspected records has one that breaks the app, and all are there again when the
/// next test begins.
#[test]
fn fewer_are_tested_together_after_each_break() {
    let mut app = App::new(&[0, 2]);
    let at_once = Policy {
        backoff: Backoff::Constant(Duration::ZERO),
        ..(*app.bench.policy).clone()
    };
    app.bench.policy = Arc::new(at_once);
    app.bench.open(LaneId(99));
    app.work(1, 4);
    app.work(2000, 3);
    app.given_up.sort_unstable();
    assert_eq!(app.given_up, [0, 2]);
}

#[test]
fn tests_take_a_tenth_of_the_time_at_the_most() {
    let policy = Policy {
        // It is never given up, and could be tested at any time.
        dead_letter: None,
        backoff: Backoff::Constant(Duration::ZERO),
        ..with_dead_letters()
    };
    let mut app = App::new(&[7]);
    app.bench.policy = Arc::new(policy);
    app.bench.open(LaneId(99));
    let start = app.bench.now;
    app.work(10_000, 3);
    let alone = app.broke.iter().filter(|had| *had == &[7]).count();
    assert!(alone > 10, "{alone} tests");
    let (tests, all) = (app.in_tests, app.bench.now - start);
    // The last test has no rest behind it.
    let most = all / 10 + limits().isolation.longest;
    assert!(tests <= most, "{alone} tests took {tests:?} of {all:?}");
}

#[test]
fn a_restart_leaves_no_record_suspected_for_long() {
    let mut app = App::new(&[]);
    for round in 0..50 {
        app.bench.receive_unique(round);
        app.take_in();
        app.bench.pass(WORKS);
        for offset in std::mem::take(&mut app.at_work) {
            app.bench.answer(offset, Outcome::Unreachable("EOF".into()));
        }
        app.bench.pass(Duration::from_secs(2));
        app.take_in();
        for offset in std::mem::take(&mut app.at_work) {
            app.bench
                .answer(offset, Outcome::Absent("connection refused".into()));
        }
        app.bench.pass(Duration::from_secs(2));
    }
    app.work(500, 0);
    assert_eq!(app.given_up, NOTHING);
    assert_eq!(app.bench.engine.unfinished(&at()), 0);
    assert_eq!(app.suspected(), 0);
}

/// So many records that broke the app together, twice, and the next but two, that it works on.
fn suspects(count: i64) -> Bench {
    let mut bench = Bench::new(limits());
    for lane in 2..10 {
        bench.open(LaneId(lane));
    }
    for suspected in 0..count {
        bench.receive_unique(suspected);
    }
    for other in [count, count + 1] {
        bench.pass(Duration::from_millis(1));
        break_all(&mut bench, 0..count);
        bench.receive_unique(other);
        bench.pass(Duration::from_secs(1));
        bench.ack(other);
        if other > count {
            bench.receive_unique(count + 2);
        }
        bench.pass(RETRY_DELAY);
    }
    assert!(bench.engine.is_isolating());
    bench
}

fn break_all(bench: &mut Bench, offsets: impl IntoIterator<Item = i64>) {
    for offset in offsets {
        bench.answer(offset, Outcome::Unreachable("EOF".into()));
    }
}

#[test]
fn suspected_records_wait_until_nothing_is_under_way() {
    let mut bench = suspects(2);
    assert_eq!(bench.receive_unique(5), NOTHING);
    assert_eq!(delivered(&bench.ack(4)), [0], "half of them");
    assert_eq!(delivered(&bench.ack(0)), [5], "the test is over");
    bench.ack(5);
}

#[test]
fn the_log_says_that_a_record_is_suspected() {
    let bench = suspects(2);
    let standings = bench.log.iter().filter_map(|action| match action {
        Action::Retry {
            record, standing, ..
        } if record.offset == Offset(1) => Some(*standing),
        _ => None,
    });
    let standings: Vec<_> = standings.collect();
    assert_eq!(standings, [Standing::AppFailing, Standing::Suspected]);
}

#[test]
fn a_suspected_record_waits_for_a_test_and_is_known_to() {
    let mut bench = suspects(2);
    bench.ack(4);
    bench.pass(Duration::from_secs(1));
    bench.ack(0);
    // Nothing else is under way, and the time for a test is not there yet.
    assert!(!bench.engine.is_isolating());
    let hold = bench.engine.holds().remove(&at()).expect("1 is unfinished");
    assert_eq!(hold.record.offset, Offset(1));
    assert_eq!(hold.waits_for, WaitsFor::Test);
    let IsolationLimits { longest, rest } = limits().isolation;
    assert_eq!(hold.takes, longest * (rest + 1));
}

/// An app that always works on something cannot be tested, and what is suspected does not wait for
/// that.
#[test]
fn a_call_that_never_ends_does_not_hold_suspected_records_up() {
    let IsolationLimits { longest, rest } = limits().isolation;
    let mut bench = suspects(2);
    // The app never answers 4.
    assert_eq!(bench.pass(longest), [0, 1], "the test was given up");
    assert!(!bench.engine.is_isolating());
    break_all(&mut bench, [0, 1]);
    bench.receive_unique(5);
    bench.pass(Duration::from_secs(1));
    bench.ack(5);
    assert_eq!(bench.pass(RETRY_DELAY), NOTHING, "tests rest");
    assert_eq!(bench.receive_unique(6), [6]);
    assert_eq!(bench.pass(longest * rest), [0, 1], "no test is begun");
    assert!(!bench.engine.is_isolating());
}

#[test]
fn an_app_that_takes_too_long_for_tests_is_not_tested() {
    let longest = limits().isolation.longest;
    let mut bench = Bench::new(limits());
    bench.open(LaneId(2));
    bench.receive_unique(9);
    bench.pass(longest);
    bench.ack(9);
    for offset in [0, 1] {
        bench.receive_unique(10 + offset);
    }
    for _ in 0..2 {
        bench.pass(Duration::from_millis(1));
        break_all(&mut bench, [10, 11]);
        bench.receive_unique(20);
        bench.pass(Duration::from_secs(1));
        bench.ack(20);
        bench.pass(RETRY_DELAY);
    }
    assert!(!bench.engine.is_isolating());
    bench.ack(10);
    bench.ack(11);
}

/// Only an answer shows that the app survives so many of them.
#[test]
fn a_test_without_a_result_is_no_reason_to_test_more_together() {
    let mut bench = suspects(8);
    assert_eq!(delivered(&bench.ack(10)).len(), 4);
    break_all(&mut bench, 0..4);
    bench.receive_unique(11);
    bench.pass(Duration::from_secs(1));
    bench.ack(11);
    bench.pass(RETRY_DELAY);
    for _ in 0..4 {
        let tested = bench.handed();
        assert_eq!(tested.len(), 2, "{tested:?}");
        for offset in tested {
            bench.answer(offset, unknown());
        }
        for _ in 0..1000 {
            if bench.handed().is_empty() {
                bench.pass(Duration::from_secs(1));
            }
        }
    }
}

#[test]
fn a_test_whose_records_are_gone_ends() {
    let mut bench = suspects(2);
    bench.revoke();
    assert!(!bench.engine.is_isolating());
}
