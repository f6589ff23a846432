//! The gRPC servers, one per socket.

use std::{io, path::Path, time::Duration};

use futures_util::stream::{Stream, unfold};
use tokio::{net::UnixListener, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{
    instances::Instances,
    limits,
    peer::Connection,
    proto::{DESCRIPTORS, pub_sub_server::PubSubServer},
    pubsub::Service,
    room::{Bounded, Room},
    socket::{self, Access, Socket, SocketError},
};
use crate::telemetry::readiness::Readiness;

/// The service's name, in reflection and in gRPC's health protocol.
pub(super) const SERVICE: &str = "dapr.proto.components.v1.PubSub";

/// Calls that one connection may have under way; more wait at the client. Being counted per
/// connection, it keeps no other daprd's Init waiting. What publishes hold is bounded by
/// [`Room`].
pub(super) const CONCURRENT_CALLS: u32 = 1024;

/// Calls of one connection that may be given up before they were looked at: an app that ends
/// gives all of its publishes up at once, and a component that was throttled finds them
/// together. Beyond that the whole connection ends, with all of its streams, and h2's own
/// bound is 20 (0.4). Each of daprd's takes about a kilobyte until it is looked at.
const GIVEN_UP: usize = 16 * CONCURRENT_CALLS as usize;

/// What daprd may send of one call before it is read. A publish that waits for room has twice as
/// much in memory, since its length was read; a large one takes a round trip for each half of it.
const STREAM_WINDOW: u32 = 16 * 1024;

/// The same of one connection: of all its calls together, so that publishes that wait never hold
/// up acknowledgements, which come over the same connection.
const CONNECTION_WINDOW: u32 = (CONCURRENT_CALLS + 1) * STREAM_WINDOW;

/// How long to wait when a connection can't be taken, as when this process has no file
/// left: trying at once would only spin.
const TAKE_AGAIN: Duration = Duration::from_millis(100);

/// How long servers may take to end once nobody is connected any more.
const STOP: Duration = Duration::from_secs(1);

/// The servers could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A socket could not be set up.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The generated descriptors can't be read.
    #[error("gRPC reflection can't be served: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// All sockets, bound and served.
pub struct Server {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    connections: TaskTracker,
    sockets: Vec<Socket>,
}

impl Server {
    /// Binds `<folder>/<name>.sock` for each name, and serves them. A request may have
    /// `largest` bytes, and all publishes under way have so much `room`.
    pub async fn start(
        folder: &Path,
        names: &[String],
        access: &Access,
        largest: usize,
        room: &Room,
        instances: Instances,
        readiness: &Readiness,
    ) -> Result<Self, ServerError> {
        let mut server = Self {
            tasks: JoinSet::new(),
            stop: CancellationToken::new(),
            connections: TaskTracker::new(),
            sockets: Vec::new(),
        };
        // All are bound before any is served: a name that is taken fails the start.
        let mut listeners = Vec::new();
        for name in names {
            let (listener, socket) = socket::bind(folder, name, access).await?;
            tracing::info!("pubsub.{name} listens on {}", socket.path.display());
            listeners.push((name.as_str(), listener));
            server.sockets.push(socket);
        }
        let (health, health_service) = tonic_health::server::health_reporter();
        let reporting = report_health(health, readiness.clone());
        let reporting = server.stop.clone().run_until_cancelled_owned(reporting);
        server
            .tasks
            .spawn(async move { reporting.await.unwrap_or(()) });
        for (name, listener) in listeners {
            let service = PubSubServer::new(Service {
                socket: name.into(),
                instances: instances.clone(),
            })
            .max_decoding_message_size(largest);
            let service = Bounded {
                inner: service,
                room: room.clone(),
            };
            let reflection = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .build_v1alpha()?;
            let routes = Routes::new(reflection)
                .add_service(health_service.clone())
                .add_service(service);
            server.serve(listener, routes);
        }
        Ok(server)
    }

    fn serve(&mut self, listener: UnixListener, routes: Routes) {
        let incoming = incoming(listener, self.connections.clone());
        let stop = self.stop.clone().cancelled_owned();
        self.tasks.spawn(async move {
            let served = tonic::transport::Server::builder()
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_concurrent_streams(CONCURRENT_CALLS)
                .http2_max_pending_accept_reset_streams(Some(GIVEN_UP))
                .http2_max_header_list_size(limits::CALL_HEADERS)
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, stop)
                .await;
            if let Err(error) = served {
                tracing::error!("a socket's server ended: {error}");
            }
        });
    }

    /// Waits until every connection has closed.
    pub async fn disconnected(&self) {
        self.connections.close();
        self.connections.wait().await;
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Removes the sockets and ends the servers. In this order: daprd's discovery
    /// would wait for ever on a socket that exists and is not listened on.
    pub async fn stop(mut self) {
        drop(self.sockets);
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // Connections that are still open end here.
        let _ = tokio::time::timeout(STOP, ended).await;
        self.tasks.shutdown().await;
    }
}

/// The connections of a socket as they come. tonic would spin when none can be taken.
fn incoming(
    listener: UnixListener,
    open: TaskTracker,
) -> impl Stream<Item = io::Result<Connection>> {
    unfold((listener, open), |(listener, open)| async move {
        let connection = take(&listener, &open).await;
        Some((Ok(connection), (listener, open)))
    })
}

/// The next connection for which there is room.
async fn take(listener: &UnixListener, open: &TaskTracker) -> Connection {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if open.len() < limits::CONNECTIONS => {
                return Connection::new(stream, open);
            }
            Ok(_) => tracing::warn!(
                "a connection was refused: {} are open, which is the limit",
                limits::CONNECTIONS
            ),
            Err(error) => {
                tracing::warn!("a connection was not taken, and is tried again: {error}");
            }
        }
        // Not only for the processor's sake: each is a line of the log.
        tokio::time::sleep(TAKE_AGAIN).await;
    }
}

/// Tells gRPC's health protocol what [`Readiness`] says.
async fn report_health(health: HealthReporter, readiness: Readiness) {
    let mut holds = readiness.watch();
    loop {
        let status = if holds.borrow_and_update().is_empty() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        health.set_service_status(SERVICE, status).await;
        if holds.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, net::UnixStream};

    use super::*;

    #[tokio::test]
    async fn a_connection_too_many_is_closed_and_the_next_one_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rdkafka.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        let open = TaskTracker::new();
        let others: Vec<_> = (0..limits::CONNECTIONS).map(|_| open.token()).collect();
        let taking = tokio::spawn({
            let open = open.clone();
            async move { drop(take(&listener, &open).await) }
        });
        let mut refused = UnixStream::connect(&path).await.expect("connected");
        let read = refused.read(&mut [0; 1]).await.expect("closed in order");
        assert_eq!(read, 0, "it was taken");
        assert!(!taking.is_finished(), "it was counted");

        drop(others);
        let _taken = UnixStream::connect(&path).await.expect("connected");
        taking.await.expect("there is room");
    }
}
