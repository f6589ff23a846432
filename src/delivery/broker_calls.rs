//! What is asked of the brokers beside the owner: one function for each question, which comes
//! back with its answer as a [`Done`].

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{task::JoinHandle, time::timeout};

use super::{
    calls::Calls,
    commits::BatchId,
    inbox::{AfterCommits, Done, Found},
    membership::Generation,
    stall::{Quiet, Stands},
};
use crate::{
    kafka::{
        AtPosition, Cause, GroupConsumer, New, Start, Starts, TopicId, Wanted, Within,
        at_positions, broker_answers, create_topic,
    },
    metadata::Settings,
    model::{Epoch, Offset, Progress, TopicPartition},
};

/// How long a broker may take to tell topics' ids: a consumer that is to be closed waits for it.
const IDS_WITHIN: Duration = Duration::from_secs(2);

/// How long a leader may take to tell where its partitions begin and end: at first, when the
/// partitions of all leaders wait for the slowest, and when it is asked for again.
const ENDS_AT_FIRST: Duration = Duration::from_millis(500);
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// How long to wait before that is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// After this time the log says that a commit is still inside librdkafka.
const COMMITS_END: Duration = Duration::from_secs(5);

/// librdkafka reconnects and fetches again within this.
const RECOVERY: Duration = Duration::from_secs(5);

/// How long a dead-letter topic that we create keeps its records: two weeks to
/// find the cause and send them back.
const RETENTION: Duration = Duration::from_secs(14 * 24 * 3600);

/// What the machines ask of the brokers, or have them do.
pub(super) enum Call {
    /// Where partitions start; `again`, after a wait, if it was asked for and no broker said.
    FindStarts {
        wanted: Vec<Wanted>,
        known: HashMap<Arc<str>, TopicId>,
        generation: Generation,
        again: bool,
    },
    /// Commit starts that we decided, after a wait.
    CommitStarts {
        starts: Vec<Start>,
        ids: HashMap<Arc<str>, TopicId>,
        generation: Generation,
        wait: Duration,
    },
    /// Commit progress; each partition with the epoch in which it is ours.
    Commit {
        batch: BatchId,
        offsets: Vec<(TopicPartition, Progress)>,
        epochs: Vec<Epoch>,
        ids: HashMap<Arc<str>, TopicId>,
    },
    /// Commit all progress before partitions are given back.
    LastCommit {
        offsets: Vec<(TopicPartition, Progress)>,
        ids: HashMap<Arc<str>, TopicId>,
        generation: Generation,
    },
    /// Wait until no commit is inside librdkafka.
    AfterCommits {
        generation: Generation,
        then: AfterCommits,
    },
    /// The logs of partitions, and then who their topics are.
    Logs(BTreeMap<TopicPartition, Epoch>),
    /// How a topic is laid out.
    Count(Arc<str>),
    /// The ids of topics.
    Identities(Vec<Arc<str>>),
    /// Which of these partitions end before their position.
    ShortLogs(Vec<(TopicPartition, Epoch, Offset)>),
    /// The ends of partitions that are not read, or were just assigned.
    Ends {
        partitions: Vec<TopicPartition>,
        assigned: bool,
    },
    /// What stands at the positions of quiet partitions.
    LookAt(Vec<Quiet>),
    /// Whether a broker answers a fresh client.
    AskWhetherABrokerAnswers,
}

/// The calls under way to the brokers of a consumer.
pub(super) type BrokerCalls = Calls<Done>;

impl BrokerCalls {
    /// Begins a call.
    pub(super) fn begin(&mut self, call: Call, of: &GroupConsumer, settings: &Settings) {
        let consumer = of.clone();
        match call {
            Call::FindStarts {
                wanted,
                known,
                generation,
                again,
            } => self.find_starts(consumer, wanted, known, generation, again),
            Call::CommitStarts {
                starts,
                ids,
                generation,
                wait,
            } => self.commit_starts(consumer, starts, ids, generation, wait),
            Call::Commit {
                batch,
                offsets,
                epochs,
                ids,
            } => self.commit(of, batch, offsets, epochs, ids),
            Call::LastCommit {
                offsets,
                ids,
                generation,
            } => self.last_commit(consumer, offsets, ids, generation),
            Call::AfterCommits { generation, then } => {
                self.after_commits(consumer, generation, then);
            }
            Call::Logs(epochs) => self.logs(consumer, epochs),
            Call::Count(topic) => self.count(consumer, topic),
            Call::Identities(topics) => self.identities(consumer, topics),
            Call::ShortLogs(asked) => self.short_logs(consumer, asked),
            Call::Ends {
                partitions,
                assigned,
            } => self.ends(consumer, partitions, assigned),
            Call::LookAt(quiet) => self.look_at(consumer, settings.clone(), quiet),
            Call::AskWhetherABrokerAnswers => self.ask_whether_a_broker_answers(settings.clone()),
        }
    }

    /// Asks where partitions start; `again`, after a wait, if it was asked for and no broker said.
    fn find_starts(
        &mut self,
        consumer: GroupConsumer,
        wanted: Vec<Wanted>,
        known: HashMap<Arc<str>, TopicId>,
        generation: Generation,
        again: bool,
    ) {
        let (wait, ends) = if again {
            (ASK_AGAIN, ENDS_WITHIN)
        } else {
            (Duration::ZERO, ENDS_AT_FIRST)
        };
        let within = Within {
            ids: IDS_WITHIN,
            ends,
        };
        let places = wanted.iter().map(|wanted| wanted.at.clone());
        let early = Starts {
            results: places.map(|at| (at, Err(Cause::ended_early()))).collect(),
            ids: HashMap::new(),
        };
        let done = move |starts| Done::Starts { generation, starts };
        self.spawn(done(early), async move {
            tokio::time::sleep(wait).await;
            done(consumer.start_positions(wanted, known, within).await)
        });
    }

    /// Commits starts that we decided, after a wait.
    fn commit_starts(
        &mut self,
        consumer: GroupConsumer,
        starts: Vec<Start>,
        ids: HashMap<Arc<str>, TopicId>,
        generation: Generation,
        wait: Duration,
    ) {
        let offsets = starts.iter();
        let offsets = offsets.map(|start| (start.at.clone(), start.progress.clone()));
        let offsets: Vec<_> = offsets.collect();
        let early = ended_early(&offsets);
        let done = move |starts, results| Done::Decided {
            generation,
            starts,
            results,
        };
        self.spawn(done(starts.clone(), early), async move {
            tokio::time::sleep(wait).await;
            let (results, _) = consumer.commit(offsets, ids).results().await;
            done(starts, results)
        });
    }

    /// Commits progress.
    fn commit(
        &mut self,
        consumer: &GroupConsumer,
        batch: BatchId,
        offsets: Vec<(TopicPartition, Progress)>,
        epochs: Vec<Epoch>,
        ids: HashMap<Arc<str>, TopicId>,
    ) {
        let commit = consumer.commit(offsets.clone(), ids);
        let early = Done::Committed {
            batch,
            offsets: offsets.clone(),
            epochs: epochs.clone(),
            results: ended_early(&offsets),
            inside: None,
        };
        self.spawn(early, async move {
            let (results, inside) = commit.results().await;
            Done::Committed {
                batch,
                offsets,
                epochs,
                results,
                inside: Some(inside),
            }
        });
    }

    /// Waits until a commit has left librdkafka.
    pub(super) fn leave(&mut self, batch: BatchId, inside: JoinHandle<()>) {
        self.spawn(Done::CommitLeft(batch), async move {
            // It left, however it ended.
            let _ = inside.await;
            Done::CommitLeft(batch)
        });
    }

    /// Waits until no commit is inside librdkafka.
    fn after_commits(
        &mut self,
        consumer: GroupConsumer,
        generation: Generation,
        then: AfterCommits,
    ) {
        let early = Done::CommitsEnded {
            generation,
            late: true,
            then: then.clone(),
        };
        self.spawn(early, async move {
            let ended = timeout(COMMITS_END, consumer.commits_ended()).await;
            Done::CommitsEnded {
                generation,
                late: ended.is_err(),
                then,
            }
        });
    }

    /// Commits all progress before partitions are given back.
    fn last_commit(
        &mut self,
        consumer: GroupConsumer,
        offsets: Vec<(TopicPartition, Progress)>,
        ids: HashMap<Arc<str>, TopicId>,
        generation: Generation,
    ) {
        let done = move |offsets, results| Done::LastCommit {
            generation,
            offsets,
            results,
        };
        let early = ended_early(&offsets);
        self.spawn(done(offsets.clone(), early), async move {
            let (results, _) = consumer.commit(offsets.clone(), ids).results().await;
            done(offsets, results)
        });
    }

    /// Asks for the logs of partitions, and then who their topics are.
    fn logs(&mut self, consumer: GroupConsumer, epochs: BTreeMap<TopicPartition, Epoch>) {
        let early = Done::Logs {
            epochs: epochs.clone(),
            logs: HashMap::new(),
            ids: Err(Cause::ended_early()),
        };
        self.spawn(early, async move {
            let logs = consumer.logs(epochs.keys().cloned().collect()).await;
            let topics: BTreeSet<_> = epochs.keys().map(|at| at.topic.clone()).collect();
            let topics = topics.into_iter().collect();
            let ids = consumer.topic_ids(topics, IDS_WITHIN).await;
            Done::Logs { epochs, logs, ids }
        });
    }

    /// Asks how a topic is laid out.
    fn count(&mut self, consumer: GroupConsumer, topic: Arc<str>) {
        let early = Done::Counted {
            topic: topic.clone(),
            result: Err(Cause::ended_early()),
        };
        self.spawn(early, async move {
            let result = consumer.shape(&topic).await;
            Done::Counted { topic, result }
        });
    }

    /// Creates a topic with the brokers' defaults.
    pub(super) fn create(&mut self, settings: Settings, topic: Arc<str>) {
        let early = Done::Created {
            topic: topic.clone(),
            result: Err(Cause::ended_early()),
        };
        self.spawn(early, async move {
            let result = create_topic(&settings, &topic, New::Defaults).await;
            Done::Created { topic, result }
        });
    }

    /// Makes librdkafka look for topics that have appeared.
    pub(super) fn refresh(&mut self, consumer: GroupConsumer) {
        let early = Done::Refreshed(Err(Cause::ended_early()));
        self.spawn(early, async move {
            Done::Refreshed(consumer.refresh_topics().await)
        });
    }

    /// Asks for the ids of topics.
    fn identities(&mut self, consumer: GroupConsumer, topics: Vec<Arc<str>>) {
        let early = Done::Identities(Err(Cause::ended_early()));
        self.spawn(early, async move {
            Done::Identities(consumer.topic_ids(topics, IDS_WITHIN).await)
        });
    }

    /// Asks which of these partitions end before their position.
    fn short_logs(&mut self, consumer: GroupConsumer, asked: Vec<(TopicPartition, Epoch, Offset)>) {
        self.spawn(Done::ShortLogs(Vec::new()), async move {
            let places = asked.iter().map(|(at, ..)| at.clone()).collect();
            let ends: HashMap<_, _> = consumer.log_ends(places).await.into_iter().collect();
            let short = asked.into_iter().filter(|(at, _, position)| {
                let end = ends.get(at);
                end.is_some_and(|end| end < position)
            });
            Done::ShortLogs(short.map(|(at, epoch, _)| (at, epoch)).collect())
        });
    }

    /// Asks for the ends of partitions that are not read, or were just assigned: one request for
    /// each leader.
    fn ends(&mut self, consumer: GroupConsumer, partitions: Vec<TopicPartition>, assigned: bool) {
        let done = move |ends| Done::Ends { assigned, ends };
        self.spawn(done(Vec::new()), async move {
            done(consumer.newest(partitions).await)
        });
    }

    /// Asks how many records stand in dead-letter topics, given by their sources.
    pub(super) fn depths(&mut self, consumer: GroupConsumer, topics: HashMap<Arc<str>, Arc<str>>) {
        self.spawn(Done::Depths(None), async move {
            let mut depths = HashMap::new();
            for (topic, dead) in topics {
                if let Ok(depth) = consumer.records(&dead).await {
                    depths.insert(topic, depth);
                }
            }
            Done::Depths(Some(depths))
        });
    }

    /// Finds out what stands at the positions of quiet partitions.
    fn look_at(&mut self, consumer: GroupConsumer, settings: Settings, quiet: Vec<Quiet>) {
        self.spawn(Done::Looked(Vec::new()), async move {
            Done::Looked(look_at(&consumer, &settings, quiet).await)
        });
    }

    /// Finds out whether a broker answers a fresh client.
    fn ask_whether_a_broker_answers(&mut self, settings: Settings) {
        self.spawn(Done::Joining(false), async move {
            Done::Joining(broker_answers(&settings).await)
        });
    }

    /// Looks, after a wait, whether a dead-letter topic exists, and creates it if we may.
    pub(super) fn find_dead_letter_topic(
        &mut self,
        consumer: GroupConsumer,
        settings: Settings,
        source: Arc<str>,
        topic: Arc<str>,
        wait: Duration,
    ) {
        let early = Done::DeadLetterTopic {
            source: source.clone(),
            topic: topic.clone(),
            found: Err(Cause::ended_early()),
        };
        self.spawn(early, async move {
            tokio::time::sleep(wait).await;
            let found = find_dead_letter_topic(&consumer, &settings, &source, &topic).await;
            Done::DeadLetterTopic {
                source,
                topic,
                found,
            }
        });
    }
}

async fn look_at(
    consumer: &GroupConsumer,
    settings: &Settings,
    quiet: Vec<Quiet>,
) -> Vec<(Quiet, Stands)> {
    let places: Vec<_> = quiet.iter().map(|quiet| quiet.at.clone()).collect();
    let (newest, last) = tokio::join!(
        consumer.newest(places.clone()),
        consumer.log_ends(places.clone())
    );
    let [newest, last] = [newest, last].map(HashMap::<_, _>::from_iter);
    let (mut found, mut unclear) = (Vec::new(), Vec::new());
    for quiet in quiet {
        let (newest, last) = (newest.get(&quiet.at), last.get(&quiet.at));
        if newest != Some(&quiet.position) {
            unclear.push(quiet);
        } else if last > Some(&quiet.position) {
            found.push((quiet, Stands::OpenTransaction));
        }
    }
    if unclear.is_empty() {
        return found;
    }
    // Markers of transactions stand there too: only a record that a fresh client gets shows that
    // this one hangs. A log without the position shows it likewise: this one should be told that
    // it is out of range.
    let positions = unclear.iter();
    let positions = positions.map(|quiet| (quiet.at.clone(), quiet.position));
    let at_position = at_positions(settings, positions.collect()).await;
    let mut at_position = at_position.unwrap_or_default();
    let unclear = unclear.into_iter();
    found.extend(unclear.filter_map(|quiet| {
        let at_position = at_position.remove(&quiet.at)?;
        Some((quiet, Stands::Found(at_position)))
    }));
    let misses = |(_, stands): &(Quiet, Stands)| {
        use AtPosition::{BeginsAfter, EndsBefore, Record};
        matches!(stands, Stands::Found(Record | BeginsAfter | EndsBefore))
    };
    if found.iter().any(misses) {
        // Brokers that have just come back may need a moment: the record then comes by itself.
        tokio::time::sleep(RECOVERY).await;
    }
    found
}

async fn find_dead_letter_topic(
    consumer: &GroupConsumer,
    settings: &Settings,
    source: &str,
    topic: &str,
) -> Result<Found, Cause> {
    if consumer.shape(topic).await?.is_some() {
        return Ok(Found::There);
    }
    let Some(shape) = consumer.shape(source).await? else {
        return Ok(Found::SourceUnknown);
    };
    if !settings.topic_creation.dead_letters() {
        return Ok(Found::Missing(shape));
    }
    let new = New::DeadLetters {
        shape,
        retention: RETENTION,
    };
    create_topic(settings, topic, new).await?;
    Ok(Found::Created(shape))
}

/// What a commit of these comes back with if it ends early.
fn ended_early(offsets: &[(TopicPartition, Progress)]) -> Vec<Result<(), Cause>> {
    vec![Err(Cause::ended_early()); offsets.len()]
}
