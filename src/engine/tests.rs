use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::model::{Ordering, Outcome};

/// An engine with a clock that stands still until it is moved.
struct Bench {
    engine: Engine,
    now: Instant,
    log: Vec<Action>,
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
        lane_depth: 10,
        retry_delay: Duration::from_secs(5),
        lane_hold: Duration::from_secs(1),
    }
}

fn at() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let mut bench = Self {
            engine: Engine::new(limits),
            now: Instant::now(),
            log: Vec::new(),
        };
        bench.assign(EPOCH, 0);
        bench.open(LANE);
        bench
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let actions = self.engine.step(event, self.now);
        self.log.extend(actions.clone());
        actions
    }

    fn assign(&mut self, epoch: Epoch, start: i64) {
        let start = Offset(start);
        self.step(Event::Assigned {
            at: at(),
            epoch,
            start,
        });
    }

    fn open(&mut self, lane: LaneId) -> Vec<i64> {
        let topic = "orders".into();
        delivered(&self.step(Event::LaneOpened { lane, topic }))
    }

    fn receive_in(&mut self, epoch: Epoch, offset: i64, key: Option<&'static str>) -> Vec<i64> {
        let record = Record {
            at: at(),
            offset: Offset(offset),
            timestamp: None,
            key: key.map(Bytes::from),
            value: None,
            headers: Vec::new(),
        };
        let record = Arc::new(record);
        delivered(&self.step(Event::Received { epoch, record }))
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
    assert!(matches!(actions[..], [Action::Retry { attempts: 1, .. }]));
    assert_eq!(delivered(&bench.ack(2)), NOTHING, "1 waits behind 0");
    assert_eq!(
        bench.engine.next_wake(),
        Some(bench.now + limits().retry_delay)
    );
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
    assert_eq!(committed(&bench.ack(0)), [1]);
}

#[test]
fn lanes_share_the_work_and_none_gets_more_than_its_depth() {
    let mut bench = Bench::new(Limits {
        lane_depth: 2,
        ..limits()
    });
    bench.open(LaneId(2));
    for (offset, key) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        bench.receive(i64::try_from(offset).unwrap(), key);
    }
    let mut lanes: Vec<u64> = bench.log.iter().filter_map(lane_of).collect();
    lanes.sort_unstable();
    assert_eq!(lanes, [1, 1, 2, 2]);
}

fn lane_of(action: &Action) -> Option<u64> {
    match action {
        Action::Deliver { lane, .. } => Some(lane.0),
        _ => None,
    }
}

#[test]
fn after_a_revocation_nothing_commits_however_late_the_ack() {
    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    let late = bench.delivery(0);
    bench.step(Event::Revoked { at: at() });
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
        lane_depth: 1,
        ..limits()
    });
    bench.receive(0, "a");
    let late = bench.delivery(0);
    bench.step(Event::Revoked { at: at() });
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
fn a_partition_never_takes_up_anothers_share_of_the_window() {
    let mut bench = Bench::new(Limits {
        max_in_flight: 4,
        ..limits()
    });
    let other = TopicPartition::new("orders", 1);
    let actions = bench.step(Event::Assigned {
        at: other.clone(),
        epoch: EPOCH,
        start: Offset(0),
    });
    assert_eq!(actions, [Action::Read { at: other.clone() }]);
    bench.receive(0, "poison");
    bench.answer(0, nack());
    bench.receive(1, "poison");
    let paused: Vec<_> = bench.log.iter().filter_map(paused_at).collect();
    assert_eq!(paused, [&at()], "its share is two records; {other} goes on");
}

fn paused_at(action: &Action) -> Option<&TopicPartition> {
    match action {
        Action::Pause { at, .. } => Some(at),
        _ => None,
    }
}

#[test]
fn a_draining_partition_hands_out_nothing_and_still_finishes() {
    let mut bench = Bench::new(limits());
    bench.receive(0, "a");
    bench.receive(1, "a");
    let actions = bench.step(Event::Draining { at: at() });
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
    let actions = bench.ack(0);
    assert_eq!(committed(&actions), [3]);
    assert!(actions.contains(&Action::Read { at: at() }));
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
