mod absence;
mod breaks;
mod dead_letters;
mod isolation;
mod lane_depth;
mod properties;
mod suspect_acks;
mod window;

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::model::{Backoff, Ordering, Outcome, Policy, dead_letter::Failure};

/// An engine with a clock that stands still until it is moved.
struct Bench {
    engine: Engine,
    now: Instant,
    log: Vec<Action>,
    policy: Arc<Policy>,
}

const LANE: LaneId = LaneId(1);
const EPOCH: Epoch = Epoch(1);
const NOTHING: [i64; 0] = [];

fn limits() -> Limits {
    Limits {
        ordering: Ordering::Key,
        max_in_flight: 100,
        max_in_flight_bytes: 1 << 20,
        max_uncommitted: 50,
        lane_depth: 2,
        only_lane_depth: 10,
        new_lane_depth: 10,
        lane_room: Duration::from_secs(3600),
        serial_after: Duration::from_secs(5),
        lane_hold: Duration::from_secs(1),
        breaker: BreakerLimits {
            sequences: 20,
            percent: 80,
            window: Duration::from_secs(60),
            probe_every: Duration::from_secs(5),
        },
        absent_probe: (Duration::from_millis(100), Duration::from_secs(1)),
        least_breaks: 3,
        isolation: IsolationLimits {
            longest: Duration::from_secs(30),
            rest: 9,
        },
        dial: Duration::from_secs(1),
        ack_settles: Duration::from_millis(100),
        ack_settles_in_silence: Duration::from_secs(5),
        mixed_up: Duration::from_millis(20),
        letter_delay: (Duration::from_secs(1), Duration::from_secs(30)),
    }
}

const RETRY_DELAY: Duration = Duration::from_secs(5);

fn policy() -> Policy {
    Policy {
        backoff: Backoff::Constant(RETRY_DELAY),
        max_attempts: None,
        max_elapsed: None,
        max_breaks: None,
        dead_letter: None,
        min_age: Duration::ZERO,
    }
}

/// Two attempts, then the dead-letter topic.
fn with_dead_letters() -> Policy {
    Policy {
        max_attempts: Some(2),
        dead_letter: Some("orders.dlq".into()),
        ..policy()
    }
}

fn at() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

impl Bench {
    #[expect(
        clippy::large_types_passed_by_value,
        reason = "it is written where it is given"
    )]
    fn new(limits: Limits) -> Self {
        Self::with(limits, policy())
    }

    #[expect(
        clippy::large_types_passed_by_value,
        reason = "it is written where it is given"
    )]
    fn with(limits: Limits, policy: Policy) -> Self {
        let mut bench = Self {
            engine: Engine::new(limits),
            now: Instant::now(),
            log: Vec::new(),
            policy: Arc::new(policy),
        };
        bench.assign(EPOCH, 0);
        bench.open(LANE);
        bench
    }

    /// What is to be done, without the report of an answer.
    fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = self.engine.step(event, self.now);
        self.log.extend(actions.clone());
        actions.retain(|action| !matches!(action, Action::Answered { .. }));
        actions
    }

    fn assign(&mut self, epoch: Epoch, start: i64) {
        self.assign_from(epoch, Offset(start).into());
    }

    fn assign_from(&mut self, epoch: Epoch, start: Progress) -> Vec<Action> {
        let at = at();
        self.step(Event::Assigned {
            partitions: vec![(at, epoch, start)],
        })
    }

    fn drain(&mut self) -> Vec<Action> {
        self.step(Event::Draining {
            partitions: vec![at()],
        })
    }

    fn revoke(&mut self) -> Vec<Action> {
        self.step(Event::Revoked {
            partitions: vec![at()],
        })
    }

    fn open(&mut self, lane: LaneId) -> Vec<i64> {
        let topic = "orders".into();
        let policy = self.policy.clone();
        delivered(&self.step(Event::LaneOpened {
            lane,
            topic,
            policy,
        }))
    }

    fn receive_in(&mut self, epoch: Epoch, offset: i64, key: Option<&'static str>) -> Vec<i64> {
        self.receive_record(epoch, offset, key.map(Bytes::from))
    }

    fn receive_record(&mut self, epoch: Epoch, offset: i64, key: Option<Bytes>) -> Vec<i64> {
        let record = Record {
            at: at(),
            offset: Offset(offset),
            timestamp: None,
            appended: false,
            key,
            value: None,
            headers: Vec::new(),
        };
        let record = Arc::new(record);
        delivered(&self.step(Event::Received { epoch, record }))
    }

    /// The lanes that were given something, in order.
    fn lanes(&self) -> Vec<u64> {
        let lane = |action: &Action| match action {
            Action::Deliver { lane, .. } => Some(lane.0),
            _ => None,
        };
        self.log.iter().filter_map(lane).collect()
    }

    /// Receives a record whose key no other has.
    fn receive_unique(&mut self, offset: i64) -> Vec<i64> {
        let key = Some(Bytes::from(offset.to_string()));
        self.receive_record(EPOCH, offset, key)
    }

    fn receive(&mut self, offset: i64, key: &'static str) -> Vec<i64> {
        self.receive_in(EPOCH, offset, Some(key))
    }

    /// Answers the newest delivery of this offset.
    fn answer(&mut self, offset: i64, outcome: Outcome) -> Vec<Action> {
        let delivery = self.delivery(offset);
        self.step(Event::Answered { delivery, outcome })
    }

    fn ack(&mut self, offset: i64) -> Vec<Action> {
        self.answer(offset, Outcome::Ack)
    }

    fn delivery(&self, offset: i64) -> DeliveryId {
        let newest = self.log.iter().rev().find_map(|action| match action {
            Action::Deliver {
                delivery, record, ..
            } if record.offset.0 == offset => Some(*delivery),
            _ => None,
        });
        newest.expect("the record was delivered")
    }

    /// How often reading was paused.
    fn paused(&self) -> usize {
        let paused = |action: &&Action| matches!(action, Action::Pause { .. });
        self.log.iter().filter(paused).count()
    }

    /// The broker confirms a commit.
    fn confirm(&mut self, epoch: Epoch, offset: i64) -> Vec<Action> {
        self.step(Event::Committed {
            at: at(),
            epoch,
            offset: Offset(offset),
        })
    }

    /// Answers the newest dead letter.
    fn written(&mut self, result: Result<(), String>) -> Vec<Action> {
        let letter = self.letters().last().expect("there is one").0;
        self.step(Event::Written { letter, result })
    }

    fn letters(&self) -> Vec<(LetterId, Arc<Letter>)> {
        let letter = |action: &Action| match action {
            Action::DeadLetter { letter, content } => Some((*letter, content.clone())),
            _ => None,
        };
        self.log.iter().filter_map(letter).collect()
    }

    /// What lanes have and did not answer, oldest first.
    fn handed(&self) -> Vec<i64> {
        let handed: BTreeMap<_, _> = self.engine.in_flight.iter().collect();
        let offset = |in_flight: &&InFlight| in_flight.record.offset.0;
        handed.values().map(offset).collect()
    }

    fn pass(&mut self, time: Duration) -> Vec<i64> {
        self.now += time;
        delivered(&self.step(Event::Tick))
    }
}

fn delivered(actions: &[Action]) -> Vec<i64> {
    let offset = |action: &Action| match action {
        Action::Deliver { record, .. } => Some(record.offset.0),
        _ => None,
    };
    actions.iter().filter_map(offset).collect()
}

fn committed(actions: &[Action]) -> Vec<i64> {
    let offset = |action: &Action| match action {
        Action::Commit { offset, .. } => Some(offset.0),
        _ => None,
    };
    actions.iter().filter_map(offset).collect()
}

fn nack() -> Outcome {
    Outcome::Nack("app said retry".into())
}

fn timed_out() -> Outcome {
    Outcome::TimedOut("context deadline exceeded".into())
}

fn unknown() -> Outcome {
    Outcome::Unknown("subscription is closed".into())
}

#[test]
fn equal_keys_wait_for_one_another_and_others_do_not() {
    let mut bench = Bench::new(limits());
    assert_eq!(bench.receive(0, "a"), [0]);
    assert_eq!(bench.receive(1, "a"), NOTHING);
    assert_eq!(bench.receive(2, "b"), [2]);
    assert_eq!(delivered(&bench.ack(0)), [1]);
}

#[test]
fn records_without_a_key_are_one_sequence_and_the_empty_key_is_another() {
    let mut bench = Bench::new(limits());
    assert_eq!(bench.receive_in(EPOCH, 0, None), [0]);
    assert_eq!(bench.receive_in(EPOCH, 1, None), NOTHING);
    assert_eq!(bench.receive(2, ""), [2]);
}

#[test]
fn ordering_by_partition_takes_one_at_a_time_and_none_takes_all() {
    let mut bench = Bench::new(Limits {
        ordering: Ordering::Partition,
        ..limits()
    });
    assert_eq!(bench.receive(0, "a"), [0]);
    assert_eq!(bench.receive(1, "b"), NOTHING);

    let mut bench = Bench::new(Limits {
        ordering: Ordering::None,
        ..limits()
    });
    assert_eq!(bench.receive(0, "a"), [0]);
    assert_eq!(bench.receive(1, "a"), [1]);
}

#[test]
fn the_commit_point_never_passes_an_unfinished_record() {
    let mut bench = Bench::new(limits());
    bench.receive(3, "a");
    bench.receive(4, "b");
    bench.receive(9, "c"); // compaction took 5 to 8
    assert_eq!(committed(&bench.ack(4)), NOTHING);
    assert_eq!(committed(&bench.ack(9)), NOTHING);
    assert_eq!(committed(&bench.ack(3)), [10]);
}

#[test]
fn a_refused_record_comes_back_later_and_before_its_successor() {
    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    bench.receive(1, "a");
    bench.receive(2, "b");
    let actions = bench.answer(0, nack());
    assert!(matches!(actions[..], [Action::Retry { failed: 1, .. }]));
    assert_eq!(delivered(&bench.ack(2)), NOTHING, "1 waits behind 0");
    assert_eq!(bench.engine.next_wake(), Some(bench.now + RETRY_DELAY));
    assert_eq!(bench.pass(Duration::from_secs(4)), NOTHING);
    assert_eq!(bench.pass(Duration::from_secs(1)), [0]);
    assert!(matches!(
        bench.log.last(),
        Some(Action::Deliver { attempt: 2, .. })
    ));
    assert_eq!(delivered(&bench.ack(0)), [1]);
    assert_eq!(committed(&bench.ack(1)), [3]);
}

#[test]
fn no_verdict_is_no_attempt_and_rests_the_lane() {
    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    assert_eq!(bench.answer(0, unknown()), []);
    assert_eq!(bench.receive(1, "b"), NOTHING, "the lane rests");
    assert_eq!(bench.pass(limits().lane_hold), [0, 1]);
    let attempts = bench.log.iter().filter_map(|action| match action {
        Action::Deliver { attempt, .. } => Some(*attempt),
        _ => None,
    });
    assert_eq!(attempts.collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn no_verdict_on_a_revoked_partitions_record_rests_the_lane_too() {
    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    bench.assign(Epoch(2), 0);
    bench.answer(0, unknown());
    assert_eq!(bench.receive_in(Epoch(2), 0, Some("a")), NOTHING);
    assert_eq!(bench.pass(limits().lane_hold), [0]);
}

#[test]
fn what_a_closed_lane_had_goes_to_another_in_the_same_order() {
    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    bench.receive(1, "b");
    let late = bench.delivery(0);
    assert_eq!(
        delivered(&bench.step(Event::LaneClosed { lane: LANE })),
        NOTHING
    );
    assert_eq!(bench.open(LaneId(2)), [0, 1]);
    let outcome = Outcome::Ack;
    let actions = bench.step(Event::Answered {
        delivery: late,
        outcome,
    });
    assert_eq!(actions, [], "the closed lane's answer counts for nothing");
    bench.ack(0);
    assert_eq!(committed(&bench.ack(1)), [1, 2]);
}

#[test]
fn lanes_share_the_work_and_none_gets_more_than_its_depth() {
    let mut bench = Bench::new(limits());
    bench.open(LaneId(2));
    for (offset, key) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        bench.receive(i64::try_from(offset).unwrap(), key);
    }
    assert_eq!(bench.lanes(), [1, 2, 1, 2]);
    assert_eq!(
        delivered(&bench.ack(1)),
        [4],
        "the idle one gets what is left"
    );
    assert_eq!(bench.lanes().last(), Some(&2));
}

#[test]
fn no_lane_gets_more_than_the_window_holds() {
    let mut bench = Bench::new(Limits {
        max_in_flight: 2,
        ..limits()
    });
    for offset in 0..5 {
        // More may have been under way when reading was paused.
        bench.receive_unique(offset);
    }
    assert_eq!(bench.lanes().len(), 2);
}

#[test]
fn a_lane_whose_answers_overtake_one_another_gets_as_much_as_the_window() {
    let mut bench = Bench::new(limits());
    for offset in 0..40 {
        bench.receive_unique(offset);
    }
    assert_eq!(bench.lanes().len(), 10, "it may be serial");
    assert_eq!(delivered(&bench.ack(0)).len(), 1, "as a serial one answers");
    assert_eq!(delivered(&bench.ack(5)).len(), 29, "all that is left");
}

#[test]
fn no_verdict_and_our_own_answers_prove_nothing_of_a_lane() {
    let mut bench = Bench::new(limits());
    for offset in 0..40 {
        bench.receive_unique(offset);
    }
    bench.answer(5, Outcome::TooLarge("5 MiB".into()));
    bench.answer(7, unknown());
    bench.pass(limits().lane_hold);
    assert_eq!(bench.lanes().len(), 12);
}

#[test]
fn that_one_serial_lane_is_not_enough_is_told_once() {
    let mut bench = Bench::new(limits());
    for offset in 0..40 {
        bench.receive_unique(offset);
    }
    let told = |bench: &Bench| {
        let told = |action: &&Action| matches!(action, Action::OneSerialLane { .. });
        bench.log.iter().filter(told).count()
    };
    assert_eq!(told(&bench), 0, "it may be a burst");
    bench.pass(limits().serial_after);
    assert_eq!(told(&bench), 1);
    bench.pass(limits().serial_after);
    assert_eq!(told(&bench), 1);

    let mut bench = Bench::new(limits());
    bench.open(LaneId(2));
    for offset in 0..40 {
        bench.receive_unique(offset);
    }
    bench.pass(limits().serial_after);
    assert_eq!(told(&bench), 0, "there are two");
}

#[test]
fn what_a_draining_partition_keeps_does_not_wait_for_a_lane() {
    let mut bench = Bench::new(limits());
    bench.drain();
    bench.receive(0, "a");
    bench.pass(limits().serial_after);
    let told = |action: &Action| matches!(action, Action::OneSerialLane { .. });
    assert!(!bench.log.iter().any(told));
}

#[test]
fn after_a_revocation_nothing_commits_however_late_the_ack() {
    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    let late = bench.delivery(0);
    bench.revoke();
    assert_eq!(bench.engine.total_in_flight(), 0);
    bench.assign(Epoch(2), 0);
    let outcome = Outcome::Ack;
    let actions = bench.step(Event::Answered {
        delivery: late,
        outcome,
    });
    assert_eq!(actions, []);
    assert_eq!(bench.receive(1, "a"), NOTHING, "read in the old epoch");
    assert_eq!(bench.receive_in(Epoch(2), 0, Some("a")), [0]);
    assert_eq!(bench.engine.commit_point(&at()), Some(Offset(0)));
}

#[test]
fn what_a_lane_has_of_a_revoked_partition_takes_up_its_room_until_answered() {
    let mut bench = Bench::new(Limits {
        only_lane_depth: 1,
        ..limits()
    });
    bench.receive(0, "a");
    let late = bench.delivery(0);
    bench.revoke();
    bench.assign(Epoch(2), 0);
    assert_eq!(bench.receive_in(Epoch(2), 0, Some("a")), NOTHING);
    let outcome = Outcome::Ack;
    let actions = bench.step(Event::Answered {
        delivery: late,
        outcome,
    });
    assert_eq!(delivered(&actions), [0], "now there is room for it again");
    assert_eq!(committed(&actions), NOTHING);
}

#[test]
fn what_was_finished_above_the_commit_point_is_not_handed_out_again() {
    let mut bench = Bench::new(limits());
    for (offset, key) in [(0, "refused"), (1, "a"), (2, "a"), (3, "b"), (5, "c")] {
        bench.receive(offset, key);
    }
    bench.answer(0, nack());
    for offset in [1, 3, 5] {
        bench.ack(offset);
    }
    bench.pass(limits().ack_settles);
    let actions = bench.answer(2, nack());
    assert!(actions.contains(&Action::CommitAbove { at: at() }));
    let progress = bench.engine.progress(&at()).expect("it is ours");
    let above = [Offset(1)..Offset(2), Offset(3)..Offset(6)];
    assert_eq!(
        (progress.point, &progress.above[..]),
        (Offset(0), &above[..])
    );

    bench.revoke();
    let next = Epoch(2);
    bench.assign_from(next, progress.clone());
    let same = bench.engine.progress(&at());
    assert_eq!(
        same,
        Some(progress),
        "another may have it before they are read"
    );
    let mut receive = |offset| bench.receive_in(next, offset, Some("a"));
    assert_eq!(receive(0), [0]);
    assert_eq!(receive(1), NOTHING, "finished");
    assert_eq!(receive(2), NOTHING, "0 has its key");
    assert_eq!(receive(3), NOTHING, "finished");
    assert_eq!(receive(5), NOTHING, "finished");
    assert_eq!(delivered(&bench.ack(0)), [2]);
    assert_eq!(committed(&bench.ack(2)), [6], "past all of them");
}

#[test]
fn a_draining_partition_hands_out_nothing_and_still_finishes() {
    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    bench.receive(1, "a");
    let actions = bench.drain();
    assert!(matches!(actions[..], [Action::Pause { .. }]));
    let actions = bench.ack(0);
    assert_eq!(committed(&actions), [1]);
    assert_eq!(delivered(&actions), NOTHING);
}

#[test]
fn the_window_pauses_reading_when_full_and_resumes_below_its_mark() {
    let mut bench = Bench::new(Limits {
        max_in_flight: 4,
        ..limits()
    });
    for (offset, key) in ["a", "b", "c"].into_iter().enumerate() {
        bench.receive(i64::try_from(offset).unwrap(), key);
    }
    bench.receive(3, "d");
    assert!(matches!(
        bench.log.last(),
        Some(Action::Pause { held_by: None, .. })
    ));
    assert!(bench.ack(0).contains(&Action::Read { at: at() }));
}

#[test]
fn too_much_above_the_commit_point_pauses_and_names_the_holder() {
    let mut bench = Bench::new(Limits {
        max_uncommitted: 3,
        ..limits()
    });
    bench.receive(0, "slow");
    for offset in [1, 2] {
        bench.receive(offset, "fast");
        bench.ack(offset);
    }
    let holder = bench.log.iter().find_map(|action| match action {
        Action::Pause { held_by, .. } => held_by.clone(),
        _ => None,
    });
    let holder = holder.expect("it is named");
    assert_eq!(
        (holder.offset.0, holder.key.as_deref()),
        (0, Some(&b"slow"[..]))
    );
    let read = Action::Read { at: at() };
    let actions = bench.ack(0);
    assert_eq!(committed(&actions), [3]);
    assert!(!actions.contains(&read), "the broker did not confirm that");
    assert!(
        !bench.confirm(Epoch(0), 3).contains(&read),
        "not this epoch's"
    );
    assert!(bench.confirm(EPOCH, 3).contains(&read));
}

#[test]
fn while_paused_nothing_is_handed_out() {
    let mut bench = Bench::new(limits());
    bench.step(Event::Paused);
    assert_eq!(bench.receive(0, "a"), NOTHING);
    assert_eq!(delivered(&bench.step(Event::Resumed)), [0]);
}

#[test]
fn a_new_lane_ends_a_pause() {
    let mut bench = Bench::new(limits());
    bench.step(Event::Paused);
    assert_eq!(bench.receive(0, "a"), NOTHING);
    assert_eq!(bench.open(LaneId(2)), [0]);
}

#[test]
fn an_offset_seen_before_is_not_delivered_again() {
    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    assert_eq!(bench.receive(0, "b"), NOTHING);
    assert_eq!(bench.engine.total_in_flight(), 1);
}
