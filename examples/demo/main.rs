//! `make demo`: the Todo app on a real daprd, this component and a broker.
//!
//! With a terminal it runs until Ctrl-C, for a person to play with. Without one,
//! or with `CI=1`, it plays a session over all six topics, prints each event
//! that came back from the broker, and fails if one did not.

mod session;

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

// The linker sends calls of OpenSSL to functions of the component (build.rs).
use dapr_rdkafka as _;
use harness::{
    Component, Daprd, DaprdBuild, DaprdOptions, EmbeddedBroker, Result, TODO_TOPICS, Todo,
    build_folder, copy_sample, free_port,
};
use tokio::signal::unix::{SignalKind, signal};

/// How long daprd and the component may take to end.
const STOP: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    let programs = build_folder()?;
    let component = programs.join("dapr-rdkafka");
    let folder = tempfile::tempdir()?;
    let (sockets, resources) = (
        folder.path().join("sockets"),
        folder.path().join("components"),
    );

    let (_embedded, brokers) = broker(&component).await?;
    copy_sample("todo-pubsub.yaml", &resources, &brokers)?;
    let component = Component::start(&component, &sockets, &["rdkafka"]).await?;
    println!("component   pubsub.rdkafka in {}", sockets.display());

    let (app_port, dapr_port) = (free_port()?, free_port()?);
    let todo = Todo::start(&programs.join("examples/todo"), app_port, dapr_port).await?;
    let options = DaprdOptions {
        app_id: "todo",
        app_port: Some(app_port),
        resources: &resources,
        sockets: &sockets,
    };
    let mut daprd = Daprd::spawn(&daprd_program(), &options, dapr_port)?;
    daprd.ready().await?;
    let version = daprd.metadata().await?["runtimeVersion"].clone();
    println!(
        "daprd       {} on port {dapr_port}",
        version.as_str().unwrap_or("?")
    );
    println!("Todo app    {}", todo.url("/"));

    let played = if is_watched() {
        println!("\nOpen {} and press Ctrl-C here to end.", todo.url("/"));
        told_to_end().await
    } else {
        session::play(&todo).await
    };
    if let Err(error) = played {
        let component = component.process.failed("was part of it");
        let daprd = daprd.process.failed("was part of it");
        return Err(format!("{error}\n\n{daprd}\n\n{component}").into());
    }
    daprd.process.stop(STOP).await?;
    let stopped = component.stop().await?;
    println!("\nThe component ended: {}", stopped.status);
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn told_to_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminate.recv() => Ok(()),
    }
}

/// The cluster of `BROKERS`, or an embedded broker.
async fn broker(program: &Path) -> Result<(Option<EmbeddedBroker>, String)> {
    match std::env::var("BROKERS") {
        Ok(brokers) if !brokers.is_empty() => {
            println!("brokers     {brokers} (the six topics must exist, or be created on demand)");
            Ok((None, brokers))
        }
        _ => {
            let embedded = EmbeddedBroker::start(program, &TODO_TOPICS).await?;
            let address = embedded.address.clone();
            println!("broker      embedded, in memory, on {address}");
            Ok((Some(embedded), address))
        }
    }
}

/// The daprd that `DAPRD` names, else the newest release that `make daprd` builds.
fn daprd_program() -> PathBuf {
    match std::env::var_os("DAPRD") {
        Some(program) if !program.is_empty() => program.into(),
        _ => DaprdBuild::V1_18_3.program(),
    }
}

fn is_watched() -> bool {
    let ci = std::env::var("CI").is_ok_and(|ci| !ci.is_empty() && ci != "false" && ci != "0");
    std::io::stdout().is_terminal() && !ci
}
