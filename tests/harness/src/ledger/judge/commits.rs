//! I2, I9 and the order of I7: committed offsets pass finished records only, and
//! never go back.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Finding,
    Invariant::{I2, I7, I9},
    index::Index,
};
use crate::ledger::{Committed, Event, Place};

pub(super) fn find(index: &Index) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Up to where each partition was looked at.
    let mut seen = Committed::new();
    // Passed by a commit, not acknowledged: a dead letter must stand there.
    let mut open: Vec<(Place, usize)> = Vec::new();
    for (entry, event) in index.events() {
        match event {
            Event::Committed(committed) => {
                findings.extend(went_back(index, &seen, committed, entry));
                open.extend(passed(index, &mut seen, committed, entry));
            }
            Event::DeadLettersEnd(ends) => {
                let judged = std::mem::take(&mut open);
                findings.extend(
                    judged
                        .into_iter()
                        .filter_map(|(at, by)| not_dead(index, at, by, ends)),
                );
            }
            _ => {}
        }
    }
    // After the last reading the topic itself tells.
    let rest = open.into_iter();
    findings.extend(rest.filter_map(|(at, by)| not_dead(index, at, by, &everything(index))));
    findings
}

/// The records that this reading passes and no earlier one did, and that the app
/// had not acknowledged by then.
fn passed(
    index: &Index,
    seen: &mut Committed,
    committed: &Committed,
    entry: usize,
) -> Vec<(Place, usize)> {
    let mut open = Vec::new();
    for (&partition, &offset) in committed {
        let from = seen.entry(partition).or_insert(0);
        let range = Place {
            partition,
            offset: *from,
        }..Place {
            partition,
            offset: offset.max(*from),
        };
        let records = index.source.range(range).map(|(at, _)| *at);
        open.extend(
            records
                .filter(|at| !index.acked_before(*at, entry))
                .map(|at| (at, entry)),
        );
        *from = offset.max(*from);
    }
    open
}

/// A commit in the name of a member that lost the partition sets it back.
fn went_back(index: &Index, seen: &Committed, committed: &Committed, entry: usize) -> Vec<Finding> {
    let back = |(&partition, &offset): (&i32, &i64)| {
        let before = *seen.get(&partition)?;
        let what = format!(
            "the committed offset went back from {before} to {offset} by {}",
            index.time(entry)
        );
        (offset < before).then(|| index.finding(I9, Place { partition, offset }, what))
    };
    committed.iter().filter_map(back).collect()
}

fn not_dead(index: &Index, at: Place, entry: usize, ends: &BTreeMap<i32, i64>) -> Option<Finding> {
    let time = index.time(entry);
    let Some(letters) = index.dead.get(&at) else {
        let what = format!(
            "the commit that was read at {time} passed it, and it was neither acknowledged nor dead-lettered; {}",
            index.history(at)
        );
        return Some(index.finding(I2, at, what));
    };
    let stood = letters.iter().any(|letter| {
        let end = ends.get(&letter.0.at.partition);
        end.is_some_and(|end| letter.0.at.offset < *end)
    });
    let what = format!("the commit that was read at {time} passed it before its dead letter stood");
    (!stood).then(|| index.finding(I7, at, what))
}

/// An end above every dead letter.
fn everything(index: &Index) -> BTreeMap<i32, i64> {
    let letters = index.ledger.dead_letters.iter();
    let partitions: BTreeSet<_> = letters.map(|letter| letter.0.at.partition).collect();
    partitions
        .into_iter()
        .map(|partition| (partition, i64::MAX))
        .collect()
}
