use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{Finding, Invariant};
use crate::ledger::{Answer, DeadLetter, Event, Ledger, Place, Stored};

/// One handing to the app, with how it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt<'a> {
    pub(super) member: &'a str,
    pub(super) at: Place,
    /// The journal's entry that handed it out.
    pub(super) handed: usize,
    /// The answer, and its entry.
    pub(super) answered: Option<(Answer, usize)>,
}

/// A ledger, by what is asked for.
pub(super) struct Index<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) source: BTreeMap<Place, &'a Stored>,
    /// The ids of the messages that stand in the source topic.
    pub(super) uuids: BTreeMap<Place, String>,
    /// Dead letters by the place that they name as theirs.
    pub(super) dead: BTreeMap<Place, Vec<&'a DeadLetter>>,
    pub(super) attempts: BTreeMap<u64, Attempt<'a>>,
    /// The attempts at each record, in order.
    by_place: HashMap<Place, Vec<u64>>,
    /// The journal's entry by which the app had acknowledged a record.
    pub(super) acked: HashMap<Place, usize>,
}

impl<'a> Index<'a> {
    pub(super) fn of(ledger: &'a Ledger) -> Self {
        let mut index = Self {
            ledger,
            source: ledger.source.iter().map(|r| (r.at, r)).collect(),
            uuids: BTreeMap::new(),
            dead: BTreeMap::new(),
            attempts: BTreeMap::new(),
            by_place: HashMap::new(),
            acked: HashMap::new(),
        };
        for record in &ledger.source {
            if let Some(uuid) = record.uuid() {
                index.uuids.insert(record.at, uuid);
            }
        }
        for letter in &ledger.dead_letters {
            if let Some(source) = letter.source() {
                index.dead.entry(source).or_default().push(letter);
            }
        }
        index.read_attempts();
        index
    }

    fn read_attempts(&mut self) {
        for (entry, event) in self.events() {
            match event {
                Event::Handed {
                    attempt,
                    member,
                    at,
                    ..
                } => {
                    let begun = Attempt {
                        member,
                        at: *at,
                        handed: entry,
                        answered: None,
                    };
                    self.attempts.insert(*attempt, begun);
                    self.by_place.entry(*at).or_default().push(*attempt);
                }
                Event::Answered { attempt, answer } => {
                    let Some(attempt) = self.attempts.get_mut(attempt) else {
                        continue;
                    };
                    attempt.answered = Some((*answer, entry));
                    if *answer == Answer::Ack {
                        self.acked.entry(attempt.at).or_insert(entry);
                    }
                }
                _ => {}
            }
        }
    }

    /// The journal's events with their number.
    pub(super) fn events(&self) -> impl Iterator<Item = (usize, &'a Event)> + use<'a> {
        let entries = self.ledger.journal.iter().enumerate();
        entries.map(|(number, entry)| (number, &entry.event))
    }

    /// Whether the app had acknowledged a record before this entry.
    pub(super) fn acked_before(&self, at: Place, entry: usize) -> bool {
        self.acked.get(&at).is_some_and(|acked| *acked < entry)
    }

    /// When an entry was recorded.
    pub(super) fn at(&self, entry: usize) -> Duration {
        let entry = self.ledger.journal.get(entry);
        entry.map_or(Duration::ZERO, |entry| entry.at)
    }

    /// When an entry was recorded, for people.
    pub(super) fn time(&self, entry: usize) -> String {
        let at = self.ledger.journal.get(entry);
        at.map_or_else(String::new, |entry| {
            format!("{:.3} s", entry.at.as_secs_f64())
        })
    }

    /// The attempts at one record, in order.
    pub(super) fn attempts_at(&self, at: Place) -> impl DoubleEndedIterator<Item = &Attempt<'a>> {
        let attempts = self.by_place.get(&at).into_iter().flatten();
        attempts.filter_map(|attempt| self.attempts.get(attempt))
    }

    /// How the attempts at a record went, for people.
    pub(super) fn history(&self, at: Place) -> String {
        let attempt = |attempt: &Attempt| {
            let handed = self.time(attempt.handed);
            let answer = match attempt.answered {
                Some((answer, entry)) => format!("{answer:?} at {}", self.time(entry)),
                None => "no answer".to_owned(),
            };
            format!("{} at {handed}: {answer}", attempt.member)
        };
        let all: Vec<_> = self.attempts_at(at).map(attempt).collect();
        match &all[..] {
            [] => "never handed to the app".to_owned(),
            all => format!("handed to {}", all.join(", ")),
        }
    }

    /// A finding about a record.
    pub(super) fn finding(&self, invariant: Invariant, at: Place, what: String) -> Finding {
        let uuid = self.uuids.get(&at);
        Finding {
            invariant,
            message: uuid
                .and_then(|uuid| self.ledger.messages.get(uuid))
                .cloned(),
            at: Some(at),
            what,
        }
    }
}
