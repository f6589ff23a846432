//! Logs that were cut: an unclean leader election, after which other records get the offsets of
//! those that were lost.
//!
//! A consumer notices a cut where its position, or what it has committed, is beyond the log's end.
//! A log that has grown past that hides the cut from any consumer that knows no leader epochs, so
//! no log grows that far here. Even then nobody can tell the new records below a commit point
//! from the old ones: these are lost to the group, and the judge does not ask for them.

use std::{ops::Range, time::Duration};

use super::{member::Member, schedule::Behaviour, world::World};
use crate::{
    kafka::parse,
    model::{Offset, TopicPartition},
};

/// How far somebody has come in a log.
struct Claim {
    /// Where the commit point is.
    point: i64,
    /// Up to where the log was read, or is finished.
    ends: Vec<i64>,
}

impl World {
    /// Some records come, and soon after an unclean leader election takes the last ones.
    pub(super) fn lose_the_end(&mut self) {
        let at = self.any_partition();
        if self.takes_a_record(&at) {
            let records = self.random.between(2, 12);
            let first = self.behaviours.len();
            self.burst(&at, records, false);
            if let Some(first) = self.behaviours.get_mut(first) {
                *first = Behaviour::Slow;
            }
        }
        let wait = self.random.millis(0, 400);
        self.later(wait, move |world| world.cut(&at));
    }

    /// The last records of a log are lost, and soon others get their offsets.
    fn cut(&mut self, at: &TopicPartition) {
        if !self.in_trouble {
            return;
        }
        let incarnation = self.broker.incarnation(&at.topic);
        let lost = i64::try_from(self.random.between(1, 8)).unwrap_or_default();
        let Some(log) = self.broker.log_mut(at) else {
            return;
        };
        let end = (log.end - lost).max(log.first);
        let gone = log.cut(end);
        self.tell(|| format!("{at} is cut at {end}"));
        self.judge.count("log cut");
        self.judge.gone(&gone);
        self.judge.cut(at, incarnation);
        for _ in 0..self.random.between(0, 12) {
            let (at, wait) = (at.clone(), self.random.millis(0, 300));
            self.later(wait, move |world| world.burst(&at, 1, false));
        }
    }

    /// Whether a log may grow: it was not cut, or whoever has read what is lost will notice.
    pub(super) fn takes_a_record(&mut self, at: &TopicPartition) -> bool {
        let Some(log) = self.broker.log(at) else {
            return false;
        };
        let (end, Some(cut)) = (log.end, log.cut) else {
            return true;
        };
        let mut sites = self.sites.iter();
        if sites.any(|site| site.client.asks > 0 || site.commits.has(at)) {
            return false;
        }
        let claims = self.claims(at);
        let mut ends = claims.iter().flat_map(|claim| &claim.ends);
        if ends.all(|reached| *reached <= end) {
            // What is committed by now is taken for what it says.
            if let Some(committed) = self.broker.committed.get(at) {
                let (progress, _) = parse(committed.offset, &committed.metadata);
                self.starts_at(at, progress.point, &progress.above);
            }
            if let Some(log) = self.broker.log_mut(at) {
                log.cut = None;
            }
            return true;
        }
        let takes = claims.iter().all(|claim| {
            let knows_nothing = claim.ends.iter().all(|reached| *reached <= cut);
            let will_notice = claim.ends.iter().all(|reached| *reached > end + 1);
            claim.point <= cut && (knows_nothing || will_notice)
        });
        if takes {
            self.judge
                .count("written after a cut that nobody has noticed");
        }
        takes
    }

    /// What the group has committed of a log, and what its members have read of it.
    fn claims(&self, at: &TopicPartition) -> Vec<Claim> {
        let mut claims = Vec::new();
        if let Some(committed) = self.broker.committed.get(at) {
            let (progress, _) = parse(committed.offset, &committed.metadata);
            let last = progress.above.last();
            claims.push(Claim {
                point: progress.point.0,
                ends: vec![last.map_or(progress.point, |last| last.end).0],
            });
        }
        for site in &self.sites {
            let member = site.member.as_ref();
            let Some(progress) = member.and_then(|member| member.progress_of(at)) else {
                continue;
            };
            let read = member.and_then(|member| member.position(at));
            let fetched = site.client.position(at);
            let read = read.map_or(progress.point.0, |read| read.0);
            claims.push(Claim {
                point: progress.point.0,
                ends: vec![read, fetched.unwrap_or(read)],
            });
        }
        claims
    }

    /// From which offset on a member takes new records of a log that was cut for those that it
    /// knows.
    pub(super) fn confuses(&self, site: usize, at: &TopicPartition) -> Option<i64> {
        let member = self.sites[site].member.as_ref();
        let read = member.and_then(|member: &Member| member.position(at))?;
        let log = self.broker.log(at)?;
        log.cut.filter(|_| read.0 > log.end)
    }

    /// A log is read from an offset on, and without what is finished above it. New records before
    /// the offset are lost to the group, and so are those that nobody can tell from what is
    /// finished above.
    pub(super) fn starts_at(
        &mut self,
        at: &TopicPartition,
        point: Offset,
        above: &[Range<Offset>],
    ) {
        let incarnation = self.broker.incarnation(&at.topic);
        let Some((cut, end)) = self
            .broker
            .log(at)
            .and_then(|log| Some((log.cut?, log.end)))
        else {
            return;
        };
        let is_noticed = above.last().is_some_and(|last| last.end.0 > end);
        self.judge.lost(at, incarnation, |offset| {
            let is_above = above.iter().any(|range| range.contains(&Offset(offset)));
            offset >= cut && (offset < point.0 || is_above && !is_noticed)
        });
    }

    /// Ends a transaction, once its log takes the marker.
    pub(super) fn end_transaction(&mut self, at: &TopicPartition, transaction: u64) {
        if !self.takes_a_record(at) {
            let (at, wait) = (at.clone(), Duration::from_millis(100));
            return self.later(wait, move |world| world.end_transaction(&at, transaction));
        }
        let commits = self.random.percent(60);
        if let Some(log) = self.broker.log_mut(at) {
            let gone = log.end_transaction(transaction, commits);
            self.judge.gone(&gone);
            self.judge.count("transaction");
        }
    }
}
