//! `dapr-rdkafka`: parses the command line, runs it, and says how it ended.

use std::{process::ExitCode, thread::available_parallelism, time::Duration};

use clap::Parser as _;
use dapr_rdkafka::{
    app,
    cli::{BrokerArgs, Cli, Command, LogArgs, RunArgs},
    telemetry::logging,
};
use tokio::runtime::{Builder, Runtime};

/// How long librdkafka's blocking calls may hold up the exit.
const LINGER: Duration = Duration::from_secs(1);

/// Threads for all that does not block.
const MOST_THREADS: usize = 2;

/// Tokio's own variable for how many threads a runtime has. What it says counts.
const THREADS: &str = "TOKIO_WORKER_THREADS";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = match &cli.command {
        Command::Run(RunArgs { log, .. }) | Command::Broker(BrokerArgs { log, .. }) => log,
        Command::Config(args) => &args.log,
        Command::Doctor(args) => &args.connect.log,
        Command::Probe(args) => &args.log,
        Command::Dlq(args) => &args.command.connect_args().log,
        Command::Topics(args) => &args.command.options().connect.log,
        Command::Lanes(args) => &args.log,
    };
    if let Err(problem) = start_logging(log) {
        eprintln!("error: {problem}");
        return ExitCode::from(2);
    }
    let runtime = match runtime(&cli.command) {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("starting the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => app::run(args).await,
            Command::Broker(args) => app::broker(args).await,
            Command::Dlq(args) => app::dlq(args.command).await,
            Command::Config(args) => app::config(&args.command),
            Command::Doctor(args) => app::doctor(&args).await,
            Command::Probe(args) => Ok(app::probe(&args).await),
            Command::Topics(args) => app::topics(&args.command).await,
            Command::Lanes(args) => app::lanes(&args).await,
        }
    });
    runtime.shutdown_timeout(LINGER);
    match ended {
        Ok(ended) => {
            tracing::info!("ended: {ended:?}");
            ExitCode::from(ended.code())
        }
        Err(failed) => {
            tracing::error!("{failed}");
            ExitCode::from(failed.code())
        }
    }
}

/// A probe runs every few seconds beside the component: no thread is made for it.
///
/// The component itself has two threads at most for all that does not block, however many cores
/// there are: daprd uses several times as much of them for each message. One was as fast
/// (docs/performance.md); the second is there for the probes should the first be held up.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    match command {
        Command::Probe(_) => Builder::new_current_thread().enable_all().build(),
        Command::Run(_) if std::env::var_os(THREADS).is_none() => Builder::new_multi_thread()
            .worker_threads(
                available_parallelism()
                    .map_or(1, usize::from)
                    .min(MOST_THREADS),
            )
            .enable_all()
            .build(),
        _ => Runtime::new(),
    }
}

fn start_logging(args: &LogArgs) -> Result<(), String> {
    let LogArgs {
        log_format,
        log_level,
    } = args;
    logging::start(*log_format, log_level).map_err(|error| {
        format!(
            "--log-level \"{log_level}\": {error}; \
             write error, warn, info, debug or trace, or a filter such as info,librdkafka=debug"
        )
    })
}
