//! Who is at the other end of a socket.

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Instant,
};

use super::limits;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tonic::{Request, Status, transport::server::Connected};

/// The header in which daprd names the component instance that a call is for
/// (dapr/dapr v1.16.5, `pkg/components/pluggable/grpc.go`).
const INSTANCE_HEADER: &str = "x-component-instance";

/// A connection that is counted as long as it is open.
///
/// Before it writes it lets those have their turn who are ready to run: what they answer goes
/// into the same write. Else each answer would be a system call of its own
/// (docs/performance.md).
pub(super) struct Connection {
    stream: UnixStream,
    opened: Opened,
    /// Others had their turn since the last flush.
    has_yielded: bool,
    _counted: TaskTrackerToken,
    _closes: DropGuard,
}

/// A connection as the calls on it see it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    /// Tells connections apart; counts up.
    number: u64,
    /// When it was accepted.
    pub(super) since: Instant,
    /// The peer's process id. `None` if it is unknown: the kernel says 0 for a process of another
    /// PID namespace, such as daprd's container.
    process: Option<i32>,
    closed: CancellationToken,
}

impl Opened {
    pub(super) fn new(process: Option<i32>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            since: Instant::now(),
            process: process.filter(|process| *process > 0),
            closed: CancellationToken::new(),
        }
    }

    /// Waits until it is closed.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Closes it when the result is dropped.
    pub(super) fn closes(&self) -> DropGuard {
        self.closed.clone().drop_guard()
    }
}

impl PartialEq for Opened {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Connection {
    pub(super) fn new(stream: UnixStream, open: &TaskTracker) -> Self {
        let credentials = stream.peer_cred().ok();
        let opened = Opened::new(credentials.and_then(|peer| peer.pid()));
        Self {
            stream,
            _closes: opened.closes(),
            opened,
            has_yielded: false,
            _counted: open.token(),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Opened;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.opened.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.has_yielded {
            self.has_yielded = true;
            // A task that wakes itself goes to the end of the queue.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.has_yielded = false;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The connection that a call came on.
pub(super) fn connection<T>(request: &Request<T>) -> Option<&Opened> {
    request.extensions().get()
}

/// The process id of the peer, if it is known.
pub(super) fn process<T>(request: &Request<T>) -> Option<i32> {
    connection(request)?.process
}

/// The component instance that a call is for.
pub(super) fn instance<T>(request: &Request<T>) -> Result<String, Status> {
    let Some(name) = request.metadata().get(INSTANCE_HEADER) else {
        return Ok(String::new());
    };
    let name = name.to_str().map_err(|_| {
        Status::invalid_argument(format!("the header {INSTANCE_HEADER} is not plain ASCII"))
    })?;
    limits::name(name)?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Waker};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn others_have_their_turn_once_before_each_flush() {
        let (stream, mut peer) = UnixStream::pair().expect("a pair");
        let mut connection = Connection::new(stream, &TaskTracker::new());
        let write = |connection: &mut Connection| {
            let context = &mut Context::from_waker(Waker::noop());
            Pin::new(connection).poll_write(context, b"a").is_ready()
        };
        for _ in 0..2 {
            assert!(!write(&mut connection), "it did not wait");
            assert!(write(&mut connection) && write(&mut connection));
            let flushed = poll_fn(|context| Pin::new(&mut connection).poll_flush(context));
            flushed.await.expect("flushed");
        }
        // A waker that nobody wakes would wait for ever.
        connection.write_all(b"b").await.expect("written");
        let mut read = [0; 5];
        peer.read_exact(&mut read).await.expect("read");
        assert_eq!(&read, b"aaaab");
    }
}
