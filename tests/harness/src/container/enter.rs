//! What is done within a container's namespaces, before its program.

use std::{
    convert::Infallible,
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, exit},
};

use rustix::{
    mount::{MountFlags, mount, mount_bind, mount_remount},
    process::{Gid, Signal, Uid, chroot, set_parent_process_death_signal},
    thread::{
        CapabilitySet, capability_is_in_bounding_set, remove_capability_from_bounding_set,
        set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};

use super::{ARGUMENT, Container, MACHINE_FILES, within};
use crate::Result;

/// The devices that every container has.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// The exit code if the program could not be started; a container runtime has the same.
const NOT_STARTED: i32 = 125;

/// Becomes a container's program, if this executable was started for that; has to be the first
/// that `main` calls. Returns otherwise.
pub fn enter_if_asked() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(ARGUMENT) {
        return;
    }
    let container = arguments.next().unwrap_or_default();
    let Err(error) = enter(&container, arguments);
    eprintln!("entering the container: {error}");
    exit(NOT_STARTED);
}

fn enter(container: &str, arguments: impl Iterator<Item = String>) -> Result<Infallible> {
    let container: Container = serde_json::from_str(container)?;
    mount_all(&container)?;
    chroot(&container.root)?;
    std::env::set_current_dir("/")?;
    std::thread::sleep(container.late);
    drop_rights(container.user)?;
    let error = Command::new(&container.program).args(arguments).exec();
    Err(format!("{}: {error}", container.program.display()).into())
}

fn mount_all(container: &Container) -> Result<()> {
    let root = &container.root;
    mount_bind(root, root)?;
    for volume in &container.volumes {
        let at = within(root, &volume.at);
        mount_bind(&volume.from, &at)
            .map_err(|error| format!("mounting {}: {error}", at.display()))?;
        if !volume.writable {
            read_only(&at)?;
        }
    }
    for file in MACHINE_FILES {
        let from = Path::new("/").join(file);
        if from.exists() {
            mount_bind(&from, root.join(file))?;
            read_only(&root.join(file))?;
        }
    }
    let closed = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", root.join("proc"), "proc", closed, None)?;
    let dev = root.join("dev");
    mount("tmpfs", &dev, "tmpfs", MountFlags::NOSUID, None)?;
    for device in DEVICES {
        fs::write(dev.join(device), "")?;
        mount_bind(Path::new("/dev").join(device), dev.join(device))?;
    }
    // Last, since nothing could be mounted on what is not there.
    read_only(root)
}

fn read_only(at: &Path) -> Result<()> {
    let flags = MountFlags::BIND | MountFlags::RDONLY;
    mount_remount(at, flags, "")
        .map_err(|error| format!("making {} read-only: {error}", at.display()).into())
}

/// As `runAsUser`, `capabilities: drop: [ALL]` and `allowPrivilegeEscalation: false` do.
fn drop_rights(user: u32) -> Result<()> {
    for capability in CapabilitySet::all().iter() {
        // One that this kernel does not know is none to drop.
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            remove_capability_from_bounding_set(capability)?;
        }
    }
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    // `unshare --kill-child` had set it, and another user's process has none.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(set_no_new_privs(true)?)
}
