use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use crate::ledger::{Message, Place};

/// A promise of ARCHITECTURE.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Nothing is lost.
    I1,
    /// The committed offset never passes an unfinished record.
    I2,
    /// Equal keys come in order, one at a time.
    I3,
    /// What a fault delivers again is bounded, and never what was committed.
    I5,
    /// A dead letter stands on the broker before its source commits, byte by byte
    /// the same.
    I7,
    /// What was revoked commits no more.
    I9,
    /// What is no verdict counts as none.
    I10,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub invariant: Invariant,
    /// The message, if the finding is about one of ours.
    pub message: Option<Message>,
    /// Where its record stands, if it stands anywhere.
    pub at: Option<Place>,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:", self.invariant)?;
        if let Some(message) = &self.message {
            write!(f, " {message}")?;
        }
        if let Some(at) = self.at {
            write!(f, " at {at}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// How many findings of one invariant a report shows: one broken line of code may
/// give a thousand.
const SHOWN: usize = 8;

/// Findings for people: of each invariant how many there are, and the first of
/// them.
pub fn report(findings: &[Finding]) -> String {
    let mut by_invariant: BTreeMap<Invariant, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let of_one = by_invariant.entry(finding.invariant).or_default();
        of_one.push(finding);
    }
    let mut text = String::new();
    for (invariant, findings) in by_invariant {
        let _ = writeln!(text, "{invariant:?} is broken {} times:", findings.len());
        for finding in findings.iter().take(SHOWN) {
            let _ = writeln!(text, "  {finding}");
        }
    }
    text
}
