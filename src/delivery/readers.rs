//! One task per assigned partition, that reads it into the owner's channel.

use std::collections::HashMap;

use futures_util::FutureExt as _;
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

/// What a reader may do.
#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    is_open: bool,
    /// How often it was told to let librdkafka drop what is outdated.
    flushes: u64,
}

/// The readers of all assigned partitions.
pub(super) struct Readers {
    out: mpsc::Sender<Read>,
    /// The gate of each, and its task.
    running: HashMap<TopicPartition, (watch::Sender<Gate>, JoinHandle<()>)>,
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
        let (gate, watched) = watch::channel(Gate::default());
        let task = tokio::spawn(read(reader, epoch, watched, self.out.clone()));
        self.running.insert(at, (gate, task));
    }

    /// Opens or closes a partition's gate. One record that was under way may
    /// still come through a closed one.
    pub(super) fn set_open(&self, at: &TopicPartition, open: bool) {
        if let Some((gate, _)) = self.running.get(at) {
            gate.send_modify(|gate| gate.is_open = open);
        }
    }

    /// Lets librdkafka drop what it has read ahead of a partition that was paused: it does so only
    /// when the partition's queue is looked at, which nobody does behind a closed gate.
    pub(super) fn flush(&self, at: &TopicPartition) {
        if let Some((gate, _)) = self.running.get(at) {
            gate.send_modify(|gate| gate.flushes += 1);
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
    mut gate: watch::Receiver<Gate>,
    out: mpsc::Sender<Read>,
) {
    let mut flushes = 0;
    loop {
        let may_go_on = |gate: &Gate| gate.is_open || gate.flushes != flushes;
        let Ok(now) = gate.wait_for(may_go_on).await.map(|gate| *gate) else {
            return;
        };
        flushes = now.flushes;
        let result = if now.is_open {
            reader.recv().await
        } else if let Some(result) = reader.recv().now_or_never() {
            // What is not outdated is as good as any other.
            result
        } else {
            continue;
        };
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
