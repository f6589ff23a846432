use std::{fs, path::PathBuf};

use harness::{DaprdBuild, Result, root};
use serde::{Deserialize, Serialize};

use super::{About, source};
use crate::{
    Side,
    faults::{self, Case, Fault},
    scene::{Evidence, Outcome},
};

/// What came of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub fault: String,
    pub side: Side,
    /// The version of daprd, as [`harness::DaprdBuild::version`] has it.
    #[serde(default = "before")]
    pub daprd: String,
    pub seed: u64,
    pub about: About,
    pub outcome: Outcome,
}

/// All results: what docs/reliability.md is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub runs: Vec<Kept>,
}

/// The daprd of results that do not name one: there was no other.
fn before() -> String {
    DaprdBuild::V1_16_5.version().to_owned()
}

impl Kept {
    /// The result of a case on this source, if there is one.
    pub fn read(case: &Case) -> Result<Option<Self>> {
        let Ok(text) = fs::read_to_string(path(case, "json")?) else {
            return Ok(None);
        };
        Ok(Some(serde_json::from_str(&text)?))
    }

    /// What tells one run from another.
    fn case(&self) -> (&str, Side, &str, u64) {
        (&self.fault, self.side, &self.daprd, self.seed)
    }

    /// Keeps it, and the evidence if something was wrong.
    pub fn write(&self, case: &Case, evidence: &Evidence) -> Result<()> {
        let file = path(case, "json")?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        if !self.outcome.remarks.is_empty() {
            let lines = evidence.journal.iter();
            let lines =
                lines.map(|entry| format!("{:.3} {:?}", entry.at.as_secs_f64(), entry.event));
            let text = lines.collect::<Vec<_>>().join("\n");
            fs::write(path(case, "journal")?, text)?;
            fs::write(path(case, "printed")?, &evidence.printed)?;
        }
        Ok(fs::write(file, serde_json::to_string_pretty(self)?)?)
    }
}

fn path(case: &Case, extension: &str) -> Result<PathBuf> {
    let Case {
        fault,
        side,
        daprd,
        seed,
    } = case;
    let (name, daprd, source) = (fault.name, daprd.version(), source(fault, *side)?);
    let name = format!("{name}.{side}.{daprd}.{seed}.{source}.{extension}");
    Ok(root().join("target/ledger").join(name))
}

impl Summary {
    /// The published results, each replaced by the one that is kept for this source, without
    /// what is only of use beside its journal.
    pub fn updated(self) -> Result<Self> {
        let mut runs = self.runs;
        let soak = faults::soak();
        for case in faults::all().iter().chain([&soak]).flat_map(Fault::cases) {
            let Some(kept) = Kept::read(&case)? else {
                continue;
            };
            let same = |run: &Kept| run.case() == kept.case();
            match runs.iter_mut().find(|run| same(run)) {
                Some(run) => *run = kept,
                None => runs.push(kept),
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
