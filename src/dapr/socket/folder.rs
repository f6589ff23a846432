//! The folder of the sockets: whoever may write to it may put a socket of his own
//! in the place of ours, and gets what daprd sends, passwords included.

use std::{
    fs::{DirBuilder, Metadata},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use super::SocketError;

/// The mode of a folder that is made here: daprd, which may be another user, must
/// find the sockets, and only the process's own user makes them.
const MODE: u32 = 0o755;

/// Makes the folder, if it is not there.
///
/// # Errors
/// When the system refuses, or when the folder stands where anyone may make one, as
/// in `/tmp`, and someone else made it. A folder that is mounted is taken whoever
/// owns it, and so is one anywhere else: who runs the machine put it there.
pub fn make(folder: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io {
        what: "making the folder",
        path: folder.to_owned(),
        source,
    };
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(MODE)
        .create(folder)
        .map_err(failed)?;
    match stranger(folder).map_err(failed)? {
        None => Ok(()),
        Some(owner) => Err(SocketError::Strange {
            path: folder.to_owned(),
            owner,
        }),
    }
}

/// The user who made the folder, or the link with its name, where anyone may.
fn stranger(folder: &Path) -> io::Result<Option<u32>> {
    let folder = std::path::absolute(folder)?;
    let Some(parent) = folder.parent() else {
        return Ok(None);
    };
    // The link itself, not what it leads to.
    let (found, parent) = (
        std::fs::symlink_metadata(&folder)?,
        std::fs::metadata(parent)?,
    );
    let trusted = [0, nix::unistd::geteuid().as_raw()];
    let strange =
        anyone_may_make(&parent) && found.dev() == parent.dev() && !trusted.contains(&found.uid());
    Ok(strange.then_some(found.uid()))
}

/// Whether it is a folder such as `/tmp`: all may make files, each only change his own.
fn anyone_may_make(folder: &Metadata) -> bool {
    const STICKY_AND_OPEN: u32 = 0o1002;
    folder.permissions().mode() & STICKY_AND_OPEN == STICKY_AND_OPEN
}

#[cfg(test)]
mod tests {
    use std::{
        fs::Permissions,
        os::unix::fs::{lchown, symlink},
    };

    use super::*;

    fn mode(path: &Path) -> u32 {
        let found = std::fs::metadata(path).expect("it is there");
        found.permissions().mode() & 0o7777
    }

    /// A folder such as `/tmp`.
    fn open_to_all() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).expect("set");
        folder
    }

    #[test]
    fn only_its_owner_may_write_to_a_folder_that_is_made() {
        let place = open_to_all();
        let folder = place.path().join("a/b");
        make(&folder).expect("made");
        assert_eq!(mode(&folder) & 0o022, 0, "{:o}", mode(&folder));
        make(&folder).expect("it is ours");
    }

    #[test]
    fn a_folder_that_is_there_keeps_its_mode() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("sockets");
        std::fs::create_dir(&folder).expect("made");
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("set");
        make(&folder).expect("the machine's owner wants it so");
        assert_eq!(mode(&folder), 0o777);
    }

    #[test]
    fn what_someone_else_made_where_anyone_may_is_refused() {
        // Only root may give something away.
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let (place, theirs) = (open_to_all(), tempfile::tempdir().expect("a folder"));
        let (folder, link) = (place.path().join("sockets"), place.path().join("link"));
        std::fs::create_dir(&folder).expect("made");
        symlink(theirs.path(), &link).expect("a link");
        for path in [&folder, &link] {
            make(path).expect("it is ours");
            lchown(path, Some(12345), None).expect("given away");
            let error = make(path).expect_err("someone else's").to_string();
            for part in [&path.display().to_string(), "user 12345", "--socket-folder"] {
                assert!(error.contains(part), "{part} is not in: {error}");
            }
        }
        // Elsewhere it was put by who runs the machine.
        std::fs::set_permissions(place.path(), Permissions::from_mode(0o755)).expect("set");
        make(&folder).expect("not open to all");
    }
}
