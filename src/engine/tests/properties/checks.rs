//! What must hold after each step.

use std::{collections::BTreeSet, ops::Range};

use super::{super::*, ensure, model::*};

/// What was broken.
pub(super) type Check = std::result::Result<(), String>;

/// What is said to be finished above the commit point is, and nothing finished is left out.
fn check_above(owned: &Owned, above: &[Range<Offset>]) -> Check {
    let said: Vec<_> = offsets(above).collect();
    ensure!(said.is_sorted_by(|a, b| a < b), "not in order: {above:?}");
    for offset in &said {
        let is_finished = match owned.slots.get(offset) {
            Some(slot) => slot.is_none(),
            // In a gap between records, or not received again yet.
            None => *offset < owned.next || owned.before.contains(offset),
        };
        ensure!(is_finished, "I1: {offset} is said to be finished");
    }
    let received = owned.slots.iter().filter(|(_, slot)| slot.is_none());
    let received = received.map(|(offset, _)| offset);
    let mut finished = received.chain(owned.before.range(owned.next..));
    let left_out = finished.find(|offset| said.binary_search(offset).is_err());
    ensure!(left_out.is_none(), "{left_out:?} is finished, and left out");
    Ok(())
}

impl Model {
    pub(super) fn check(
        &mut self,
        engine: &Engine,
        ticked: bool,
        received: Option<&TopicPartition>,
    ) -> Check {
        let expected = std::mem::take(&mut self.expected);
        ensure!(expected == Expected::default(), "missing: {expected:?}");
        let holds = engine.holds();
        for (at, owned) in &self.owned {
            self.check_partition(at, owned, engine, holds.get(at))
                .map_err(|broken| format!("{at}: {broken}"))?;
        }
        self.check_window(received)?;
        let under_way = self.letters.values().filter(|p| p.again.is_none()).count();
        let total = self.in_flight(None) + under_way;
        ensure!(
            engine.total_in_flight() == total,
            "{} in flight, not {total}",
            engine.total_in_flight()
        );
        let mut slots = self.owned.values().flat_map(|owned| owned.slots.values());
        let suspect = slots.find(|slot| slot.as_ref().is_some_and(Unfinished::is_acked));
        ensure!(
            suspect.is_none() || !self.handed.is_empty(),
            "no call is in flight, and an ack stays suspect: {suspect:?}"
        );
        let wake = engine.next_wake();
        let due = wake.is_some_and(|wake| wake <= self.now);
        ensure!(!(ticked && due), "wants to be woken again at once");
        self.check_isolation(engine, due)?;
        self.check_suspected(engine)?;
        for topic in self.subscriptions.keys().filter(|_| !due) {
            self.check_work(topic)?;
        }
        let next = self.next_due();
        ensure!(
            next.is_none_or(|next| wake.is_some_and(|wake| wake <= next)),
            "wants to be woken at {wake:?}, and something is due at {next:?}"
        );
        Ok(())
    }

    fn check_partition(
        &self,
        at: &TopicPartition,
        owned: &Owned,
        engine: &Engine,
        hold: Option<&Hold>,
    ) -> Check {
        let first = owned.slots.first_key_value();
        ensure!(
            first.is_none_or(|(_, slot)| slot.is_some()),
            "I2: {first:?} is finished, and the commit point stays"
        );
        let point = first.map_or(owned.next, |(offset, _)| *offset);
        ensure!(engine.commit_point(at) == Some(point), "I2: not {point}");
        check_above(
            owned,
            &engine.progress(at).ok_or("lost its progress")?.above,
        )?;
        ensure!(engine.position(at) == Some(owned.next), "lost its position");
        ensure!(engine.owns(at, owned.epoch), "lost its epoch");
        ensure!(
            engine.uncommitted(at) == owned.unconfirmed.len(),
            "I5: miscounted"
        );
        ensure!(engine.is_reading(at) == owned.reading, "told otherwise");
        let found = hold.map(|hold| hold.record.offset);
        let oldest = first.and_then(|(_, slot)| slot.as_ref());
        let oldest = oldest.filter(|oldest| !oldest.is_acked());
        let oldest = oldest.map(|oldest| oldest.record.offset);
        ensure!(
            found == oldest,
            "I5: {found:?} is said to hold, not {oldest:?}"
        );
        ensure!(
            !owned.reading || !self.is_closed(owned),
            "I4: reads with {} uncommitted, draining {}",
            owned.unconfirmed.len(),
            owned.draining
        );
        Ok(())
    }

    fn is_closed(&self, owned: &Owned) -> bool {
        owned.draining || owned.unconfirmed.len() >= self.limits.max_uncommitted
    }

    /// The window: each partition has a floor, and all share the rest.
    fn check_window(&mut self, received: Option<&TopicPartition>) -> Check {
        let partitions = self.owned.len().max(1);
        let (records, bytes) = (self.limits.max_in_flight, self.limits.max_in_flight_bytes);
        let floor = (records / (2 * partitions)).clamp(1, 16);
        let floor_bytes = (bytes / (2 * partitions)).max(1);
        let pool = records.saturating_sub(floor * partitions);
        let pool_bytes = bytes.saturating_sub(floor_bytes * partitions);
        let beyond = |owned: &Owned| {
            let (records, bytes) = owned.window();
            let reserved = usize::from(owned.reading && records >= floor);
            let records = records.saturating_sub(floor) + reserved;
            (records, bytes.saturating_sub(floor_bytes))
        };
        let sum = |all: &[(usize, usize)]| {
            all.iter()
                .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        };
        let taken = sum(&self.owned.values().map(beyond).collect::<Vec<_>>());
        let waits = |owned: &Owned| !owned.reading && !self.is_closed(owned);
        let competing = self.owned.iter().filter(|(_, owned)| {
            let taken = beyond(owned);
            waits(owned) || taken.0 > 0 || taken.1 > 0
        });
        let competing: BTreeSet<_> = competing.map(|(at, _)| at.topic.clone()).collect();
        for (at, owned) in &self.owned {
            let (records, bytes) = owned.window();
            let is_shared =
                |topics: &BTreeSet<Arc<str>>| topics.iter().any(|topic| *topic != at.topic);
            let of_topic = self
                .owned
                .iter()
                .filter(|(other, _)| other.topic == at.topic);
            let of_topic = sum(&of_topic.map(|(_, owned)| beyond(owned)).collect::<Vec<_>>());
            let low = |half: usize| half - half.div_ceil(8);
            let is_limited = is_shared(&competing)
                && (of_topic.0 > low(pool.div_ceil(2)) || of_topic.1 > low(pool_bytes.div_ceil(2)));
            let told = format!(
                "{at} with {records} of {floor} records and {bytes} of {floor_bytes} bytes; \
                 of the pool {taken:?} of {:?} is taken, {of_topic:?} by its topic",
                (pool, pool_bytes)
            );
            let in_floor = records < floor && bytes < floor_bytes;
            let in_pool = taken.0 <= pool && taken.1 < pool_bytes;
            ensure!(
                !owned.reading || received != Some(at) || in_floor || in_pool,
                "I4: reads {told}"
            );
            // One record was reserved when it was decided.
            let is_shared = is_shared(&competing) && is_shared(&self.competed);
            let is_over = is_shared && of_topic.0 > pool.div_ceil(2);
            ensure!(
                !owned.reading || received != Some(at) || in_floor || !is_over,
                "I4: its topic takes more than half: {told}"
            );
            let is_low = records <= floor * 3 / 4 && bytes <= floor_bytes * 3 / 4;
            let is_roomy = taken.0 <= pool - pool.div_ceil(8)
                && taken.1 <= pool_bytes - pool_bytes.div_ceil(8)
                && pool > 0
                && pool_bytes > 0
                && !is_limited;
            ensure!(!waits(owned) || !(is_low || is_roomy), "I6: waits, {told}");
        }
        self.competed = competing;
        Ok(())
    }

    /// What is shown of suspected records: those that may be what breaks the app.
    fn check_suspected(&self, engine: &Engine) -> Check {
        for TopicState {
            topic, suspected, ..
        } in engine.topics()
        {
            let owned = self.owned.iter().filter(|(at, _)| at.topic == topic);
            let unfinished = owned.flat_map(|(_, owned)| owned.slots.values().flatten());
            let may_break = unfinished.filter(|one| one.is_suspected() || one.broke.is_some());
            let count = may_break.count();
            ensure!(
                suspected == count,
                "{topic}: {suspected} are shown as suspected, not {count}"
            );
        }
        Ok(())
    }

    /// Suspected records have the app to themselves for a bounded time, and only if there are any.
    fn check_isolation(&mut self, engine: &Engine, due: bool) -> Check {
        if !engine.is_isolating() {
            self.isolating = None;
            return Ok(());
        }
        let since = *self.isolating.get_or_insert(self.now);
        let longest = self.limits.isolation.longest;
        ensure!(
            due || self.now < since + longest,
            "I6: a test takes longer than {longest:?}"
        );
        Ok(())
    }

    /// No lane has room while a record is ready for it.
    fn check_work(&self, topic: &Arc<str>) -> Check {
        let in_flight = self.in_flight(Some(topic));
        let breaker = &self.subscriptions[topic].breaker;
        if self.paused
            || self.isolating.is_some()
            || !self.app_may_be_tried()
            || breaker.allows(in_flight, self.now) == 0
        {
            return Ok(());
        }
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.topic == *topic);
        let mut free =
            lanes.filter(|(_, lane)| lane.has.len() < self.depth(lane) && !self.is_held(lane));
        if let Some((lane, _)) = free.next()
            && let Some(ready) = self.ready(topic).first()
        {
            let (at, offset) = (&ready.record.at, ready.record.offset);
            return Err(format!("I6: {lane:?} has room, and {at} {offset} waits"));
        }
        Ok(())
    }

    /// The records of a topic that need no test and could be handed out now.
    fn ready(&self, topic: &str) -> Vec<&Unfinished> {
        self.waiting(topic, |head| !head.is_suspected())
    }

    /// The records of a topic that could be handed out now, of those that `may` be.
    pub(super) fn waiting(
        &self,
        topic: &str,
        may: impl Fn(&Unfinished) -> bool,
    ) -> Vec<&Unfinished> {
        let owned = self.owned.iter();
        let here = owned.filter(|(at, owned)| *at.topic == *topic && !owned.draining);
        let heads = here.flat_map(|(_, owned)| {
            let heads = owned.heads().into_iter();
            heads.filter(|head| !owned.is_busy(head.sequence) && may(head))
        });
        heads
            .filter(|head| matches!(head.state, State::Waiting { from } if from <= self.now))
            .collect()
    }

    /// When the next thing is due by time alone.
    fn next_due(&self) -> Option<Instant> {
        let heads = self.owned.values().flat_map(Owned::heads);
        let retries = heads.filter_map(|head| match head.state {
            State::Waiting { from } if from > self.now => Some(from),
            _ => None,
        });
        let letters = self.letters.values().filter_map(|pending| pending.again);
        let held = self.lanes.values().filter_map(|lane| lane.held_until);
        let work = |topic: &Arc<str>| !self.ready(topic).is_empty();
        let probe = self
            .probe_due()
            .filter(|_| self.subscriptions.keys().any(work));
        let slots = self.owned.values().flat_map(|owned| owned.slots.values());
        let acked = slots.flatten().filter_map(|one| match one.state {
            State::Acked { when, .. } => Some(when + self.limits.ack_settles_in_silence),
            _ => None,
        });
        let later = letters.chain(held).chain(probe).chain(acked);
        let later = later.filter(|due| *due > self.now);
        retries.chain(later).min()
    }

    /// When all was answered and confirmed: nothing is left, and all is committed.
    pub(super) fn check_settled(&self) -> Check {
        for (at, owned) in &self.owned {
            let left = owned.slots.len();
            ensure!(left == 0, "I1: {at}: {left} received records were lost");
        }
        Ok(())
    }
}
