//! Commits, and what came of them for each partition.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rdkafka::{
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::KafkaError,
    types::RDKafkaErrorCode,
};

use super::{Cause, context::Context, convert, identity::Origin};
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
    /// The group's coordinator takes no metadata with an offset, or not so much.
    pub(super) plain: Arc<AtomicBool>,
}

impl Commit {
    /// Commits all at once, or, when something was refused for a topic, each topic alone.
    ///
    /// librdkafka (2.12) tells one error for all partitions, be it that of a single one, and a
    /// topic that may not be read any more would keep all others from being committed.
    pub(super) fn by_topic(
        &self,
        consumer: &StreamConsumer<Context>,
        offsets: &Offsets,
    ) -> Vec<Result<(), Cause>> {
        let result = match self.at_once(consumer, offsets) {
            Err(error) if is_of_a_topic(&error) => return self.each_topic(consumer, offsets),
            result => result.map_err(Cause::from),
        };
        vec![result; offsets.len()]
    }

    fn each_topic(
        &self,
        consumer: &StreamConsumer<Context>,
        offsets: &Offsets,
    ) -> Vec<Result<(), Cause>> {
        let mut topics: HashMap<&Arc<str>, Vec<_>> = HashMap::new();
        for offset in offsets {
            topics
                .entry(&offset.0.topic)
                .or_default()
                .push(offset.clone());
        }
        let each = topics.into_iter();
        let results: HashMap<_, _> = each
            .map(|(topic, offsets)| (topic, self.at_once(consumer, &offsets)))
            .collect();
        let result = |(at, _): &(TopicPartition, _)| match &results[&at.topic] {
            Ok(()) => Ok(()),
            Err(error) => Err(Cause::from(error.clone())),
        };
        offsets.iter().map(result).collect()
    }

    /// Commits without metadata where that is refused.
    fn at_once(
        &self,
        consumer: &StreamConsumer<Context>,
        offsets: &Offsets,
    ) -> Result<(), KafkaError> {
        let instance = &self.instance;
        let commit = |plain| {
            let list = convert::progress_list(offsets, &self.origins, plain)?;
            consumer.commit(&list, CommitMode::Sync)
        };
        let plain = self.plain.load(Ordering::Acquire);
        match commit(plain) {
            Err(error) if !plain && is_too_large(&error) => {
                events::MetadataRefused { instance }.emit();
                self.plain.store(true, Ordering::Release);
                commit(true)?;
            }
            committed => committed?,
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
