//! Log lines and metrics of a group.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    inbox::Written,
    out_of_range::Decision,
    read_ahead::Changes,
    stall::{Awaited, Partition, Standstill},
};
use crate::{
    engine::{self, Action, Standing, WaitsFor},
    kafka::{Cause, Start, StartFrom},
    model::{Offset, Outcome, Progress, Reason, Record, TopicPartition},
    telemetry::{
        Member, events,
        group_state::{Breaker, TopicState},
    },
};

/// Reports what the engine says that happened.
pub(super) fn action(instance: &Member, action: &Action) {
    match action {
        Action::Answered {
            topic,
            outcome,
            took,
        } => answered(instance, topic, outcome, *took),
        Action::Retry {
            record,
            failed,
            delay,
            standing,
            reason,
        } => events::Refused {
            instance,
            at: &record.at,
            offset: record.offset,
            failed: *failed,
            delay: *delay,
            standing: words(*standing),
            reason,
        }
        .emit(),
        Action::LetterDelayed {
            content,
            failed,
            delay,
            reason,
        } => events::DeadLetterDelayed {
            instance,
            at: &content.record.at,
            offset: content.record.offset,
            topic: &content.topic,
            failed: *failed,
            delay: *delay,
            reason,
        }
        .emit(),
        Action::BreakerOpened { topic } => breaker(instance, topic, true),
        Action::BreakerClosed { topic } => breaker(instance, topic, false),
        Action::AppGone { reason } => app(instance, Some(reason)),
        Action::AppBack => app(instance, None),
        Action::SuspectAcks { records } => events::SuspectAcks { instance, records }.emit(),
        Action::OneSerialLane { topic } => events::OneSerialLane { instance, topic }.emit(),
        Action::Pause {
            at,
            held_by: Some(record),
        } => held(instance, at, record),
        Action::Pause { held_by: None, .. }
        | Action::Read { .. }
        | Action::Deliver { .. }
        | Action::Commit { .. }
        | Action::CommitAbove { .. }
        | Action::DeadLetter { .. } => {}
    }
}

fn answered(instance: &Member, topic: &Arc<str>, outcome: &Outcome, took: Duration) {
    if let Outcome::Unknown(reason) = outcome {
        events::Returned {
            instance,
            topic,
            reason,
        }
        .emit();
    }
    events::Answered {
        instance,
        topic,
        outcome: outcome.name(),
        took,
    }
    .emit();
}

fn breaker(instance: &Member, topic: &str, open: bool) {
    events::BreakerChanged {
        instance,
        topic,
        open,
    }
    .emit();
}

fn app(instance: &Member, failure: Option<&str>) {
    events::AppPresence { instance, failure }.emit();
}

fn held(instance: &Member, at: &TopicPartition, by: &Record) {
    let key = by.key.as_deref().map(String::from_utf8_lossy);
    events::Held {
        instance,
        at,
        by: by.offset,
        key: &key.unwrap_or_default(),
    }
    .emit();
}

/// What a standing means for those who read the log.
fn words(standing: Standing) -> &'static str {
    match standing {
        Standing::Retrying => "the records of its key wait",
        Standing::Held => {
            "its attempts are used up and there is no dead-letter topic, so it is retried \
             indefinitely and the records of its key wait"
        }
        Standing::AppFailing => "the app as a whole is failing, so this says nothing of the record",
        Standing::Suspected => {
            "it was under way at several breaks of the app, and so may be their cause: it will be \
             tried while nothing else is under way"
        }
        Standing::BreaksTheApp => {
            "its call broke while no other was under way, which counts as an attempt"
        }
        Standing::MayBreakTheApp => {
            "its call broke while no other was under way, and nothing shows that the app has lived \
             since that happened before, so that the app may not start at all: this counts as no \
             attempt, unless maxBreaks says after how many such breaks the record is given up"
        }
    }
}

/// Reports something that failed and is tried again.
pub(super) fn tries_again(instance: &Member, what: &str, cause: &Cause) {
    events::TriesAgain {
        instance,
        what,
        reason: &cause.text,
    }
    .emit();
}

/// Reports something that failed and that nothing here tries again.
pub(super) fn failed(instance: &Member, what: &str, cause: &Cause) {
    tracing::error!(%instance, "{what} failed: {cause}");
}

/// Reports the commits that failed, those that failed for one reason together.
pub(super) fn failed_commits(
    instance: &Member,
    offsets: &[(TopicPartition, Progress)],
    results: &[Result<(), Cause>],
) {
    let mut failed: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (offset, result) in offsets.iter().zip(results) {
        if let Err(cause) = result {
            failed.entry(&cause.text).or_default().push(offset.clone());
        }
    }
    for (reason, offsets) in failed {
        events::CommitFailed {
            instance,
            offsets: &offsets,
            reason,
        }
        .emit();
    }
}

/// Reports that partitions wait because a commit does not end.
pub(super) fn commits_hang(instance: &Member) {
    events::TriesAgain {
        instance,
        what: "reading further partitions",
        reason: "the group's coordinator does not answer a commit, and until it does librdkafka would \
                 stop all others",
    }
    .emit();
}

/// Reports a start that is not where the group's commit says.
pub(super) fn start(instance: &Member, start: &Start) {
    if let StartFrom::Moved { position, reason } = start.from {
        moved(instance, &start.at, position, start.progress.point, reason);
    }
}

/// Reports where a partition reads on whose position was called out of range.
pub(super) fn reads_on(
    instance: &Member,
    at: &TopicPartition,
    position: Offset,
    decision: &Decision,
) {
    match decision {
        Decision::ReadOn => tracing::warn!(
            %instance,
            "{at}: a broker calls offset {position} out of range, but has it: reading on there"
        ),
        Decision::SkipTo { to, reason } => moved(instance, at, position, *to, *reason),
        Decision::AskAgain { what, cause } => tries_again(instance, what, cause),
        // Reported once the new start is committed.
        Decision::StartAt { .. } => {}
    }
}

fn moved(instance: &Member, at: &TopicPartition, from: Offset, to: Offset, reason: Reason) {
    events::OutOfRange {
        instance,
        at,
        from,
        to,
        reason,
    }
    .emit();
}

/// Reports a partition that alone exceeds the memory for reading ahead.
pub(super) fn read_ahead(instance: &Member, changes: &Changes, limit: usize) {
    if let Some((at, bytes)) = &changes.too_large {
        let bytes = *bytes;
        events::ReadAheadExceeded {
            instance,
            at,
            bytes,
            limit,
        }
        .emit();
    }
}

/// Reports that so many partitions, each of which may have this fetched, share the memory.
pub(super) fn little_memory(instance: &Member, partitions: usize, fetch: usize, limit: usize) {
    let at_a_time = (limit / fetch).max(1);
    if partitions > at_a_time {
        events::LittleMemory {
            instance,
            partitions,
            at_a_time,
            limit,
        }
        .emit();
    }
}

/// Reports a dead letter that was written; one that was not is tried again.
pub(super) fn written(instance: &Member, written: &Written) {
    let content = &written.content;
    if written.result.is_ok() {
        events::DeadLettered {
            instance,
            at: &content.record.at,
            offset: content.record.offset,
            topic: &content.topic,
            failure: content.failure,
            deliveries: content.deliveries,
            reason: &content.reason,
        }
        .emit();
    }
}

/// Reports a partition that waits for a transaction.
pub(super) fn open_transaction(instance: &Member, at: &TopicPartition, position: Offset) {
    events::OpenTransaction {
        instance,
        at,
        position,
    }
    .emit();
}

/// Reports a partition that stands still.
pub(super) fn standstill(instance: &Member, standstill: &Standstill<'_>) {
    let Partition {
        at,
        commit_point,
        hold,
        ..
    } = standstill.partition;
    let record = hold.as_ref().map(|hold| &hold.record);
    let key = record.and_then(|record| record.key.as_deref());
    let key = key.map(String::from_utf8_lossy);
    events::Stalled {
        instance,
        at,
        offset: record.map_or(*commit_point, |record| record.offset),
        key: &key.unwrap_or_default(),
        held: standstill.held,
        waits_for: awaited(standstill.awaited),
    }
    .emit();
}

/// What a partition waits for, for those who read the log.
fn awaited(awaited: Awaited) -> &'static str {
    match awaited {
        Awaited::Confirmation => "the broker's confirmation of its commit",
        Awaited::Record(WaitsFor::DeadLetter) => "the confirmation of its dead letter",
        Awaited::Record(WaitsFor::DeadLetterRetry) => "its dead letter, which can't be written",
        Awaited::Record(WaitsFor::Answer) => "the app's answer",
        Awaited::Record(WaitsFor::Stream) => "a subscriber: there is no stream",
        Awaited::Record(WaitsFor::AbsentApp) => "the app, which can't be reached",
        Awaited::Record(WaitsFor::PausedDaprd) => "daprd, which has paused the component",
        Awaited::Record(WaitsFor::FailingApp) => "the app, which is failing as a whole",
        Awaited::Record(WaitsFor::Test) => {
            "a test: records that may be what breaks the app are tried while nothing else is under way"
        }
        Awaited::Record(WaitsFor::Retry) => "its next attempt, after the app refused it",
        Awaited::Record(WaitsFor::Place) => "a free place on a stream",
    }
}

/// How a topic is doing before its partitions are added.
pub(super) fn topic_state(
    topic: engine::TopicState,
    in_flight_limit: usize,
    stalled: bool,
    dlq_depth: Option<u64>,
) -> TopicState {
    let breaker = match (topic.breaker_open, topic.in_flight) {
        (false, _) => Breaker::Closed,
        (true, 0) => Breaker::Open,
        (true, _) => Breaker::Probing,
    };
    TopicState {
        topic: topic.topic,
        in_flight: 0,
        in_flight_limit,
        lanes: topic.lanes,
        oldest_unfinished: Duration::ZERO,
        uncommitted_gap: 0,
        lag: None,
        lag_age: None,
        assigned_partitions: 0,
        paused_partitions: 0,
        breaker,
        stalled,
        open_transactions: 0,
        suspected_records: topic.suspected,
        dlq_depth,
    }
}

/// Adds a partition to its topic; `end` is the offset after its last record, as far as it is known.
pub(super) fn add_partition(
    state: &mut TopicState,
    partition: &Partition,
    end: Option<Offset>,
    now: Instant,
) {
    let unfinished = partition.unfinished;
    state.in_flight += unfinished;
    state.uncommitted_gap += partition.uncommitted - unfinished;
    state.assigned_partitions += 1;
    state.paused_partitions += usize::from(!partition.is_reading);
    let hold = partition.hold.as_ref();
    if let Some(hold) = hold {
        state.oldest_unfinished = state.oldest_unfinished.max(now - hold.since);
    }
    if let Some(end) = end {
        let lag = u64::try_from(end.0 - partition.commit_point.0).unwrap_or_default();
        state.lag = Some(state.lag.unwrap_or_default() + lag);
        let age = match hold {
            Some(hold) => hold.record.timestamp.map(age),
            None => (lag == 0).then_some(Duration::ZERO),
        };
        state.lag_age = state.lag_age.max(age);
    }
}

/// How old a record with this timestamp is.
fn age(timestamp: i64) -> Duration {
    let millis = u64::try_from(timestamp).unwrap_or_default();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since
        .unwrap_or_default()
        .saturating_sub(Duration::from_millis(millis))
}
