//! The judge: the invariants of ARCHITECTURE.md, as the ledger's judge (`tests/harness`) names them.
//!
//! The ledger's judge reads what was seen from outside, after a run. This one is shown the truth at
//! each step: what the app has processed, which acknowledgements were false, and which records
//! brokers lost. So it also judges runs in which topics are created again and logs are cut.

use std::collections::BTreeMap;

use crate::model::{Progress, TopicPartition, dead_letter::Failure};

/// What is true of a record.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) at: TopicPartition,
    pub(super) incarnation: i64,
    pub(super) offset: i64,
    pub(super) key: Option<u8>,
    /// The app has processed it.
    pub(super) processed: bool,
    /// daprd acknowledged a call of it that failed.
    pub(super) falsely_acked: bool,
    pub(super) nacks: u32,
    pub(super) breaks: u32,
    pub(super) dead_letters: u32,
    handed: bool,
    /// Brokers lost it, retention removed it, or its transaction was aborted.
    pub(super) gone: bool,
    /// The step at which the group committed that it is finished.
    settled: Option<u64>,
}

impl Fact {
    pub(super) fn is_finished(&self) -> bool {
        self.processed || self.dead_letters > 0 || self.gone
    }
}

/// When a record may be a dead letter.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) attempts: u32,
    pub(super) max_breaks: Option<u32>,
}

#[derive(Default)]
pub(super) struct Judge {
    pub(super) facts: Vec<Fact>,
    by_log: BTreeMap<(TopicPartition, i64), Vec<usize>>,
    /// The largest offset that was committed of each log since it was cut.
    points: BTreeMap<(TopicPartition, i64), i64>,
    pub(super) findings: Vec<String>,
    pub(super) counts: BTreeMap<&'static str, usize>,
}

impl Judge {
    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn finds(&mut self, what: String) {
        self.findings.push(what);
    }

    /// A record was produced; returns its number.
    pub(super) fn produced(
        &mut self,
        at: &TopicPartition,
        incarnation: i64,
        offset: i64,
        key: Option<u8>,
    ) -> usize {
        let number = self.facts.len();
        self.facts.push(Fact {
            at: at.clone(),
            incarnation,
            offset,
            key,
            processed: false,
            falsely_acked: false,
            nacks: 0,
            breaks: 0,
            dead_letters: 0,
            handed: false,
            gone: false,
            settled: None,
        });
        let of_log = self.by_log.entry((at.clone(), incarnation)).or_default();
        of_log.push(number);
        number
    }

    pub(super) fn gone(&mut self, records: &[usize]) {
        for number in records {
            self.facts[*number].gone = true;
        }
    }

    /// New records of a log that was cut are lost to the group.
    pub(super) fn lost(
        &mut self,
        at: &TopicPartition,
        incarnation: i64,
        is_lost: impl Fn(i64) -> bool,
    ) {
        let of_log = self.by_log.get(&(at.clone(), incarnation));
        for number in of_log.into_iter().flatten() {
            let fact = &mut self.facts[*number];
            fact.gone |= is_lost(fact.offset);
        }
    }

    /// A log was cut: commits may go back to its end, and what stood above it is not settled.
    pub(super) fn cut(&mut self, at: &TopicPartition, incarnation: i64) {
        self.points.remove(&(at.clone(), incarnation));
        self.unsettle(at, incarnation);
    }

    /// Nothing of a log counts as committed any more.
    pub(super) fn unsettle(&mut self, at: &TopicPartition, incarnation: i64) {
        let of_log = self.by_log.get(&(at.clone(), incarnation));
        for number in of_log.into_iter().flatten() {
            self.facts[*number].settled = None;
        }
    }

    /// I3 and I5: a member hands a record out that it has read since it took its partition on at
    /// step `since`.
    pub(super) fn handed(&mut self, number: usize, since: u64, is_stale: bool) {
        let fact = self.facts[number].clone();
        if let Some(settled) = fact.settled.filter(|settled| *settled < since) {
            let what = format!(
                "I5: {}@{} is handed out by a member that took the partition on at step {since}, \
                 after the group committed at step {settled} that it is finished",
                fact.at, fact.offset
            );
            self.finds(what);
        }
        if std::mem::replace(&mut self.facts[number].handed, true) || is_stale {
            return;
        }
        let of_log = &self.by_log[&(fact.at.clone(), fact.incarnation)];
        // A log that was cut has new records at lower offsets.
        let older = of_log.iter().filter(|other| **other < number);
        let before = older.map(|number| &self.facts[*number]);
        let unfinished = before.filter(|before| {
            before.key == fact.key
                && before.offset < fact.offset
                && !before.is_finished()
                && !before.falsely_acked
        });
        if let Some(before) = unfinished.map(|before| before.offset).next() {
            let what = format!(
                "I3: {}@{} is handed out for the first time, and {before} of its key is not finished",
                fact.at, fact.offset
            );
            self.finds(what);
        }
    }

    /// I3: a record is handed out while another one of its partition is with the app.
    pub(super) fn beside(&mut self, number: usize, other: usize) {
        let (fact, other) = (&self.facts[number], &self.facts[other]);
        let log = |fact: &Fact| (fact.at.clone(), fact.incarnation, fact.key);
        if log(fact) == log(other) {
            let what = format!(
                "I3: {}@{} is handed out while {} of its key is in flight",
                fact.at, fact.offset, other.offset
            );
            self.finds(what);
        }
    }

    /// I2, I7 and I9: the coordinator took a commit of this log. From `confused` on the member
    /// has not noticed that records are others than those that it knows.
    pub(super) fn committed(
        &mut self,
        at: &TopicPartition,
        incarnation: i64,
        progress: &Progress,
        end: i64,
        confused: Option<i64>,
        step: u64,
    ) {
        let point = progress.point.0;
        let log = (at.clone(), incarnation);
        // Beyond the end of a log that was cut a commit stands for nothing.
        let reached = point.min(end).min(confused.unwrap_or(end));
        let before = self.points.entry(log.clone()).or_insert(reached);
        if *before > reached {
            let what = format!("I9: the commit of {at} went back from {before} to {point}");
            self.findings.push(what);
        }
        *before = reached.max(*before);
        let of_log = self.by_log.get(&log).cloned().unwrap_or_default();
        for number in of_log {
            let fact = &mut self.facts[number];
            let offset = fact.offset;
            let above = progress.above.iter();
            let is_above = above
                .clone()
                .any(|range| (range.start.0..range.end.0).contains(&offset));
            let is_others = confused.is_some_and(|from| offset >= from);
            if offset >= point && !is_above || is_others {
                continue;
            }
            // Ranges beyond the end of a log that was cut count for nothing.
            let is_cut = progress.above.last().is_some_and(|last| last.end.0 > end);
            if offset < point || !is_cut {
                fact.settled.get_or_insert(step);
            } else {
                fact.settled = None;
            }
            if !fact.is_finished() {
                let doubt = if fact.falsely_acked {
                    " (daprd acknowledged a call that failed)"
                } else {
                    ""
                };
                let what = format!(
                    "I2: the commit of {at} at {point}, above {:?}, passes {offset}, which is not \
                     finished{doubt}",
                    progress.above
                );
                self.finds(what);
            }
        }
    }

    /// I7 and I10: a dead letter stands on the broker. The app does not break by an innocent record.
    pub(super) fn dead_letter(
        &mut self,
        number: usize,
        failure: Failure,
        is_innocent: bool,
        rules: Rules,
    ) {
        let fact = &mut self.facts[number];
        fact.dead_letters += 1;
        let broke_it = failure == Failure::BrokeTheApp;
        // `maxBreaks` asks for no evidence, and adds to the rule that does.
        let is_at_most = rules.max_breaks.is_some_and(|most| fact.breaks >= most);
        let needed = if broke_it {
            is_at_most || fact.breaks >= 3
        } else {
            fact.nacks + fact.breaks >= rules.attempts
        };
        let is_just = !is_innocent || is_at_most;
        if !needed || !is_just {
            let innocent = if is_innocent { "innocent " } else { "" };
            let what = format!(
                "I10: the {innocent}{}@{} is a dead letter ({failure:?}) after {} refusals and {} \
                 broken calls",
                fact.at, fact.offset, fact.nacks, fact.breaks
            );
            self.finds(what);
        }
        if broke_it {
            self.count("dead letter of a record that broke the app");
        }
    }

    /// I1: nothing is left over.
    pub(super) fn unfinished(&self) -> Vec<String> {
        let left = self.facts.iter().filter(|fact| !fact.is_finished());
        let left = left.map(|fact| {
            let (at, offset) = (&fact.at, fact.offset);
            let doubt = if fact.falsely_acked {
                ", and daprd acknowledged a call of it that failed"
            } else {
                ""
            };
            format!("I1: {at}@{offset} was never processed{doubt}")
        });
        left.collect()
    }
}
