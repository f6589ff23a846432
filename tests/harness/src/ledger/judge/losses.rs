//! I1: what was published is processed, and is what was published.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Invariant::I1, index::Index};
use crate::ledger::{Ended, Event, Place};

pub(super) fn find(index: &Index) -> Vec<Finding> {
    let mut places: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
    for (at, uuid) in &index.uuids {
        places.entry(uuid).or_default().push(*at);
    }
    let acked: BTreeSet<&str> = index
        .events()
        .filter_map(|(_, event)| match event {
            Event::Published {
                uuid,
                ended: Ended::Acked,
            } => Some(uuid.as_str()),
            _ => None,
        })
        .collect();
    let mut findings = Vec::new();
    for uuid in acked {
        match places.get(uuid) {
            Some(places) => findings.extend(unprocessed(index, places)),
            None => findings.push(Finding {
                invariant: I1,
                message: index.ledger.messages.get(uuid).cloned(),
                at: None,
                what: format!(
                    "Publish said OK, and {} does not hold {uuid}",
                    index.ledger.topic
                ),
            }),
        }
    }
    findings.extend(altered(index));
    findings
}

/// One copy that was processed is enough: a publish that was tried again may have
/// left several. What becomes of each copy is the commits' business.
fn unprocessed(index: &Index, places: &[Place]) -> Option<Finding> {
    let done = |at: &Place| index.acked.contains_key(at) || index.dead.contains_key(at);
    if places.iter().any(done) {
        return None;
    }
    let at = *places.first()?;
    let what = format!(
        "lost: Publish said OK, the app never acknowledged it, and it is no dead letter; {}",
        index.history(at)
    );
    Some(index.finding(I1, at, what))
}

/// What the app was handed is what stands in the topic.
fn altered(index: &Index) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (entry, event) in index.events() {
        let Event::Handed {
            at, uuid, member, ..
        } = event
        else {
            continue;
        };
        let stands = index.uuids.get(at);
        if !index.source.contains_key(at) || stands != uuid.as_ref() {
            let what = format!(
                "{member} was handed {uuid:?} at {}, where {} holds {stands:?}",
                index.time(entry),
                index.ledger.topic
            );
            findings.push(index.finding(I1, *at, what));
        }
    }
    findings
}
