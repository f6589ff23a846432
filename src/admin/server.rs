//! The admin endpoints' listeners.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
};
use tokio_stream::{
    Stream, StreamExt as _,
    wrappers::{TcpListenerStream, UnixListenerStream},
};

use super::{AdminFolder, Listen, Told, routes};
use crate::dapr::socket::{self, Access, Socket, SocketError};

/// How long one connection may take, from its first byte to the answer's last:
/// more than the slowest answer (`/readyz` with brokers that are silent, 2 s).
const LONGEST: Duration = Duration::from_secs(5);

/// The largest request, in bytes: nobody has to send anything but a line.
const LARGEST_REQUEST: usize = 16 * 1024;

/// Connections at once, per listener; more wait in the kernel.
const CONNECTIONS: usize = 32;

/// How long to wait when a connection can't be taken, as when this process has no
/// file left: trying at once would only spin.
const TAKE_AGAIN: Duration = Duration::from_millis(100);

/// For the process's own user: properties hold passwords.
const MODE: u32 = 0o600;

/// The running admin endpoints; they end when this is dropped.
#[derive(Default)]
pub struct Admin {
    /// Before the listeners: its file goes first.
    socket: Option<Socket>,
    listeners: JoinSet<()>,
}

impl Admin {
    /// Serves metrics and health on a TCP port. One that is taken is told, and
    /// nothing worse: messages matter more.
    pub async fn listen(&mut self, listen: Listen, told: &Told) {
        let Listen::At(address) = listen else {
            return;
        };
        match bind(address).await {
            Ok((bound, listener)) => {
                tracing::info!(
                    "admin endpoints listen on http://{bound} (/metrics /livez /startupz /readyz)"
                );
                let incoming = TcpListenerStream::new(listener);
                self.listeners
                    .spawn(serve(incoming, routes::public(told.clone())));
            }
            Err(error) => tracing::warn!(
                "no metrics, nor health: --admin-listen {address}: {error}; give another address \
                 or port, or off"
            ),
        }
    }

    /// Serves the same, and the instances with their properties, on a Unix socket.
    ///
    /// # Errors
    /// When another process has it, or the system refuses.
    pub async fn serve_folder(
        &mut self,
        folder: &AdminFolder,
        told: Told,
    ) -> Result<(), SocketError> {
        let access = Access {
            mode: MODE,
            group: None,
        };
        let (listener, socket) = socket::bind(&folder.path, &folder.stem, &access).await?;
        tracing::debug!("admin socket: {}", socket.path.display());
        self.socket = Some(socket);
        let incoming = UnixListenerStream::new(listener);
        self.listeners.spawn(serve(incoming, routes::private(told)));
        Ok(())
    }
}

async fn bind(address: SocketAddr) -> io::Result<(SocketAddr, TcpListener)> {
    let listener = TcpListener::bind(address).await?;
    Ok((listener.local_addr()?, listener))
}

/// Answers one request per connection. axum's own loop has no bound on how long a
/// client takes for that, nor on how many there are.
async fn serve<S>(mut incoming: impl Stream<Item = io::Result<S>> + Unpin, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut server = auto::Builder::new(TokioExecutor::new()).http1_only();
    server
        .http1()
        .keep_alive(false)
        .max_buf_size(LARGEST_REQUEST);
    let server = Arc::new(server);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    // The semaphore is never closed.
    while let Ok(permit) = room.clone().acquire_owned().await {
        let stream = match incoming.next().await {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => {
                tracing::debug!("an admin connection was not taken: {error}");
                tokio::time::sleep(TAKE_AGAIN).await;
                continue;
            }
            None => return,
        };
        let (server, service) = (server.clone(), TowerToHyperService::new(router.clone()));
        connections.spawn(async move {
            let answered = server.serve_connection(TokioIo::new(stream), service);
            // Whoever is too slow, or hangs up, gets no answer.
            let _ = tokio::time::timeout(LONGEST, answered).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
}
