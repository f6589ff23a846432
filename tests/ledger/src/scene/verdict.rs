use std::collections::BTreeSet;

use harness::{
    Result,
    ledger::{Bounds, DeadLetter, Entry, Event, Ledger, judge},
};

use super::{DEAD_LETTERS, GROUP, Outcome, PARTITIONS, Stage, TOPIC, heal::Heal, shape::ATTEMPTS};
use crate::{
    Side,
    faults::{Case, Fault},
    run::records,
};

/// What a run leaves for whoever looks into it.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What happened.
    pub journal: Vec<Entry>,
    /// What the members printed that were there at the end.
    pub printed: String,
}

impl Stage {
    /// A whole run: what came of it, and the evidence.
    pub async fn perform(case: &Case) -> (Outcome, Evidence) {
        let stage = Self::start(case).await;
        let mut stage = match stage {
            Ok(stage) => stage,
            Err(error) => return (Outcome::failed(&error.to_string()), Evidence::default()),
        };
        let ran = stage.go(&case.fault).await;
        let ran = ran.map_err(|error| stage.told(&error.to_string()));
        let (began, heals) = (stage.began, stage.probes.heals.clone());
        let journal = stage.journal.clone();
        let judged = stage.judged(&heals).await;
        let (mut outcome, evidence) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                let evidence = Evidence {
                    journal: journal.take(),
                    printed: String::new(),
                };
                (Outcome::failed(&error.to_string()), evidence)
            }
        };
        if let Err(error) = ran {
            outcome.complete = false;
            outcome.remarks.push(error);
        }
        outcome.seconds = began.elapsed().as_secs_f64().round();
        (outcome, evidence)
    }

    async fn go(&mut self, fault: &Fault) -> Result<()> {
        self.goes_on(self.shape.warm).await?;
        (fault.run)(self).await?;
        self.settle().await
    }

    /// An error with the end of what the members printed.
    fn told(&mut self, error: &str) -> String {
        let mut text = error.to_owned();
        for member in &mut self.members {
            let state = if member.has_ended() {
                "it has ended"
            } else {
                "it runs"
            };
            text = format!("{text}\n{}", member.printed(state));
        }
        text
    }

    async fn judged(mut self, heals: &[Heal]) -> Result<(Outcome, Evidence)> {
        let (mut wrong, mut printed) = (Vec::new(), String::new());
        let samples = self.samples.take().map(|samples| samples.taken());
        let samples = samples.unwrap_or_default();
        for member in std::mem::take(&mut self.members) {
            match member.leave().await {
                Ok(output) => printed.push_str(&output),
                Err(error) => wrong.push(format!("a member did not end as it should: {error}")),
            }
        }
        if let Some(reader) = self.reader.take() {
            reader.stop().await?;
        }
        let last = self.ledger().await?;
        let mut ledgers = std::mem::take(&mut self.chapters);
        ledgers.push(last);
        let mut outcome = Outcome::default();
        for ledger in &ledgers {
            outcome.add(ledger, &judge(ledger), self.partitions());
        }
        outcome.healed(heals);
        outcome.samples = samples;
        outcome.complete = true;
        if self.side == Side::Component && !wrong.is_empty() {
            outcome.complete = false;
        }
        outcome.remarks.extend(wrong);
        let journals = ledgers.into_iter().map(|ledger| ledger.journal);
        let evidence = Evidence {
            journal: journals.flatten().collect(),
            printed,
        };
        Ok((outcome, evidence))
    }

    /// What was seen until now, which begins anew with it.
    pub(super) async fn ledger(&self) -> Result<Ledger> {
        let brokers = self.brokers.own();
        let source = records(&brokers, TOPIC, self.partitions()).await?;
        let dead_letters = records(&brokers, DEAD_LETTERS, PARTITIONS).await?;
        let mut journal = self.journal.take();
        if let Some(before) = self.chapters.last() {
            without_stale(&mut journal, before);
        }
        self.app.forget();
        let attempted: BTreeSet<_> = journal
            .iter()
            .filter_map(|entry| match &entry.event {
                Event::Published { uuid, .. } => Some(uuid.clone()),
                _ => None,
            })
            .collect();
        let messages = self.messages().into_iter();
        Ok(Ledger {
            topic: TOPIC.to_owned(),
            group: GROUP.to_owned(),
            messages: messages
                .filter(|message| attempted.contains(&message.uuid))
                .map(|message| (message.uuid.clone(), message))
                .collect(),
            journal,
            source,
            dead_letters: dead_letters.into_iter().map(DeadLetter).collect(),
            bounds: Bounds { attempts: ATTEMPTS },
        })
    }
}

/// Kafka keeps a group's offsets when a topic is deleted, and gives them for another one
/// of its name, until the group commits there: they are about the one before.
fn without_stale(journal: &mut [Entry], before: &Ledger) {
    let committed = |entry: &Entry| match &entry.event {
        Event::Committed(committed) => Some(committed.clone()),
        _ => None,
    };
    let mut stale = before.journal.iter().rev().find_map(committed);
    let stale = stale.get_or_insert_default();
    for entry in journal {
        if let Event::Committed(committed) = &mut entry.event {
            stale.retain(|partition, offset| committed.get(partition) == Some(offset));
            committed.retain(|partition, _| !stale.contains_key(partition));
        }
    }
}
