//! Everything that reaches a group's owner.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    commits::BatchId,
    lanes::{Conflict, Lane, Subscriber},
    membership::Generation,
    stall::{Quiet, Stands},
};
use crate::{
    engine::{DeliveryId, LaneId, Letter, LetterId},
    kafka::{Cause, SendError, Shape, Signal, Start, Starts, TopicId},
    model::{Epoch, Log, Offset, Outcome, Progress, Record, TopicPartition},
};

/// One thing that the owner takes in.
pub(super) enum Message {
    /// A request to the owner; `None` once all handles are dropped.
    Command(Option<Command>),
    /// librdkafka's group protocol has something.
    Signal(Signal),
    /// A partition's reader read.
    Read(Read),
    /// A call beside the owner came back.
    Done(Done),
    /// A dead letter was written, or was not.
    Written(Written),
    /// librdkafka reports a failure.
    Failed(Cause),
    /// A deadline has come.
    Due,
}

/// What the owner is asked to do.
pub(super) enum Command {
    Subscribe {
        subscriber: Subscriber,
        reply: oneshot::Sender<Result<Lane, Conflict>>,
    },
    CloseLane(LaneId),
    Answer {
        delivery: DeliveryId,
        outcome: Outcome,
    },
    Pause,
    Resume,
    Shutdown {
        until: Instant,
        reply: oneshot::Sender<Drained>,
    },
}

/// What a shutdown left over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records that were delivered and not answered in time. They will be
    /// delivered again by whoever gets their partitions.
    pub unanswered: usize,
}

/// What a partition's reader read.
pub(super) struct Read {
    pub(super) at: TopicPartition,
    pub(super) epoch: Epoch,
    pub(super) result: Result<Record, Cause>,
}

/// The result of writing a dead letter.
pub(super) struct Written {
    pub(super) letter: LetterId,
    pub(super) content: Arc<Letter>,
    pub(super) result: Result<(), SendError>,
}

/// What a call beside the owner came back with.
pub(super) enum Done {
    Counted {
        topic: Arc<str>,
        result: Result<Option<Shape>, Cause>,
    },
    /// A topic that is subscribed to was to be created.
    Created {
        topic: Arc<str>,
        result: Result<(), Cause>,
    },
    Refreshed(Result<(), Cause>),
    Starts {
        generation: Generation,
        starts: Starts,
    },
    /// Starts that we decided were to be committed.
    Decided {
        generation: Generation,
        starts: Vec<Start>,
        results: Vec<Result<(), Cause>>,
    },
    Committed {
        batch: BatchId,
        offsets: Vec<(TopicPartition, Progress)>,
        /// The period in which each was committed.
        epochs: Vec<Epoch>,
        results: Vec<Result<(), Cause>>,
        /// It ends when the commit has left librdkafka.
        inside: Option<JoinHandle<()>>,
    },
    /// A commit has left librdkafka.
    CommitLeft(BatchId),
    /// No commit is inside librdkafka any more, or that takes long: `late`.
    CommitsEnded {
        generation: Generation,
        late: bool,
        then: AfterCommits,
    },
    LastCommit {
        generation: Generation,
        offsets: Vec<(TopicPartition, Progress)>,
        results: Vec<Result<(), Cause>>,
    },
    /// Whether a dead-letter topic is there.
    DeadLetterTopic {
        source: Arc<str>,
        topic: Arc<str>,
        found: Result<Found, Cause>,
    },
    /// What stands at the positions of quiet partitions, as far as it was found.
    Looked(Vec<(Quiet, Stands)>),
    /// Whether a broker answers a fresh client, while no assignment comes.
    Joining(bool),
    /// The ends of partitions that are not read, or were just assigned.
    Ends {
        assigned: bool,
        ends: Vec<(TopicPartition, Offset)>,
    },
    /// Partitions of topics without ids whose log ends before our position.
    ShortLogs(Vec<(TopicPartition, Epoch)>),
    /// The ids of the topics that are subscribed to.
    Identities(Result<HashMap<Arc<str>, TopicId>, Cause>),
    /// How many records stand in topics' dead-letter topics; `None` if the call ended early.
    Depths(Option<HashMap<Arc<str>, u64>>),
    /// The logs of partitions whose position was called out of range.
    Logs {
        epochs: BTreeMap<TopicPartition, Epoch>,
        logs: HashMap<TopicPartition, Result<Log, Cause>>,
        /// The ids of their topics, asked for after that.
        ids: Result<HashMap<Arc<str>, TopicId>, Cause>,
    },
}

/// What waited until no commit was inside librdkafka.
#[derive(Clone)]
pub(super) enum AfterCommits {
    /// Read partitions.
    TakeOn(Vec<Start>),
    /// Read partitions on from other offsets.
    ReadOn(HashMap<TopicPartition, (Epoch, Offset)>),
}

/// What was found of a dead-letter topic.
pub(super) enum Found {
    There,
    Missing(Shape),
    Created(Shape),
    /// Its source does not exist either.
    SourceUnknown,
}
