//! Calls that wait for a broker beside the owner, and what they come back with.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use super::{
    asks::Quiet,
    dead_letters::Found,
    membership::Generation,
    owner::Owner,
    subscription::{CREATE_AGAIN, Step},
};
use crate::{
    engine::Event,
    kafka::{Cause, Missed, New, Shape, Start, Starts, TopicId, create_topic},
    model::{Epoch, Log, Offset, Progress, TopicPartition},
    telemetry::events,
};

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
    Decided {
        generation: Generation,
        starts: Vec<Start>,
        results: Vec<Result<(), Cause>>,
    },
    Committed {
        offsets: Vec<(TopicPartition, Progress)>,
        /// The period in which each was committed.
        epochs: Vec<Epoch>,
        results: Vec<Result<(), Cause>>,
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
    /// Whether a quiet partition holds records that never came.
    Looked {
        stuck: Option<(Quiet, Missed)>,
    },
    /// Whether a broker answers a fresh client, while no assignment comes.
    Joining(bool),
    /// The ends of partitions that are not read.
    Ends(Vec<(TopicPartition, Offset)>),
    /// Partitions of topics without ids whose log ends before our position.
    ShortLogs(Vec<(TopicPartition, Epoch)>),
    /// The ids of the topics that are subscribed to.
    Identities(Result<HashMap<Arc<str>, TopicId>, Cause>),
    /// How many records stand in topics' dead-letter topics.
    Depths(HashMap<Arc<str>, u64>),
    /// The logs of partitions whose position was called out of range.
    Logs {
        epochs: BTreeMap<TopicPartition, Epoch>,
        logs: HashMap<TopicPartition, Result<Log, Cause>>,
        /// The ids of their topics, asked for after that.
        ids: Result<HashMap<Arc<str>, TopicId>, Cause>,
    },
}

impl Owner {
    fn committed(
        &mut self,
        offsets: Vec<(TopicPartition, Progress)>,
        epochs: Vec<Epoch>,
        results: Vec<Result<(), Cause>>,
    ) {
        self.tell_failed_commits(&offsets, &results);
        let mut failed = Vec::new();
        for (((at, progress), epoch), result) in offsets.into_iter().zip(epochs).zip(results) {
            let offset = progress.point;
            if result.is_ok() {
                self.step(Event::Committed { at, epoch, offset });
            } else if self.engine.position(&at).is_some() {
                // As far as they are ours now: what failed may be of an earlier epoch.
                failed.push(at);
            }
        }
        self.commits.ended(failed, Instant::now());
    }

    /// Those that failed for one reason are told together.
    pub(super) fn tell_failed_commits(
        &self,
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
                instance: &self.instance,
                offsets: &offsets,
                reason,
            }
            .emit();
        }
    }

    pub(super) fn update_subscription(&mut self, now: Instant) {
        for step in self.subscription.steps(now) {
            match step {
                Step::Ask(topic) => {
                    let consumer = self.consumer.clone();
                    let early = Done::Counted {
                        topic: topic.clone(),
                        result: Err(Cause::ended_early()),
                    };
                    self.calls.spawn(early, async move {
                        let result = consumer.shape(&topic).await;
                        Done::Counted { topic, result }
                    });
                }
                Step::Create(topic) => {
                    let settings = self.settings.clone();
                    let early = Done::Created {
                        topic: topic.clone(),
                        result: Err(Cause::ended_early()),
                    };
                    self.calls.spawn(early, async move {
                        let result = create_topic(&settings, &topic, New::Defaults).await;
                        Done::Created { topic, result }
                    });
                }
                Step::Subscribe(topics) => {
                    let topics: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
                    match self.consumer.subscribe(&topics) {
                        Ok(()) => {
                            tracing::info!(instance = %self.instance, "subscribed to {topics:?}");
                        }
                        Err(cause) => {
                            self.tries_again("subscribing", &cause);
                            self.subscription.not_applied(now);
                        }
                    }
                }
            }
        }
    }

    pub(super) async fn done(&mut self, done: Done) {
        match done {
            Done::Counted { topic, result } => self.counted(&topic, result),
            Done::Created { topic, result } => self.created(&topic, result),
            Done::Refreshed(Ok(())) => {}
            Done::Refreshed(Err(cause)) => self.tries_again("refreshing the topics", &cause),
            Done::Starts { generation, starts } => self.starts(generation, starts).await,
            Done::Decided {
                generation,
                starts,
                results,
            } => self.decided(generation, starts, results).await,
            Done::Committed {
                offsets,
                epochs,
                results,
            } => self.committed(offsets, epochs, results),
            Done::LastCommit {
                generation,
                offsets,
                results,
            } => self.last_commit_ended(generation, &offsets, &results),
            Done::Logs { epochs, logs, ids } => self.logs(epochs, logs, &ids),
            Done::Looked { stuck } => self.looked(stuck),
            Done::Joining(answers) => self.joining(answers),
            Done::Ends(ends) => self.ends(ends),
            Done::Identities(told) => self.identities(told),
            Done::ShortLogs(short) => self.short_logs(short),
            Done::Depths(depths) => self.watch.depths = depths,
            Done::DeadLetterTopic {
                source,
                topic,
                found,
            } => self.dead_letter_topic(source, topic, found),
        }
    }

    fn created(&mut self, topic: &str, result: Result<(), Cause>) {
        let instance = &self.instance;
        match result {
            Ok(()) => {
                tracing::info!(%instance, "created the topic {topic} with the brokers' defaults");
                self.subscription.created(Instant::now());
            }
            Err(cause) => events::TopicNotCreated {
                instance,
                topic,
                delay: CREATE_AGAIN,
                reason: &cause.text,
            }
            .emit(),
        }
    }

    fn counted(&mut self, topic: &Arc<str>, result: Result<Option<Shape>, Cause>) {
        let now = Instant::now();
        let count = match result {
            Ok(shape) => Some(shape.map_or(0, |shape| shape.partitions)),
            Err(cause) => {
                self.tries_again(&format!("asking for topic {topic}"), &cause);
                None
            }
        };
        if self.subscription.learned(topic, count, now) {
            tracing::info!(instance = %self.instance, "topic {topic} has appeared");
            let consumer = self.consumer.clone();
            let early = Done::Refreshed(Err(Cause::ended_early()));
            self.calls.spawn(early, async move {
                Done::Refreshed(consumer.refresh_topics().await)
            });
        } else if count == Some(0) {
            tracing::debug!(instance = %self.instance, "topic {topic} does not exist yet");
        }
    }
}
