use std::{fs, path::PathBuf};

use harness::{Result, root};
use serde::{Deserialize, Serialize};

use super::{About, source};
use crate::{
    Side,
    faults::{self, Fault},
    scene::{Evidence, Outcome},
};

/// What came of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub fault: String,
    pub side: Side,
    pub seed: u64,
    pub about: About,
    pub outcome: Outcome,
}

/// All results: what docs/reliability.md is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub runs: Vec<Kept>,
}

impl Kept {
    /// The result of this source, if there is one.
    pub fn read(fault: &Fault, side: Side, seed: u64) -> Result<Option<Self>> {
        let Ok(text) = fs::read_to_string(path(fault, side, seed, "json")?) else {
            return Ok(None);
        };
        Ok(Some(serde_json::from_str(&text)?))
    }

    /// Keeps it, and the evidence if something was wrong.
    pub fn write(&self, fault: &Fault, evidence: &Evidence) -> Result<()> {
        let file = path(fault, self.side, self.seed, "json")?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        if !self.outcome.remarks.is_empty() {
            let lines = evidence.journal.iter();
            let lines =
                lines.map(|entry| format!("{:.3} {:?}", entry.at.as_secs_f64(), entry.event));
            let text = lines.collect::<Vec<_>>().join("\n");
            fs::write(path(fault, self.side, self.seed, "journal")?, text)?;
            fs::write(
                path(fault, self.side, self.seed, "printed")?,
                &evidence.printed,
            )?;
        }
        Ok(fs::write(file, serde_json::to_string_pretty(self)?)?)
    }
}

fn path(fault: &Fault, side: Side, seed: u64, extension: &str) -> Result<PathBuf> {
    let source = source(fault, side)?;
    let name = format!("{}.{side}.{seed}.{source}.{extension}", fault.name);
    Ok(root().join("target/ledger").join(name))
}

impl Summary {
    /// What is kept of all faults of this source, without what is only of use beside its
    /// journal.
    pub fn collect() -> Result<Self> {
        let mut runs = Vec::new();
        for fault in faults::all().iter().chain([&faults::soak()]) {
            for side in fault.sides {
                for seed in 1..=fault.seeds {
                    runs.extend(Kept::read(fault, *side, seed)?);
                }
            }
        }
        for run in &mut runs {
            for remark in &mut run.outcome.remarks {
                *remark = remark.lines().next().unwrap_or_default().to_owned();
            }
        }
        Ok(Self { runs })
    }
}
