use std::{sync::Arc, time::Duration};

use crate::model::{Epoch, Offset, Ordering, Outcome, Record, TopicPartition};

/// One stream to daprd: the way of a topic's records to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub u64);

/// One handing of a record to a lane; a redelivery has an id of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub u64);

/// The engine's bounds and rules.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What must stay in order.
    pub ordering: Ordering,
    /// Records that are received and not finished, over all partitions; each has
    /// an equal share, at least one record. A partition may exceed its share by
    /// what was under way when it was paused.
    pub max_in_flight: usize,
    /// The same in bytes.
    pub max_in_flight_bytes: usize,
    /// Records of one partition that are received and not yet below its commit
    /// point. It bounds what is delivered again after a crash.
    pub max_uncommitted: usize,
    /// Records that one lane may have and not have answered.
    pub lane_depth: usize,
    /// How long a refused record waits for its next attempt.
    pub retry_delay: Duration,
    /// How long a lane gets nothing after it gave a record back without a
    /// verdict: it is closing.
    pub lane_hold: Duration,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A partition became ours; its first record is `start` or later.
    Assigned {
        /// The partition.
        at: TopicPartition,
        /// The new period of owning it.
        epoch: Epoch,
        /// Its committed position.
        start: Offset,
    },
    /// A partition is about to be taken away: hand out nothing more of it.
    Draining {
        /// The partition.
        at: TopicPartition,
    },
    /// A partition is no longer ours.
    Revoked {
        /// The partition.
        at: TopicPartition,
    },
    /// A record was read.
    Received {
        /// The period in which it was read.
        epoch: Epoch,
        /// The record.
        record: Arc<Record>,
    },
    /// A stream for a topic came up.
    LaneOpened {
        /// Its id, never used before.
        lane: LaneId,
        /// The Kafka topic that it takes.
        topic: Arc<str>,
    },
    /// A stream went down; what it has is in nobody's hands.
    LaneClosed {
        /// Its id.
        lane: LaneId,
    },
    /// The app answered.
    Answered {
        /// Which handing.
        delivery: DeliveryId,
        /// The answer.
        outcome: Outcome,
    },
    /// daprd asked to hand out nothing (`Pause`, Dapr 1.17.7 on), until it resumes
    /// or opens a new stream.
    Paused,
    /// daprd asked to go on.
    Resumed,
    /// Time passed: see [`super::Engine::next_wake`].
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Hand a record to a lane.
    Deliver {
        /// The lane.
        lane: LaneId,
        /// The id that its answer must carry.
        delivery: DeliveryId,
        /// The record.
        record: Arc<Record>,
        /// 1 for the first time, counted since the record was last received.
        attempt: u32,
    },
    /// Let the group's committed offset go up to here.
    Commit {
        /// The partition.
        at: TopicPartition,
        /// The first offset that is not finished.
        offset: Offset,
    },
    /// The app refused a record; it is tried again after `delay`.
    Retry {
        /// The record.
        record: Arc<Record>,
        /// How many attempts have failed.
        attempts: u32,
        /// The wait.
        delay: Duration,
        /// What the app, or daprd, said.
        reason: String,
    },
    /// Stop reading from a partition.
    Pause {
        /// The partition.
        at: TopicPartition,
        /// The record that holds the commit point, when `max_uncommitted` is the
        /// reason.
        held_by: Option<Arc<Record>>,
    },
    /// Read from a partition (again).
    Read {
        /// The partition.
        at: TopicPartition,
    },
}
