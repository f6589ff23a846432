//! Unix sockets: their files, who may use them, and whose they are.

use std::{
    fs::Permissions,
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

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
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!("removing the socket {}: {error}", self.path.display());
        }
    }
}

/// Binds `<folder>/<name>.sock`. A file that nobody listens on, as a killed
/// process leaves it, is replaced: daprd would wait on it for ever.
///
/// # Errors
/// When another process serves it, or the system refuses.
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
    std::fs::create_dir_all(folder).map_err(failed("creating the folder of"))?;
    clear(&path).await?;
    let listener = UnixListener::bind(&path).map_err(failed("binding"))?;
    let socket = Socket { path: path.clone() };
    if let Some(group) = &access.group {
        chown(&path, None, Some(group_id(group)?)).map_err(failed("setting the group of"))?;
    }
    std::fs::set_permissions(&path, Permissions::from_mode(access.mode))
        .map_err(failed("setting the mode of"))?;
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
