//! Does what a plan says, as far as it may, and tells of each step what came of it.

mod create;
mod outcome;
mod partitions;
mod reassign;
mod replicas;
mod set;

use std::time::{Duration, Instant};

pub(super) use self::{
    create::{PATIENCE, creatable},
    outcome::{Applied, Outcome},
};
use super::plan::{Fate, Plan, Sort, Step, What};
use crate::{
    doctor::{Connected, Refused},
    metadata::Settings,
};

/// How long brokers may take to make what they agreed to make.
const MADE: Duration = Duration::from_secs(60);

/// How often it is looked whether it is there.
const AGAIN: Duration = Duration::from_millis(200);

/// What is needed to apply plans.
pub(super) struct Apply<'a> {
    pub(super) brokers: &'a mut Connected,
    pub(super) settings: &'a Settings,
}

/// How a replication that grows has come on, for what has to wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    No,
    Done,
    NotYet,
}

impl Apply<'_> {
    /// Does all plans, and notes what came of each. Requests are few: each kind is asked for
    /// all topics at once.
    ///
    /// # Errors
    /// When brokers stop answering; what was done before stays done, and is noted.
    pub(super) async fn all(
        &mut self,
        plans: &[Plan],
        applied: &mut [Applied],
    ) -> Result<(), Refused> {
        self.create(plans, applied).await?;
        self.add_partitions(plans, applied).await?;
        self.set(plans, applied, |plan, _| grows(plan).is_none())
            .await?;
        let growth = self.reassign(plans, applied).await?;
        // A topic that waits for more replicas than it has takes no write.
        self.set(plans, applied, |plan, step| {
            let waits = step.what.name() == super::wanted::MIN_IN_SYNC;
            let there = growth.get(&plan.wanted.name).copied();
            grows(plan).is_some() && (!waits || there != Some(Growth::NotYet))
        })
        .await?;
        for (plan, applied) in plans.iter().zip(applied) {
            left(plan, applied, &growth);
        }
        Ok(())
    }
}

/// The step that gives a topic more replicas, if there is one that is taken.
fn grows(plan: &Plan) -> Option<&Step> {
    let mut steps = plan.steps().iter();
    steps.find(|step| step.what == What::Replication && matches!(step.sort, Sort::Change(_)))
}

/// Tells of steps that were not taken why.
fn left(plan: &Plan, applied: &mut Applied, growth: &std::collections::BTreeMap<String, Growth>) {
    match &plan.fate {
        Fate::Impossible(why) => applied.whole = Some(Outcome::Impossible(why.clone())),
        Fate::Unknown(why) => applied.whole = Some(Outcome::Failed(why.clone())),
        Fate::Create | Fate::Alter(_) => {}
    }
    for (step, outcome) in plan.steps().iter().zip(&mut applied.steps) {
        if outcome.is_some() {
            continue;
        }
        *outcome = Some(match &step.sort {
            Sort::Impossible(why) => Outcome::Impossible(why.clone()),
            Sort::Risk(risk) if !plan.allowed => {
                let name = &plan.wanted.name;
                Outcome::Left(format!("{risk}; `--allow {name}` does it all the same"))
            }
            _ if growth.get(&plan.wanted.name) == Some(&Growth::NotYet) => Outcome::UnderWay(
                "it waits until the new replicas are there; run the command again then".into(),
            ),
            _ => Outcome::Failed("the brokers did not answer for it".into()),
        });
    }
}

/// Looks again and again at what brokers make, until they had time enough.
struct Looks(Instant);

impl Looks {
    fn begin() -> Self {
        Self(Instant::now() + MADE)
    }

    /// Waits for the next look; false if there is none.
    async fn again(&self) -> bool {
        let left = Instant::now() < self.0;
        if left {
            tokio::time::sleep(AGAIN).await;
        }
        left
    }
}
