use std::process::Command;

use harness::{Result, root};
use serde::{Deserialize, Serialize};

use super::program;

/// What was run, when and on what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The commit, and whether there were changes that it has not.
    pub commit: String,
    /// The day, in UTC.
    pub date: String,
    /// Processors and memory.
    pub machine: String,
    /// How the component was built.
    pub build: String,
}

impl About {
    /// This program, now, here.
    pub fn now() -> Result<Self> {
        let commit = said("git", &["rev-parse", "--short=12", "HEAD"])?;
        // Pages are no part of what is run.
        let changes = ["status", "--porcelain", "--", ".", ":!docs"];
        let changed = !said("git", &changes)?.is_empty();
        Ok(Self {
            commit: if changed {
                format!("{commit} with uncommitted changes")
            } else {
                commit
            },
            date: said("date", &["-u", "+%Y-%m-%d"])?,
            machine: machine(),
            build: build().to_owned(),
        })
    }
}

/// How the program under test was built.
pub(super) fn build() -> &'static str {
    let program = program();
    let debug = program.components().any(|part| part.as_os_str() == "debug");
    if debug { "debug" } else { "release" }
}

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(root()).output()?;
    if !output.status.success() {
        return Err(format!("{program} {arguments:?}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let value = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = value("/proc/meminfo", "MemTotal");
    let kib = memory.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let gib = kib.unwrap_or_default() / 1024 / 1024;
    format!("{processors} processors ({model}), {gib} GiB")
}
