//! A clean ledger gives no finding, and each planted fault gives its own.

use std::time::Duration;

use super::*;
use crate::ledger::{
    APP_KILLED,
    Answer::{self, Ack, Gone, Nack},
    Bounds, DeadLetter, Ended, Entry, Event, Message, Place, Stored,
};
use Invariant::{I1, I2, I3, I5, I7, I9, I10};

fn at(partition: i32, offset: i64) -> Place {
    Place { partition, offset }
}

/// The message that stands at a place of the clean ledger.
fn uuid(at: Place) -> String {
    format!("{}-{}", at.partition, at.offset)
}

/// A run as it is written down, step by step.
struct Run {
    ledger: Ledger,
    attempts: u64,
}

impl Run {
    /// Two partitions of four records, keys a, b, a, none in each; all published.
    fn new() -> Self {
        let ledger = Ledger {
            topic: "orders".to_owned(),
            group: "app".to_owned(),
            messages: std::collections::BTreeMap::new(),
            journal: Vec::new(),
            source: Vec::new(),
            dead_letters: Vec::new(),
            bounds: Bounds { attempts: 2 },
        };
        let mut run = Self {
            ledger,
            attempts: 0,
        };
        for partition in 0..2 {
            for (offset, key) in (0..).zip([Some("a"), Some("b"), Some("a"), None]) {
                run.publish(at(partition, offset), key);
            }
        }
        run
    }

    fn publish(&mut self, at: Place, key: Option<&str>) {
        let message = Message {
            producer: 0,
            key: key.map(str::to_owned),
            seq: at.offset.unsigned_abs(),
            uuid: uuid(at),
        };
        self.ledger.source.push(Stored {
            at,
            key: key.map(|key| key.as_bytes().to_vec()),
            value: Some(message.to_json().to_string().into_bytes()),
            headers: vec![("traceparent".to_owned(), Some(b"00-1".to_vec()))],
        });
        self.ledger.messages.insert(message.uuid.clone(), message);
        self.record(Event::Published {
            uuid: uuid(at),
            ended: Ended::Acked,
        });
    }

    fn record(&mut self, event: Event) {
        let at = Duration::from_millis(self.ledger.journal.len() as u64);
        self.ledger.journal.push(Entry { at, event });
    }

    fn hand(&mut self, member: &str, at: Place) -> u64 {
        self.attempts += 1;
        self.record(Event::Handed {
            attempt: self.attempts,
            member: member.to_owned(),
            at,
            uuid: Some(uuid(at)),
        });
        self.attempts
    }

    fn answer(&mut self, attempt: u64, answer: Answer) {
        self.record(Event::Answered { attempt, answer });
    }

    /// Hands a record out and answers.
    fn give(&mut self, at: Place, answer: Answer) {
        let attempt = self.hand("first", at);
        self.answer(attempt, answer);
    }

    fn give_all(&mut self, partition: i32) {
        for offset in 0..4 {
            self.give(at(partition, offset), Ack);
        }
    }

    fn committed(&mut self, first: i64, second: i64) {
        self.record(Event::Committed([(0, first), (1, second)].into()));
    }

    fn fault(&mut self, again: usize) {
        let what = "a crash".to_owned();
        self.record(Event::Fault { what, again });
    }

    /// The record at a place as a dead letter, refused twice.
    fn bury(&mut self, source: Place) -> &mut Stored {
        let record = self.ledger.source.iter().find(|record| record.at == source);
        let mut letter = record.expect("it stands there").clone();
        letter.at = at(0, self.ledger.dead_letters.len().try_into().expect("few"));
        let written = [
            ("__dlq.errors.topic", "orders".to_owned()),
            ("__dlq.errors.partition", source.partition.to_string()),
            ("__dlq.errors.offset", source.offset.to_string()),
            ("__dlq.errors.group", "app".to_owned()),
            ("__dlq.errors.delivery.count", "2".to_owned()),
            ("dapr-dlq-failure", "rejected".to_owned()),
        ];
        let written = written.map(|(name, text)| (name.to_owned(), Some(text.into_bytes())));
        letter.headers.extend(written);
        self.ledger.dead_letters.push(DeadLetter(letter));
        &mut self.ledger.dead_letters.last_mut().expect("just pushed").0
    }

    /// What the judge finds: the invariant and the place of each.
    fn findings(&self) -> Vec<(Invariant, Option<Place>)> {
        let findings = judge(&self.ledger);
        findings
            .iter()
            .map(|found| (found.invariant, found.at))
            .collect()
    }

    /// The judge finds this and nothing else.
    #[track_caller]
    fn shows(&self, invariant: Invariant, place: Place) {
        assert_eq!(self.findings(), [(invariant, Some(place))]);
    }

    fn replace_header(&mut self, name: &str, text: &str) {
        let letter = &mut self.ledger.dead_letters[0].0;
        let header = letter.headers.iter_mut().find(|header| header.0 == name);
        header.expect("it has it").1 = Some(text.as_bytes().to_vec());
    }
}

/// Everything that may happen and breaks no promise.
fn clean() -> Run {
    let mut run = Run::new();
    run.give(at(0, 0), Nack);
    run.give(at(0, 1), Ack);
    run.give(at(0, 0), Ack);
    // Other keys at once.
    let a = run.hand("first", at(0, 2));
    let none = run.hand("first", at(0, 3));
    run.committed(2, 0);
    run.answer(none, Ack);
    // The member is killed, and another goes on at the commit point.
    run.fault(2);
    let again = run.hand("second", at(0, 2));
    run.answer(a, Gone);
    run.answer(again, Ack);
    run.give(at(0, 3), Ack);
    // A poison one.
    run.give(at(1, 0), Ack);
    run.give(at(1, 1), Nack);
    run.give(at(1, 1), Nack);
    run.bury(at(1, 1));
    run.committed(4, 1);
    run.record(Event::DeadLettersEnd([(0, 1)].into()));
    run.give(at(1, 2), Ack);
    run.give(at(1, 3), Ack);
    run.committed(4, 4);
    run.record(Event::DeadLettersEnd([(0, 1)].into()));
    run
}

#[test]
fn a_clean_ledger_gives_no_finding() {
    assert_eq!(judge(&clean().ledger), []);
}

#[test]
fn a_summary_counts() {
    let summary = Summary::of(&clean().ledger);
    let expected = Summary {
        messages: 8,
        acked_publishes: 8,
        failed_publishes: 0,
        stored: 8,
        handed: 12,
        again: 2,
        refused: 3,
        gone: 1,
        readings: 3,
        dead_letters: 1,
        allowed: 2,
        faults: vec![Aftermath {
            what: "a crash".to_owned(),
            at: Duration::from_millis(18),
            again: 2,
            pause: Duration::from_millis(4),
        }],
    };
    assert_eq!(summary, expected);
}

#[test]
fn a_message_that_was_never_acknowledged_is_lost() {
    let mut run = Run::new();
    run.give_all(0);
    run.give(at(1, 0), Ack);
    run.give(at(1, 1), Ack);
    run.give(at(1, 2), Ack);
    run.shows(I1, at(1, 3));
    run.give(at(1, 3), Nack);
    run.shows(I1, at(1, 3));
    let lost = judge(&run.ledger)[0].to_string();
    for part in [
        "I1:",
        "message 1-3 (producer 0, key (null), #3)",
        "partition 1 offset 3",
        "lost",
        "Nack at",
    ] {
        assert!(lost.contains(part), "{part} is not in {lost}");
    }
}

#[test]
fn a_published_message_that_stands_nowhere_is_lost() {
    let mut run = Run::new();
    run.give_all(0);
    run.give_all(1);
    for (uuid, ended) in [
        ("x", Ended::Acked),
        ("y", Ended::Failed),
        ("z", Ended::Unknown),
    ] {
        let uuid = uuid.to_owned();
        run.record(Event::Published { uuid, ended });
    }
    // The others may be anywhere or nowhere.
    assert_eq!(run.findings(), [(I1, None)]);
    assert!(judge(&run.ledger)[0].what.contains("does not hold x"));
}

#[test]
fn one_copy_of_a_message_is_enough_but_a_commit_needs_them_all() {
    let mut run = Run::new();
    run.give_all(0);
    run.give_all(1);
    let copy = Stored {
        at: at(1, 4),
        ..run.ledger.source[7].clone()
    };
    run.ledger.source.push(copy);
    assert_eq!(run.findings(), []);
    run.committed(4, 5);
    run.shows(I2, at(1, 4));
}

#[test]
fn a_record_that_changed_on_its_way_to_the_app_is_found() {
    let mut run = clean();
    run.ledger.source[7].value = Some(b"{}".to_vec());
    assert!(run.findings().contains(&(I1, Some(at(1, 3)))));
}

#[test]
fn a_commit_before_the_acknowledgement_is_found() {
    let mut run = Run::new();
    let early = run.hand("first", at(0, 0));
    run.committed(1, 0);
    run.answer(early, Ack);
    for offset in 1..4 {
        run.give(at(0, offset), Ack);
    }
    run.give_all(1);
    run.committed(4, 4);
    run.shows(I2, at(0, 0));
}

#[test]
fn a_commit_that_passes_a_refused_record_is_found() {
    let mut run = Run::new();
    run.give(at(0, 0), Nack);
    run.give(at(0, 1), Ack);
    run.committed(2, 0);
    run.record(Event::DeadLettersEnd([(0, 0)].into()));
    run.give(at(0, 0), Ack);
    run.give(at(0, 2), Ack);
    run.give(at(0, 3), Ack);
    run.give_all(1);
    // Handed out again below the commit, too.
    assert_eq!(run.findings(), [(I2, Some(at(0, 0))), (I5, Some(at(0, 0)))]);
}

#[test]
fn a_commit_that_goes_back_is_found() {
    let mut run = clean();
    run.committed(4, 3);
    run.shows(I9, at(1, 3));
}

#[test]
fn a_key_out_of_order_is_found() {
    let mut run = Run::new();
    for offset in [2, 0, 1, 3] {
        run.give(at(0, offset), Ack);
    }
    run.give_all(1);
    run.shows(I3, at(0, 2));
    assert!(
        judge(&run.ledger)[0]
            .what
            .contains("was not handed out yet")
    );
}

#[test]
fn a_key_that_goes_on_before_a_refused_record_is_found() {
    let mut run = Run::new();
    run.give(at(0, 0), Nack);
    run.give(at(0, 2), Ack);
    run.give(at(0, 0), Ack);
    run.give(at(0, 1), Ack);
    run.give(at(0, 3), Ack);
    run.give_all(1);
    run.shows(I3, at(0, 2));
    assert!(judge(&run.ledger)[0].what.contains("is not finished"));
}

#[test]
fn records_without_a_key_keep_their_order_too() {
    let mut run = Run::new();
    run.publish(at(0, 4), None);
    run.give(at(0, 4), Ack);
    run.give_all(0);
    run.give_all(1);
    run.shows(I3, at(0, 4));
}

#[test]
fn a_dead_letter_has_its_turn_before_its_successor() {
    let mut run = clean();
    run.publish(at(1, 4), Some("b"));
    run.publish(at(1, 5), Some("b"));
    run.give(at(1, 5), Ack);
    run.give(at(1, 4), Nack);
    run.give(at(1, 4), Nack);
    run.bury(at(1, 4));
    run.shows(I3, at(1, 5));
}

#[test]
fn two_of_one_key_in_flight_at_one_member_are_found() {
    let mut run = Run::new();
    let first = run.hand("first", at(0, 0));
    let second = run.hand("first", at(0, 0));
    run.answer(first, Ack);
    run.answer(second, Ack);
    run.give(at(0, 1), Ack);
    run.give(at(0, 2), Ack);
    run.give(at(0, 3), Ack);
    run.give_all(1);
    // The same record twice is a repeat without a fault as well.
    assert_eq!(run.findings(), [(I3, Some(at(0, 0))), (I5, Some(at(0, 0)))]);
    assert!(judge(&run.ledger)[0].what.contains("two in flight"));
}

#[test]
fn a_repeat_without_a_fault_or_over_its_bound_is_found() {
    let mut run = Run::new();
    run.give_all(0);
    run.give_all(1);
    run.fault(1);
    run.give(at(0, 3), Ack);
    // The bound is per partition, and for records.
    run.give(at(1, 3), Ack);
    run.give(at(1, 3), Ack);
    assert_eq!(run.findings(), []);
    run.give(at(1, 2), Ack);
    run.shows(I5, at(1, 2));

    // The next fault has a bound of its own.
    let mut run = Run::new();
    run.give_all(0);
    run.give_all(1);
    run.fault(1);
    run.give(at(0, 2), Ack);
    run.fault(1);
    run.give(at(0, 3), Ack);
    assert_eq!(run.findings(), []);
    run.fault(0);
    run.give(at(0, 3), Ack);
    run.shows(I5, at(0, 3));
}

#[test]
fn what_an_app_answered_last_before_it_was_killed_may_come_again() {
    // Another answer comes so much later, and after that the app is killed.
    let kill = |run: &mut Run, later: u64, killed: u64| {
        run.give_all(0);
        run.give_all(1);
        let moved = |run: &mut Run, by: u64| {
            let entry = run.ledger.journal.last_mut().expect("there is one");
            entry.at += Duration::from_millis(by);
        };
        moved(run, later);
        run.record(Event::Fault {
            what: APP_KILLED.to_owned(),
            again: 0,
        });
        moved(run, later + killed);
        run.give(at(0, 3), Ack);
    };
    for (later, killed, may) in [
        (0, 0, true),
        (0, 5000, true),
        (200, 0, false),
        (0, 9000, false),
    ] {
        let mut run = Run::new();
        kill(&mut run, later, killed);
        if may {
            assert_eq!(run.findings(), [], "{later}, {killed}");
        } else {
            run.shows(I5, at(0, 3));
        }
    }
}

#[test]
fn a_repeat_of_what_was_committed_is_found_whatever_the_fault() {
    let mut run = clean();
    run.fault(100);
    run.give(at(0, 3), Ack);
    run.shows(I5, at(0, 3));
}

#[test]
fn a_dead_letter_that_differs_is_found() {
    let changes: [fn(&mut Stored); 4] = [
        |letter| letter.key = None,
        |letter| letter.value = Some(Vec::new()),
        |letter| letter.headers.retain(|header| header.0 != "traceparent"),
        |letter| letter.headers[0].1 = None,
    ];
    for change in changes {
        let mut run = clean();
        change(&mut run.ledger.dead_letters[0].0);
        run.shows(I7, at(1, 1));
    }
}

#[test]
fn a_dead_letter_with_wrong_headers_is_found() {
    for (name, wrong) in [
        ("__dlq.errors.topic", "others"),
        ("__dlq.errors.group", "another"),
        ("__dlq.errors.delivery.count", "1"),
        ("__dlq.errors.delivery.count", "3"),
    ] {
        let mut run = clean();
        run.replace_header(name, wrong);
        run.shows(I7, at(1, 1));
    }
    // Without a source, the source is lost, and its commit passed it.
    let mut run = clean();
    run.replace_header("__dlq.errors.offset", "99");
    let source = Some(at(1, 1));
    let expected = [(I1, source), (I2, source), (I7, Some(at(1, 99)))];
    assert_eq!(run.findings(), expected);
}

#[test]
fn a_killed_app_may_have_accepted_one_call_that_it_never_read() {
    let count = "__dlq.errors.delivery.count";
    let mut run = clean();
    run.record(Event::Fault {
        what: APP_KILLED.to_owned(),
        again: 0,
    });
    run.replace_header(count, "3");
    assert_eq!(run.findings(), []);
    run.replace_header(count, "4");
    run.shows(I7, at(1, 1));
}

#[test]
fn a_dead_letter_that_came_after_the_commit_is_found() {
    let mut run = clean();
    for entry in &mut run.ledger.journal {
        if let Event::DeadLettersEnd(ends) = &mut entry.event {
            ends.insert(0, 0);
        }
    }
    // It is told once, though two readings passed it.
    let moved: Vec<_> = run.findings();
    assert_eq!(moved, [(I7, Some(at(1, 1)))]);
}

#[test]
fn a_dead_letter_of_a_record_refused_too_seldom_is_found() {
    let mut run = clean();
    run.publish(at(1, 4), None);
    run.give(at(1, 4), Nack);
    run.give(at(1, 4), Gone);
    run.bury(at(1, 4));
    run.shows(I10, at(1, 4));
}

#[test]
fn a_dead_letter_of_a_record_that_broke_the_app_too_seldom_is_found() {
    for (answers, is_innocent) in [
        (&[Gone, Gone][..], false),
        (&[Nack, Gone], false),
        (&[Gone], true),
        (&[Gone, Nack], true),
        (&[Ack, Gone], true),
    ] {
        let mut run = Run::new();
        run.fault(1);
        for answer in answers {
            run.give(at(0, 0), *answer);
        }
        run.bury(at(0, 0));
        run.replace_header("dapr-dlq-failure", "broke-the-app");
        for offset in 1..4 {
            run.give(at(0, offset), Ack);
        }
        run.give_all(1);
        let found = run.findings().contains(&(I10, Some(at(0, 0))));
        assert_eq!(found, is_innocent, "{answers:?}: {:?}", run.findings());
    }
}

#[test]
fn what_daprd_cant_read_is_dead_lettered_by_its_own_count() {
    let mut run = clean();
    run.publish(at(1, 4), None);
    let unreadable = run.ledger.source.last_mut().expect("just published");
    unreadable.value = Some(vec![0xff]);
    run.bury(at(1, 4));
    // Nobody knows its id, so that it is its message is not seen.
    run.ledger.journal.pop();
    assert_eq!(run.findings(), []);
    let last = run.ledger.dead_letters.last_mut().expect("just buried");
    let count = "__dlq.errors.delivery.count";
    let header = last.0.headers.iter_mut().find(|header| header.0 == count);
    header.expect("it has it").1 = Some(b"1".to_vec());
    run.shows(I10, at(1, 4));
}

#[test]
fn a_dead_letter_may_be_written_again_by_a_fault_only() {
    let mut run = clean();
    run.bury(at(1, 1));
    assert_eq!(run.findings(), []);
    run.bury(at(1, 1));
    run.shows(I5, at(1, 1));
}

#[test]
fn a_report_counts_by_invariant_and_shows_the_first() {
    let report = self::report(&judge(&Run::new().ledger));
    assert!(report.starts_with("I1 is broken 8 times:\n"), "{report}");
    let mut run = clean();
    run.committed(4, 3);
    run.fault(100);
    run.give(at(0, 3), Ack);
    let report = self::report(&judge(&run.ledger));
    assert_eq!(report.lines().count(), 4, "{report}");
}
