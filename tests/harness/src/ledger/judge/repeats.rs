//! I5: how much comes again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use super::{Finding, Invariant::I5, index::Index};
use crate::ledger::{APP_KILLED, Answer, Committed, Event, Place};

/// What an app answered last before it was killed may come again, as daprd may have said so of a call
/// that failed (docs/daprd-acks.md): the component trusts an answer once it hears another one
/// 100 ms later, and answers take a moment to get there.
const HEARD: Duration = Duration::from_millis(150);

/// It trusts an answer after 8 s in any case.
const SILENT: Duration = Duration::from_millis(8500);

/// When the app was killed, and when it had answered last.
#[derive(Clone, Copy)]
struct Killed {
    at: Duration,
    heard: Duration,
}

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
    let (mut killed, mut heard) = (None, Duration::ZERO);
    let mut again: HashMap<i32, BTreeSet<Place>> = HashMap::new();
    let mut findings = Vec::new();
    for (entry, event) in index.events() {
        match event {
            Event::Fault { what, again: most } => {
                (fault, allowed) = (what, *most);
                let at = index.at(entry);
                killed = (what == APP_KILLED).then_some(Killed { at, heard });
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
            Event::Answered { .. } => heard = index.at(entry),
            _ => {}
        }
    }
    findings
}

/// Whether the app's last answer to the record was among its last ones before it was killed.
fn is_suspect(index: &Index, at: Place, entry: usize, killed: Option<Killed>) -> bool {
    let mut before = index
        .attempts_at(at)
        .filter(|attempt| attempt.handed < entry);
    let last = before.next_back().and_then(|attempt| attempt.answered);
    let (Some(killed), Some((_, answered))) = (killed, last) else {
        return false;
    };
    let answered = index.at(answered);
    killed.heard < answered + HEARD && killed.at < answered + SILENT
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
