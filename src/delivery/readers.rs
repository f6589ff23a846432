//! One task per assigned partition, that reads it into the owner's channel.

use std::collections::HashMap;

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::inbox::Read;
use crate::{
    kafka::PartitionReader,
    model::{Epoch, TopicPartition},
};

/// Records between the readers and the owner: enough to keep it busy. They were
/// under way when a partition paused, so its bound may be exceeded by as many, and
/// by the one that its reader holds.
const BUFFER: usize = 64;

/// The readers of all assigned partitions.
pub(super) struct Readers {
    out: mpsc::Sender<Read>,
    /// Whether each is open, and its task.
    running: HashMap<TopicPartition, (watch::Sender<bool>, JoinHandle<()>)>,
}

impl Readers {
    pub(super) fn new() -> (Self, mpsc::Receiver<Read>) {
        let (out, reads) = mpsc::channel(BUFFER);
        let readers = Self {
            out,
            running: HashMap::new(),
        };
        (readers, reads)
    }

    /// Adds a reader of a partition that has none. It waits until its gate is opened; what it
    /// reads belongs to this epoch.
    pub(super) fn add(&mut self, reader: PartitionReader, epoch: Epoch) {
        let at = reader.at().clone();
        let (gate, watched) = watch::channel(false);
        let task = tokio::spawn(read(reader, epoch, watched, self.out.clone()));
        self.running.insert(at, (gate, task));
    }

    /// Opens or closes a partition's gate. One record that was under way may
    /// still come through a closed one.
    pub(super) fn set_open(&self, at: &TopicPartition, open: bool) {
        if let Some((gate, _)) = self.running.get(at) {
            gate.send_replace(open);
        }
    }

    /// Ends a partition's reader. When it returns, the reader holds the partition's queue no
    /// more.
    pub(super) async fn remove(&mut self, at: &TopicPartition) {
        if let Some((_, task)) = self.running.remove(at) {
            end(task).await;
        }
    }

    /// Ends all readers. When it returns, none holds the consumer any more.
    pub(super) async fn stop(&mut self) {
        for (_, (_, task)) in self.running.drain() {
            end(task).await;
        }
    }
}

async fn end(task: JoinHandle<()>) {
    task.abort();
    // The only error there is: that it was aborted.
    let _ = task.await;
}

async fn read(
    reader: PartitionReader,
    epoch: Epoch,
    mut gate: watch::Receiver<bool>,
    out: mpsc::Sender<Read>,
) {
    loop {
        if gate.wait_for(|is_open| *is_open).await.is_err() {
            return;
        }
        let result = reader.recv().await;
        let read = Read {
            at: reader.at().clone(),
            epoch,
            result,
        };
        if out.send(read).await.is_err() {
            return;
        }
    }
}
