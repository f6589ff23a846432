//! When and in which order the process ends.
//!
//! App, daprd and component get SIGTERM together, and daprd still publishes
//! while it waits for its app. So: stop fetching at once, drain, commit, leave
//! the group; serve Publish until daprd has gone; flush; remove the sockets last.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long delivered records may take to be answered after the signal.
pub const DRAIN: Duration = Duration::from_secs(8);

/// How long draining, the last commit and leaving the group may take together,
/// after the signal: the last two wait for a broker.
pub const LEAVE: Duration = Duration::from_secs(14);

/// How long daprd may stay connected after the signal. With what follows it stays
/// below a pod's usual grace period of 30 s.
pub const CONNECTIONS: Duration = Duration::from_secs(20);

/// How long the last published records may take after daprd has gone.
pub const FLUSH: Duration = Duration::from_secs(2);

/// Listens for SIGTERM and SIGINT.
///
/// The first one cancels the first token: shut down. A second one cancels the
/// second: stop at once.
///
/// # Errors
/// When the system refuses the handlers.
pub fn listen() -> std::io::Result<(CancellationToken, CancellationToken)> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let tokens = (CancellationToken::new(), CancellationToken::new());
    let (begin, at_once) = tokens.clone();
    tokio::spawn(async move {
        for token in [begin, at_once] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(tokens)
}
