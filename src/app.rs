//! Puts the rooms together, and takes them down in order.

use std::time::Instant;

use crate::{
    cli::{BrokerArgs, RunArgs},
    dapr::{Access, Instances, Server, ServerError},
    kafka::{Cause, EmbeddedBroker},
    shutdown,
    telemetry::readiness::Readiness,
};

/// How a command ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left over.
    Clean,
    /// Records were delivered and not answered in time.
    Unanswered,
    /// A second signal cut it short.
    Cut,
}

impl Ended {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Unanswered => 3,
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
    /// The system refused something.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Serves the component until a signal.
pub async fn run(args: RunArgs) -> Result<Ended, Failed> {
    let (begin, at_once) = shutdown::listen()?;
    let readiness = Readiness::default();
    let instances = Instances::new(readiness.clone());
    let folder = args.folder(|name| std::env::var(name).ok());
    let access = Access {
        mode: args.socket_mode,
        group: args.socket_group,
    };
    let server = Server::start(folder, &args.names, &access, instances.clone(), &readiness).await?;

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

/// Drains, then serves Publish until daprd has gone, then flushes.
async fn stop(server: &Server, instances: &Instances) -> Ended {
    tracing::info!("shutting down: draining subscriptions");
    let drained = instances.drain(Instant::now() + shutdown::DRAIN).await;
    if drained.unanswered > 0 {
        tracing::warn!(
            unanswered = drained.unanswered,
            "records were delivered and not answered in time; they will be delivered again"
        );
    }
    if server.connections() > 0 {
        tracing::info!(
            "drained; serving Publish until daprd has closed its {} connections, at most {:?} \
             (a second signal stops at once)",
            server.connections(),
            shutdown::CONNECTIONS
        );
    }
    let gone = tokio::time::timeout(shutdown::CONNECTIONS, server.disconnected()).await;
    if gone.is_err() {
        tracing::warn!("daprd is still connected; stopping all the same");
    }
    instances.flush(Instant::now() + shutdown::FLUSH).await;
    if drained.unanswered > 0 {
        Ended::Unanswered
    } else {
        Ended::Clean
    }
}

/// Runs the embedded broker until a signal.
pub async fn broker(args: BrokerArgs) -> Result<Ended, Failed> {
    let (begin, _) = shutdown::listen()?;
    let broker = EmbeddedBroker::start(args.topics.iter().map(String::as_str))?;
    println!("{}", broker.address()?);
    begin.cancelled().await;
    Ok(Ended::Clean)
}
