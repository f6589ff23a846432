use std::{collections::BTreeSet, time::Duration};

use harness::{
    Result,
    ledger::{Bounds, DeadLetter, Entry, Event, Ledger, Rolls, judge},
};

use super::{DEAD_LETTERS, GROUP, Outcome, PARTITIONS, Stage, TOPIC, shape::ATTEMPTS};
use crate::{Side, faults::Fault, run::records};

/// Messages that the app has acknowledged before anything breaks.
const WARM: usize = 200;

impl Stage {
    /// A whole run: what came of it, and its journal.
    pub async fn perform(fault: &Fault, side: Side, seed: u64) -> (Outcome, Vec<Entry>) {
        let stage = Self::start(side, Rolls { seed }, fault.shape).await;
        let mut stage = match stage {
            Ok(stage) => stage,
            Err(error) => return (Outcome::failed(&error.to_string()), Vec::new()),
        };
        let ran = stage.go(fault).await;
        let ran = ran.map_err(|error| stage.told(&error.to_string()));
        let (began, heals) = (stage.began, stage.probes.heals.clone());
        let journal = stage.journal.clone();
        let judged = stage.judged(&heals).await;
        let mut outcome = match judged {
            Ok(outcome) => outcome,
            Err(error) => Outcome::failed(&error.to_string()),
        };
        if let Err(error) = ran {
            outcome.complete = false;
            outcome.remarks.push(error);
        }
        outcome.seconds = began.elapsed().as_secs_f64().round();
        (outcome, journal.entries())
    }

    async fn go(&mut self, fault: &Fault) -> Result<()> {
        self.goes_on(WARM).await?;
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

    async fn judged(mut self, heals: &[Option<Duration>]) -> Result<Outcome> {
        let mut wrong = Vec::new();
        for member in std::mem::take(&mut self.members) {
            if let Err(error) = member.leave().await {
                wrong.push(format!("a member did not end as it should: {error}"));
            }
        }
        if let Some(reader) = self.reader.take() {
            reader.stop().await?;
        }
        let brokers = self.brokers.own();
        let journal = self.journal.entries();
        let attempted: BTreeSet<&String> = journal
            .iter()
            .filter_map(|entry| match &entry.event {
                Event::Published { uuid, .. } => Some(uuid),
                _ => None,
            })
            .collect();
        let messages = self.messages().into_iter();
        let dead_letters = records(&brokers, DEAD_LETTERS, PARTITIONS).await?;
        let ledger = Ledger {
            topic: TOPIC.to_owned(),
            group: GROUP.to_owned(),
            messages: messages
                .filter(|message| attempted.contains(&message.uuid))
                .map(|message| (message.uuid.clone(), message))
                .collect(),
            journal: journal.clone(),
            source: records(&brokers, TOPIC, PARTITIONS).await?,
            dead_letters: dead_letters.into_iter().map(DeadLetter).collect(),
            bounds: Bounds { attempts: ATTEMPTS },
        };
        let mut outcome = Outcome::of(&ledger, &judge(&ledger), heals);
        if self.side == Side::Component && !wrong.is_empty() {
            outcome.complete = false;
        }
        outcome.remarks.extend(wrong);
        Ok(outcome)
    }
}
