//! Puts the rooms together, and takes them down in order.

use std::time::Instant;

use tokio::time::timeout_at;

use crate::{
    cli::{BrokerArgs, RunArgs},
    dapr::{Access, Instances, Server, ServerError},
    delivery::Drained,
    kafka::{Cause, EmbeddedBroker},
    shutdown,
    telemetry::readiness::Readiness,
};

/// How a command ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left over.
    Clean,
    /// Records were delivered and not answered, or not committed, in time.
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
