//! What came of a plan.

use crate::topics::plan::{Fate, Plan};

/// What came of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::topics) enum Outcome {
    /// It is so now.
    Done,
    /// The brokers are at it: what is to be known.
    UnderWay(String),
    /// It was left as it is, as no `--allow` names the topic: what it may lose.
    Left(String),
    /// It can't be as it is wanted: why, and what to do instead.
    Impossible(String),
    /// The brokers refused: what they said, and what helps.
    Failed(String),
}

/// What came of a topic's plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::topics) struct Applied {
    /// Of the topic as a whole: that it was created, or can't be as wanted.
    pub(in crate::topics) whole: Option<Outcome>,
    /// Of each of the plan's steps.
    pub(in crate::topics) steps: Vec<Option<Outcome>>,
}

impl Applied {
    /// Nothing came of it yet.
    pub(in crate::topics) fn new(plan: &Plan) -> Self {
        let steps = match &plan.fate {
            Fate::Alter(steps) => vec![None; steps.len()],
            _ => Vec::new(),
        };
        Self { whole: None, steps }
    }

    /// Everything that came of it.
    pub(in crate::topics) fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.whole.iter().chain(self.steps.iter().flatten())
    }
}
