//! Turns a schedule into events, and holds each step against the model.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
};

use super::{
    super::*,
    checks::Check,
    model::{Model, Owned},
    schedule::{Move, Read, Schedule, What},
};

/// How often something occurred.
pub(super) type Counts = BTreeMap<&'static str, usize>;

/// Each has two partitions.
const TOPICS: [&str; 3] = ["orders", "invoices", "refunds"];

/// Steps that a failure's message shows.
const TOLD: usize = 12;

/// Rounds of answering everything after which all must be finished.
const ROUNDS: usize = 10_000;

pub(super) struct World<'a> {
    engine: Engine,
    model: Model,
    start: Instant,
    now: Instant,
    partitions: Vec<TopicPartition>,
    policies: Vec<Arc<Policy>>,
    serial: bool,
    last_epoch: Epoch,
    last_lane: LaneId,
    /// Letters that the broker was given, and was not heard of.
    sent: Vec<LetterId>,
    /// Commits that the broker was sent, and was not heard of.
    commits: Vec<(TopicPartition, Epoch, Offset)>,
    last_steps: VecDeque<(Instant, Event, Vec<Action>)>,
    counts: &'a mut Counts,
}

impl<'a> World<'a> {
    fn new(schedule: &Schedule, counts: &'a mut Counts) -> Self {
        let start = Instant::now();
        let partitions = TOPICS
            .into_iter()
            .flat_map(|topic| (0..2).map(move |n| TopicPartition::new(topic, n)));
        Self {
            engine: Engine::new(schedule.limits),
            model: Model::new(&schedule.limits, start),
            start,
            now: start,
            partitions: partitions.collect(),
            policies: schedule.policies.iter().cloned().map(Arc::new).collect(),
            serial: schedule.serial,
            last_epoch: Epoch(0),
            last_lane: LaneId(0),
            sent: Vec::new(),
            commits: Vec::new(),
            last_steps: VecDeque::new(),
            counts,
        }
    }

    /// Plays a schedule to its end; fails with the last steps before.
    pub(super) fn play(schedule: &Schedule, counts: &'a mut Counts) -> Check {
        let mut world = Self::new(schedule, counts);
        let played = world.play_all(schedule);
        let told = |broken| format!("{broken}\n{}", world.last_steps());
        // The values are long and empty: the schedule says how long.
        played.map_err(|broken| told(broken).replace("\\0", ""))
    }

    fn play_all(&mut self, schedule: &Schedule) -> Check {
        self.assign(0..self.partitions.len())?;
        for _ in 1..schedule.lanes {
            self.open(0, 0)?;
        }
        for topic in 0..TOPICS.len() {
            self.open(topic, topic)?;
        }
        for Move { millis, what } in &schedule.moves {
            self.now += Duration::from_millis(*millis);
            self.perform(what)?;
        }
        self.settle()
    }

    fn step(&mut self, event: Event) -> Check {
        *self.counts.entry("steps").or_default() += 1;
        *self.counts.entry(event_name(&event)).or_default() += 1;
        self.model.apply(&event, self.now);
        let actions = self.engine.step(event.clone(), self.now);
        let ticked = matches!(event, Event::Tick);
        let received = match &event {
            Event::Received { record, .. } => Some(record.at.clone()),
            _ => None,
        };
        if self.last_steps.len() == TOLD {
            self.last_steps.pop_front();
        }
        self.last_steps
            .push_back((self.now, event, actions.clone()));
        for action in &actions {
            *self.counts.entry(action_name(action)).or_default() += 1;
            self.model.take(action)?;
            if let Action::Deliver { delivery, .. } = action
                && self.model.handed[delivery].isolated
            {
                *self.counts.entry("isolated").or_default() += 1;
            }
            match action {
                Action::DeadLetter { letter, .. } => self.sent.push(*letter),
                Action::Commit { at, offset } => {
                    let epoch = self.model.owned[at].epoch;
                    self.commits.push((at.clone(), epoch, *offset));
                }
                Action::CommitAbove { at } => {
                    let Owned {
                        epoch, committed, ..
                    } = self.model.owned[at];
                    self.commits.push((at.clone(), epoch, committed));
                }
                _ => {}
            }
        }
        self.model.check(&self.engine, ticked, received.as_ref())
    }

    fn last_steps(&self) -> String {
        let line = |(when, event, actions): &(Instant, Event, Vec<Action>)| {
            let after = *when - self.start;
            format!("{after:?}: {event:?}\n    -> {actions:?}\n")
        };
        self.last_steps.iter().map(line).collect()
    }

    fn perform(&mut self, what: &What) -> Check {
        match what {
            What::Assign(which) => self.assign(*which..*which + 1 + which % 2),
            What::Drain(which) => {
                let partitions = self.some(*which);
                self.step(Event::Draining { partitions })
            }
            What::Revoke(which) => {
                let partitions = self.some(*which);
                self.step(Event::Revoked { partitions })
            }
            What::Receive {
                at,
                read,
                key,
                size,
            } => self.receive(*at, *read, *key, *size),
            What::Pass { at, read } => self.pass(*at, *read),
            What::Answer(which, outcome) => match pick(&self.answerable(), *which) {
                Some(delivery) => self.answer(delivery, outcome),
                None => self.receive(*which, Read::Next(0), 2, 0),
            },
            What::AnswerLate(which, outcome) => self.answer_late(*which, outcome),
            What::Write(which, ok) => match pick(&self.sent, *which) {
                Some(letter) => self.write(letter, *ok),
                None => self.wait_for_wake(),
            },
            What::WriteLate(which, ok) => self.write_late(*which, *ok),
            What::Confirm(which) => self.confirm(*which),
            What::Open { topic, policy } => self.open(*topic, *policy),
            What::Close(which) => self.close(*which),
            What::Pause => self.step(Event::Paused),
            What::Resume => self.step(Event::Resumed),
            What::Wait => self.step(Event::Tick),
            What::WaitForWake => self.wait_for_wake(),
        }
    }

    fn confirm(&mut self, which: usize) -> Check {
        if self.commits.is_empty() {
            return self.step(Event::Tick);
        }
        let which = which % self.commits.len();
        let (at, epoch, offset) = self.commits.swap_remove(which);
        self.step(Event::Committed { at, epoch, offset })
    }

    fn partition(&self, which: usize) -> TopicPartition {
        self.partitions[which % self.partitions.len()].clone()
    }

    /// One partition, or two.
    fn some(&self, which: usize) -> Vec<TopicPartition> {
        let some = which..which + 1 + which % 2;
        some.map(|which| self.partition(which)).collect()
    }

    /// Goes on where the group has committed, as a new member does; what it has from
    /// another member is finished here and there.
    fn assign(&mut self, some: Range<usize>) -> Check {
        let partitions = some.map(|which| {
            let at = self.partition(which);
            self.last_epoch.0 += 1;
            let committed = self.engine.progress(&at);
            let start = committed.unwrap_or_else(|| Progress {
                point: Offset(0),
                above: vec![Offset(1)..Offset(3), Offset(5)..Offset(6)],
            });
            (at, self.last_epoch, start)
        });
        let partitions = partitions.collect();
        self.step(Event::Assigned { partitions })
    }

    /// The epoch and the offset of what is read; `None` if nothing is.
    fn read(&mut self, at: &TopicPartition, read: Read) -> Option<(Epoch, Offset)> {
        let owned = self.model.owned.get(at);
        let Some(owned) = owned else {
            return Some((Epoch(0), Offset(0)));
        };
        let (epoch, next) = (owned.epoch, owned.next.0);
        match read {
            Read::Next(_) if !owned.reading => None,
            Read::Next(gap) => Some((epoch, Offset(next + gap))),
            Read::UnderWay => Some((epoch, Offset(next))),
            Read::Again(back) => {
                *self.counts.entry("read again").or_default() += 1;
                Some((epoch, Offset(next - 1 - back)))
            }
            Read::OldEpoch => {
                *self.counts.entry("read in an old epoch").or_default() += 1;
                Some((Epoch(epoch.0 - 1), Offset(next)))
            }
        }
    }

    fn receive(&mut self, which: usize, read: Read, key: u8, size: u16) -> Check {
        let at = self.partition(which);
        let Some((epoch, offset)) = self.read(&at, read) else {
            return self.wait_for_wake();
        };
        let owned = self.model.owned.get(&at);
        if owned.is_some_and(|owned| offset >= owned.next && owned.before.contains(&offset)) {
            *self.counts.entry("finished before").or_default() += 1;
        }
        let record = Record {
            at,
            offset,
            timestamp: None,
            appended: false,
            key: match key {
                0 => None,
                1 => Some(Bytes::new()),
                other => Some(vec![other].into()),
            },
            value: Some(vec![0; size.into()].into()),
            headers: Vec::new(),
        };
        let record = Arc::new(record);
        self.step(Event::Received { epoch, record })
    }

    fn pass(&mut self, which: usize, read: Read) -> Check {
        let at = self.partition(which);
        match self.read(&at, read) {
            Some((epoch, offset)) => self.step(Event::Passed { at, epoch, offset }),
            None => self.step(Event::Tick),
        }
    }

    /// What a lane may answer next.
    fn answerable(&self) -> Vec<DeliveryId> {
        if self.serial {
            let lanes = self.model.lanes.values();
            lanes.filter_map(|lane| lane.has.first().copied()).collect()
        } else {
            self.model.handed.keys().copied().collect()
        }
    }

    fn answer(&mut self, delivery: DeliveryId, outcome: &Outcome) -> Check {
        *self.counts.entry(outcome_name(outcome)).or_default() += 1;
        let outcome = outcome.clone();
        self.step(Event::Answered { delivery, outcome })
    }

    /// Answers what no lane has: it was answered, or its lane closed, or it never was.
    fn answer_late(&mut self, which: usize, outcome: &Outcome) -> Check {
        let count = self.model.last_delivery.0 + 1;
        let delivery = DeliveryId(1 + u64::try_from(which).unwrap_or_default() % count);
        if self.model.handed.contains_key(&delivery) {
            return self.step(Event::Tick);
        }
        *self.counts.entry("late answers").or_default() += 1;
        self.answer(delivery, outcome)
    }

    fn write(&mut self, letter: LetterId, ok: bool) -> Check {
        self.sent.retain(|sent| *sent != letter);
        if !self.model.letters.contains_key(&letter) {
            *self
                .counts
                .entry("letters of a revoked partition")
                .or_default() += 1;
        }
        *self
            .counts
            .entry(if ok { "confirmed" } else { "not written" })
            .or_default() += 1;
        let result = if ok { Ok(()) } else { Err("why".into()) };
        self.step(Event::Written { letter, result })
    }

    /// Tells a second time what became of a letter.
    fn write_late(&mut self, which: usize, ok: bool) -> Check {
        let count = self.model.last_letter.0 + 1;
        let letter = LetterId(1 + u64::try_from(which).unwrap_or_default() % count);
        if self.sent.contains(&letter) {
            return self.step(Event::Tick);
        }
        self.write(letter, ok)
    }

    fn open(&mut self, topic: usize, policy: usize) -> Check {
        self.last_lane.0 += 1;
        let lane = self.last_lane;
        let topic = TOPICS[topic % TOPICS.len()].into();
        let policy = self.policies[policy % self.policies.len()].clone();
        self.step(Event::LaneOpened {
            lane,
            topic,
            policy,
        })
    }

    fn close(&mut self, which: usize) -> Check {
        let lanes: Vec<_> = self.model.lanes.keys().copied().collect();
        match pick(&lanes, which) {
            Some(lane) => self.step(Event::LaneClosed { lane }),
            None => self.step(Event::Tick),
        }
    }

    fn wait_for_wake(&mut self) -> Check {
        self.now = self.engine.next_wake().unwrap_or(self.now).max(self.now);
        self.step(Event::Tick)
    }

    /// Lets the app answer and the broker confirm everything: whatever is not
    /// finished then was lost.
    fn settle(&mut self) -> Check {
        self.step(Event::Resumed)?;
        let owned = self.model.owned.iter();
        let draining = owned.filter(|(_, owned)| owned.draining);
        let partitions = draining.map(|(at, _)| at.clone()).collect();
        self.step(Event::Revoked { partitions })?;
        for topic in 0..TOPICS.len() {
            self.open(topic, topic)?;
        }
        for _ in 0..ROUNDS {
            let handed: Vec<_> = self.model.handed.keys().copied().collect();
            let sent = self.sent.clone();
            for delivery in &handed {
                self.answer(*delivery, &Outcome::Ack)?;
            }
            for letter in &sent {
                self.write(*letter, true)?;
            }
            if handed.is_empty() && sent.is_empty() {
                if self.engine.next_wake().is_none() {
                    return self.model.check_settled();
                }
                self.wait_for_wake()?;
            }
        }
        Err("I6: it never comes to rest".into())
    }
}

fn pick<T: Copy>(from: &[T], which: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[which % from.len()])
}

fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Assigned { .. } => "Assigned",
        Event::Draining { .. } => "Draining",
        Event::Revoked { .. } => "Revoked",
        Event::Received { .. } => "Received",
        Event::Passed { .. } => "Passed",
        Event::LaneOpened { .. } => "LaneOpened",
        Event::LaneClosed { .. } => "LaneClosed",
        Event::Answered { .. } => "Answered",
        Event::Written { .. } => "Written",
        Event::Committed { .. } => "Committed",
        Event::Paused => "Paused",
        Event::Resumed => "Resumed",
        Event::Tick => "Tick",
    }
}

fn action_name(action: &Action) -> &'static str {
    match action {
        Action::Deliver { .. } => "Deliver",
        Action::Answered { .. } => "answered",
        Action::Commit { .. } => "Commit",
        Action::CommitAbove { .. } => "CommitAbove",
        Action::Retry { standing, .. } => match standing {
            Standing::Retrying => "Retry: retrying",
            Standing::Held => "Retry: held",
            Standing::AppFailing => "Retry: app failing",
            Standing::Suspected => "Retry: suspected",
            Standing::BreaksTheApp => "Retry: breaks the app",
            Standing::MayBreakTheApp => "Retry: may break the app",
        },
        Action::DeadLetter { content, .. } => match content.failure {
            Failure::BrokeTheApp => "DeadLetter: broke the app",
            _ => "DeadLetter",
        },
        Action::LetterDelayed { .. } => "LetterDelayed",
        Action::BreakerOpened { .. } => "BreakerOpened",
        Action::BreakerClosed { .. } => "BreakerClosed",
        Action::AppGone { .. } => "AppGone",
        Action::AppBack => "AppBack",
        Action::SuspectAcks { .. } => "SuspectAcks",
        Action::OneSerialLane { .. } => "OneSerialLane",
        Action::Pause { held_by: None, .. } => "Pause",
        Action::Pause { .. } => "Pause: held",
        Action::Read { .. } => "Read",
    }
}

fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Ack => "Ack",
        Outcome::Nack(_) => "Nack",
        Outcome::TimedOut(_) => "TimedOut",
        Outcome::Unreachable(_) => "Unreachable",
        Outcome::Absent(_) => "Absent",
        Outcome::NotAsked(_) => "NotAsked",
        Outcome::TooLarge(_) => "TooLarge",
        Outcome::Unknown(_) => "Unknown",
    }
}
