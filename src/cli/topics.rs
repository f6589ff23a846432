//! `dapr-rdkafka topics …` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConnectArgs;
use crate::topics::{Action, Topics};

/// `dapr-rdkafka topics`.
#[derive(Args, Debug)]
pub struct TopicsArgs {
    /// What to do about topics.
    #[command(subcommand)]
    pub command: TopicsCommand,
}

/// What can be done about topics.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Show what `apply` would do, and change nothing.
    ///
    /// Before each topic stands + if it is created, ~ if it changes, ! if it would lose data,
    /// safety or order, x if it can't be as wanted, = if it is as it should be.
    ///
    /// Exit codes: 0 nothing is to be done; 1 it failed, the file is wrong, or something can't be
    /// as wanted; 2 the command line is wrong; 3 there is something to do.
    Plan(TopicsOptions),
    /// Create and change topics as the file says.
    ///
    /// No topic is deleted, no partition taken away, and no config touched that the file does
    /// not name. What may lose data, safety or order (less retention, fewer replicas or in-sync
    /// replicas, more partitions, compaction or deletion that begins, and a few more) is left as
    /// it is, unless --allow names the topic; everything else is done. A second run changes
    /// nothing.
    ///
    /// Exit codes: 0 all topics are as the file says, or the brokers are at it; 1 it failed, the
    /// file is wrong, or something can't be as wanted; 2 the command line is wrong; 3 nothing
    /// failed, and something was left as no --allow names its topic.
    Apply(TopicsOptions),
}

/// What both take.
#[derive(Args, Debug)]
pub struct TopicsOptions {
    /// The file that says how topics should be (docs/topics.md); - is the standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: PathBuf,
    /// A topic of the file that may lose data, safety or order, as the plan shows it; a
    /// dead-letter topic by its own name. Repeatable.
    #[arg(long, value_name = "TOPIC")]
    pub allow: Vec<String>,
    /// Exit with 0 instead of 3: for a Job, which would fail and be run again.
    #[arg(long)]
    pub differences_ok: bool,
    /// Where to connect.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

impl TopicsCommand {
    /// What both take.
    pub fn options(&self) -> &TopicsOptions {
        match self {
            Self::Plan(options) | Self::Apply(options) => options,
        }
    }

    /// What was asked for; `variable` reads the environment.
    pub fn topics(&self, variable: impl Fn(&str) -> Option<String>) -> Topics {
        let options = self.options();
        Topics {
            action: match self {
                Self::Plan(_) => Action::Plan,
                Self::Apply(_) => Action::Apply,
            },
            file: options.file.clone(),
            allow: options.allow.clone(),
            connect: options.connect.connect(variable),
            output: options.connect.output,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn a_file_and_one_place_to_connect_are_needed() {
        let parses = |line: &[&str]| {
            let line = ["dapr-rdkafka", "topics"].iter().chain(line);
            Cli::try_parse_from(line).is_ok()
        };
        assert!(parses(&["plan", "-f", "t.yaml", "--brokers", "a:1"]));
        assert!(parses(&["apply", "--file", "-", "--component", "c.yaml"]));
        let allowed = [
            "apply",
            "-f",
            "t",
            "--brokers",
            "a:1",
            "--allow",
            "x",
            "--allow",
            "y",
        ];
        assert!(parses(&allowed));
        assert!(!parses(&["plan", "--brokers", "a:1"]));
        assert!(!parses(&["plan", "-f", "t.yaml"]));
        assert!(!parses(&[
            "plan",
            "-f",
            "t",
            "--brokers",
            "a:1",
            "--instance",
            "n"
        ]));
    }
}
