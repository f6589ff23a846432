//! `dapr-rdkafka doctor` on the command line.

use std::time::Duration;

use clap::Args;

use super::ConnectArgs;
use crate::doctor::{Doctor, Options};

/// `dapr-rdkafka doctor`.
#[derive(Args, Debug)]
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
    /// The HTTP port of the daprd whose component it is.
    #[arg(long, value_name = "PORT")]
    pub dapr_http_port: Option<u16>,
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
            connect: self.connect.connect(variable),
            topics: self.topics.clone(),
            options: Options {
                stage: self.timeout,
                round_trip: self.round_trip,
                dapr_http_port: self.dapr_http_port,
            },
        }
    }
}
