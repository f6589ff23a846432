//! The component in this program, with an allocator that counts. librdkafka's own
//! allocations are not in it: they are there with or without the component.

use std::{alloc::System, process::ExitCode};

use clap::Parser as _;
use dapr_rdkafka::{
    app,
    cli::{Cli, Command},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The first argument of such a process.
pub const COMMAND: &str = "counted";

/// What the line begins with that tells how many there were, when asked the nth time.
pub fn told(nth: usize) -> String {
    format!("allocations, {nth}: ")
}

/// Runs the component, and tells the count at each SIGUSR1.
pub fn run() -> ExitCode {
    // The first is the program, the second says what to do.
    let arguments = std::env::args().take(1).chain(std::env::args().skip(2));
    let Command::Run(args) = Cli::parse_from(arguments).command else {
        eprintln!("error: only `run` is counted");
        return ExitCode::FAILURE;
    };
    let started = dapr_rdkafka::telemetry::logging::start(args.log.log_format, &args.log.log_level);
    let runtime = tokio::runtime::Runtime::new();
    let (Ok(()), Ok(runtime)) = (started, runtime) else {
        eprintln!("error: neither log nor runtime");
        return ExitCode::FAILURE;
    };
    let ended = runtime.block_on(async {
        tokio::spawn(async {
            let Ok(mut asked) = signal(SignalKind::user_defined1()) else {
                return;
            };
            let mut nth = 0;
            while asked.recv().await.is_some() {
                nth += 1;
                let stats = ALLOCATOR.stats();
                println!("{}{}", told(nth), stats.allocations + stats.reallocations);
            }
        });
        app::run(args).await
    });
    match ended {
        Ok(ended) => ExitCode::from(ended.code()),
        Err(failed) => {
            eprintln!("error: {failed}");
            ExitCode::FAILURE
        }
    }
}
