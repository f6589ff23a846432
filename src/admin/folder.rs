//! The folder that only the process's own user may enter.

use std::{
    fs::{DirBuilder, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use nix::{errno::Errno, libc};

use crate::dapr::socket::{SocketError, make_folder};

/// Within the socket folder. daprd's discovery skips folders there (dapr/dapr
/// v1.16.5, `pkg/components/pluggable/discovery.go`: `dirEntry.IsDir()`), and says
/// nothing of them; a plain file it would warn about, and a socket it would ask
/// what it serves. `system::admin::daprd_minds_its_own_sockets_only` holds that.
const NAME: &str = "admin";

/// For the owner only: properties hold passwords.
const MODE: u32 = 0o700;

/// The folder `admin` within the socket folder, and the stem of this process's
/// files there.
#[derive(Clone, Debug)]
pub struct AdminFolder {
    /// The folder.
    pub path: PathBuf,
    /// The names of the process's sockets, joined by +: two processes may share
    /// the socket folder, but never a name.
    pub stem: String,
}

/// The folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The socket folder can't be used.
    #[error(transparent)]
    Sockets(#[from] SocketError),
    /// Someone else made it.
    #[error("{} belongs to another user, or is no folder; remove it", .0.display())]
    NotOurs(PathBuf),
    /// The system refused.
    #[error("making the folder {}: {source}; see --socket-folder", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl AdminFolder {
    /// Where it is, made or not, for a process with these sockets.
    pub fn of(socket_folder: &Path, names: &[String]) -> Self {
        Self {
            path: socket_folder.join(NAME),
            stem: names.join("+"),
        }
    }

    /// Makes the folder, or makes sure that it is the process's own.
    pub fn make(socket_folder: &Path, names: &[String]) -> Result<Self, FolderError> {
        let made = Self::of(socket_folder, names);
        let path = made.path.clone();
        let failed = |source| FolderError::Io {
            path: path.clone(),
            source,
        };
        make_folder(socket_folder)?;
        match DirBuilder::new().mode(MODE).create(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        // Never through a link: it could lead to a folder of someone else's. And what is
        // looked at is what is changed, whatever its name leads to meanwhile.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .open(&path);
        let folder =
            opened.map_err(
                |error| match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                    Errno::ELOOP | Errno::ENOTDIR | Errno::EACCES => {
                        FolderError::NotOurs(path.clone())
                    }
                    _ => failed(error),
                },
            )?;
        if folder.metadata().map_err(failed)?.uid() != nix::unistd::geteuid().as_raw() {
            return Err(FolderError::NotOurs(path));
        }
        folder
            .set_permissions(Permissions::from_mode(MODE))
            .map_err(failed)?;
        Ok(made)
    }

    /// A file of this process in the folder.
    pub fn file(&self, extension: &str) -> PathBuf {
        self.path.join(format!("{}.{extension}", self.stem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_could_enter_is_closed_to_them() {
        let sockets = tempfile::tempdir().expect("a folder");
        let path = sockets.path().join(NAME);
        std::fs::create_dir(&path).expect("made");
        std::fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("set");
        let names = ["kafka".to_owned(), "rdkafka".to_owned()];
        let folder = AdminFolder::make(sockets.path(), &names).expect("it is ours");
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, MODE);
        assert_eq!(folder.file("sock"), path.join("kafka+rdkafka.sock"));
    }

    #[test]
    fn a_link_is_not_followed() {
        let sockets = tempfile::tempdir().expect("a folder");
        let elsewhere = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink(elsewhere.path(), sockets.path().join(NAME)).expect("a link");
        let error = AdminFolder::make(sockets.path(), &[]).expect_err("a link");
        assert!(matches!(&error, FolderError::NotOurs(_)), "{error}");
        assert!(error.to_string().contains("/admin"), "{error}");
    }
}
