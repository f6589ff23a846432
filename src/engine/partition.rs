use std::sync::Arc;

use super::{keys::Sequences, offsets::Offsets, window::Window};
use crate::model::{Epoch, Offset, Record};

/// One partition, for as long as it is ours.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) epoch: Epoch,
    pub(super) offsets: Offsets,
    pub(super) sequences: Sequences,
    pub(super) window: Window,
    /// Nothing of it is handed out any more.
    pub(super) draining: bool,
    /// What the shell was told last; it starts out not reading.
    pub(super) reading: bool,
}

impl Partition {
    pub(super) fn new(epoch: Epoch, start: Offset) -> Self {
        Self {
            epoch,
            offsets: Offsets::new(start),
            sequences: Sequences::default(),
            window: Window::default(),
            draining: false,
            reading: false,
        }
    }

    /// The unfinished record that the commit point stands at.
    pub(super) fn holder(&self) -> Option<Arc<Record>> {
        self.sequences.head_at(self.offsets.commit_point())
    }
}
