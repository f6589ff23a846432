//! Where and of what something was measured.

use std::{fs, process::Command, time::SystemTime};

use harness::{Result, root};
use serde::{Deserialize, Serialize};

use crate::program;

/// The release that is measured; `tests/kafka` pins it.
const KAFKA: &str = "4.1.1";

/// A run's circumstances.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Circumstances {
    /// The commit that was measured.
    pub commit: String,
    /// The day, in UTC.
    pub date: String,
    /// Processor, cores, memory and system.
    pub machine: String,
    /// Versions of what ran beside each other, except daprd's ([`crate::page::Report::daprd`]).
    pub versions: String,
    /// How often everything was measured.
    pub rounds: usize,
}

impl Circumstances {
    /// Those of now and here.
    pub fn of_now(rounds: usize) -> Result<Self> {
        let version = Command::new(program()?).arg("--version").output()?;
        let version = String::from_utf8(version.stdout)?;
        let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
        Ok(Self {
            commit: commit()?,
            date: date.chars().take(10).collect(),
            machine: machine()?,
            versions: format!(
                "Apache Kafka {KAFKA}, {} on librdkafka {librdkafka}",
                version.trim()
            ),
            rounds,
        })
    }
}

/// The commit, and whether files differ from it.
fn commit() -> Result<String> {
    let git = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(root())
            .output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--", "src", "proto", "Cargo.lock"])?;
    match changed.is_empty() {
        true => Ok(commit),
        false => Ok(format!("{commit} with changes that are not committed")),
    }
}

fn machine() -> Result<String> {
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let memory = value(&fs::read_to_string("/proc/meminfo")?, "MemTotal");
    let kibibytes = memory.split(' ').next().unwrap_or_default();
    let gibibytes = kibibytes.parse::<u64>().unwrap_or_default() >> 20;
    Ok(format!(
        "{}, {} cores, {gibibytes} GiB, Linux {}",
        value(&fs::read_to_string("/proc/cpuinfo")?, "model name"),
        std::thread::available_parallelism()?,
        fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()
    ))
}
