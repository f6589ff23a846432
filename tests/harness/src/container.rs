//! A program as a kubelet has it run: in PID and mount namespaces of its own, with a root
//! filesystem that it can't write to, as a user without rights.
//!
//! `unshare` of util-linux makes the namespaces. What comes then needs root and comes before the
//! program: this very executable, started again, does it and becomes the program (`enter`).
//! The network is the machine's, as the containers of a pod share one.

mod enter;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

pub use enter::enter_if_asked;

use crate::{Process, Result, Stopped, process::send};

/// The first argument of an executable that is to become a container's program.
const ARGUMENT: &str = "--become-container";

/// What a container runtime mounts into every container, beside its volumes.
const MOUNT_POINTS: [&str; 2] = ["proc", "dev"];
/// And the files that it brings from the machine.
const MACHINE_FILES: [&str; 2] = ["etc/hosts", "etc/resolv.conf"];

/// A container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Container {
    /// Its root filesystem, with mount points: see [`make_mount_points`].
    pub root: PathBuf,
    /// The program's path within.
    pub program: PathBuf,
    /// The user and group that it runs as.
    pub user: u32,
    /// What is mounted into it.
    pub volumes: Vec<Volume>,
    /// How long it takes until the program starts.
    pub late: Duration,
}

/// A folder that is mounted into a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Volume {
    /// The folder on this machine.
    pub from: PathBuf,
    /// Where it is in the container: an absolute path.
    pub at: PathBuf,
    /// Whether the container may write to it.
    pub writable: bool,
}

impl Container {
    /// A command that starts it; the program's arguments and environment are still to be added.
    pub fn command(&self) -> Result<Command> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can start a container; run the tests as root".into());
        }
        let mut command = Command::new(found("unshare")?);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin")
            // By this a program sees that it is in a pod.
            .env("KUBERNETES_SERVICE_HOST", "10.96.0.1")
            .args(["--pid", "--fork", "--kill-child", "--mount", "--"])
            .arg(std::env::current_exe()?)
            .arg(ARGUMENT)
            .arg(serde_json::to_string(self)?);
        Ok(command)
    }
}

/// Makes what a container runtime would mount over: empty folders and files, for the volumes too.
pub fn make_mount_points(root: &Path, volumes: &[&Path]) -> Result<()> {
    let volumes = volumes.iter().map(|at| within(root, at));
    let folders = MOUNT_POINTS.iter().map(|folder| root.join(folder));
    for folder in folders.chain(volumes) {
        fs::create_dir_all(folder)?;
    }
    for file in MACHINE_FILES {
        fs::write(root.join(file), "")?;
    }
    Ok(())
}

/// A path of the container as it is before it is entered.
fn within(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Where a program of this machine is: a container's command has another `PATH`.
fn found(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&path).map(|folder| folder.join(program));
    all.find(|file| file.is_file())
        .ok_or_else(|| format!("{program} is missing (Debian: apt-get install util-linux)").into())
}

impl Process {
    /// The container's own process, which has the number 1 inside. This handle's is `unshare`, which
    /// ignores signals.
    pub fn inner(&self) -> Result<u32> {
        let outer = self.id().ok_or_else(|| self.failed("has ended"))?;
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"))?;
        let first = children.split_whitespace().next();
        let inner = first.ok_or_else(|| self.failed("has no process in it"))?;
        Ok(inner.parse()?)
    }

    /// Sends a signal to the container's process, as the kubelet does.
    pub async fn signal_inner(&self, signal: &str) -> Result<()> {
        send(signal, self.inner()?).await
    }

    /// Asks the container's process to end, and waits until it has.
    pub async fn stop_inner(self, within: Duration) -> Result<Stopped> {
        self.signal_inner("TERM").await?;
        self.wait(within).await
    }
}
