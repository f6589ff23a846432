//! Where a command connects to, on the command line.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

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
    /// component says. KEY=@FILE takes the value from a file, without the line's end, and
    /// KEY=env:NAME from the environment: what stands on a command line, every user of the machine
    /// can read. Repeatable.
    #[arg(long, value_name = "KEY=VALUE", value_parser = Masked(setting))]
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

/// The largest file that is taken for a value, in bytes: a certificate chain is far smaller.
const LARGEST: u64 = 1024 * 1024;

/// A key, and its value from where the text says.
fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = pair(text)?;
    let value = match (value.strip_prefix('@'), value.strip_prefix("env:")) {
        (Some(file), _) => contents(Path::new(file)).map_err(|error| {
            format!(
                "the file that is named after @ can't be read: {error}; a value that begins with \
                 @ itself must come from a file, or from env:"
            )
        })?,
        (None, Some(variable)) => std::env::var(variable).map_err(|_| {
            "expected the name of a variable after env: that is set, and UTF-8; a value that \
             begins with env: itself must come from a file, by @"
                .to_owned()
        })?,
        (None, None) => value,
    };
    Ok((key, value))
}

/// A file's text without its last line's end, which editors and `echo` add.
fn contents(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?
        .take(LARGEST + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::other("it has more than 1 MiB"));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
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

    #[test]
    fn a_value_comes_from_a_file_or_the_environment_without_being_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        let set = |value: &str| setting(&format!("saslPassword={value}"));
        let by_file = format!("@{}", file.display());
        for (written, value) in [
            ("s3cr3t\n", "s3cr3t"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a b", "a b"),
        ] {
            std::fs::write(&file, written).expect("written");
            assert_eq!(set(&by_file), Ok(("saslPassword".into(), value.into())));
        }
        let from = |variable: &str| set(&format!("env:{variable}")).map(|(_, value)| value);
        let path = std::env::var("PATH").expect("it is set");
        assert_eq!(from("PATH"), Ok(path));
        for wrong in ["@/no/such/s3cr3t", "env:S3CR3T", "@", "env:"] {
            let error = set(wrong).expect_err(wrong);
            assert!(!error.to_lowercase().contains("s3cr3t"), "{error}");
        }
        std::fs::write(&file, vec![b'a'; 1024 * 1024 + 1]).expect("written");
        assert!(set(&by_file).is_err(), "it is too large");
    }

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
