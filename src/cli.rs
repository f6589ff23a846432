//! The command line.

mod config;
mod connect;
mod dlq;
mod doctor;
mod lanes;
mod masked;
mod probe;
mod topics;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use config::{ConfigArgs, ConfigCommand, ReferenceFormat};
pub use connect::ConnectArgs;
pub use dlq::{DlqArgs, DlqCommand};
pub use doctor::DoctorArgs;
pub use lanes::LanesArgs;
pub use probe::{ProbeArgs, ProbeCommand};
pub use topics::{TopicsArgs, TopicsCommand, TopicsOptions};

use crate::{admin::Listen, dapr::Daprd, doctor::User, heal::DaprdUrl, telemetry::logging::Format};

/// Where daprd looks for components by default (dapr/dapr v1.16.5,
/// `pkg/components/pluggable/discovery.go`).
const DEFAULT_FOLDER: &str = "/tmp/dapr-components-sockets";

/// daprd's own variable for the folder, then the one that the component SDKs
/// and the Kubernetes injector use.
const FOLDER_VARIABLES: [&str; 2] = [
    "DAPR_COMPONENTS_SOCKETS_FOLDER",
    "DAPR_COMPONENT_SOCKETS_FOLDER",
];

/// Kubernetes sets it in every container.
const IN_POD: &str = "KUBERNETES_SERVICE_HOST";

/// A Dapr pub/sub component for Apache Kafka and Redpanda, built on librdkafka.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the component to daprd, until SIGTERM or SIGINT.
    ///
    /// Exit codes: 0 everything was drained and committed; 1 it could not start;
    /// 2 the command line is wrong; 3 records were delivered and not answered in
    /// time, and will be delivered again; 130 a second signal cut it short.
    Run(RunArgs),
    /// Run a broker in memory, for demos and tests only.
    ///
    /// It prints its address on the first line, keeps 5 MiB per partition, and
    /// forgets everything when it ends. It is librdkafka's mock cluster, not a
    /// Kafka: never use it for data.
    Broker(BrokerArgs),
    /// Look at dead letters, send them back, delete them.
    ///
    /// Exit codes: 0, the command succeeded; 1, it failed, selected records could not be sent, or
    /// purge could not ask for confirmation or did not get it; 2, the command line is wrong; 130,
    /// a redrive was interrupted and can be resumed.
    Dlq(Box<DlqArgs>),
    /// Check a component's metadata, compare it with the built-in's, list all keys.
    ///
    /// Exit codes: 0 all is right; 1 there are problems, or a key is refused; 2 the command
    /// line is wrong.
    Config(ConfigArgs),
    /// Find out why a component can't connect, publish or subscribe.
    ///
    /// Exit codes: 0 nothing is wrong; 1 there are warnings and --strict was given, or not all
    /// that was asked was answered; 2 the command line is wrong; 3 there are problems; 130 it
    /// was interrupted.
    Doctor(Box<DoctorArgs>),
    /// Ask a component that should run, for a pod's exec probes: the image has no shell.
    ///
    /// Exit codes: 0 it answers as it should; 1 it does not, and one line says what is wrong;
    /// 2 the command line is wrong.
    Probe(ProbeArgs),
    /// Create and change topics as a file says, and show what that would be.
    ///
    /// `dapr-rdkafka topics plan --help` and `… apply --help` have the exit codes.
    Topics(Box<TopicsArgs>),
    /// Print Dapr Subscriptions that open lanes, so that no app has to change.
    ///
    /// Lanes are for Dapr 1.16.0 to 1.17.13 and 1.18.0 to 1.18.3, which hand an app the messages of
    /// one subscription one at a time. Each lane is one message more. With Dapr 1.17.14, 1.18.4,
    /// 1.19 or later none are needed: if you can, upgrade instead.
    ///
    /// The output is for `kubectl apply -f -`, or for a file in the resources folder of a
    /// self-hosted daprd. The same command with `kubectl delete -f -` takes the lanes away.
    ///
    /// Exit codes: 0 they were printed; 1 the app gives no subscriptions that get lanes, and one
    /// line says why; 2 the command line is wrong.
    Lanes(Box<LanesArgs>),
}

/// `dapr-rdkafka run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The component type's name: NAME.sock is `pubsub.NAME` for daprd.
    /// Repeatable; `kafka` takes the place of the built-in `pubsub.kafka`.
    #[arg(long = "name", value_name = "NAME", default_value = "rdkafka", value_parser = socket_name)]
    pub names: Vec<String>,
    /// Where the sockets go.
    #[arg(
        long,
        value_name = "FOLDER",
        help = "Where the sockets go. By default $DAPR_COMPONENTS_SOCKETS_FOLDER, then \
                $DAPR_COMPONENT_SOCKETS_FOLDER, then /tmp/dapr-components-sockets"
    )]
    pub socket_folder: Option<PathBuf>,
    /// The sockets' file mode, in octal. daprd must be able to write to them.
    #[arg(long, value_name = "MODE", default_value = "660", value_parser = mode)]
    pub socket_mode: u32,
    /// The sockets' group, by name or number (daprd runs as 65532 in its image).
    #[arg(long, value_name = "GROUP")]
    pub socket_group: Option<String>,
    /// As whom daprd runs, in numbers.
    #[arg(
        long,
        value_name = "USER[:GROUP]",
        help = "As whom daprd runs, in numbers: a warning at start says if it may not open the \
                sockets. In a Kubernetes pod it is by default the user of daprd's image, 65532"
    )]
    pub daprd_user: Option<User>,
    /// The largest request that daprd may send, in MiB.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=1024),
        help = "The largest request that daprd may send, in MiB, 1 to 1024; a larger one fails with \
                \"decoded message length too large\". A bulk publish is one request, and each \
                request is in memory as a whole"
    )]
    pub max_request_mib: u32,
    /// How much all publishes under way may hold together, in MiB.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        value_parser = clap::value_parser!(u32).range(1..=2048),
        help = "How much all publishes that Kafka has not acknowledged may hold together, in MiB, 1 \
                to 2048. Further ones wait in daprd, for at most 15 s; a larger request waits until \
                no other is under way"
    )]
    pub max_publish_mib: u32,
    /// How much memory the process may take, in MiB.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(32..=1_048_576),
        help = "How much memory the process may take, in MiB, 32 to 1048576: a quarter of it is for \
                records that are read ahead, of all components together. By default the memory limit \
                of the process's control group (the container's), else 128"
    )]
    pub memory_mib: Option<u32>,
    /// Where metrics and health are served over HTTP.
    #[arg(
        long,
        value_name = "ADDRESS:PORT|off",
        default_value = "127.0.0.1:9405",
        help = "Where /metrics, /livez, /startupz and /readyz are served, or off. They only read, \
                and show no secrets. /readyz is a diagnosis in JSON, not meant for a pod's \
                readiness: a broker outage would take every pod out of service"
    )]
    pub admin_listen: Listen,
    /// The daprd to ask to shut down when it is older than this process.
    #[arg(
        long,
        value_name = "URL",
        value_parser = masked::Masked(|text| text.parse::<DaprdUrl>()),
        help = "Ask the daprd with this HTTP API (http://HOST:PORT or unix:///path/to/socket; \
                $DAPR_API_TOKEN is sent if set) to shut down once it is proven that it will not \
                initialise this process, because it is older. Whoever supervises daprd must start \
                it again. Until it takes the request, once per start, and at most three times an \
                hour; a request that failed is repeated after minutes"
    )]
    pub heal_daprd: Option<DaprdUrl>,
    /// How logs look, and what they hold.
    #[command(flatten)]
    pub log: LogArgs,
}

/// `dapr-rdkafka broker`.
#[derive(Args, Debug)]
pub struct BrokerArgs {
    /// The topics to create, comma-separated, with three partitions each. Others
    /// are created when something is published to them.
    #[arg(long, value_delimiter = ',', value_name = "TOPIC,…")]
    pub topics: Vec<String>,
    /// How logs look, and what they hold.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Logging, for every command.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: Format,
    /// error, warn, info, debug or trace; or a filter such as
    /// info,librdkafka=debug.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

impl RunArgs {
    /// The largest request, in bytes.
    pub fn largest_request(&self) -> usize {
        self.max_request_mib as usize * 1024 * 1024
    }

    /// The folder for the sockets; `variable` reads the environment.
    pub fn folder(&self, variable: impl Fn(&str) -> Option<String>) -> PathBuf {
        sockets(self.socket_folder.as_ref(), variable)
    }

    /// Who daprd is, as far as that is known; `variable` reads the environment.
    pub fn daprd(&self, variable: impl Fn(&str) -> Option<String>) -> Daprd {
        match &self.daprd_user {
            Some(user) => Daprd::Told(user.clone()),
            None if variable(IN_POD).is_some() => Daprd::InPod,
            None => Daprd::Unknown,
        }
    }
}

/// The folder of the sockets: the option, then the environment, then daprd's default.
fn sockets(option: Option<&PathBuf>, variable: impl Fn(&str) -> Option<String>) -> PathBuf {
    let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
    option.cloned().unwrap_or_else(|| {
        FOLDER_VARIABLES
            .iter()
            .find_map(set)
            .unwrap_or_else(|| DEFAULT_FOLDER.to_owned())
            .into()
    })
}

/// daprd looks types up in lower case (dapr/dapr v1.16.5, `pkg/components/pubsub/registry.go`),
/// so `Kafka.sock` would take the place of `pubsub.kafka` without being called so.
fn socket_name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || text.starts_with('.') || !text.bytes().all(fits) {
        return Err("a name has letters, digits, - _ and . and does not begin with a dot".into());
    }
    let lower = text.to_ascii_lowercase();
    if lower != text {
        return Err(format!(
            "daprd reads component types in lower case; write {lower}"
        ));
    }
    Ok(lower)
}

fn mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "expected an octal file mode, such as 660".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_args(line: &[&str]) -> RunArgs {
        let line = ["dapr-rdkafka", "run"].iter().chain(line);
        match Cli::try_parse_from(line).expect("it is right").command {
            Command::Run(args) => args,
            _ => panic!("run was asked for"),
        }
    }

    #[test]
    fn the_definitions_hold_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn names_repeat_and_have_a_default() {
        assert_eq!(run_args(&[]).names, ["rdkafka"]);
        let both = run_args(&["--name", "rdkafka", "--name", "kafka"]);
        assert_eq!(both.names, ["rdkafka", "kafka"]);
        assert!(Cli::try_parse_from(["dapr-rdkafka", "run", "--name", "a/b"]).is_err());
    }

    #[test]
    fn a_name_with_capitals_is_refused_with_the_name_that_daprd_reads() {
        for command in [&["run"][..], &["probe", "live"]] {
            let line = ["dapr-rdkafka"].iter().chain(command);
            let line = line.chain(&["--name", "Kafka"]);
            let error = Cli::try_parse_from(line).expect_err("capitals");
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("write kafka"), "{error}");
        }
    }

    #[test]
    fn the_folder_comes_from_the_option_then_daprds_variable_then_the_sdks() {
        let none = |_: &str| None;
        let sdk = |name: &str| (name == "DAPR_COMPONENT_SOCKETS_FOLDER").then(|| "/sdk".into());
        let both = |name: &str| Some(format!("/{name}"));
        let args = run_args(&[]);
        assert_eq!(args.folder(none), PathBuf::from(DEFAULT_FOLDER));
        assert_eq!(args.folder(sdk), PathBuf::from("/sdk"));
        let daprds = PathBuf::from("/DAPR_COMPONENTS_SOCKETS_FOLDER");
        assert_eq!(args.folder(both), daprds);
        let option = run_args(&["--socket-folder", "/option"]);
        assert_eq!(option.folder(both), PathBuf::from("/option"));
    }

    #[test]
    fn the_admin_address_is_one_or_off() {
        let default = run_args(&[]).admin_listen.to_string();
        assert_eq!(default, "127.0.0.1:9405");
        assert_eq!(
            run_args(&["--admin-listen", "off"]).admin_listen,
            Listen::Off
        );
        for wrong in ["9405", "localhost:9405", "none"] {
            let line = ["dapr-rdkafka", "run", "--admin-listen", wrong];
            let error = Cli::try_parse_from(line).expect_err(wrong).to_string();
            assert!(
                error.contains("127.0.0.1:9405") && error.contains(wrong),
                "{error}"
            );
        }
    }

    #[test]
    fn a_refused_value_that_may_hold_a_password_is_not_shown() {
        for line in [
            &["run", "--heal-daprd", "http://:s3cr3t@localhost:1"][..],
            &[
                "dlq",
                "list",
                "--brokers",
                "a:1",
                "--set",
                "saslPassword:s3cr3t",
            ],
        ] {
            let line = ["dapr-rdkafka"].iter().chain(line);
            let error = Cli::try_parse_from(line).expect_err("it is wrong");
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(
                text.contains(": expected ") && text.contains("--"),
                "{text}"
            );
            assert!(!format!("{text}{error:?}").contains("s3cr3t"), "{error:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_socket_of_any_name_that_is_taken_stays_in_its_folder(name in ".{0,40}") {
            if let Ok(name) = socket_name(&name) {
                let path = std::path::Path::new("/sockets").join(format!("{name}.sock"));
                let within = path.strip_prefix("/sockets").expect("in the folder");
                proptest::prop_assert_eq!(within.components().count(), 1);
            }
        }

        #[test]
        fn a_mode_that_is_taken_has_nothing_but_permissions(text in ".{0,8}", bits in 0..0o2000_u32) {
            if let Ok(mode) = mode(&text) {
                proptest::prop_assert!(mode <= 0o777);
            }
            proptest::prop_assert_eq!(mode(&format!("{bits:o}")).ok(), (bits <= 0o777).then_some(bits));
        }
    }

    #[test]
    fn the_mode_is_octal() {
        assert_eq!(run_args(&["--socket-mode", "0600"]).socket_mode, 0o600);
        for wrong in ["rw", "999", "7777"] {
            let line = ["dapr-rdkafka", "run", "--socket-mode", wrong];
            assert!(Cli::try_parse_from(line).is_err(), "{wrong}");
        }
    }
}
