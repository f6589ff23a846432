//! Where a command connects to, on the command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::{LogArgs, masked::Masked, sockets};
use crate::connect::{Connect, Output, Source};

/// Where to connect.
#[derive(Args, Debug)]
#[command(next_help_heading = "Where to connect, and what is written")]
#[command(mut_arg("log_level", |level| level.default_value("warn")))]
#[command(group = ArgGroup::new("settings").required(true).args(["component", "instance", "brokers"]))]
pub struct ConnectArgs {
    /// A file with a Dapr Component: its metadata says how to connect. Values must stand
    /// in the file itself, or by envRef in this command's environment. Repeatable; a folder
    /// stands for its YAML files, - for the standard input.
    #[arg(long, value_name = "FILE")]
    pub component: Vec<PathBuf>,
    /// Which Component, when the file has several pub/subs.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["instance", "brokers"])]
    pub name: Option<String>,
    /// A component of the running `dapr-rdkafka run` on this machine, in this container:
    /// it is asked for the metadata that daprd gave it, secrets included.
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// The process id of the daprd whose component it is, when several daprds have one of
    /// that name. Without it the error names those there are.
    #[arg(long, value_name = "PID", conflicts_with_all = ["component", "brokers"])]
    pub instance_process: Option<i32>,
    /// Where --instance looks for sockets, as in `dapr-rdkafka run`.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["component", "brokers"])]
    pub socket_folder: Option<PathBuf>,
    /// Bootstrap brokers, host:port, comma-separated, without any file. `authType` is
    /// then none unless --set says otherwise.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub brokers: Option<String>,
    /// Any other metadata key of a component. It wins over what the file or the running
    /// component says. Repeatable.
    #[arg(long, value_name = "KEY=VALUE", value_parser = Masked(pair))]
    pub set: Vec<(String, String)>,
    /// How results are written.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
    /// How logs look, and what they hold.
    #[command(flatten)]
    pub log: LogArgs,
}

impl ConnectArgs {
    /// What was asked for; `variable` reads the environment.
    pub fn connect(&self, variable: impl Fn(&str) -> Option<String>) -> Connect {
        let mut set = self.set.clone();
        let source = match (&self.component[..], &self.instance) {
            ([_, ..], _) => Source::Component {
                files: self.component.clone(),
                name: self.name.clone(),
            },
            ([], Some(name)) => Source::Instance {
                name: name.clone(),
                process: self.instance_process,
                folder: sockets(self.socket_folder.as_ref(), variable),
            },
            ([], None) => {
                let brokers = self.brokers.clone().unwrap_or_default();
                set.push(("brokers".into(), brokers));
                Source::Flags
            }
        };
        Connect { source, set }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;

    use super::*;

    proptest::proptest! {
        #[test]
        fn a_value_is_all_behind_the_first_sign(key in "[^=]{1,20}", value in any::<String>()) {
            proptest::prop_assert_eq!(pair(&format!("{key}={value}")), Ok((key, value)));
        }

        #[test]
        fn what_is_no_pair_is_refused_and_not_repeated(text in "[^=]{12,40}") {
            let error = pair(&text).unwrap_err();
            proptest::prop_assert!(!error.contains(&text));
        }
    }
}
