//! What is wrong with a socket, and what to do about it.

use std::{
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

use nix::unistd::{getegid, geteuid};
use tokio::net::UnixStream;

use crate::{
    dapr::NoComponent,
    model::text::{beginning, on_one_line},
};

/// As much of others' words as is shown, in bytes.
const SHOWN: usize = 200;

/// Why an answer is not the wanted one; the path stands before it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(
        "there is no such socket: the component has not bound it yet, has ended, or was started \
         with another --name or --socket-folder; its log says which"
    )]
    Missing,
    #[error("this is no socket; remove it, and start the component again")]
    NoSocket,
    #[error(
        "nobody listens: a process that was killed left the socket behind; start the component, \
         which replaces it, or remove it: a daprd that starts waits for it without a limit"
    )]
    Stale,
    #[error("{0}")]
    Denied(String),
    #[error(
        "no answer within {0:?}: the process hangs or has no time to run; if that lasts, restart \
         it, and give it more CPU"
    )]
    Silent(Duration),
    #[error("{}; stop what listens there, and start the component", shown(.0))]
    OtherService(NoComponent),
    #[error("it does not answer /livez as the component does ({}); restart it", shown(.0))]
    NotLive(String),
    #[error("{0}; see --socket-folder")]
    Io(io::Error),
}

fn shown(words: &impl ToString) -> String {
    beginning(&on_one_line(&words.to_string()), SHOWN).to_owned()
}

/// Connects, as whoever asks over the socket will, and hangs up.
pub(super) async fn connect(path: &Path) -> Result<(), Trouble> {
    let found = std::fs::symlink_metadata(path).map_err(|error| of_file(error, path))?;
    if !found.file_type().is_socket() {
        return Err(Trouble::NoSocket);
    }
    match UnixStream::connect(path).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Err(Trouble::Stale),
        Err(error) => Err(of_file(error, path)),
    }
}

fn of_file(error: io::Error, path: &Path) -> Trouble {
    match error.kind() {
        ErrorKind::NotFound => Trouble::Missing,
        ErrorKind::PermissionDenied => Trouble::Denied(denied(path)),
        _ => Trouble::Io(error),
    }
}

/// Who was refused by what: the socket, or the first folder that can be looked at on the
/// way to it.
fn denied(path: &Path) -> String {
    let (user, group) = (geteuid(), getegid());
    let looked_at = path
        .ancestors()
        .find_map(|path| Some((path, path.metadata().ok()?)));
    let by = looked_at.map_or_else(String::new, |(at, found)| {
        let what = if at == path {
            "it".to_owned()
        } else {
            at.display().to_string()
        };
        format!(
            ": {what} belongs to user {} and group {}, with mode {:o}",
            found.uid(),
            found.gid(),
            found.permissions().mode() & 0o7777
        )
    });
    format!(
        "permission denied for user {user} with group {group}{by}; run the probe as the \
         component's user, or see --socket-group and --socket-mode of `dapr-rdkafka run`"
    )
}
