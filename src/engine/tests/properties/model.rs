//! What the engine was told, kept as plainly as possible, and what follows from
//! each event. It knows nothing of the engine's own state.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{super::*, absence::PlainAbsence, breaker::PlainBreaker};

/// What must stay in order, in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sequence {
    Key(Option<u8>),
    Partition,
    Single(Offset),
}

/// Where an unfinished record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nowhere: it may be handed out from then on, when its turn comes.
    Waiting {
        from: Instant,
    },
    WithLane,
    Letter,
    /// Acknowledged, and perhaps falsely.
    Acked {
        began: Instant,
        when: Instant,
    },
}

/// A record that was received and is not finished.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) record: Arc<Record>,
    pub(super) sequence: Sequence,
    pub(super) state: State,
    /// Attempts that failed and count, all that failed, and when the first did.
    pub(super) attempts: u32,
    pub(super) failed: u32,
    pub(super) first: Option<Instant>,
    /// Calls that broke alone, those of them that count as attempts, and when the last was.
    pub(super) alone: u32,
    pub(super) breaks: u32,
    pub(super) broke: Option<Instant>,
    /// Breaks while others were under way, since the app answered it last.
    pub(super) in_company: u32,
    /// It was suspected when the app had not been idle for as long as a test may take.
    pub(super) untestable: bool,
}

#[derive(Debug)]
pub(super) struct Owned {
    pub(super) epoch: Epoch,
    /// The lowest offset that was not received.
    pub(super) next: Offset,
    pub(super) committed: Offset,
    pub(super) draining: bool,
    pub(super) reading: bool,
    /// What was received and is not below the committed offset; `None` is
    /// finished.
    pub(super) slots: BTreeMap<Offset, Option<Unfinished>>,
    /// What was received and is not below an offset that the broker has confirmed.
    pub(super) unconfirmed: BTreeSet<Offset>,
    /// What was finished above its start when it became ours.
    pub(super) before: BTreeSet<Offset>,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) topic: Arc<str>,
    pub(super) has: BTreeSet<DeliveryId>,
    pub(super) concurrent: bool,
    pub(super) held_until: Option<Instant>,
    /// When it gave a record back last.
    pub(super) released: Option<Instant>,
    /// How long the app took of late.
    pub(super) takes: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Subscription {
    pub(super) policy: Option<Arc<Policy>>,
    pub(super) breaker: PlainBreaker,
    /// The last delivery before the breaker opened: no probe.
    pub(super) opened_after: Option<DeliveryId>,
    pub(super) told_serial: bool,
}

/// What a lane was handed and did not answer, also of partitions that are gone.
#[derive(Clone, Debug)]
pub(super) struct Handed {
    pub(super) lane: LaneId,
    pub(super) at: TopicPartition,
    pub(super) epoch: Epoch,
    pub(super) offset: Offset,
    pub(super) when: Instant,
    /// It was suspected when it was handed out.
    pub(super) isolated: bool,
}

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) at: TopicPartition,
    pub(super) content: Arc<Letter>,
    pub(super) failed: u32,
    /// When it is sent again; `None` while it is under way.
    pub(super) again: Option<Instant>,
}

/// The actions that an event must have, once each.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Expected {
    /// The breaker opens (true) or closes.
    pub(super) breaker: Option<(Arc<str>, bool)>,
    /// The app is back (true), or gone.
    pub(super) app: Option<bool>,
    /// An answer's topic and outcome, and since when its lane had the record.
    pub(super) answered: Option<(Arc<str>, Outcome, Instant)>,
    /// Acks that are not believed.
    pub(super) doubted: BTreeSet<(TopicPartition, Offset)>,
    pub(super) refusal: Option<(TopicPartition, Offset, Refusal)>,
    pub(super) delayed: Option<LetterId>,
}

/// What must become of a refused record.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    Retry {
        standing: Standing,
        delay: (Duration, Duration),
        /// It need not wait: the breaker says when its turn comes.
        at_once: bool,
    },
    Letter(Failure),
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) limits: Limits,
    pub(super) now: Instant,
    pub(super) owned: BTreeMap<TopicPartition, Owned>,
    pub(super) subscriptions: BTreeMap<Arc<str>, Subscription>,
    pub(super) lanes: BTreeMap<LaneId, Lane>,
    pub(super) handed: BTreeMap<DeliveryId, Handed>,
    pub(super) letters: BTreeMap<LetterId, Pending>,
    pub(super) paused: bool,
    /// An answer overtook an older one of its lane.
    pub(super) overtaken: bool,
    pub(super) absence: Option<PlainAbsence>,
    pub(super) last_delivery: DeliveryId,
    pub(super) last_letter: LetterId,
    /// When a call ended last without the app's answer, when the app refused a connection last,
    /// and when the last call began that it has answered.
    pub(super) broke: Option<Instant>,
    pub(super) refused: Option<Instant>,
    pub(super) witness: Option<Instant>,
    /// When no call was under way last.
    pub(super) idle: Instant,
    /// Since when a test of suspected records goes on.
    pub(super) isolating: Option<Instant>,
    /// The topics that had or wanted some of the pool after the step before.
    pub(super) competed: BTreeSet<Arc<str>>,
    pub(super) expected: Expected,
}

impl Model {
    pub(super) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            limits: *limits,
            now,
            owned: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            lanes: BTreeMap::new(),
            handed: BTreeMap::new(),
            letters: BTreeMap::new(),
            paused: false,
            overtaken: false,
            absence: None,
            last_delivery: DeliveryId(0),
            last_letter: LetterId(0),
            broke: None,
            refused: None,
            witness: None,
            idle: now,
            isolating: None,
            competed: BTreeSet::new(),
            expected: Expected::default(),
        }
    }

    pub(super) fn apply(&mut self, event: &Event, now: Instant) {
        self.now = now;
        self.see_untestable();
        self.apply_event(event);
        self.settle_acked(false);
    }

    /// Suspected records need not wait for an app that is never idle.
    fn see_untestable(&mut self) {
        if self.handed.is_empty() {
            self.idle = self.now;
        }
        let longest = self.limits.isolation.longest;
        let mut lanes = self.lanes.values();
        let is_slow = lanes.any(|lane| lane.takes.is_some_and(|takes| takes >= longest));
        if !is_slow && self.now < self.idle + longest {
            return;
        }
        let owned = self.owned.values_mut();
        let unfinished = owned.flat_map(|owned| owned.slots.values_mut().flatten());
        for one in unfinished.filter(|one| one.is_suspected()) {
            one.untestable = true;
        }
    }

    fn apply_event(&mut self, event: &Event) {
        match event {
            Event::Assigned { partitions } => {
                for (at, epoch, start) in partitions {
                    self.assign(at, *epoch, start);
                }
            }
            Event::Draining { partitions } => {
                for at in partitions {
                    if let Some(owned) = self.owned.get_mut(at) {
                        owned.draining = true;
                    }
                }
            }
            Event::Revoked { partitions } => {
                for at in partitions {
                    self.revoke(at);
                }
            }
            Event::Received { epoch, record } => self.receive(*epoch, record),
            Event::Passed { at, epoch, offset } => self.pass(at, *epoch, *offset),
            Event::LaneOpened {
                lane,
                topic,
                policy,
            } => self.open(*lane, topic, policy),
            Event::LaneClosed { lane } => self.close(*lane),
            Event::Answered { delivery, outcome } => self.answer(*delivery, outcome),
            Event::Committed { at, epoch, offset } => self.confirm(at, *epoch, *offset),
            Event::Written { letter, result } => self.written(*letter, result.is_ok()),
            Event::Paused => self.paused = true,
            Event::Resumed => self.paused = false,
            Event::Tick => {}
        }
    }

    fn assign(&mut self, at: &TopicPartition, epoch: Epoch, start: &Progress) {
        self.revoke(at);
        self.subscriptions.entry(at.topic.clone()).or_default();
        let owned = Owned {
            epoch,
            next: start.point,
            committed: start.point,
            draining: false,
            reading: false,
            slots: BTreeMap::new(),
            unconfirmed: BTreeSet::new(),
            before: offsets(&start.above).collect(),
        };
        self.owned.insert(at.clone(), owned);
    }

    fn revoke(&mut self, at: &TopicPartition) {
        self.owned.remove(at);
        self.letters.retain(|_, pending| pending.at != *at);
    }

    /// The partition, if this epoch is the present one and the offset is new.
    fn expects(&mut self, at: &TopicPartition, epoch: Epoch, offset: Offset) -> Option<&mut Owned> {
        let owned = self.owned.get_mut(at)?;
        if owned.epoch != epoch || offset < owned.next {
            return None;
        }
        owned.next = offset.next();
        owned.unconfirmed.insert(offset);
        Some(owned)
    }

    fn receive(&mut self, epoch: Epoch, record: &Arc<Record>) {
        let (from, ordering) = (self.now, self.limits.ordering);
        let Some(owned) = self.expects(&record.at, epoch, record.offset) else {
            return;
        };
        let sequence = match ordering {
            Ordering::Key => Sequence::Key(key(record)),
            Ordering::Partition => Sequence::Partition,
            Ordering::None => Sequence::Single(record.offset),
        };
        let unfinished = Unfinished {
            record: record.clone(),
            sequence,
            state: State::Waiting { from },
            attempts: 0,
            failed: 0,
            first: None,
            alone: 0,
            breaks: 0,
            broke: None,
            in_company: 0,
            untestable: false,
        };
        let is_finished = owned.before.contains(&record.offset);
        let slot = (!is_finished).then_some(unfinished);
        owned.slots.insert(record.offset, slot);
    }

    fn pass(&mut self, at: &TopicPartition, epoch: Epoch, offset: Offset) {
        if let Some(owned) = self.expects(at, epoch, offset) {
            owned.slots.insert(offset, None);
        }
    }

    fn confirm(&mut self, at: &TopicPartition, epoch: Epoch, offset: Offset) {
        let owned = self.owned.get_mut(at);
        if let Some(owned) = owned.filter(|owned| owned.epoch == epoch) {
            owned.unconfirmed.retain(|received| *received >= offset);
        }
    }

    fn open(&mut self, lane: LaneId, topic: &Arc<str>, policy: &Arc<Policy>) {
        self.paused = false;
        let subscription = self.subscriptions.entry(topic.clone()).or_default();
        let before = subscription.policy.replace(policy.clone());
        let before = before.and_then(|before| before.dead_letter.clone());
        let decided_anew = before != policy.dead_letter;
        if policy.dead_letter.is_none() && subscription.breaker.is_open() {
            self.expected.breaker = Some((topic.clone(), false));
        }
        if policy.dead_letter.is_none() {
            subscription.breaker = PlainBreaker::default();
        }
        let opened = Lane {
            topic: topic.clone(),
            has: BTreeSet::new(),
            concurrent: false,
            held_until: None,
            released: None,
            takes: None,
        };
        self.lanes.insert(lane, opened);
        if decided_anew {
            self.decide_anew(topic);
        }
    }

    /// Letters that wait for their time are no letters any more.
    fn decide_anew(&mut self, topic: &str) {
        let from = self.now;
        let waiting = self.letters.extract_if(.., |_, pending| {
            pending.again.is_some() && *pending.at.topic == *topic
        });
        for (_, Pending { at, content, .. }) in waiting {
            let owned = self.owned.get_mut(&at);
            let slot = owned.and_then(|owned| owned.slots.get_mut(&content.record.offset));
            if let Some(Some(unfinished)) = slot {
                unfinished.state = State::Waiting { from };
            }
        }
    }

    fn close(&mut self, lane: LaneId) {
        let handed = self.handed.iter().filter(|(_, handed)| handed.lane == lane);
        let calls = handed.filter_map(|(delivery, handed)| self.began(*delivery, handed));
        let calls: Vec<_> = calls.collect();
        if !calls.is_empty() {
            self.broke = Some(self.now);
        }
        self.lanes.remove(&lane);
        let lost: Vec<Handed> = self
            .handed
            .extract_if(.., |_, handed| handed.lane == lane)
            .map(|(_, handed)| handed)
            .collect();
        for handed in &lost {
            self.give_back(handed);
        }
        self.redeliver_acked(&calls);
        self.settle_acked(false);
    }

    /// When daprd began a call, if it did: a serial lane works on its oldest record.
    pub(super) fn began(&self, delivery: DeliveryId, handed: &Handed) -> Option<Instant> {
        if self.overtaken {
            return Some(handed.when);
        }
        let lane = self.lanes.get(&handed.lane)?;
        if lane.has.first() == Some(&delivery) {
            lane.released.into_iter().chain([handed.when]).max()
        } else {
            None
        }
    }

    pub(super) fn finish(&mut self, at: &TopicPartition, offset: Offset) {
        if let Some(owned) = self.owned.get_mut(at) {
            owned.slots.insert(offset, None);
        }
    }
}

/// What is asked of the model.
impl Model {
    /// The record that was handed out, if its epoch goes on.
    pub(super) fn unfinished(&mut self, handed: &Handed) -> Option<&mut Unfinished> {
        let owned = self.owned.get_mut(&handed.at)?;
        if owned.epoch != handed.epoch {
            return None;
        }
        owned.slots.get_mut(&handed.offset)?.as_mut()
    }

    pub(super) fn policy(&self, topic: &str) -> Arc<Policy> {
        let subscription = self.subscriptions.get(topic);
        let policy = subscription.and_then(|subscription| subscription.policy.clone());
        policy.expect("nothing is refused before a lane was opened")
    }

    pub(super) fn is_open(&self, topic: &str) -> bool {
        self.subscriptions
            .get(topic)
            .is_some_and(|subscription| subscription.breaker.is_open())
    }

    pub(super) fn is_draining(&self, at: &TopicPartition) -> bool {
        self.owned.get(at).is_some_and(|owned| owned.draining)
    }

    /// What lanes have of partitions that are ours, of one topic or of all.
    pub(super) fn in_flight(&self, topic: Option<&str>) -> usize {
        let of_topic = |handed: &&Handed| topic.is_none_or(|topic| *topic == *handed.at.topic);
        let is_ours = |handed: &&Handed| {
            let owned = self.owned.get(&handed.at);
            owned.is_some_and(|owned| owned.epoch == handed.epoch)
        };
        let handed = self.handed.values();
        handed.filter(of_topic).filter(is_ours).count()
    }

    /// How much a lane may have.
    pub(super) fn depth(&self, lane: &Lane) -> usize {
        let lanes = self.lanes.values();
        let of_topic = lanes.filter(|other| other.topic == lane.topic).count();
        let serially = if of_topic == 1 {
            self.limits.only_lane_depth
        } else {
            self.limits.lane_depth
        };
        let depth = match lane.takes {
            _ if lane.concurrent => self.limits.max_in_flight,
            None => self.limits.new_lane_depth.min(serially),
            Some(takes) => {
                // What is worked off in time, and two in any case: it may be concurrent.
                let room = self.limits.lane_room;
                let mut fits = (1..=serially)
                    .filter(|n| takes * u32::try_from(*n).unwrap_or(u32::MAX) <= room);
                fits.next_back().unwrap_or(0).max(2).min(serially)
            }
        };
        depth.min(self.limits.max_in_flight)
    }

    pub(super) fn is_held(&self, lane: &Lane) -> bool {
        lane.held_until.is_some_and(|until| until > self.now)
    }
}

impl Owned {
    /// The records and bytes that count against the window.
    pub(super) fn window(&self) -> (usize, usize) {
        let heads = self.heads();
        let failed = heads.iter().filter(|head| head.failed > 0);
        let failed: Vec<_> = failed.map(|head| head.sequence).collect();
        let unfinished = || self.slots.values().flatten();
        let counted = unfinished().filter(|one| !one.is_acked() && !failed.contains(&one.sequence));
        let bytes = unfinished().map(|one| one.record.size()).sum();
        (counted.count(), bytes)
    }

    /// The first record of each sequence that is neither finished nor acknowledged.
    pub(super) fn heads(&self) -> Vec<&Unfinished> {
        let mut seen = BTreeSet::new();
        let unfinished = self.slots.values().flatten();
        unfinished
            .filter(|unfinished| !unfinished.is_acked())
            .filter(|unfinished| seen.insert(unfinished.sequence))
            .collect()
    }

    pub(super) fn is_head(&self, offset: Offset) -> bool {
        let heads = self.heads();
        heads.iter().any(|head| head.record.offset == offset)
    }

    /// Whether a record of this sequence is with a lane, or a letter. It is the head, unless
    /// others were put back before it.
    pub(super) fn is_busy(&self, sequence: Sequence) -> bool {
        let mut of_sequence = self.slots.values().flatten();
        of_sequence.any(|one| {
            one.sequence == sequence && matches!(one.state, State::WithLane | State::Letter)
        })
    }
}

impl Unfinished {
    /// Whether it is tested while nothing else is under way.
    pub(super) fn is_suspected(&self) -> bool {
        self.in_company >= 2
    }

    pub(super) fn is_acked(&self) -> bool {
        matches!(self.state, State::Acked { .. })
    }
}

/// The offsets of ranges.
pub(super) fn offsets(ranges: &[Range<Offset>]) -> impl Iterator<Item = Offset> {
    let each = ranges.iter().flat_map(|range| range.start.0..range.end.0);
    each.map(Offset)
}

/// The key's number; none is the null key, 1 the empty one.
pub(super) fn key(record: &Record) -> Option<u8> {
    let first = |key: &Bytes| key.first().copied().unwrap_or(1);
    record.key.as_ref().map(first)
}
