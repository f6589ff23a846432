//! The doctor, asked about a Component, and its fixes applied as it gives them.

use std::{process::Stdio, time::Duration};

use harness::{Result, write_component};
use serde_json::Value;
use tokio::{process::Command, time::timeout};

use super::{Place, program};
use crate::ensure;

/// How long the doctor may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Component that the doctor is asked about.
pub struct Patient {
    place: Place,
    metadata: Vec<(String, String)>,
}

/// What the doctor said.
pub struct Diagnosis {
    /// Its exit code.
    pub code: i32,
    /// Its JSON.
    pub json: Value,
}

impl Patient {
    /// A Component with this metadata.
    pub fn new(metadata: &[(&str, &str)]) -> Result<Self> {
        let metadata = metadata.iter();
        Ok(Self {
            place: Place::new()?,
            metadata: metadata
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        })
    }

    /// Asks, with more arguments.
    pub async fn diagnose(&self, arguments: &[&str]) -> Result<Diagnosis> {
        self.diagnose_by(Command::new(program()), arguments).await
    }

    /// The same by a command that runs the program in its own way.
    pub async fn diagnose_by(&self, mut command: Command, arguments: &[&str]) -> Result<Diagnosis> {
        let metadata = self.metadata.iter();
        let metadata: Vec<_> = metadata
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let folder = self.place.resources();
        write_component(&folder, "todo-pubsub", "pubsub.rdkafka", &metadata)?;
        command
            .args(["doctor", "--output", "json", "--component"])
            .arg(folder.join("todo-pubsub.yaml"))
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(PATIENCE, command.output()).await??;
        let text = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        Ok(Diagnosis {
            code: output.status.code().ok_or("it was killed")?,
            json: serde_json::from_str(&text)
                .map_err(|error| format!("{error} in {text:?}; it said {said:?}"))?,
        })
    }

    /// Requires that nothing at all is found.
    pub async fn is_healthy(&self, arguments: &[&str]) -> Result<()> {
        self.diagnose(arguments).await?.is_clean()
    }

    /// Requires that the first finding is this, applies its metadata as it stands there,
    /// and requires that nothing is found then. `known` has the values for what only a
    /// user knows (`<…>`), by their keys.
    pub async fn is_cured_of(
        &mut self,
        code: &str,
        arguments: &[&str],
        known: &[(&str, &str)],
    ) -> Result<()> {
        let diagnosis = self.diagnose(arguments).await?;
        diagnosis.is_first(code)?;
        self.mend(&diagnosis, known)?;
        self.is_healthy(arguments)
            .await
            .map_err(|error| format!("after the fix of {code}: {error}").into())
    }

    /// Applies the first finding's metadata.
    pub fn mend(&mut self, diagnosis: &Diagnosis, known: &[(&str, &str)]) -> Result<()> {
        let fix = &diagnosis.findings()[0]["fix"];
        let (set, remove) = (fix["set"].as_array(), fix["remove"].as_array());
        let (set, remove) = (set.ok_or("no set")?, remove.ok_or("no remove")?);
        ensure!(
            !set.is_empty() || !remove.is_empty(),
            "no metadata in {fix}"
        );
        for key in remove.iter().filter_map(Value::as_str) {
            self.metadata.retain(|(there, _)| there != key);
        }
        for pair in set {
            let (key, value) = (pair[0].as_str(), pair[1].as_str());
            let (key, value) = (key.ok_or("no key")?, value.ok_or("no value")?);
            let value = if value.starts_with('<') {
                let found = known.iter().find(|(known, _)| *known == key);
                found.ok_or_else(|| format!("nobody knows {key}"))?.1
            } else {
                value
            };
            self.set(key, value);
        }
        Ok(())
    }

    /// Writes a key.
    pub fn set(&mut self, key: &str, value: &str) {
        self.metadata.retain(|(there, _)| there != key);
        self.metadata.push((key.to_owned(), value.to_owned()));
    }
}

impl Diagnosis {
    /// Requires that nothing at all was found.
    pub fn is_clean(&self) -> Result<()> {
        ensure!(
            self.code == 0 && self.findings().is_empty(),
            "{:#}",
            self.json
        );
        Ok(())
    }

    /// All of it, as text.
    pub fn text(&self) -> String {
        self.json.to_string()
    }

    /// What was found, worst first.
    pub fn findings(&self) -> &[Value] {
        self.json["findings"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The codes of what was found.
    pub fn codes(&self) -> Vec<&str> {
        let codes = self.findings().iter();
        codes
            .filter_map(|finding| finding["code"].as_str())
            .collect()
    }

    /// The checks of a stage.
    pub fn checks(&self, stage: &str) -> Vec<&Value> {
        let checks = self.json["checks"].as_array();
        let checks = checks.into_iter().flatten();
        checks.filter(|check| check["stage"] == stage).collect()
    }

    /// Requires that this is the first finding, and that it is a problem.
    pub fn is_first(&self, code: &str) -> Result<()> {
        let first = self.codes().first().copied();
        ensure!(
            first == Some(code) && self.code == 3,
            "expected {code}, exit 3; got {first:?}, exit {}: {:#}",
            self.code,
            self.json
        );
        Ok(())
    }
}
