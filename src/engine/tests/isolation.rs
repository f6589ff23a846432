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
        // It is never given up, and so tested for ever.
        dead_letter: None,
        ..with_dead_letters()
    };
    let mut app = App::new(&[7]);
    app.bench.policy = Arc::new(policy);
    app.bench.open(LaneId(99));
    let start = app.bench.now;
    app.work(10_000, 3);
    let alone = app.broke.iter().filter(|had| *had == &[7]).count();
    assert!(alone > 10, "{alone} tests");
    let took = app.bench.now - start;
    // Each test waits for what is under way, and takes as long as the record.
    let tests = WORKS * 2 * u32::try_from(alone).unwrap_or(u32::MAX);
    assert!(tests * 10 <= took, "{alone} tests in {took:?}");
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

/// What hangs is not waited for without end.
#[test]
fn a_test_that_is_not_answered_ends() {
    let mut app = App::new(&[7]);
    app.work(20, 3);
    app.bench.receive_unique(500);
    app.take_in();
    // From now on the app answers nothing.
    for _ in 0..100 {
        app.bench.pass(Duration::from_secs(1));
        let wake = app.bench.engine.next_wake();
        assert!(wake.is_none_or(|wake| wake > app.bench.now));
    }
    assert!(!app.bench.engine.is_isolating());
}

/// Two records that broke the app together, twice, and a third that it works on.
fn waits_for_a_test() -> Bench {
    let mut bench = Bench::new(limits());
    for lane in 2..5 {
        bench.open(LaneId(lane));
    }
    bench.receive(0, "a");
    bench.receive(1, "b");
    for other in 2..4 {
        bench.pass(Duration::from_millis(1));
        for suspected in [0, 1] {
            bench.answer(suspected, Outcome::Unreachable("EOF".into()));
        }
        bench.receive_unique(other);
        bench.pass(Duration::from_secs(1));
        bench.ack(other);
        if other == 3 {
            bench.receive_unique(4);
        }
        bench.pass(RETRY_DELAY);
    }
    assert!(bench.engine.is_isolating());
    bench
}

#[test]
fn suspected_records_wait_until_nothing_is_under_way() {
    let mut bench = waits_for_a_test();
    assert_eq!(bench.receive_unique(5), NOTHING);
    assert_eq!(delivered(&bench.ack(4)), [0], "half of them");
    assert_eq!(delivered(&bench.ack(0)), [5], "the test is over");
    bench.ack(5);
}

#[test]
fn a_test_whose_records_are_gone_ends() {
    let mut bench = waits_for_a_test();
    bench.revoke();
    assert!(!bench.engine.is_isolating());
}
