use std::path::PathBuf;

use harness::{Result, write_component};
use tempfile::TempDir;

use crate::Side;

/// The folders of one member, for its sockets and its Component file.
#[derive(Debug)]
pub(super) struct Place {
    folder: TempDir,
}

impl Place {
    /// With the Component `todo-pubsub`.
    pub(super) fn new(side: Side, metadata: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = Self { folder };
        std::fs::create_dir_all(place.sockets())?;
        write_component(&place.resources(), "todo-pubsub", side.kind(), metadata)?;
        Ok(place)
    }

    pub(super) fn sockets(&self) -> PathBuf {
        self.folder.path().join("sockets")
    }

    pub(super) fn resources(&self) -> PathBuf {
        self.folder.path().join("components")
    }
}
