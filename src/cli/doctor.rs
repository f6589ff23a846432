//! `dapr-rdkafka doctor` on the command line.

use std::time::Duration;

use clap::{Args, builder::Resettable};
use redact::Secret;

use super::{ConnectArgs, FOLDER_VARIABLES, sockets};
use crate::doctor::{Dapr, Doctor, Options, User};

/// `dapr-rdkafka doctor`.
#[derive(Args, Debug)]
#[command(mut_arg("socket_folder", |folder| folder
    .conflicts_with(Resettable::Reset)
    .help("Where the component's sockets are, as in `dapr-rdkafka run`: --instance looks there, \
           and each socket is checked")))]
pub struct DoctorArgs {
    /// A topic to check. Repeatable.
    #[arg(long = "topic", value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// Send a record around: make a topic, publish, read, delete the topic.
    #[arg(long)]
    pub round_trip: bool,
    /// How long each stage may take at each broker.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
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
