use std::borrow::Cow;

use serde::Serialize;

use super::{Row, Severity};

/// Something that was found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is.
    pub row: &'static Row,
    /// How bad it is here.
    pub severity: Severity,
    /// The cause, with the values that were seen. One sentence, no full stop, no secret.
    pub cause: String,
    /// What to do.
    pub fix: Fix,
}

/// What to do about a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// In words: one sentence, no full stop.
    pub text: String,
    /// The metadata to write, in the component's YAML: keys and values; a value in `<…>`
    /// stands for what only the user knows.
    pub set: Vec<(Cow<'static, str>, String)>,
    /// The metadata to remove.
    pub remove: Vec<Cow<'static, str>>,
    /// What to run where Kafka's own tools are, with `<bootstrap>` where brokers go.
    pub command: Option<String>,
}

impl Finding {
    /// A finding as bad as its row says.
    pub fn new(row: &'static Row, cause: impl Into<String>, fix: Fix) -> Self {
        Self {
            row,
            severity: row.severity,
            cause: cause.into(),
            fix,
        }
    }

    /// The same, but as bad as this.
    #[must_use]
    pub fn as_bad_as(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
}

impl Fix {
    /// A fix in words alone.
    pub fn words(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// And this metadata is to be written.
    #[must_use]
    pub fn set(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.set.push((key.into(), value.into()));
        self
    }

    /// And this metadata is to be removed.
    #[must_use]
    pub fn remove(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.remove.push(key.into());
        self
    }

    /// And this is to be run.
    #[must_use]
    pub fn run(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}
