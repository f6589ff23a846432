//! Unix sockets: their files, who may use them, and whose they are.

mod folder;
mod lock;

use std::{
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, lchown},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::AT_FDCWD,
    sys::stat::{FchmodatFlags, Mode, fchmodat},
};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

pub use folder::make as make_folder;

/// Connections that wait in the kernel until they are taken; more are refused there.
const BACKLOG: u32 = 1024;

/// The bit of a file's mode that lets every user of the machine connect.
const WORLD_WRITABLE: u32 = 0o002;

/// Who may use the sockets.
#[derive(Clone, Debug)]
pub struct Access {
    /// The file mode, such as `0o660`.
    pub mode: u32,
    /// The group that owns them, by name or number; by default the process's.
    pub group: Option<String>,
}

/// A socket could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process serves it.
    #[error(
        "{} is in use: another process answers there; stop it, or take another --name or --socket-folder", .0.display()
    )]
    InUse(PathBuf),
    /// Someone else made the folder, where anyone may.
    #[error(
        "{} belongs to user {owner}, who could put another socket in the place of this one and \
         read what daprd sends; remove it, or take another --socket-folder (and tell daprd)", path.display()
    )]
    Strange {
        /// The folder.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
    },
    /// Another process sets up its sockets there, and does not finish.
    #[error(
        "{} is locked by another process that sets up a socket in it; stop that process, or take \
         another --socket-folder", .0.display()
    )]
    Locked(PathBuf),
    /// Something else has its name.
    #[error("{} exists and is no socket; remove it", .0.display())]
    NoSocket(PathBuf),
    /// The group is not known.
    #[error("--socket-group {0}: there is no such group on this machine")]
    NoGroup(String),
    /// The system refused.
    #[error("{what} {}: {source}; see --socket-folder, --socket-mode and --socket-group", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A bound socket, whose file is removed when it is dropped.
#[derive(Debug)]
pub struct Socket {
    /// The file.
    pub path: PathBuf,
    /// Which file it was: device and inode.
    file: (u64, u64),
}

impl Drop for Socket {
    fn drop(&mut self) {
        match identity(&self.path) {
            Ok(file) if file == self.file => {}
            // Someone removed it, and perhaps another process listens there now.
            _ => return tracing::warn!("the socket {} was taken away", self.path.display()),
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!("removing the socket {}: {error}", self.path.display());
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Binds `<folder>/<name>.sock`. A file that nobody listens on, as a killed
/// process leaves it, is replaced: daprd would wait on it for ever.
///
/// # Errors
/// When another process serves it, the folder is not to be trusted, or the system
/// refuses.
pub async fn bind(
    folder: &Path,
    name: &str,
    access: &Access,
) -> Result<(UnixListener, Socket), SocketError> {
    let path = folder.join(format!("{name}.sock"));
    let failed = |what| {
        let path = path.clone();
        move |source| SocketError::Io { what, path, source }
    };
    make_folder(folder)?;
    // Until the socket is listened on, it looks like one that a killed process left: another
    // component that starts would remove it.
    let _lock = lock::folder(folder).await?;
    clear(&path).await?;
    let unbound = UnixSocket::new_stream().map_err(failed("making"))?;
    unbound.bind(&path).map_err(failed("binding"))?;
    let file = identity(&path).map_err(failed("looking at"))?;
    let socket = Socket {
        path: path.clone(),
        file,
    };
    // Neither follows a link that someone may have put there meanwhile.
    if let Some(group) = &access.group {
        lchown(&path, None, Some(group_id(group)?)).map_err(failed("setting the group of"))?;
    }
    // A mode has more bits on some systems than on others.
    let mode = Mode::from_bits_truncate(access.mode as nix::libc::mode_t);
    fchmodat(AT_FDCWD, &path, mode, FchmodatFlags::NoFollowSymlink)
        .map_err(|error| failed("setting the mode of")(error.into()))?;
    if access.mode & WORLD_WRITABLE != 0 {
        tracing::warn!(
            "{} is open to every user of this machine, who may publish and read with the \
             component's passwords; see --socket-mode and --socket-group",
            path.display()
        );
    }
    // Only now can anyone connect: nobody gets in before the mode is right.
    let listener = unbound.listen(BACKLOG).map_err(failed("listening on"))?;
    Ok((listener, socket))
}

/// Removes what a killed process left there.
async fn clear(path: &Path) -> Result<(), SocketError> {
    let failed = |what| {
        move |source| SocketError::Io {
            what,
            path: path.to_owned(),
            source,
        }
    };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("looking at")(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(SocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            tracing::info!("replacing {}: nobody listens there", path.display());
            std::fs::remove_file(path).map_err(failed("removing"))
        }
        Err(error) => Err(failed("connecting to")(error)),
    }
}

fn group_id(group: &str) -> Result<u32, SocketError> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let found = nix::unistd::Group::from_name(group).ok().flatten();
    found
        .map(|found| found.gid.as_raw())
        .ok_or_else(|| SocketError::NoGroup(group.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, os::unix::fs::PermissionsExt as _, task::Poll};

    use super::*;

    fn access() -> Access {
        Access {
            mode: 0o660,
            group: None,
        }
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rdkafka.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
        assert!(path.exists(), "a closed listener leaves its file");

        let (_listener, socket) = bind(folder.path(), "rdkafka", &access())
            .await
            .expect("stale");
        let mode = std::fs::metadata(&path)
            .expect("it exists")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o660);

        let error = bind(folder.path(), "rdkafka", &access())
            .await
            .expect_err("live");
        assert!(matches!(&error, SocketError::InUse(used) if *used == path));
        assert!(error.to_string().contains("rdkafka.sock"), "{error}");

        drop(socket);
        assert!(!path.exists(), "removed on exit");
    }

    /// Both find the file that a killed process left, and the second would remove the socket that
    /// the first has just bound.
    #[tokio::test]
    async fn of_two_that_start_at_once_one_wins_and_the_other_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rdkafka.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
        // As the other one does it: it removes the file, binds, and is not listening yet.
        let others = lock::folder(folder.path()).await.expect("the lock");
        let access = access();
        let mut second = Box::pin(bind(folder.path(), "rdkafka", &access));
        let begun = poll_fn(|context| Poll::Ready(second.as_mut().poll(context))).await;
        assert!(begun.is_pending(), "it did not wait: {begun:?}");
        std::fs::remove_file(&path).expect("nobody else removed it");
        let unbound = UnixSocket::new_stream().expect("a socket");
        unbound.bind(&path).expect("bound");
        let _listener = unbound.listen(1).expect("it listens");
        drop(others);
        let refused = second.await.expect_err("the first has it");
        assert!(matches!(refused, SocketError::InUse(_)), "{refused}");
    }

    #[tokio::test]
    async fn what_is_no_socket_is_never_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rdkafka.sock");
        std::fs::write(&path, "precious").expect("write");
        let error = bind(folder.path(), "rdkafka", &access())
            .await
            .expect_err("a file");
        assert!(matches!(error, SocketError::NoSocket(_)), "{error}");
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_link_is_neither_followed_nor_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, target) = (
            folder.path().join("rdkafka.sock"),
            folder.path().join("else"),
        );
        // It leads to a stale socket: what it leads to must not make it one.
        drop(std::os::unix::net::UnixListener::bind(&target).expect("bound"));
        std::os::unix::fs::symlink(&target, &path).expect("a link");
        let error = bind(folder.path(), "rdkafka", &access())
            .await
            .expect_err("a link");
        assert!(matches!(error, SocketError::NoSocket(_)), "{error}");
        assert!(target.exists() && std::fs::read_link(&path).is_ok());
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_listener, first) = bind(folder.path(), "rdkafka", &access())
            .await
            .expect("bound");
        std::fs::remove_file(&first.path).expect("someone removes it");
        let (_listener, second) = bind(folder.path(), "rdkafka", &access())
            .await
            .expect("bound again");
        drop(first);
        assert!(second.path.exists(), "another process's socket was removed");
    }

    #[tokio::test]
    async fn an_unknown_group_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let group = Some("no-such-group".to_owned());
        let access = Access { mode: 0o660, group };
        let error = bind(folder.path(), "rdkafka", &access)
            .await
            .expect_err("no group");
        assert!(error.to_string().contains("no-such-group"), "{error}");
        let left = std::fs::read_dir(folder.path()).expect("read").count();
        assert_eq!(left, 0, "no half-made socket is left");
    }
}
