//! Looking at topics without joining a group.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rdkafka::{
    TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    metadata::MetadataPartition,
    types::RDKafkaErrorCode,
};

use super::{
    Cause, Kind, Unreachable,
    context::{Context, Failures},
    convert::{self, Committed},
    logged_in::LoggedIn,
    reach,
    reading::Reading,
};
use crate::{
    metadata::{Settings, librdkafka},
    model::{Offset, TopicPartition},
};

/// How long one request to a broker may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(200);

/// Partitions whose ends are asked for at once.
const ASKED_AT_ONCE: usize = 16;

/// A consumer that reads partitions and a group's offsets, but is no member of the group.
pub struct Browser {
    pub(super) inner: LoggedIn<Arc<StreamConsumer<Context>>>,
    pub(super) failures: Failures,
    settings: Settings,
    instance: Arc<str>,
}

/// What a group has committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The first offset that is not finished.
    pub offset: Offset,
    /// A text that was committed with it; empty if there is none.
    pub note: String,
}

impl Browser {
    /// A browser that sees this group's offsets. It connects in the background.
    pub fn new(settings: &Settings, group: &str, instance: Arc<str>) -> Result<Self, Cause> {
        let failures = Failures::default();
        let context = Context {
            instance: instance.clone(),
            failures: failures.clone(),
            signals: None,
            closing: AtomicBool::new(false),
        };
        let inner = super::create(settings, librdkafka::browser(settings, group), context)?;
        Ok(Self {
            inner: LoggedIn::shared(inner),
            failures,
            settings: settings.clone(),
            instance,
        })
    }

    /// Waits until a broker answers that can be used; an error tells the first reason
    /// why none does.
    pub async fn reach(&self, timeout: Duration) -> Result<usize, Unreachable> {
        let consumer = self.inner.clone();
        let client = reach::Client {
            settings: self.settings.clone(),
            instance: self.instance.clone(),
            failures: self.failures.clone(),
        };
        let ask = move |timeout| {
            let metadata = consumer.fetch_metadata(None, timeout).ok()?;
            Some(metadata.brokers().len())
        };
        client.reach(timeout, ask).await
    }

    /// The names of all topics that this client may see, sorted.
    pub async fn topics(&self) -> Result<Vec<String>, Cause> {
        self.blocking(|consumer| {
            let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT)?;
            let topics = metadata.topics().iter();
            let mut names: Vec<_> = topics.map(|topic| topic.name().to_owned()).collect();
            names.sort_unstable();
            Ok(names)
        })
        .await
    }

    /// Each partition's first offset and the one after its last, by partition.
    ///
    /// # Errors
    /// Among others when the topic does not exist.
    pub async fn ends(&self, topic: &str) -> Result<Vec<(i32, Offset, Offset)>, Cause> {
        let partitions = self.partitions(topic).await?;
        let ends = partitions.into_iter().map(|partition| {
            let topic = topic.to_owned();
            self.blocking(move |consumer| {
                let (low, high) = consumer.fetch_watermarks(&topic, partition, REQUEST_TIMEOUT)?;
                Ok((partition, Offset(low), Offset(high)))
            })
        });
        stream::iter(ends)
            .buffered(ASKED_AT_ONCE)
            .try_collect()
            .await
    }

    /// The ids of a topic's partitions, sorted. A topic that does not exist is not created.
    ///
    /// # Errors
    /// Among others when the topic does not exist.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<i32>, Cause> {
        let topic = topic.to_owned();
        self.blocking(move |consumer| {
            let metadata = consumer.fetch_metadata(Some(&topic), REQUEST_TIMEOUT)?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            let code = found.and_then(|found| found.error().map(RDKafkaErrorCode::from));
            match (found, code) {
                (Some(found), None) => {
                    let mut ids: Vec<_> = found
                        .partitions()
                        .iter()
                        .map(MetadataPartition::id)
                        .collect();
                    ids.sort_unstable();
                    Ok(ids)
                }
                (None, _) | (_, Some(RDKafkaErrorCode::UnknownTopicOrPartition)) => Err(Cause {
                    kind: Kind::UnknownTopic,
                    text: "the topic does not exist".into(),
                }),
                (_, Some(code)) => Err(rdkafka::error::KafkaError::MetadataFetch(code).into()),
            }
        })
        .await
    }

    /// What the group has committed for a topic's partitions. A group's coordinator may
    /// be on the move; it is given some time.
    pub async fn committed(
        &self,
        topic: &str,
        partitions: &[i32],
    ) -> Result<HashMap<i32, Mark>, Cause> {
        let begun = Instant::now();
        loop {
            match self.committed_now(topic, partitions).await {
                Err(cause)
                    if cause.kind == Kind::Unreachable && begun.elapsed() < REQUEST_TIMEOUT =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                committed => return committed,
            }
        }
    }

    async fn committed_now(
        &self,
        topic: &str,
        partitions: &[i32],
    ) -> Result<HashMap<i32, Mark>, Cause> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(topic, *partition);
        }
        self.blocking(move |consumer| {
            let committed = consumer.committed_offsets(list, REQUEST_TIMEOUT)?;
            let mut marks = HashMap::new();
            for (at, committed) in convert::committed(&committed) {
                if let Some(Committed { offset, metadata }) = committed? {
                    // Another program may have written bytes that are not UTF-8. Such metadata is not
                    // a note of this program.
                    let note = String::from_utf8_lossy(&metadata).into_owned();
                    marks.insert(at.partition, Mark { offset, note });
                }
            }
            Ok(marks)
        })
        .await
    }

    /// Reads parts of a topic's partitions, each from its first offset to the one
    /// before its end. A browser reads one topic at a time.
    pub fn read(
        &self,
        topic: &str,
        ranges: impl IntoIterator<Item = (i32, Offset, Offset)>,
    ) -> Result<Reading<'_>, Cause> {
        let ranges: Vec<_> = ranges
            .into_iter()
            .filter(|(_, first, end)| first < end)
            .map(|(partition, first, end)| (TopicPartition::new(topic, partition), first, end))
            .collect();
        let list = convert::list(ranges.iter().map(|(at, first, _)| (at, *first)))?;
        self.inner.assign(&list)?;
        // An earlier reading has paused what it was done with, and that outlasts an assignment.
        self.inner.resume(&list)?;
        let ends = ranges
            .into_iter()
            .map(|(at, _, end)| (at.partition, (at, end)))
            .collect();
        Ok(Reading::new(self, ends))
    }

    /// Runs a call that waits for a broker where waiting is allowed.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&StreamConsumer<Context>) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, Cause> {
        let consumer = self.inner.clone();
        tokio::task::spawn_blocking(move || call(&consumer))
            .await
            .unwrap_or_else(|ended| Err(Cause::other(ended)))
    }
}
