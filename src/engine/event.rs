use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{BreakerLimits, IsolationLimits};
use crate::model::{
    Epoch, Offset, Ordering, Outcome, Policy, Progress, Record, TopicPartition,
    dead_letter::Failure,
};

/// One stream to daprd: the way of a topic's records to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub u64);

/// One handing of a record to a lane; a redelivery has an id of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub u64);

/// One dead letter on its way to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId(pub u64);

/// The engine's bounds and rules.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What must stay in order.
    pub ordering: Ordering,
    /// Records that are received and not finished, over all partitions. Each partition has a
    /// floor of half of its equal share, 1 to 16 records; the rest is for all, half of it at the
    /// most for one topic while another has or wants some of it. It is exceeded by what was under way when a
    /// partition was paused, and where there are more partitions than records.
    pub max_in_flight: usize,
    /// The same in bytes.
    pub max_in_flight_bytes: usize,
    /// Records of one partition that are received and not below the offset that
    /// the broker has confirmed. It bounds what is delivered again after a crash.
    pub max_uncommitted: usize,
    /// Records that one of several lanes of a topic may have and not have
    /// answered, as long as it answers in order.
    pub lane_depth: usize,
    /// The same for the only lane of a topic.
    pub only_lane_depth: usize,
    /// The same for a lane of which no answer has come yet.
    pub new_lane_depth: usize,
    /// A lane that answers in order gets no more than the app works off within this time, but two
    /// records in any case: what waits in daprd can't be taken back, and is worked on by two apps
    /// if its partition goes.
    pub lane_room: Duration,
    /// When one lane is all that a topic has, and it has not been enough for so
    /// long, that is told.
    pub serial_after: Duration,
    /// How long a lane gets nothing after it gave a record back without a
    /// verdict: it is closing.
    pub lane_hold: Duration,
    /// When a broken app is told from single bad records.
    pub breaker: BreakerLimits,
    /// How long after an app could not be reached it is tried again: at first, and at
    /// the most; doubled in between.
    pub absent_probe: (Duration, Duration),
    /// How often a record must have broken the app, alone, before it is given up, whatever its
    /// policy says.
    pub least_breaks: u32,
    /// How records are tested that may be what breaks the app.
    pub isolation: IsolationLimits,
    /// How long a call may take to find that the app is gone, also one that daprd was
    /// about to begin.
    pub dial: Duration,
    /// How long after an ack the app must answer another call before the ack is trusted, while
    /// calls are in flight: a false ack arrives at the moment the app dies.
    pub ack_settles: Duration,
    /// How long after an ack it is trusted in any case: daprd reports a failed call at once, or
    /// closes its streams within this time.
    pub ack_settles_in_silence: Duration,
    /// How far apart two calls may have been handed out that daprd began at the same moment.
    pub mixed_up: Duration,
    /// How long a dead letter that could not be written waits: at first, and at
    /// the most; doubled in between.
    pub letter_delay: (Duration, Duration),
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Partitions became ours; the first record of each is at its start's point or later, and
    /// what was finished above that is not handed out again.
    Assigned {
        /// Each partition, the new period of owning it, and what the group has committed of it.
        partitions: Vec<(TopicPartition, Epoch, Progress)>,
    },
    /// Partitions are about to be taken away: hand out nothing more of them.
    Draining {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// Partitions are no longer ours.
    Revoked {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// A record was read.
    Received {
        /// The period in which it was read.
        epoch: Epoch,
        /// The record.
        record: Arc<Record>,
    },
    /// A record was read that this group has no business with: it is finished.
    Passed {
        /// The partition.
        at: TopicPartition,
        /// The period in which it was read.
        epoch: Epoch,
        /// The record's offset.
        offset: Offset,
    },
    /// A stream for a topic came up.
    LaneOpened {
        /// Its id, never used before.
        lane: LaneId,
        /// The Kafka topic that it takes.
        topic: Arc<str>,
        /// What happens to refused records of this topic from now on.
        policy: Arc<Policy>,
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
    /// The broker confirmed a dead letter, or it could not be written.
    Written {
        /// Which one.
        letter: LetterId,
        /// What went wrong, if something did.
        result: Result<(), String>,
    },
    /// The broker has confirmed a commit.
    Committed {
        /// The partition.
        at: TopicPartition,
        /// The period in which it was committed.
        epoch: Epoch,
        /// The group's offset there.
        offset: Offset,
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
    /// The app answered a delivery, possibly of a partition that was revoked meanwhile.
    Answered {
        /// The record's topic.
        topic: Arc<str>,
        /// The answer.
        outcome: Outcome,
        /// How long the lane had the record.
        took: Duration,
    },
    /// Let the group's committed offset go up to here.
    Commit {
        /// The partition.
        at: TopicPartition,
        /// The first offset that is not finished.
        offset: Offset,
    },
    /// A record above the commit point is finished: commit that, so that it does not come
    /// again when the partition goes to another.
    CommitAbove {
        /// The partition.
        at: TopicPartition,
    },
    /// The app refused a record; it is tried again after `delay`.
    Retry {
        /// The record.
        record: Arc<Record>,
        /// How many attempts have failed, also those that say nothing of it; a call that
        /// was refused is none.
        failed: u32,
        /// The wait.
        delay: Duration,
        /// What it has come to.
        standing: Standing,
        /// What the app, or daprd, said.
        reason: String,
    },
    /// Write a record to its dead-letter topic, and tell with [`Event::Written`].
    DeadLetter {
        /// The id to tell it with.
        letter: LetterId,
        /// What to write.
        content: Arc<Letter>,
    },
    /// A dead letter could not be written. Its source stays unfinished, and it is
    /// tried again after `delay`.
    LetterDelayed {
        /// What was to be written.
        content: Arc<Letter>,
        /// How often that failed.
        failed: u32,
        /// The wait.
        delay: Duration,
        /// What went wrong.
        reason: String,
    },
    /// Most of what a topic's app was given has failed: from now on it gets one
    /// record at a time.
    BreakerOpened {
        /// The topic.
        topic: Arc<str>,
    },
    /// The app is well again, or there is no dead-letter topic to protect any more:
    /// it gets everything.
    BreakerClosed {
        /// The topic.
        topic: Arc<str>,
    },
    /// The app can't be reached: from now on one record at a time is handed out, of all
    /// topics together.
    AppGone {
        /// What daprd said.
        reason: String,
    },
    /// The app has answered again.
    AppBack,
    /// daprd acknowledged these records just before a call to the app failed. They are
    /// redelivered.
    SuspectAcks {
        /// The records; at least one.
        records: Vec<Arc<Record>>,
    },
    /// One stream is all that a topic has, daprd handles its messages one at a
    /// time, and records wait for it. Told once per topic.
    OneSerialLane {
        /// The topic.
        topic: Arc<str>,
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

/// What a refused record has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is tried as its policy says.
    Retrying,
    /// Its attempts are used up and there is no dead-letter topic: it is tried at
    /// the longest wait for ever.
    Held,
    /// The app as a whole is failing: the attempt says nothing of the record.
    AppFailing,
    /// It was under way at several breaks, always with others: it is to be tested while nothing
    /// else is under way.
    Suspected,
    /// Its call broke while no other was under way, and the app has lived since that happened
    /// before: it counts as an attempt.
    BreaksTheApp,
    /// The same, but nothing shows that the app has lived since: it counts as no attempt.
    MayBreakTheApp,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The record.
    pub record: Arc<Record>,
    /// The dead-letter topic.
    pub topic: Arc<str>,
    /// Why it is one.
    pub failure: Failure,
    /// How often it was handed to the app.
    pub deliveries: u32,
    /// When the first attempt failed.
    pub first_failure: Instant,
    /// When the last attempt failed.
    pub last_failure: Instant,
    /// What was said last.
    pub reason: String,
}
