//! I7 and I10: a dead letter is its source, byte by byte, says where it came
//! from, and was refused often enough.

use serde_json::Value;

use super::{
    Finding,
    Invariant::{I5, I7, I10},
    index::Index,
};
use crate::ledger::{APP_KILLED, Answer, DeadLetter, Event, Place, Stored};

pub(super) fn find(index: &Index) -> Vec<Finding> {
    let letters = index.ledger.dead_letters.iter();
    let mut findings: Vec<_> = letters.flat_map(|letter| of_one(index, letter)).collect();
    findings.extend(too_many(index));
    findings
}

/// A crash between a dead letter and its source's commit writes it once more; so
/// each fault may.
fn too_many(index: &Index) -> Vec<Finding> {
    let events = index.events();
    let faults = events
        .filter(|(_, event)| matches!(event, Event::Fault { .. }))
        .count();
    let sources = index.dead.iter();
    let over = sources.filter(|(_, letters)| letters.len() > 1 + faults);
    let found = |(at, letters): (&Place, &Vec<&DeadLetter>)| {
        let what = format!("{} dead letters after {faults} faults", letters.len());
        index.finding(I5, *at, what)
    };
    over.map(found).collect()
}

fn of_one(index: &Index, letter: &DeadLetter) -> Vec<Finding> {
    let source = letter.source().and_then(|at| index.source.get(&at));
    let Some(source) = source else {
        let what = format!(
            "the dead letter at {} names no record of {}: {:?}",
            letter.0.at, index.ledger.topic, letter.0.headers
        );
        return vec![Finding {
            invariant: I7,
            message: letter
                .0
                .uuid()
                .and_then(|uuid| index.ledger.messages.get(&uuid).cloned()),
            at: letter.source(),
            what,
        }];
    };
    let found = |what: String| {
        let what = format!("its dead letter at {} {what}", letter.0.at);
        index.finding(I7, source.at, what)
    };
    let mut findings: Vec<_> = changed(letter, source).into_iter().map(found).collect();
    for (name, said, expected) in [
        ("topic", letter.topic(), &index.ledger.topic),
        ("group", letter.group(), &index.ledger.group),
    ] {
        if said != Some(expected) {
            findings.push(found(format!("names the {name} {said:?}, not {expected}")));
        }
    }
    if letter.failure() == Some("broke-the-app") {
        findings.extend(broke_too_seldom(index, source.at));
    } else if letter.failure() == Some("rejected") && !is_readable(source) {
        findings.extend(refused_by_daprd(index, letter, source.at));
    } else if letter.failure() == Some("rejected") {
        findings.extend(refused_too_seldom(index, source.at));
        findings.extend(miscounted(index, letter, source.at).map(found));
    } else if letter.failure().is_none() {
        findings.push(found("does not say why".to_owned()));
    }
    findings
}

/// What is not as in the source.
fn changed(letter: &DeadLetter, source: &Stored) -> Vec<String> {
    let letter = &letter.0;
    let mut changed = Vec::new();
    for (part, is, was) in [
        ("key", &letter.key, &source.key),
        ("value", &letter.value, &source.value),
    ] {
        if is != was {
            changed.push(format!(
                "has another {part}: {}, not {}",
                text(is),
                text(was)
            ));
        }
    }
    let (is, was) = (
        DeadLetter::own_headers(letter),
        DeadLetter::own_headers(source),
    );
    if is != was {
        changed.push(format!("has other headers: {is:?}, not {was:?}"));
    }
    changed
}

/// Whether daprd can hand it to an app: it reads a JSON object, and takes null for one.
fn is_readable(record: &Stored) -> bool {
    let Some(value) = record.value.as_deref() else {
        return true;
    };
    let value = serde_json::from_slice(value);
    value.is_ok_and(|value: Value| value.is_object() || value.is_null())
}

/// What daprd can't read it refuses itself, and the app never sees it: only the dead
/// letter's own count tells how often.
fn refused_by_daprd(index: &Index, letter: &DeadLetter, at: Place) -> Option<Finding> {
    let bound = index.ledger.bounds.attempts;
    let said = letter.deliveries();
    let what = format!("dead-lettered, unreadable, after {said:?} deliveries, not {bound}");
    let fits = said.is_some_and(|said| said >= bound);
    (!fits).then(|| index.finding(I10, at, what))
}

fn refused_too_seldom(index: &Index, at: Place) -> Option<Finding> {
    let bound = index.ledger.bounds.attempts;
    let refused = |answer: &(Answer, usize)| answer.0 == Answer::Nack;
    let attempts = index.attempts_at(at);
    let refusals = attempts
        .filter(|attempt| attempt.answered.as_ref().is_some_and(refused))
        .count();
    let what = format!(
        "dead-lettered after the app refused it {refusals} times, not {bound}; {}",
        index.history(at)
    );
    (refusals < bound).then(|| index.finding(I10, at, what))
}

/// A record that is blamed for breaking the app must have failed as often as a refused one, and
/// the last call of it must have broken.
fn broke_too_seldom(index: &Index, at: Place) -> Option<Finding> {
    let bound = index.ledger.bounds.attempts;
    let answers = index.attempts_at(at).filter_map(|attempt| attempt.answered);
    let answers: Vec<_> = answers.map(|(answer, _)| answer).collect();
    let failed = answers.iter().filter(|answer| **answer != Answer::Ack);
    let fits = failed.count() >= bound && answers.last() == Some(&Answer::Gone);
    let what = format!(
        "dead-lettered as what breaks the app, without {bound} failed calls of which the last \
         broke; {}",
        index.history(at)
    );
    (!fits).then(|| index.finding(I10, at, what))
}

/// The count starts over with each process, so it may be lower than what the app saw. It may be
/// higher by one for each time that the app was killed: it may have accepted a call and never read it.
fn miscounted(index: &Index, letter: &DeadLetter, at: Place) -> Option<String> {
    let (said, seen) = (letter.deliveries(), index.attempts_at(at).count());
    let is_killed = |(_, event): &(usize, &Event)| matches!(event, Event::Fault { what, .. } if what == APP_KILLED);
    let unread = index.events().filter(is_killed).count();
    let fits = |said: usize| said >= index.ledger.bounds.attempts && said <= seen + unread;
    let what = format!("says that it was handed out {said:?} times; the app saw {seen}");
    (!said.is_some_and(fits)).then_some(what)
}

fn text(bytes: &Option<Vec<u8>>) -> String {
    match bytes {
        Some(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        None => "null".to_owned(),
    }
}
