use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use crate::doctor::{Check, Condition, Stage};

/// The least time between two looks at a broker, and the most as long as its problem lasts.
const LEAST: Duration = Duration::from_secs(5);
const MOST: Duration = Duration::from_secs(30);

/// The most brokers that are kept: a cluster has few, and their names come from outside.
const BROKERS: usize = 256;

/// What is known of the brokers whose connections broke: pure, so that nobody is asked too
/// often, and nothing told twice.
#[derive(Default)]
pub(super) struct Known {
    brokers: HashMap<String, Broker>,
    /// Every code that there was, so that its figure goes back to zero.
    codes: BTreeSet<&'static str>,
}

struct Broker {
    node: Option<i32>,
    due: Option<Instant>,
    /// No look before this.
    earliest: Instant,
    pause: Duration,
    /// The problem that was told.
    told: Option<&'static str>,
    /// The last look found that nothing is there.
    absent: bool,
}

/// What is to be told.
pub(super) enum Change {
    /// Another problem than before, or the first.
    Problem(Box<Check>),
    /// This one is over.
    Well(&'static str),
}

impl Known {
    /// A connection to this broker broke.
    pub(super) fn failed(&mut self, address: String, node: Option<i32>, now: Instant) {
        if !self.brokers.contains_key(&address) && self.brokers.len() >= BROKERS {
            // Those that are well can be learnt of again.
            self.brokers
                .retain(|_, broker| broker.told.is_some() || broker.due.is_some());
            if self.brokers.len() >= BROKERS {
                return;
            }
        }
        let broker = self.brokers.entry(address).or_insert(Broker {
            node,
            due: None,
            earliest: now,
            pause: LEAST,
            told: None,
            absent: false,
        });
        broker.node = node.or(broker.node);
        broker.due.get_or_insert(broker.earliest.max(now));
    }

    /// When the next look is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.brokers.values().filter_map(|broker| broker.due).min()
    }

    /// The brokers to look at now; each look must be followed by its verdict.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(String, Option<i32>)> {
        let due = self.brokers.iter_mut();
        due.filter_map(|(address, broker)| {
            broker.due.filter(|due| *due <= now)?;
            broker.due = None;
            broker.earliest = now + broker.pause;
            Some((address.clone(), broker.node))
        })
        .collect()
    }

    /// What came of a look.
    pub(super) fn judged(
        &mut self,
        address: &str,
        verdict: Condition,
        now: Instant,
    ) -> Option<Change> {
        let broker = self.brokers.get_mut(address)?;
        let check = match verdict {
            Condition::Wrong(check) => check,
            Condition::Reached => {
                // What broke since this look began is looked at all the same.
                (broker.pause, broker.absent) = (LEAST, false);
                return broker.told.take().map(Change::Well);
            }
            // As long as there is a problem it is looked for.
            Condition::Unknown => {
                if broker.told.is_some() {
                    broker.later(now);
                }
                return None;
            }
        };
        // A broker that restarts is not there for a while: that must be seen twice.
        let absent = matches!(check.stage, Stage::Names | Stage::Tcp | Stage::Cluster);
        let first = absent && !std::mem::replace(&mut broker.absent, absent);
        let code = check.finding()?.row.code;
        let is_new = broker.told != Some(code) && !(first && broker.told.is_none());
        if is_new {
            broker.told = Some(code);
            self.codes.insert(code);
        }
        broker.later(now);
        is_new.then_some(Change::Problem(check))
    }

    /// How many brokers have each problem now.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.codes.iter().map(|code| {
            let told = self.brokers.values().filter(|one| one.told == Some(*code));
            (*code, u32::try_from(told.count()).unwrap_or(u32::MAX))
        })
    }
}

impl Broker {
    /// It is looked at again, each time later. The first problem is confirmed soon.
    fn later(&mut self, now: Instant) {
        self.due = Some(self.earliest.max(now));
        if self.told.is_some() {
            self.pause = (self.pause * 2).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests;
