//! The window that all partitions share.

use super::*;

/// Partitions of two topics, so many of each.
fn bench(max_in_flight: usize, of_each: i32) -> Bench {
    let mut bench = Bench::new(Limits {
        max_in_flight,
        max_uncommitted: 10_000,
        ..limits()
    });
    bench.revoke();
    let partitions = ["busy", "other"].into_iter().flat_map(|topic| {
        (0..of_each).map(move |number| {
            let at = TopicPartition::new(topic, number);
            (at, EPOCH, Offset(0).into())
        })
    });
    let partitions = partitions.collect();
    bench.step(Event::Assigned { partitions });
    // The other topic has no stream: what it takes stays.
    bench.step(Event::LaneOpened {
        lane: LaneId(7),
        topic: "busy".into(),
        policy: bench.policy.clone(),
    });
    bench
}

fn receive(bench: &mut Bench, at: &TopicPartition) -> Vec<Action> {
    let offset = bench.engine.position(at).expect("it is ours");
    let record = Record {
        at: at.clone(),
        offset,
        timestamp: None,
        appended: false,
        key: Some(offset.0.to_string().into()),
        value: None,
        headers: Vec::new(),
    };
    bench.step(Event::Received {
        epoch: EPOCH,
        record: Arc::new(record),
    })
}

/// How many records a partition takes before it is paused.
fn fill(bench: &mut Bench, at: &TopicPartition) -> usize {
    let mut taken = 0;
    while bench.engine.is_reading(at) {
        receive(bench, at);
        taken += 1;
    }
    taken
}

#[test]
fn a_busy_partition_gets_what_idle_ones_leave() {
    for (of_each, wanted) in [(1, 1024 - 16), (100, 1024 - 199 * 2), (500, 1024 - 999)] {
        let mut bench = bench(1024, of_each);
        let busy = TopicPartition::new("busy", 0);
        let taken = fill(&mut bench, &busy);
        assert_eq!(taken, wanted, "{of_each} partitions of each topic");
        let other = TopicPartition::new("other", 0);
        let floor = fill(&mut bench, &other);
        assert!((1..=16).contains(&floor), "{floor} are left for another");
    }
}

#[test]
fn a_topic_that_waits_gets_its_half_as_records_finish() {
    let mut bench = bench(100, 1);
    let [busy, other] = ["busy", "other"].map(|topic| TopicPartition::new(topic, 0));
    let taken = fill(&mut bench, &busy);
    assert_eq!((taken, fill(&mut bench, &other)), (84, 16));
    // The pool has 68: what the busy one finishes goes to the other up to 34.
    let mut got = 0;
    for offset in 0..300 {
        bench.ack(offset);
        got += fill(&mut bench, &other);
        fill(&mut bench, &busy);
        assert!(got <= 34, "more than its half");
    }
    assert!(got >= 30, "{got} of its half");
}

#[test]
fn partitions_are_not_paused_and_resumed_record_by_record() {
    let mut bench = bench(1024, 1);
    let busy = TopicPartition::new("busy", 0);
    fill(&mut bench, &busy);
    let mut finished = 0;
    while !bench.engine.is_reading(&busy) {
        bench.ack(finished);
        finished += 1;
    }
    assert_eq!(finished, 992 / 8, "an eighth of the pool");
}
