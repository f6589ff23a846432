//! What members ask of the brokers, and how that is answered: `broker_calls.rs` and `kafka/`
//! without librdkafka.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    broker::{Committed, Fetched},
    member::Input,
    world::{Address, World},
};
use crate::{
    delivery::{
        broker_calls::Call,
        commits::BatchId,
        inbox::{AfterCommits, Done},
        membership::Generation,
        stall::{Quiet, Stands},
    },
    kafka::{
        AtPosition, Cause, Kind, Need, Needed, Origin, Shape, Start, StartFrom, Starts, TopicId,
        Wanted, metadata, need, parse,
    },
    model::{Epoch, Offset, Progress, Reason, TopicPartition},
};

/// How long a member waits for an answer.
const WITHIN: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(1);
const ROOM: usize = 4000;

/// The commits of a client that are under way, and what waits for their end.
#[derive(Default)]
pub(super) struct OpenCommits {
    /// What each comes back with; nothing once that was told.
    open: BTreeMap<u64, Option<Returns>>,
    partitions: BTreeMap<u64, Vec<TopicPartition>>,
    last: u64,
    /// The last that has reached the coordinator: they do so in their order, over one connection.
    arrived: u64,
    waiting: Vec<(Generation, AfterCommits, Instant)>,
}

impl OpenCommits {
    /// Whether a commit of this partition is under way.
    pub(super) fn has(&self, at: &TopicPartition) -> bool {
        let mut partitions = self.partitions.values();
        partitions.any(|partitions| partitions.contains(at))
    }
}

/// What a commit comes back as.
enum Returns {
    Progress(BatchId, Vec<(TopicPartition, Progress)>, Vec<Epoch>),
    Starts(Generation, Vec<Start>),
    Last(Generation, Vec<(TopicPartition, Progress)>),
}

impl Returns {
    fn done(self, results: Vec<Result<(), Cause>>) -> Done {
        match self {
            Self::Progress(batch, offsets, epochs) => Done::Committed {
                batch,
                offsets,
                epochs,
                results,
                inside: None,
            },
            Self::Starts(generation, starts) => Done::Decided {
                generation,
                starts,
                results,
            },
            Self::Last(generation, offsets) => Done::LastCommit {
                generation,
                offsets,
                results,
            },
        }
    }
}

/// A commit on its way.
struct Request {
    number: u64,
    batch: Option<BatchId>,
    generation: Option<u64>,
    offsets: Vec<(TopicPartition, Progress)>,
    ids: HashMap<Arc<str>, TopicId>,
    /// Partitions that do not start at the group's position, and why.
    moved: BTreeMap<TopicPartition, Reason>,
    /// Partitions of which the member takes new records for old ones, from this offset on.
    confused: BTreeMap<TopicPartition, i64>,
}

fn cause(text: &str) -> Cause {
    Cause {
        kind: Kind::Other,
        text: text.to_owned(),
    }
}

impl World {
    fn latency(&mut self) -> Duration {
        let slow = self.in_trouble && self.random.percent(5);
        if slow {
            self.random.millis(50, 3000)
        } else {
            self.random.millis(1, 10)
        }
    }

    fn origin(id: TopicId) -> Origin {
        Origin {
            cluster: Some("simulated".into()),
            topic: id,
        }
    }

    fn is_silent(&self, site: usize, since: Instant) -> bool {
        self.sites[site].cut_off || since > self.now
    }

    /// The ids of topics, as far as brokers tell them.
    fn ids(&self, site: usize, topics: &[Arc<str>]) -> Result<HashMap<Arc<str>, TopicId>, Cause> {
        if self.is_silent(site, self.leaders_silent) {
            return Err(cause("no broker told the topics' ids"));
        }
        if !self.plan.topics_have_ids {
            return Ok(HashMap::new());
        }
        let ids = topics.iter().filter_map(|name| {
            let topic = self.broker.topics.get(name).filter(|topic| topic.exists)?;
            Some((name.clone(), topic.id))
        });
        Ok(ids.collect())
    }

    pub(super) fn call(&mut self, site: usize, call: Call) {
        let to = self.address(site);
        let wait = self.latency();
        match call {
            Call::FindStarts {
                wanted,
                known,
                generation,
                again,
            } => {
                self.sites[site].client.asks += 1;
                let wait = if again { wait + AGAIN } else { wait };
                self.later(wait, move |world| {
                    world.find_committed(to, wanted, known, generation);
                });
            }
            Call::CommitStarts {
                starts,
                ids,
                generation,
                wait,
            } => {
                for start in &starts {
                    self.starts_at(&start.at, start.progress.point, &[]);
                }
                let offsets = starts.iter();
                let offsets = offsets.map(|start| (start.at.clone(), start.progress.clone()));
                let offsets = offsets.collect();
                let returns = Returns::Starts(generation, starts);
                self.commit(to, wait, offsets, ids, returns);
            }
            Call::Commit {
                batch,
                offsets,
                epochs,
                ids,
            } => {
                let returns = Returns::Progress(batch, offsets.clone(), epochs);
                self.commit(to, Duration::ZERO, offsets, ids, returns);
            }
            Call::LastCommit {
                offsets,
                ids,
                generation,
            } => {
                let returns = Returns::Last(generation, offsets.clone());
                self.commit(to, Duration::ZERO, offsets, ids, returns);
            }
            Call::AfterCommits { generation, then } => {
                let until = self.now + WITHIN;
                let waiting = &mut self.sites[site].commits.waiting;
                waiting.push((generation, then, until));
                self.later(WITHIN, move |world| world.commits_may_have_ended(site));
                self.later(Duration::ZERO, move |world| {
                    world.commits_may_have_ended(site);
                });
            }
            other => {
                if matches!(other, Call::LookAt(_)) {
                    self.sites[site].client.asks += 1;
                }
                self.later(wait, move |world| world.ask(to, other));
            }
        }
    }

    /// Questions that one answer of the leaders answers.
    fn ask(&mut self, to: Address, call: Call) {
        let site = to.site;
        let silent = self.is_silent(site, self.leaders_silent);
        let wait = if silent { WITHIN } else { self.latency() };
        let done = match call {
            Call::Logs(epochs) => {
                let log = |at: &TopicPartition| {
                    let log = self.broker.log(at).filter(|_| !silent);
                    log.map(super::broker::PartitionLog::log)
                        .ok_or_else(|| cause("no leader"))
                };
                let logs = epochs.keys().map(|at| (at.clone(), log(at)));
                let logs = logs.collect();
                let topics: Vec<_> = epochs.keys().map(|at| at.topic.clone()).collect();
                return self.later(wait, move |world| {
                    let ids = world.ids(site, &topics);
                    let wait = world.latency();
                    let done = Done::Logs { epochs, logs, ids };
                    world.send(to, wait, Input::Done(done));
                });
            }
            Call::Count(topic) => {
                let shape = self.broker.topics.get(&topic).filter(|it| it.exists);
                let shape = shape.map(|topic| Shape {
                    partitions: topic.partitions.len(),
                    replication: 1,
                });
                let result = if silent {
                    Err(cause("no answer"))
                } else {
                    Ok(shape)
                };
                Done::Counted { topic, result }
            }
            Call::Identities(topics) => Done::Identities(self.ids(site, &topics)),
            Call::ShortLogs(asked) => {
                let short = asked.into_iter().filter(|(at, _, position)| {
                    let log = self.broker.log(at).filter(|_| !silent);
                    log.is_some_and(|log| log.end < position.0)
                });
                Done::ShortLogs(short.map(|(at, epoch, _)| (at, epoch)).collect())
            }
            Call::Ends {
                partitions,
                assigned,
            } => {
                let ends = partitions.into_iter().filter_map(|at| {
                    let log = self.broker.log(&at).filter(|_| !silent)?;
                    Some((at, Offset(log.last_stable())))
                });
                let ends = ends.collect();
                Done::Ends { assigned, ends }
            }
            Call::LookAt(quiet) => {
                let found = quiet.into_iter().filter(|_| !silent);
                let found = found.filter_map(|quiet| {
                    let stands = self.stands_at(&quiet)?;
                    Some((quiet, stands))
                });
                let found: Vec<_> = found.collect();
                let misses = |(_, stands): &(Quiet, Stands)| {
                    use AtPosition::{BeginsAfter, EndsBefore, Record};
                    matches!(stands, Stands::Found(Record | BeginsAfter | EndsBefore))
                };
                let wait = if found.iter().any(misses) {
                    WITHIN
                } else {
                    wait
                };
                return self.later(wait, move |world| {
                    if world.is_there(to) {
                        world.sites[site].client.asks -= 1;
                        world.input(site, Input::Done(Done::Looked(found)));
                    }
                });
            }
            Call::AskWhetherABrokerAnswers => Done::Joining(!silent),
            Call::FindStarts { .. }
            | Call::CommitStarts { .. }
            | Call::Commit { .. }
            | Call::LastCommit { .. }
            | Call::AfterCommits { .. } => return,
        };
        self.send(to, wait, Input::Done(done));
    }

    /// What `broker_calls::look_at` finds.
    fn stands_at(&self, quiet: &Quiet) -> Option<Stands> {
        let log = self.broker.log(&quiet.at)?;
        let (position, stable) = (quiet.position.0, log.last_stable());
        if stable == position {
            return (log.end > position).then_some(Stands::OpenTransaction);
        }
        Some(Stands::Found(match log.fetch(position) {
            _ if position < log.first => AtPosition::BeginsAfter,
            Fetched::OutOfRange => AtPosition::EndsBefore,
            Fetched::Record(..) => AtPosition::Record,
            Fetched::Nothing if position > stable => AtPosition::EndsBefore,
            Fetched::Nothing => AtPosition::NoRecordBefore(Offset(stable)),
        }))
    }
}

/// Starts: first the offsets that the group has committed, then the topics' ids, and the ends.
impl World {
    fn find_committed(
        &mut self,
        to: Address,
        wanted: Vec<Wanted>,
        known: HashMap<Arc<str>, TopicId>,
        generation: Generation,
    ) {
        if !self.is_there(to) {
            return;
        }
        if self.is_silent(to.site, self.coordinator_silent) {
            let silent = || Err(cause("the coordinator did not answer"));
            let results = wanted.into_iter().map(|wanted| (wanted.at, silent()));
            let results = results.collect();
            let ids = HashMap::new();
            return self.started(to, generation, Starts { results, ids }, WITHIN);
        }
        let step = self.step;
        let committed: Vec<_> = wanted
            .iter()
            .map(|wanted| self.broker.committed.get(&wanted.at).cloned())
            .collect();
        for wanted in &wanted {
            let since = &mut self.sites[to.site].client.since;
            since.insert(wanted.at.clone(), step);
        }
        let wait = self.latency();
        self.later(wait, move |world| {
            let starts = world.decide_starts(to.site, wanted, committed, known);
            let wait = world.latency();
            world.started(to, generation, starts, wait);
        });
    }

    fn started(&mut self, to: Address, generation: Generation, starts: Starts, wait: Duration) {
        self.later(wait, move |world| {
            if world.is_there(to) {
                world.sites[to.site].client.asks -= 1;
                let done = Done::Starts { generation, starts };
                world.input(to.site, Input::Done(done));
            }
        });
    }

    fn decide_starts(
        &mut self,
        site: usize,
        wanted: Vec<Wanted>,
        committed: Vec<Option<Committed>>,
        known: HashMap<Arc<str>, TopicId>,
    ) -> Starts {
        let topics: Vec<_> = wanted
            .iter()
            .map(|wanted| wanted.at.topic.clone())
            .collect();
        let told = self.ids(site, &topics);
        let ids = told.as_ref().cloned().unwrap_or_default();
        let mut now = ids.clone();
        now.extend(known);
        let mut results = Vec::new();
        for (wanted, committed) in wanted.into_iter().zip(committed) {
            let origin = now.get(&wanted.at.topic).map(|id| Self::origin(*id));
            let unknown = told.as_ref().err().filter(|_| origin.is_none());
            let committed = committed.as_ref();
            let committed = committed.map(|it| (it.offset, it.metadata.as_slice()));
            let start = need(&wanted, committed, origin.as_ref(), unknown);
            let start = start.and_then(|need: Need| {
                need.start(&wanted.at, |end| self.end(site, &wanted.at, end))
            });
            if let (Ok(start), Some((point, metadata))) = (&start, committed) {
                let (before, _) = parse(point, metadata);
                self.starts_at(&wanted.at, start.progress.point, &before.above);
            }
            self.tell(|| format!("member {site}: {start:?}"));
            results.push((wanted.at, start));
        }
        Starts { results, ids }
    }

    fn end(&self, site: usize, at: &TopicPartition, end: Needed) -> Result<Offset, Cause> {
        let silent = self.is_silent(site, self.leaders_silent);
        let log = self.broker.log(at).filter(|_| !silent);
        let log = log.ok_or_else(|| cause("no leader"))?;
        Ok(Offset(match end {
            Needed::First => log.first,
            Needed::Last => log.end,
            Needed::Newest => log.last_stable(),
        }))
    }
}

/// Commits.
impl World {
    fn commit(
        &mut self,
        to: Address,
        wait: Duration,
        offsets: Vec<(TopicPartition, Progress)>,
        ids: HashMap<Arc<str>, TopicId>,
        returns: Returns,
    ) {
        let batch = match &returns {
            Returns::Progress(batch, ..) => Some(*batch),
            Returns::Starts(..) | Returns::Last(..) => None,
        };
        let starts = match &returns {
            Returns::Starts(_, starts) => starts.as_slice(),
            Returns::Progress(..) | Returns::Last(..) => &[],
        };
        let moved = starts.iter().filter_map(|start| match start.from {
            StartFrom::Moved { reason, .. } => Some((start.at.clone(), reason)),
            StartFrom::Commit | StartFrom::Policy => None,
        });
        let moved = moved.collect();
        let held = self.sites[to.site].client.held.as_ref();
        for (at, _) in &offsets {
            if held.is_none_or(|held| !held.contains(at)) {
                let what = format!(
                    "I9: member {} commits {at}, which it has given back",
                    to.site
                );
                self.judge.findings.push(what);
            }
        }
        if batch.is_none() {
            // The owner's call begins a moment later.
            self.later(wait, move |world| world.commit_enters(to));
        }
        let partitions = offsets.iter().map(|(at, _)| at.clone()).collect();
        let commits = &mut self.sites[to.site].commits;
        commits.last += 1;
        commits.partitions.insert(commits.last, partitions);
        let number = commits.last;
        commits.open.insert(number, Some(returns));
        let generation = self.sites[to.site].client.generation;
        let confused = offsets.iter().filter_map(|(at, _)| {
            let from = self.confuses(to.site, at)?;
            Some((at.clone(), from))
        });
        let confused = confused.collect();
        let request = Request {
            number,
            batch,
            generation,
            offsets,
            ids,
            moved,
            confused,
        };
        let latency = wait + self.latency();
        self.later(latency, move |world| world.commit_arrives(to, request));
        let count = self.sites[to.site].commits.open[&number]
            .as_ref()
            .map_or(0, |returns| match returns {
                Returns::Progress(_, offsets, _) | Returns::Last(_, offsets) => offsets.len(),
                Returns::Starts(_, starts) => starts.len(),
            });
        self.later(wait + WITHIN, move |world| {
            let silent = Err(cause("the group's coordinator did not answer"));
            world.commit_returns(to, number, vec![silent; count]);
        });
    }

    fn commit_enters(&mut self, to: Address) {
        if self.is_there(to)
            && let Some(member) = &mut self.sites[to.site].member
        {
            member.inside += 1;
        }
    }

    /// librdkafka keeps a commit until the coordinator is back.
    fn commit_arrives(&mut self, to: Address, request: Request) {
        if !self.is_there(to) {
            return;
        }
        let silent = self.is_silent(to.site, self.coordinator_silent);
        if silent || request.number != self.sites[to.site].commits.arrived + 1 {
            self.judge.count("commit waits inside librdkafka");
            let wait = Duration::from_millis(if silent { 300 } else { 2 });
            return self.later(wait, move |world| world.commit_arrives(to, request));
        }
        let Request {
            number,
            batch,
            generation,
            offsets,
            ids,
            moved,
            confused,
        } = request;
        self.sites[to.site].commits.arrived = number;
        let accepts = self.group.accepts(to.client, generation);
        let refused = self.plan.topics[0].clone();
        let is_refused = self.commits_refused > self.now;
        let mut results = Vec::new();
        for (at, progress) in offsets {
            if let Some(reason) = moved.get(&at) {
                self.forgets(&at, *reason);
            }
            let result = if !accepts {
                Err(cause("illegal generation"))
            } else if is_refused && at.topic == refused {
                Err(cause("forbidden"))
            } else {
                let confused = confused.get(&at).copied();
                self.store(to.site, &at, &progress, &ids, confused);
                Ok(())
            };
            results.push(result);
        }
        self.tell(|| format!("commit {number} of member {}: {results:?}", to.site));
        let is_lost = self.in_trouble && self.random.percent(3);
        let wait = if is_lost { 2 * WITHIN } else { self.latency() };
        self.later(wait, move |world| {
            world.commit_returns(to, number, results);
            world.commit_leaves(to, number, batch);
        });
    }

    /// What the group had committed of a partition counts no more, or less.
    fn forgets(&mut self, at: &TopicPartition, reason: Reason) {
        let incarnation = self.broker.incarnation(&at.topic);
        match reason {
            // It starts at its first record, since nobody knows what the position means.
            Reason::BeyondEnd(_) => self.judge.cut(at, incarnation),
            Reason::Recreated if !self.plan.topics_have_ids => self.judge.cut(at, incarnation),
            // It starts at the commit point, without what was finished above.
            Reason::Truncated(_) => self.judge.unsettle(at, incarnation),
            Reason::Removed(_) | Reason::Recreated => {}
        }
    }

    fn store(
        &mut self,
        site: usize,
        at: &TopicPartition,
        progress: &Progress,
        ids: &HashMap<Arc<str>, TopicId>,
        confused: Option<i64>,
    ) {
        let text = ids.get(&at.topic);
        let text = text.map(|id| metadata(progress, &Self::origin(*id), ROOM));
        let metadata = text.unwrap_or_default().into_bytes();
        let offset = progress.point;
        let (stored, origin) = parse(offset, &metadata);
        let committed = Committed { offset, metadata };
        self.tell(|| format!("member {site} commits {stored:?} of {at}"));
        self.broker.committed.insert(at.clone(), committed);
        let incarnation = self.broker.incarnation(&at.topic);
        let is_stale = self.sites[site].client.known.get(&at.topic) != Some(&incarnation);
        let id = self.broker.topics.get(&at.topic).map(|topic| topic.id);
        let is_others = origin.is_some_and(|origin| Some(origin.topic) != id);
        let end = self.broker.log(at).map(|log| log.end);
        if let Some(end) = end.filter(|_| !is_stale && !is_others) {
            self.judge.count("commit");
            self.judge
                .committed(at, incarnation, &stored, end, confused, self.step);
        }
    }

    fn commit_returns(&mut self, to: Address, number: u64, results: Vec<Result<(), Cause>>) {
        if !self.is_there(to) {
            return;
        }
        let open = self.sites[to.site].commits.open.get_mut(&number);
        if let Some(returns) = open.and_then(Option::take) {
            self.input(to.site, Input::Done(returns.done(results)));
        }
    }

    fn commit_leaves(&mut self, to: Address, number: u64, batch: Option<BatchId>) {
        if !self.is_there(to) {
            return;
        }
        let site = &mut self.sites[to.site];
        site.commits.open.remove(&number);
        site.commits.partitions.remove(&number);
        if let Some(member) = &mut site.member {
            member.inside = member.inside.saturating_sub(1);
        }
        if let Some(batch) = batch {
            self.input(to.site, Input::Done(Done::CommitLeft(batch)));
        }
        self.commits_may_have_ended(to.site);
    }

    /// Lets go on what waits until no commit is inside librdkafka.
    pub(super) fn commits_may_have_ended(&mut self, site: usize) {
        let now = self.now;
        let place = &mut self.sites[site];
        let inside = place.member.as_ref().map_or(0, |member| member.inside);
        let waiting = std::mem::take(&mut place.commits.waiting);
        let (over, waits): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(.., until)| inside == 0 || *until <= now);
        place.commits.waiting = waits;
        let to = self.address(site);
        for (generation, then, until) in over {
            let done = Done::CommitsEnded {
                generation,
                late: until <= now,
                then,
            };
            self.send(to, Duration::ZERO, Input::Done(done));
        }
    }
}
