//! I3: of one key in one partition, or of those without a key, one at a time and
//! in the order of offsets. Ordering `key` is taken for granted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Finding, Invariant::I3, index::Index};
use crate::ledger::{Event, Place};

/// Records that wait for one another.
type Sequence<'a> = (i32, Option<&'a [u8]>);

pub(super) fn find(index: &Index) -> Vec<Finding> {
    let mut sequences: BTreeMap<Sequence, BTreeSet<Place>> = BTreeMap::new();
    for (at, record) in &index.source {
        let id = (at.partition, record.key.as_deref());
        sequences.entry(id).or_default().insert(*at);
    }
    let mut findings = Vec::new();
    let mut handed: BTreeSet<Place> = BTreeSet::new();
    // What each member has in its app, by sequence.
    let mut open: HashMap<(&str, Sequence), BTreeMap<u64, Place>> = HashMap::new();
    let mut where_open: HashMap<u64, (&str, Sequence)> = HashMap::new();
    for (entry, event) in index.events() {
        match event {
            Event::Handed {
                attempt,
                member,
                at,
                ..
            } => {
                let Some(record) = index.source.get(at) else {
                    continue;
                };
                let id = (at.partition, record.key.as_deref());
                let with = open.entry((member, id)).or_default();
                findings.extend(
                    with.values()
                        .map(|other| together(index, *at, *other, entry)),
                );
                with.insert(*attempt, *at);
                where_open.insert(*attempt, (member, id));
                if handed.insert(*at) {
                    let sequence = sequences.entry(id).or_default();
                    findings.extend(too_early(index, sequence, &handed, *at, entry));
                }
            }
            Event::Answered { attempt, .. } => {
                let with = where_open.remove(attempt).and_then(|at| open.get_mut(&at));
                with.map(|with| with.remove(attempt));
            }
            _ => {}
        }
    }
    findings
}

fn together(index: &Index, at: Place, other: Place, entry: usize) -> Finding {
    let what = format!(
        "two in flight: handed out at {} while {other} of the same key was in the app",
        index.time(entry)
    );
    index.finding(I3, at, what)
}

/// The first handing of a record whose predecessor is not finished. What is finished
/// stays so, and leaves the sequence: a long one would be gone through again and again.
fn too_early(
    index: &Index,
    sequence: &mut BTreeSet<Place>,
    handed: &BTreeSet<Place>,
    at: Place,
    entry: usize,
) -> Option<Finding> {
    // When a dead letter was written is not seen here: it counts as finished, if
    // it had its turn before. One that is too large for daprd never has.
    let dead = |place: &Place| {
        let never_handed = || index.attempts_at(*place).next().is_none();
        index.dead.contains_key(place) && (handed.contains(place) || never_handed())
    };
    let finished = |place: &Place| index.acked_before(*place, entry) || dead(place);
    while sequence
        .first()
        .is_some_and(|first| *first < at && finished(first))
    {
        sequence.pop_first();
    }
    let unfinished = sequence.first().filter(|first| **first < at)?;
    let state = if handed.contains(unfinished) {
        "is not finished"
    } else {
        "was not handed out yet"
    };
    let what = format!(
        "out of order: first handed out at {}, when {unfinished} of the same key {state}",
        index.time(entry)
    );
    Some(index.finding(I3, at, what))
}
