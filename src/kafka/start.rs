//! Where a partition starts, given what the group has committed and what brokers tell: pure.

use std::{collections::HashMap, sync::Arc};

use super::{
    Cause, TopicId,
    identity::{Origin, same_topic},
    progress,
};
use crate::model::{
    Continue, Evidence, Log, Offset, Progress, Reason, SameTopic, TopicPartition, resume,
};

/// Where to start in a partition that the group never committed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// After the newest record.
    Newest,
    /// At the first record that is left.
    Oldest,
}

/// A partition that was assigned.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The partition.
    pub at: TopicPartition,
    /// Where it starts if the group never committed for it.
    pub start: StartAt,
    /// Its topic was created again while it was ours: a commit that names no topic belongs to the
    /// topic before.
    pub recreated: bool,
}

/// Where a partition starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The partition.
    pub at: TopicPartition,
    /// Its first record is at the point or later; what stands above is finished.
    pub progress: Progress,
    /// What the point comes from.
    pub from: StartFrom,
    /// Whether the point is known to belong to the topic that is there now.
    pub topic: SameTopic,
}

/// What a start offset comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// The group committed it.
    Commit,
    /// The group never committed any, so [`StartAt`] decided.
    Policy,
    /// The group's position can't be used any more.
    Moved {
        /// The group's position.
        position: Offset,
        /// Why it can't be used.
        reason: Reason,
    },
}

/// Where partitions start.
#[derive(Debug)]
pub struct Starts {
    /// A result for each partition.
    pub results: Vec<(TopicPartition, Result<Start, Cause>)>,
    /// The ids of their topics, asked for after the group's offsets; those that a broker told.
    pub ids: HashMap<Arc<str>, TopicId>,
}

/// What is needed to say where a partition starts.
pub enum Need {
    /// Nothing more.
    Known(Start),
    /// The partition's first offset.
    First,
    /// The offset after the last record that the group may see.
    Newest,
    /// The partition's log, for this position.
    Log(Progress, SameTopic),
}

/// An end of a partition that a start needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// The first offset that is left.
    First,
    /// The offset after the last record, open transactions included.
    Last,
    /// The offset after the last record that the group may see.
    Newest,
}

impl Need {
    /// Where a partition starts, given the ends that are needed, as its leader tells them.
    pub fn start(
        self,
        at: &TopicPartition,
        mut told: impl FnMut(Needed) -> Result<Offset, Cause>,
    ) -> Result<Start, Cause> {
        let by_policy = |point: Offset| Start {
            at: at.clone(),
            progress: point.into(),
            from: StartFrom::Policy,
            topic: SameTopic::Yes,
        };
        Ok(match self {
            Self::Known(start) => start,
            Self::First => by_policy(told(Needed::First)?),
            Self::Newest => by_policy(told(Needed::Newest)?),
            Self::Log(progress, topic) => {
                let log = Log {
                    first: told(Needed::First)?,
                    end: told(Needed::Last)?,
                };
                start_in(at, progress, topic, log)
            }
        })
    }
}

/// What is needed to say where a partition starts, given what the group has committed and the
/// topic that is there now; `unknown` says why that is not known.
pub fn need(
    wanted: &Wanted,
    committed: Option<(Offset, &[u8])>,
    now: Option<&Origin>,
    unknown: Option<&Cause>,
) -> Result<Need, Cause> {
    let Some((offset, metadata)) = committed else {
        return Ok(match wanted.start {
            StartAt::Oldest => Need::First,
            StartAt::Newest => Need::Newest,
        });
    };
    let (mut progress, origin) = progress::parse(offset, metadata);
    if let Some(cause) = unknown.filter(|_| origin.is_some()) {
        return Err(cause.clone());
    }
    let topic = match same_topic(origin.as_ref(), now) {
        SameTopic::Unknown if wanted.recreated => SameTopic::No,
        topic => topic,
    };
    if topic != SameTopic::Yes {
        progress.above.clear();
    }
    let evidence = Evidence { topic, log: None };
    Ok(match resume(offset, evidence) {
        // A log that was cut may have lost the records that the ranges name.
        Continue::Here if progress.above.is_empty() => Need::Known(Start {
            at: wanted.at.clone(),
            progress,
            from: StartFrom::Commit,
            topic,
        }),
        _ => Need::Log(progress, topic),
    })
}

/// Where a partition starts whose log is known.
fn start_in(at: &TopicPartition, mut progress: Progress, topic: SameTopic, log: Log) -> Start {
    let position = progress.point;
    let log_known = Evidence {
        topic,
        log: Some(log),
    };
    let from = match resume(position, log_known) {
        Continue::Here | Continue::AskForLog => StartFrom::Commit,
        Continue::Moved(to, reason) => {
            let is_left = |range: &std::ops::Range<Offset>| range.end > to;
            progress.point = to;
            progress.above.retain(is_left);
            if let Some(range) = progress.above.first_mut() {
                range.start = range.start.max(to);
            }
            StartFrom::Moved { position, reason }
        }
    };
    if progress.above.last().is_some_and(|last| last.end > log.end) {
        progress.above.clear();
    }
    Start {
        at: at.clone(),
        progress,
        topic: match from {
            StartFrom::Commit => topic,
            StartFrom::Policy | StartFrom::Moved { .. } => SameTopic::Yes,
        },
        from,
    }
}
