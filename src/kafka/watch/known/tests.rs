use super::*;
use crate::doctor::{Finding, Fix, Outcome, rows};

const BROKER: &str = "a:9092";

/// What a row of this stage found.
fn wrong(stage: Stage) -> Condition {
    let row = rows().find(|row| row.stage == stage).expect("a row");
    Condition::Wrong(Box::new(Check {
        stage,
        subject: BROKER.into(),
        outcome: Outcome::Found(Finding::new(row, "seen", Fix::default())),
    }))
}

/// Looks at the next due time, and says how long that was after `from`.
fn look(known: &mut Known, from: Instant, verdict: Condition) -> (u64, Option<Change>) {
    let due = known.next_due().expect("a look is due").max(from);
    let looked = known.take_due(due);
    assert_eq!(looked, [(BROKER.to_owned(), Some(1))]);
    ((due - from).as_secs(), known.judged(BROKER, verdict, due))
}

fn problems(known: &Known) -> u32 {
    known.counts().map(|(_, count)| count).sum()
}

#[test]
fn a_problem_is_told_once_and_looked_for_ever_more_seldom_until_it_is_over() {
    let (mut known, now) = (Known::default(), Instant::now());
    known.failed(BROKER.into(), Some(1), now);
    let (after, change) = look(&mut known, now, wrong(Stage::Tls));
    assert!(after == 0 && matches!(change, Some(Change::Problem(_))));
    assert_eq!(problems(&known), 1);
    let mut before = now;
    for pause in [5, 10, 20, 30, 30] {
        // What librdkafka says meanwhile hastens nothing.
        known.failed(BROKER.into(), None, before);
        let (after, change) = look(&mut known, before, wrong(Stage::Tls));
        assert!(after == pause && change.is_none(), "{after} s, not {pause}");
        before += Duration::from_secs(pause);
    }
    let (_, change) = look(&mut known, before, wrong(Stage::Sasl));
    assert!(matches!(change, Some(Change::Problem(_))));
    assert_eq!(problems(&known), 1);
    let (_, change) = look(&mut known, before, Condition::Reached);
    assert!(matches!(change, Some(Change::Well(_))));
    assert_eq!((problems(&known), known.next_due()), (0, None));
}

#[test]
fn neither_an_idle_connection_nor_a_restart_is_a_problem() {
    let (mut known, now) = (Known::default(), Instant::now());
    for verdict in [Condition::Reached, Condition::Unknown] {
        known.failed(BROKER.into(), Some(1), now);
        let (_, change) = look(&mut known, now, verdict);
        assert!(change.is_none() && known.next_due().is_none());
    }
    known.failed(BROKER.into(), Some(1), now);
    let (_, change) = look(&mut known, now, wrong(Stage::Tcp));
    assert!(change.is_none(), "it may be restarting");
    let (_, change) = look(&mut known, now, Condition::Reached);
    assert!(change.is_none() && known.next_due().is_none());
    known.failed(BROKER.into(), Some(1), now);
    let (_, change) = look(&mut known, now, wrong(Stage::Tcp));
    assert!(change.is_none());
    let (_, change) = look(&mut known, now, wrong(Stage::Tcp));
    assert!(matches!(change, Some(Change::Problem(_))), "it stays away");
}

#[test]
fn names_from_outside_have_a_bound() {
    let (mut known, now) = (Known::default(), Instant::now());
    for number in 0..2 * BROKERS {
        known.failed(format!("a:{number}"), None, now);
    }
    assert_eq!(known.take_due(now).len(), BROKERS);
}
