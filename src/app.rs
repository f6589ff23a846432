//! Puts the rooms together, and takes them down in order.

use std::{
    io::{ErrorKind::BrokenPipe, Write as _},
    time::Instant,
};

use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{Admin, AdminFolder, FolderError, Told},
    cli::{
        BrokerArgs, ConfigCommand, DlqCommand, DoctorArgs, LanesArgs, ProbeArgs, ReferenceFormat,
        RunArgs, TopicsCommand,
    },
    config,
    dapr::{Instances, Room, Server, ServerError, socket::Access, warn_if_shut_out},
    delivery::Drained,
    dlq,
    doctor::{self, Verdict},
    heal::{Healer, Healing},
    kafka::{Cause, EmbeddedBroker},
    lanes, memory, probe, shutdown,
    telemetry::{metrics::Metrics, readiness::Readiness},
    topics,
};

/// How a command ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left over.
    Clean,
    /// Records were delivered and not answered, or not committed, in time.
    Unanswered,
    /// What was checked is wrong; the result says how.
    Wrong,
    /// There is something to do.
    Differs,
    /// Problems were found.
    Sick,
    /// A second signal cut it short.
    Cut,
}

impl Ended {
    /// The process's exit code. It is never 2, which says that the command line is wrong.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Wrong => 1,
            Self::Unanswered | Self::Differs | Self::Sick => 3,
            Self::Cut => 130,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The sockets could not be served.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The embedded broker did not start.
    #[error("the embedded broker did not start: {0}")]
    Broker(#[from] Cause),
    /// The metrics have no recorder.
    #[error("the metrics can't be recorded: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// daprd can't be asked to shut down.
    #[error("--heal-daprd: {0}")]
    Heal(String),
    /// The dead letters' command failed.
    #[error(transparent)]
    Dlq(#[from] dlq::Failed),
    /// The topics' command failed.
    #[error(transparent)]
    Topics(#[from] topics::Failed),
    /// The lanes' command failed.
    #[error(transparent)]
    Lanes(#[from] lanes::Failed),
    /// The system refused something.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Failed {
    /// The process's exit code: 2 if the command line is wrong, and for nothing else.
    pub fn code(&self) -> u8 {
        match self {
            Self::Topics(topics::Failed::Usage(_)) | Self::Lanes(lanes::Failed::Usage(_)) => 2,
            _ => 1,
        }
    }
}

/// Serves the component until a signal.
pub async fn run(args: RunArgs) -> Result<Ended, Failed> {
    let (begin, at_once) = shutdown::listen()?;
    let variable = |name: &str| std::env::var(name).ok();
    let (folder, daprd) = (args.folder(variable), args.daprd(variable));
    let private = AdminFolder::make(&folder, &args.names)
        .inspect_err(|error| tracing::warn!("no admin socket: {error}"));
    let readiness = Readiness::default();
    let for_reading_ahead = memory::for_reading_ahead(args.memory_mib);
    let instances = Instances::new(readiness.clone(), for_reading_ahead);
    let told = Told {
        metrics: Metrics::install()?,
        readiness: readiness.clone(),
        instances: instances.clone(),
        healing: heal(&args, &private, &instances, &readiness, &begin)?,
    };
    tokio::spawn(told.metrics.clone().upkeep());
    // It has the first word and the last: it ends with this function.
    let mut admin = Admin::default();
    admin.listen(args.admin_listen, &told).await;
    if let Ok(private) = &private
        && let Err(error) = admin.serve_folder(private, told).await
    {
        tracing::warn!("no admin socket: {error}");
    }

    let largest = args.largest_request();
    let access = Access {
        mode: args.socket_mode,
        group: args.socket_group,
    };
    let server = Server::start(
        &folder,
        &args.names,
        &access,
        largest,
        &Room::new(args.max_publish_mib),
        instances.clone(),
        &readiness,
    )
    .await?;
    readiness.set_started();
    warn_if_shut_out(&folder, &args.names, &daprd);

    begin.cancelled().await;
    tokio::select! {
        ended = stop(&server, &instances) => {
            server.stop().await;
            Ok(ended)
        }
        () = at_once.cancelled() => {
            tracing::warn!("a second signal: stopping at once");
            server.stop().await;
            Ok(Ended::Cut)
        }
    }
}

/// Begins what `--heal-daprd` asks for; it ends when the shutdown begins.
fn heal(
    args: &RunArgs,
    private: &Result<AdminFolder, FolderError>,
    instances: &Instances,
    readiness: &Readiness,
    begin: &CancellationToken,
) -> Result<Option<Healing>, Failed> {
    let Some(url) = &args.heal_daprd else {
        return Ok(None);
    };
    // Without the folder there is no count, and without a count no limit. Messages
    // flow without healing: that is no reason to end.
    let times = match private {
        Ok(folder) => folder.file("heals"),
        Err(error) => {
            let healing = Healing::off(url, error);
            tracing::warn!("--heal-daprd {url}: {}", healing.status().state);
            return Ok(Some(healing));
        }
    };
    let token = std::env::var("DAPR_API_TOKEN")
        .ok()
        .filter(|token| !token.is_empty());
    let healer = Healer::new(
        url,
        token.as_deref(),
        &times,
        &args.names,
        instances.clone(),
        readiness.clone(),
    );
    let healer = healer.map_err(Failed::Heal)?;
    let healing = healer.healing();
    tokio::spawn(begin.clone().run_until_cancelled_owned(healer.run()));
    Ok(Some(healing))
}

/// Drains, then serves Publish until daprd has gone, then flushes. Every step has
/// its end, counted from now.
async fn stop(server: &Server, instances: &Instances) -> Ended {
    let now = Instant::now();
    tracing::info!("shutting down: draining subscriptions");
    let left = timeout_at(
        (now + shutdown::LEAVE).into(),
        instances.drain(now + shutdown::DRAIN),
    );
    let ended = match left.await {
        Ok(Drained { unanswered: 0 }) => Ended::Clean,
        Ok(Drained { unanswered }) => {
            tracing::warn!(
                unanswered,
                "records were delivered and not answered in time; they will be delivered again"
            );
            Ended::Unanswered
        }
        Err(_) => {
            tracing::warn!("the brokers did not let the group go in time");
            Ended::Unanswered
        }
    };
    if server.connections() > 0 {
        tracing::info!(
            "serving Publish until daprd has closed its {} connections, at most {:?} after the \
             signal (a second signal stops at once)",
            server.connections(),
            shutdown::CONNECTIONS
        );
    }
    let gone = timeout_at((now + shutdown::CONNECTIONS).into(), server.disconnected()).await;
    if gone.is_err() {
        tracing::warn!("daprd is still connected; stopping all the same");
    }
    instances.flush(Instant::now() + shutdown::FLUSH).await;
    ended
}

/// Runs the embedded broker until a signal.
pub async fn broker(args: BrokerArgs) -> Result<Ended, Failed> {
    let (begin, _) = shutdown::listen()?;
    let broker = EmbeddedBroker::start(args.topics.iter().map(String::as_str))?;
    println!("{}", broker.address()?);
    begin.cancelled().await;
    Ok(Ended::Clean)
}

/// Does something with dead letters.
pub async fn dlq(command: DlqCommand) -> Result<Ended, Failed> {
    match Box::pin(dead_letters(command)).await {
        // The reader of the output has closed the pipe.
        Err(Failed::Dlq(dlq::Failed::Output(error))) if error.kind() == BrokenPipe => {
            Ok(Ended::Clean)
        }
        ended => ended,
    }
}

/// Tells about metadata.
///
/// # Errors
/// When the result can't be written.
pub fn config(command: &ConfigCommand) -> Result<Ended, Failed> {
    let mut out = std::io::stdout().lock();
    let told = match command {
        ConfigCommand::Check { files } => config::check(files, &mut out),
        ConfigCommand::Diff { file } => config::diff(file, &mut out),
        ConfigCommand::Reference { format } => {
            let text = match format {
                ReferenceFormat::Markdown => config::reference(),
                ReferenceFormat::Schema => config::schema(),
            };
            out.write_all(text.as_bytes()).map(|()| true)
        }
    };
    match told {
        Ok(true) => Ok(Ended::Clean),
        Ok(false) => Ok(Ended::Wrong),
        // The reader of the output has closed the pipe.
        Err(error) if error.kind() == BrokenPipe => Ok(Ended::Clean),
        Err(error) => Err(error.into()),
    }
}

async fn dead_letters(command: DlqCommand) -> Result<Ended, Failed> {
    let args = command.connect_args();
    let connection = dlq::connect(&args.connect(|name| std::env::var(name).ok())).await?;
    let mut out = std::io::stdout();
    match command {
        DlqCommand::List(args) => {
            dlq::list(&connection, &args.list(), &mut out).await?;
        }
        DlqCommand::Show(args) => {
            dlq::show(&connection, &args.topic, &args.show(), &mut out).await?;
        }
        DlqCommand::Resolve(args) => {
            let resolve = args.resolve().map_err(dlq::Failed::Usage)?;
            dlq::resolve(&connection, &args.topic, &resolve, &mut out).await?;
        }
        DlqCommand::Export(args) => {
            dlq::export(&connection, &args.topic, &args.selection(), &mut out).await?;
        }
        DlqCommand::Import(args) => {
            let lines = std::io::stdin().lock();
            dlq::import(&connection, &args.topic, lines, &mut out).await?;
        }
        DlqCommand::Purge(args) => {
            dlq::purge(&connection, &args.topic, args.purge(), &mut out).await?;
        }
        DlqCommand::Redrive(args) => {
            let (stop, at_once) = shutdown::listen()?;
            let redrive = args.redrive();
            let done = dlq::redrive(&connection, &args.topic, &redrive, &stop, &mut out);
            let ended = tokio::select! {
                ended = done => ended?,
                () = at_once.cancelled() => {
                    tell_cut(redrive.dry_run);
                    dlq::Ended::Interrupted
                }
            };
            if ended == dlq::Ended::Interrupted {
                return Ok(Ended::Cut);
            }
        }
    }
    Ok(Ended::Clean)
}

/// What a second signal leaves behind: nobody waited for what was on its way.
fn tell_cut(dry_run: bool) {
    if !dry_run {
        eprintln!(
            "a second signal: stopped at once; a resumed redrive sends at most {} records again",
            dlq::MAY_REPEAT
        );
    }
}

/// Plans or changes topics.
pub async fn topics(command: &TopicsCommand) -> Result<Ended, Failed> {
    let topics = command.topics(|name| std::env::var(name).ok());
    let ended = topics::command(&topics, &mut std::io::stdout()).await?;
    Ok(match ended {
        topics::Ended::Same => Ended::Clean,
        topics::Ended::Differ if command.options().differences_ok => Ended::Clean,
        topics::Ended::Differ => Ended::Differs,
        topics::Ended::Failed => Ended::Wrong,
    })
}

/// Prints Subscriptions for lanes.
pub async fn lanes(args: &LanesArgs) -> Result<Ended, Failed> {
    let lanes = args.lanes(|name| std::env::var(name).ok());
    let lanes = lanes.map_err(lanes::Failed::Usage)?;
    match lanes::command(&lanes, &mut std::io::stdout()).await {
        // The reader of the output has closed the pipe.
        Err(lanes::Failed::Output(error)) if error.kind() == BrokenPipe => Ok(Ended::Clean),
        ended => Ok(ended.map(|()| Ended::Clean)?),
    }
}

/// Looks for what is wrong with a component's connections.
pub async fn doctor(args: &DoctorArgs) -> Result<Ended, Failed> {
    let asked = args.doctor(|name| std::env::var(name).ok());
    let (stop, at_once) = shutdown::listen()?;
    let mut out = std::io::stdout().lock();
    let done = doctor::command(&asked, &stop, &at_once, &mut out).await;
    if done.interrupted {
        return Ok(Ended::Cut);
    }
    Ok(match done.verdict {
        Verdict::Problems => Ended::Sick,
        Verdict::Warnings if args.strict => Ended::Wrong,
        Verdict::Unknown => Ended::Wrong,
        Verdict::Warnings | Verdict::Fine => Ended::Clean,
    })
}

/// Asks a component that should run. What is wrong is a line on standard error, without a
/// log's time and level: a kubelet puts it into an event.
pub async fn probe(args: &ProbeArgs) -> Ended {
    match probe::probe(&args.probe(|name| std::env::var(name).ok())).await {
        Ok(()) => Ended::Clean,
        Err(trouble) => {
            eprintln!("{trouble}");
            Ended::Wrong
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wrong_command_line_ends_with_2() {
        for ended in [
            Ended::Clean,
            Ended::Unanswered,
            Ended::Wrong,
            Ended::Differs,
            Ended::Sick,
            Ended::Cut,
        ] {
            assert_ne!(ended.code(), 2, "{ended:?}");
        }
        let text = || "no".to_owned();
        for failed in [
            Failed::Heal(text()),
            Failed::Dlq(dlq::Failed::Usage(text())),
            Failed::Topics(topics::Failed::File(text())),
            Failed::Topics(topics::Failed::Connect(text())),
            Failed::Lanes(lanes::Failed::App(text())),
        ] {
            assert_eq!(failed.code(), 1, "{failed:?}");
        }
        let wrong = Failed::Topics(topics::Failed::Usage(text()));
        assert_eq!(wrong.code(), 2, "{wrong:?}");
    }
}
