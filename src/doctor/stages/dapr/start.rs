//! What a component can find out by itself when it starts: whether daprd will be able to
//! open its socket.

use std::{
    fs::Metadata,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use super::{
    access::{LIST, User},
    process,
    sockets::{Place, denied, no_way},
};
use crate::doctor::Finding;

/// daprd's user and group in its image (dapr/dapr v1.16.5, `docker/Dockerfile`).
const IMAGE: u32 = 65532;

/// The bit of a folder's mode by which files in it get its group.
const SETGID: u32 = 0o2000;

impl User {
    /// daprd as its image has it, in the pod of this process, which shares the folder with
    /// it. A pod that runs it as another user is not seen from here.
    pub fn of_daprds_image(folder: &Path) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let own = process::user(&status).map(|own| own.groups);
        of_image(&own.unwrap_or_default(), std::fs::metadata(folder).ok())
    }
}

/// The groups that a pod gives to all its containers are daprd's too: the supplementary
/// ones, and that of a volume with `fsGroup`, whose folder hands it on. Our own first group
/// is not; runtimes list it among the supplementary ones as well.
fn of_image(own: &[u32], folder: Option<Metadata>) -> User {
    let first = own.first();
    let shared = own.iter().filter(|group| Some(*group) != first);
    let handed_on = folder.filter(|folder| folder.permissions().mode() & SETGID != 0);
    User {
        id: IMAGE,
        groups: std::iter::once(IMAGE)
            .chain(shared.copied())
            .chain(handed_on.map(|folder| folder.gid()))
            .collect(),
        above_modes: false,
    }
}

/// Why daprd, as this user, could not open a socket; `None` if it can, as far as the
/// socket and its folder say.
pub fn shut_out(daprd: &User, socket: &Path) -> Option<Finding> {
    let folder = socket.parent()?;
    let found = std::fs::metadata(folder).ok()?;
    if !daprd.may(LIST, &found) {
        return Some(no_way(daprd, folder));
    }
    let place = Place {
        told: Some(folder),
        process: None,
        user: Some(daprd),
        name: None,
        reached: false,
    };
    denied(&place, socket)
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::net::UnixListener};

    use super::*;

    #[test]
    fn daprd_has_the_pods_groups_and_not_this_containers() {
        let of = |groups: &[u32]| of_image(groups, None).groups;
        assert_eq!(of(&[1000]), [IMAGE]);
        assert_eq!(of(&[1000, 1000, 2000]), [IMAGE, 2000]);
        assert_eq!(of_image(&[], None).groups, [IMAGE]);
        let folder = tempfile::tempdir().expect("a folder");
        let with_mode = |mode| {
            let set = std::fs::set_permissions(folder.path(), Permissions::from_mode(mode));
            set.expect("it is ours");
            let found = std::fs::metadata(folder.path()).expect("it is there");
            (found.gid(), of_image(&[1000], Some(found)).groups)
        };
        let (_, plain) = with_mode(0o777);
        assert_eq!(plain, [IMAGE]);
        let (group, handed_on) = with_mode(0o2777);
        assert_eq!(handed_on, [IMAGE, group]);
    }

    #[test]
    fn a_closed_socket_and_a_closed_folder_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("rdkafka.sock");
        let _listener = UnixListener::bind(&socket).expect("bound");
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
        };
        let daprd = User {
            id: 12345,
            groups: vec![12345],
            above_modes: false,
        };
        let found = || shut_out(&daprd, &socket).map(|finding| finding.cause);
        set(folder.path(), 0o755);
        set(&socket, 0o666);
        assert_eq!(found(), None);
        set(&socket, 0o660);
        let cause = found().expect("closed");
        assert!(
            cause.contains("rdkafka.sock") && cause.contains("660"),
            "{cause}"
        );
        set(folder.path(), 0o700);
        let cause = found().expect("closed");
        assert!(cause.contains("may not pass the folder"), "{cause}");
    }
}
