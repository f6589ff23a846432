//! One component at a time sets up sockets in a folder.

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::SocketError;

/// How long to wait for another component, which needs milliseconds.
const WAIT: Duration = Duration::from_secs(5);

/// How often to try.
const AGAIN: Duration = Duration::from_millis(5);

/// Locks a folder until the result is dropped. It is `None` where that is impossible: on a file
/// system without locks, or if the folder may not be read.
///
/// # Errors
/// When another process keeps the lock for 5 s.
pub(super) async fn folder(path: &Path) -> Result<Option<Flock<File>>, SocketError> {
    let without = |why: String| {
        tracing::debug!("{} can't be locked: {why}", path.display());
        Ok(None)
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return without(error.to_string()),
    };
    let until = Instant::now() + WAIT;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(lock)),
            Err((_, Errno::EWOULDBLOCK)) if Instant::now() >= until => {
                return Err(SocketError::Locked(path.to_owned()));
            }
            Err((again, Errno::EWOULDBLOCK)) => file = again,
            Err((_, error)) => return without(error.to_string()),
        }
        tokio::time::sleep(AGAIN).await;
    }
}
