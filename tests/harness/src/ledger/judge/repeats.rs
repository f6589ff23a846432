//! I5: how much comes again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use super::{Finding, Invariant::I5, index::Index};
use crate::ledger::{APP_KILLED, Answer, Committed, Event, Place};

/// What an app answered in so long before it was killed may come again, as daprd may have said so
/// of a call that failed (docs/daprd-acks.md): the component distrusts 100 ms, and the answers
/// take a moment to get there.
const SUSPECT: Duration = Duration::from_millis(150);

pub(super) fn find(index: &Index) -> Vec<Finding> {
    let mut findings = too_many_again(index);
    findings.extend(committed_again(index));
    findings
}

/// What was handed out again, though nobody had refused it, must be the work of
/// the last fault, and of each partition no more than that allows.
fn too_many_again(index: &Index) -> Vec<Finding> {
    let repeated = repeated(index);
    let (mut fault, mut allowed) = ("no fault", 0);
    let mut killed = None;
    let mut again: HashMap<i32, BTreeSet<Place>> = HashMap::new();
    let mut findings = Vec::new();
    for (entry, event) in index.events() {
        match event {
            Event::Fault { what, again: most } => {
                (fault, allowed) = (what, *most);
                killed = (what == APP_KILLED).then(|| index.at(entry));
                again.clear();
            }
            Event::Handed { at, .. }
                if repeated.contains(&entry) && !is_suspect(index, *at, entry, killed) =>
            {
                let partition = again.entry(at.partition).or_default();
                if partition.insert(*at) && partition.len() > allowed {
                    let what = format!(
                        "handed out again at {}, though nobody refused it, as number {} of its \
                         partition since {fault}, which allows {allowed}; {}",
                        index.time(entry),
                        partition.len(),
                        index.history(*at)
                    );
                    findings.push(index.finding(I5, *at, what));
                }
            }
            _ => {}
        }
    }
    findings
}

/// Whether the app answered the record for the last time just before it was killed.
fn is_suspect(index: &Index, at: Place, entry: usize, killed: Option<Duration>) -> bool {
    let mut before = index
        .attempts_at(at)
        .filter(|attempt| attempt.handed < entry);
    let last = before.next_back().and_then(|attempt| attempt.answered);
    let answered = last.map(|(_, answered)| index.at(answered));
    let since = killed.map(|killed| killed.saturating_sub(SUSPECT));
    since
        .zip(answered)
        .is_some_and(|(since, answered)| answered >= since)
}

/// The entries that hand out a record again without its last attempt having been
/// refused.
pub(super) fn repeated(index: &Index) -> BTreeSet<usize> {
    let mut last: BTreeMap<Place, u64> = BTreeMap::new();
    let repeats = |(entry, event): (usize, &Event)| {
        let Event::Handed { attempt, at, .. } = event else {
            return None;
        };
        let before = last.insert(*at, *attempt)?;
        let answer = index.attempts.get(&before)?.answered;
        let refused = matches!(answer, Some((Answer::Nack, answered)) if answered < entry);
        (!refused).then_some(entry)
    };
    index.events().filter_map(repeats).collect()
}

/// What was read as committed is over: no member may hand it out again.
fn committed_again(index: &Index) -> Vec<Finding> {
    let mut committed = Committed::new();
    let mut findings = Vec::new();
    for (entry, event) in index.events() {
        match event {
            Event::Committed(offsets) => committed.extend(offsets),
            Event::Handed { at, member, .. } => {
                let offset = committed.get(&at.partition);
                if let Some(offset) = offset.filter(|offset| at.offset < **offset) {
                    let what = format!(
                        "handed to {member} at {}, after offset {offset} was read as committed; {}",
                        index.time(entry),
                        index.history(*at)
                    );
                    findings.push(index.finding(I5, *at, what));
                }
            }
            _ => {}
        }
    }
    findings
}
