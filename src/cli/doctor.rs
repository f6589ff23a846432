//! `dapr-rdkafka doctor` on the command line.

use std::{io::IsTerminal as _, time::Duration};

use clap::{Args, builder::Resettable};
use redact::Secret;

use super::{ConnectArgs, FOLDER_VARIABLES, sockets};
use crate::{
    connect::Output,
    doctor::{Dapr, Doctor, Options, STAGES, User},
    model::topic,
};

/// The bounds of `--timeout`.
const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(60);

/// `dapr-rdkafka doctor`.
#[derive(Args, Debug)]
#[command(mut_arg("socket_folder", |folder| folder
    .conflicts_with(Resettable::Reset)
    .help("Where the component's sockets are, as in `dapr-rdkafka run`: --instance looks there, \
           and each socket is checked")))]
pub struct DoctorArgs {
    /// A topic to check for publishing and subscribing, beside those that Subscriptions name or
    /// the running component has used. Repeatable.
    #[arg(long = "topic", value_name = "TOPIC", value_parser = named)]
    pub topics: Vec<String>,
    /// daprd's app id: the consumer group, unless the metadata names one. daprd sends it as
    /// consumerID, so a file often has none; without a group, none is checked.
    #[arg(long, value_name = "ID", conflicts_with = "instance")]
    pub app_id: Option<String>,
    /// Send a record around: make a topic, publish, read, delete the topic.
    #[arg(long)]
    pub round_trip: bool,
    /// How long each stage may take at each broker, 100ms to 60s. All of them together may
    /// take twenty times as long.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = patience)]
    pub timeout: Duration,
    /// The HTTP port of the daprd whose component it is; `DAPR_API_TOKEN` of the environment
    /// is sent if it is set.
    #[arg(long, value_name = "PORT")]
    pub dapr_http_port: Option<u16>,
    /// As whom that daprd runs, in numbers; by default it is looked for in /proc.
    #[arg(long, value_name = "USER[:GROUP]")]
    pub daprd_user: Option<User>,
    /// Exit with 1 if there are warnings.
    #[arg(long)]
    pub strict: bool,
    /// Where to connect.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

impl DoctorArgs {
    /// What was asked for.
    pub fn doctor(&self, variable: impl Fn(&str) -> Option<String>) -> Doctor {
        Doctor {
            colours: self.connect.output == Output::Text
                && std::io::stdout().is_terminal()
                && colours(&variable),
            output: self.connect.output,
            app_id: self.app_id.clone(),
            connect: self.connect.connect(&variable),
            topics: self.topics.clone(),
            options: Options {
                stage: self.timeout,
                round_trip: self.round_trip,
                dapr: self.dapr(&variable),
            },
        }
    }

    /// What is known of daprd. The folder alone matters only where someone asks for it.
    fn dapr(&self, variable: impl Fn(&str) -> Option<String>) -> Dapr {
        let ConnectArgs {
            socket_folder,
            instance,
            ..
        } = &self.connect;
        let told = socket_folder.is_some() || instance.is_some();
        let asked = self.dapr_http_port.is_some() || self.daprd_user.is_some();
        let is_set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
        let known = told || asked && FOLDER_VARIABLES.iter().any(is_set);
        let token = variable("DAPR_API_TOKEN").filter(|token| !token.is_empty());
        Dapr {
            http_port: self.dapr_http_port,
            token: token.map(Secret::new),
            folder: known.then(|| sockets(socket_folder.as_ref(), &variable)),
            user: self.daprd_user.clone(),
            component: None,
        }
    }
}

/// Whether the environment allows colours: see <https://no-color.org>.
fn colours(variable: impl Fn(&str) -> Option<String>) -> bool {
    let forbidden = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    !forbidden && variable("TERM").is_none_or(|terminal| terminal != "dumb")
}

fn patience(text: &str) -> Result<Duration, String> {
    // The help says what they come to.
    const { assert!(STAGES == 20) };
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (LEAST..=MOST).contains(&duration) {
        Ok(duration)
    } else {
        Err("expected 100ms to 60s".into())
    }
}

/// A topic, or a lane of one.
fn named(text: &str) -> Result<String, String> {
    topic::check_topic(topic::subscribed(text).0).map(|()| text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn doctor(line: &[&str]) -> Result<Box<DoctorArgs>, clap::Error> {
        let line = ["dapr-rdkafka", "doctor"].iter().chain(line);
        match Cli::try_parse_from(line)?.command {
            Command::Doctor(args) => Ok(args),
            _ => panic!("the doctor was asked for"),
        }
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for (line, right) in [
            (&["--component", "a", "--component", "b"][..], true),
            (&["--component", "a", "--app-id", "x"], true),
            (&["--instance", "a", "--app-id", "x"], false),
            (&["--component", "a", "--instance", "b"], false),
            (&[], false),
            (&["--brokers", "a:1", "--topic", "orders#1"], true),
            (&["--brokers", "a:1", "--topic", "a b"], false),
            (&["--brokers", "a:1", "--timeout", "100ms"], true),
            (&["--brokers", "a:1", "--timeout", "60s"], true),
            (&["--brokers", "a:1", "--timeout", "99ms"], false),
            (&["--brokers", "a:1", "--timeout", "61s"], false),
        ] {
            assert_eq!(doctor(line).is_ok(), right, "{line:?}");
        }
    }

    #[test]
    fn the_environment_may_forbid_colours() {
        let with = |name: &'static str, value: &'static str| {
            colours(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert!(!with("NO_COLOR", "1"));
        assert!(with("NO_COLOR", ""));
        assert!(!with("TERM", "dumb"));
        assert!(with("TERM", "xterm"));
    }
}
