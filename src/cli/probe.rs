//! `dapr-rdkafka probe …` on the command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::{LogArgs, socket_name, sockets};
use crate::probe::{Probe, Question};

/// The longest `--wait`: whoever waits longer wants to know that something is wrong.
const LONGEST: Duration = Duration::from_secs(3600);

/// `dapr-rdkafka probe`.
#[derive(Args, Debug)]
#[command(mut_arg("log_level", |level| level.default_value("warn")))]
pub struct ProbeArgs {
    /// What is asked.
    #[command(subcommand)]
    pub command: ProbeCommand,
    /// How messages look.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum ProbeCommand {
    /// Ask each socket what daprd asks it when it starts: does it serve a pub/sub component?
    ///
    /// For a startup probe, or a postStart hook with --wait: daprd looks for sockets only once.
    Socket(WhichArgs),
    /// Ask the process over its admin socket whether it runs (/livez).
    ///
    /// For a liveness probe where --admin-listen is off, or only on 127.0.0.1. It says nothing
    /// of brokers: restarting the component mends none. Only the component's own user may ask.
    Live(WhichArgs),
}

/// Which process is asked.
#[derive(Args, Debug)]
pub struct WhichArgs {
    /// The sockets' names, as in `dapr-rdkafka run`, and in the same order. Repeatable.
    #[arg(long = "name", value_name = "NAME", default_value = "rdkafka", value_parser = socket_name)]
    pub names: Vec<String>,
    /// Where the sockets are, as in `dapr-rdkafka run`.
    #[arg(
        long,
        value_name = "FOLDER",
        help = "Where the sockets are, as in `dapr-rdkafka run`. By default \
                $DAPR_COMPONENTS_SOCKETS_FOLDER, then $DAPR_COMPONENT_SOCKETS_FOLDER, then \
                /tmp/dapr-components-sockets"
    )]
    pub socket_folder: Option<PathBuf>,
    /// How long to ask again until the answer is yes, up to 1h. Each question has 800ms.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = wait)]
    pub wait: Duration,
}

impl ProbeArgs {
    /// What was asked for; `variable` reads the environment.
    pub fn probe(&self, variable: impl Fn(&str) -> Option<String>) -> Probe {
        let (question, which) = match &self.command {
            ProbeCommand::Socket(which) => (Question::Socket, which),
            ProbeCommand::Live(which) => (Question::Live, which),
        };
        Probe {
            question,
            folder: sockets(which.socket_folder.as_ref(), variable),
            names: which.names.clone(),
            wait: which.wait,
        }
    }
}

fn wait(text: &str) -> Result<Duration, String> {
    let wait = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if wait > LONGEST {
        return Err("expected at most 1h".into());
    }
    Ok(wait)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn probe(line: &[&str]) -> Result<Probe, clap::Error> {
        let line = ["dapr-rdkafka", "probe"].iter().chain(line);
        match Cli::try_parse_from(line)?.command {
            Command::Probe(args) => Ok(args.probe(|_| None)),
            _ => panic!("a probe was asked for"),
        }
    }

    #[test]
    fn it_asks_what_run_serves_unless_told_otherwise() {
        let asked = probe(&["socket"]).expect("it is right");
        assert_eq!(asked.question, Question::Socket);
        assert_eq!(asked.folder, PathBuf::from("/tmp/dapr-components-sockets"));
        assert_eq!(
            (&asked.names[..], asked.wait),
            (&["rdkafka".to_owned()][..], Duration::ZERO)
        );
        let line = [
            "live",
            "--name",
            "a",
            "--name",
            "b",
            "--wait",
            "1m",
            "--socket-folder",
            "/s",
        ];
        let asked = probe(&line).expect("it is right");
        assert_eq!(asked.question, Question::Live);
        assert_eq!(
            (asked.names.join("+"), asked.wait.as_secs()),
            ("a+b".into(), 60)
        );
        assert_eq!(asked.folder, PathBuf::from("/s"));
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for wrong in [
            &[][..],
            &["ready"],
            &["socket", "--wait", "2h"],
            &["socket", "--wait", "60"],
        ] {
            assert!(probe(wrong).is_err(), "{wrong:?}");
        }
    }
}
