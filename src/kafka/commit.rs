//! Commits, and what came of them for each partition.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rdkafka::{
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::KafkaError,
    types::RDKafkaErrorCode,
};

use super::{Cause, context::Context, convert, identity::Origin, progress};
use crate::{
    model::{Progress, TopicPartition},
    telemetry::{Member, events},
};

type Offsets = [(TopicPartition, Progress)];

/// What a commit needs beside the offsets.
pub(super) struct Commit {
    /// The topics that the offsets belong to, as far as they have ids.
    pub(super) origins: HashMap<Arc<str>, Origin>,
    pub(super) instance: Member,
    /// How many bytes of metadata the group's coordinator takes with an offset, as far as it has
    /// refused more.
    pub(super) room: Arc<AtomicUsize>,
}

impl Commit {
    /// Commits all at once, or, when something was refused for a topic, each topic alone. Reports
    /// each partition's result as it comes.
    ///
    /// librdkafka (2.12) tells one error for all partitions, be it that of a single one, and a
    /// topic that may not be read any more would keep all others from being committed.
    pub(super) fn by_topic(
        &self,
        consumer: &StreamConsumer<Context>,
        offsets: &Offsets,
        mut report: impl FnMut(&TopicPartition, Result<(), Cause>),
    ) {
        let mut report_all = |offsets: &Offsets, result: Result<(), KafkaError>| {
            let result = result.map_err(Cause::from);
            for (at, _) in offsets {
                report(at, result.clone());
            }
        };
        match self.at_once(consumer, offsets) {
            Err(error) if is_of_a_topic(&error) => {}
            result => return report_all(offsets, result),
        }
        let mut topics: BTreeMap<&Arc<str>, Vec<_>> = BTreeMap::new();
        for offset in offsets {
            let topic = topics.entry(&offset.0.topic).or_default();
            topic.push(offset.clone());
        }
        for offsets in topics.into_values() {
            let result = self.at_once(consumer, &offsets);
            report_all(&offsets, result);
        }
    }

    /// Commits with less metadata where so much is refused.
    fn at_once(
        &self,
        consumer: &StreamConsumer<Context>,
        offsets: &Offsets,
    ) -> Result<(), KafkaError> {
        let instance = &self.instance;
        loop {
            let room = self.room.load(Ordering::Acquire);
            let list = convert::progress_list(offsets, &self.origins, room)?;
            match consumer.commit(&list, CommitMode::Sync) {
                Err(error) if room > 0 && is_too_large(&error) => {
                    let room = progress::less(room);
                    self.room.store(room, Ordering::Release);
                    events::MetadataRefused { instance, room }.emit();
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        events::Committed { instance, offsets }.emit();
        Ok(())
    }
}

/// Whether a commit was refused for its metadata: brokers bound it (`offset.metadata.max.bytes`),
/// and what they write at once (`message.max.bytes`).
fn is_too_large(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{InvalidCommitOffsetSize, OffsetMetadataTooLarge};
    matches!(
        error.rdkafka_error_code(),
        Some(OffsetMetadataTooLarge | InvalidCommitOffsetSize)
    )
}

/// Whether a commit was refused for one of its topics.
fn is_of_a_topic(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{TopicAuthorizationFailed, UnknownTopic, UnknownTopicOrPartition};
    matches!(
        error.rdkafka_error_code(),
        Some(TopicAuthorizationFailed | UnknownTopic | UnknownTopicOrPartition)
    )
}
