//! Root filesystems as the images have them, made by the same script.

use std::path::{Path, PathBuf};

use harness::{DaprdBuild, Process, Result, STARTUP, build_folder, container, root};
use tempfile::TempDir;
use tokio::process::Command;

use super::program;

/// Where daprd looks for sockets, in every container.
pub const SOCKETS: &str = "/tmp/dapr-components-sockets";
/// Where daprd's container has its Components.
pub const COMPONENTS: &str = "/components";

/// The images of a pod: `dapr-rdkafka`, `daprd` and `todo`.
pub struct Images {
    folder: TempDir,
}

impl Images {
    pub async fn make() -> Result<Self> {
        let images = Self {
            folder: tempfile::tempdir()?,
        };
        let todo = build_folder()?.join("examples/todo");
        for binary in [program(), &DaprdBuild::USUAL.program(), &todo] {
            let name = binary.file_name().ok_or("a program has a name")?;
            let made = images.folder.path().join(name);
            rootfs(binary, &made, &[]).await?;
            container::make_mount_points(&made, &[Path::new(SOCKETS), Path::new(COMPONENTS)])?;
        }
        Ok(images)
    }

    /// The root filesystem of an image.
    pub fn root(&self, image: &str) -> PathBuf {
        self.folder.path().join(image)
    }
}

/// Runs `deploy/rootfs`; what it said is the error.
pub async fn rootfs(binary: &Path, folder: &Path, environment: &[(&str, &str)]) -> Result<()> {
    let mut command = Command::new(root().join("deploy/rootfs"));
    command.args([binary, folder]);
    command.envs(environment.iter().copied());
    let stopped = Process::start("deploy/rootfs", command)?
        .wait(STARTUP)
        .await?;
    if stopped.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", stopped.status, stopped.output).into())
}
