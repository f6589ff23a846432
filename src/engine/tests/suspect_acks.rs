use super::*;

/// An app behind a concurrent daprd that has these records, each with a key of its own.
fn in_hand(offsets: &[i64]) -> Bench {
    let mut bench = Bench::new(limits());
    bench.engine.daprd_is_concurrent = true;
    for offset in offsets {
        bench.receive_unique(*offset);
    }
    bench.pass(MOMENT);
    bench
}

fn doubted(actions: &[Action]) -> Vec<i64> {
    let records = |action: &Action| match action {
        Action::SuspectAcks { records } => records.clone(),
        _ => Vec::new(),
    };
    let records = actions.iter().flat_map(records);
    records.map(|record| record.offset.0).collect()
}

fn cut() -> Outcome {
    Outcome::Unreachable("EOF".into())
}

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn an_ack_counts_at_once_if_no_other_call_is_in_flight() {
    let mut bench = in_hand(&[0]);
    assert_eq!(committed(&bench.ack(0)), [1]);
}

#[test]
fn acks_count_when_the_last_call_is_answered() {
    let mut bench = in_hand(&[0, 1, 2]);
    assert_eq!(committed(&bench.ack(0)), NOTHING);
    assert_eq!(committed(&bench.ack(1)), NOTHING);
    assert_eq!(committed(&bench.ack(2)), [1, 2, 3]);
}

#[test]
fn an_ack_counts_when_the_app_is_heard_of_later() {
    let mut bench = in_hand(&[0, 1, 2, 3]);
    bench.ack(0);
    bench.pass(limits().ack_settles.saturating_sub(MOMENT));
    assert_eq!(committed(&bench.ack(1)), NOTHING, "too soon");
    bench.pass(MOMENT);
    assert_eq!(
        committed(&bench.answer(2, nack())),
        [1],
        "a refusal is heard too"
    );
}

/// A process that has gone may leave daprd nothing but a timeout.
#[test]
fn a_timeout_says_nothing_of_acks() {
    let mut bench = in_hand(&[0]);
    bench.pass(limits().mixed_up * 2);
    bench.receive_unique(1);
    bench.receive_unique(2);
    bench.pass(MOMENT);
    bench.ack(0);
    bench.pass(limits().ack_settles);
    let actions = bench.answer(1, timed_out());
    assert_eq!(committed(&actions), NOTHING);
    assert_eq!(doubted(&actions), NOTHING, "they began apart");
    assert_eq!(committed(&bench.answer(2, nack())), [1]);
    let mut bench = in_hand(&[0, 1]);
    bench.ack(0);
    assert_eq!(
        doubted(&bench.answer(1, timed_out())),
        [0],
        "they began together"
    );
}

#[test]
fn an_ack_counts_when_no_call_has_failed_for_long() {
    let mut bench = in_hand(&[0, 1]);
    bench.ack(0);
    let silence = limits().ack_settles_in_silence;
    assert_eq!(bench.engine.next_wake(), Some(bench.now + silence));
    bench.now += silence;
    assert_eq!(committed(&bench.step(Event::Tick)), [1]);
}

#[test]
fn the_next_of_the_key_does_not_wait() {
    let mut bench = in_hand(&[0]);
    bench.receive(1, "a");
    bench.receive(2, "a");
    assert_eq!(delivered(&bench.ack(1)), [2]);
}

#[test]
fn what_was_acknowledged_just_before_a_call_failed_is_delivered_again() {
    for failure in [
        cut(),
        Outcome::Absent("refused".into()),
        Outcome::NotAsked("circuit breaker is open".into()),
        unknown(),
    ] {
        let mut bench = in_hand(&[0, 1]);
        bench.ack(0);
        assert_eq!(doubted(&bench.answer(1, failure.clone())), [0]);
        bench.ack_all();
        assert_eq!(bench.attempts(0), 2, "{failure:?}");
        assert_eq!(bench.engine.commit_point(&at()), Some(Offset(2)));
    }
}

#[test]
fn what_was_acknowledged_long_before_a_call_failed_is_not() {
    let mut bench = in_hand(&[0, 1, 2]);
    bench.ack(1);
    bench.pass(limits().ack_settles);
    bench.ack(0);
    assert_eq!(doubted(&bench.answer(2, cut())), [0]);
}

/// daprd that ends reports no failures: it closes its streams.
#[test]
fn what_was_acknowledged_before_a_stream_closed_with_a_call_unanswered_is_delivered_again() {
    let mut bench = in_hand(&[0, 1]);
    bench.ack(0);
    bench.pass(Duration::from_millis(400));
    let actions = bench.step(Event::LaneClosed { lane: LANE });
    assert_eq!((committed(&actions), doubted(&actions)), (vec![], vec![0]));
    assert_eq!(bench.open(LaneId(2)), [0, 1]);
}

#[test]
fn a_stream_that_closes_with_all_answered_says_nothing_of_others() {
    let mut bench = in_hand(&[0]);
    bench.open(LaneId(2));
    bench.receive_unique(1);
    assert_eq!(bench.lanes(), [1, 2]);
    bench.ack(0);
    assert_eq!(
        doubted(&bench.step(Event::LaneClosed { lane: LANE })),
        NOTHING
    );
    assert_eq!(committed(&bench.ack(1)), [1, 2]);
}

/// daprd mixes up calls that begin together: a serial one works on the oldest record of each lane.
#[test]
fn only_what_began_with_the_failed_call_is_delivered_again() {
    let mut bench = in_hand(&[0, 1]);
    bench.pass(limits().mixed_up + MOMENT);
    bench.receive_unique(2);
    bench.ack(1);
    bench.ack(0);
    assert_eq!(doubted(&bench.answer(2, cut())), NOTHING);

    let mut bench = in_hand(&[0, 1]);
    bench.engine.daprd_is_concurrent = false;
    bench.ack(0);
    let closed = bench.step(Event::LaneClosed { lane: LANE });
    assert_eq!(doubted(&closed), NOTHING, "1 waited for its turn");
    assert_eq!(committed(&closed), [1]);
}

#[test]
fn what_is_delivered_again_goes_before_the_others_of_its_key() {
    let mut bench = in_hand(&[0]);
    for offset in 1..4 {
        bench.receive(offset, "a");
    }
    bench.ack(1);
    bench.ack(2);
    assert_eq!(doubted(&bench.answer(0, unknown())), [1, 2]);
    // 3 is with the app already; its refusal says nothing of those before it.
    let refused = bench.answer(3, nack());
    assert!(
        !refused
            .iter()
            .any(|action| matches!(action, Action::Retry { .. }))
    );
    let again = |action: &&Action| matches!(action, Action::Deliver { record, .. } if record.key == Some("a".into()));
    bench.pass(limits().lane_hold);
    bench.ack_all();
    let order: Vec<_> = bench.log.iter().filter(again).cloned().collect();
    assert_eq!(delivered(&order), [1, 2, 3, 1, 2, 3]);
}

#[test]
fn what_a_drained_partition_has_is_given_back_unfinished() {
    let mut bench = in_hand(&[0, 1]);
    bench.ack(0);
    bench.drain();
    assert_eq!(bench.engine.commit_point(&at()), Some(Offset(0)));
    bench.revoke();
    bench.assign(Epoch(2), 0);
    assert_eq!(bench.receive_in(Epoch(2), 0, Some("0")), [0]);
}

impl Bench {
    fn attempts(&self, offset: i64) -> usize {
        let delivered = delivered(&self.log);
        delivered.iter().filter(|one| **one == offset).count()
    }

    /// Answers everything, until nothing is in flight.
    fn ack_all(&mut self) {
        while let Some(wake) = self
            .engine
            .next_wake()
            .filter(|_| self.engine.total_in_flight() == 0)
        {
            self.now = self.now.max(wake);
            self.step(Event::Tick);
            self.ack_in_flight();
        }
        self.ack_in_flight();
    }

    fn ack_in_flight(&mut self) {
        while let Some(delivery) = self.engine.in_flight.keys().min().copied() {
            let outcome = Outcome::Ack;
            self.step(Event::Answered { delivery, outcome });
        }
    }
}
