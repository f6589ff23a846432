//! `dapr-rdkafka config …` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::LogArgs;

/// `dapr-rdkafka config`.
#[derive(Args, Debug)]
#[command(mut_arg("log_level", |level| level.default_value("warn")))]
pub struct ConfigArgs {
    /// What is asked about metadata.
    #[command(subcommand)]
    pub command: ConfigCommand,
    /// How messages look; results go to standard output.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What can be asked about metadata.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check Component YAML without any broker, and tell all that is wrong with it.
    ///
    /// Documents that are no Component of type pubsub.kafka or pubsub.rdkafka are skipped.
    /// Values that only daprd can look up (secretKeyRef, envRef) count as given and right.
    /// No secret is shown. Exit code 1 says that something is wrong, or that there was no
    /// such Component.
    Check {
        /// Files with YAML, each of one or more documents; - is the standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Tell what changes when a Component moves from Dapr's built-in pubsub.kafka to this.
    ///
    /// Exit code 1 says that it can't move as it is: a key or a value is refused, or the
    /// file can't be read or holds no such Component. Values that only daprd can look up
    /// count as right.
    Diff {
        /// The file with the Component; - is the standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the table of all metadata keys.
    Reference {
        /// How it is written.
        #[arg(long, value_enum, default_value_t)]
        format: ReferenceFormat,
    },
}

/// How the table of keys is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReferenceFormat {
    /// Markdown.
    #[default]
    Markdown,
    /// YAML in Dapr's component-metadata schema.
    Schema,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn check_wants_a_file_and_diff_just_one() {
        let parses = |line: &[&str]| {
            let line = ["dapr-rdkafka", "config"].iter().chain(line);
            Cli::try_parse_from(line).is_ok()
        };
        assert!(!parses(&["check"]));
        assert!(parses(&["check", "a.yaml", "-"]));
        assert!(parses(&["diff", "-"]));
        assert!(!parses(&["diff", "a.yaml", "b.yaml"]));
        assert!(parses(&["reference", "--format", "schema"]));
    }
}
