//! The streams of one topic to daprd, and which of them takes the next record.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{DeliveryId, LaneId, Limits};

/// The least that a lane gets: with fewer, nothing would ever show that it is concurrent, and a
/// record that hangs would hold up all others of a concurrent one.
const LEAST: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Lanes {
    map: BTreeMap<LaneId, Lane>,
}

/// One stream. daprd 1.16.0 to 1.17.13 and 1.18.0 to 1.18.3 handle the messages of a
/// stream one at a time and answer them in order; others handle them concurrently.
/// Nothing tells which daprd it is, but an answer that overtakes an older one proves
/// that it is not serial.
#[derive(Debug, Default)]
struct Lane {
    /// What it has and did not answer yet.
    pending: BTreeSet<DeliveryId>,
    concurrent: bool,
    held_until: Option<Instant>,
    /// When it gave a record back last.
    released: Option<Instant>,
    /// How long the app takes for a record: the longest of late, if any was answered.
    takes: Option<Duration>,
}

impl Lane {
    fn has_room(&self, depth: usize) -> bool {
        self.pending.len() < depth && self.held_until.is_none()
    }
}

impl Lanes {
    pub(super) fn open(&mut self, id: LaneId) {
        self.map.insert(id, Lane::default());
    }

    pub(super) fn close(&mut self, id: LaneId) {
        self.map.remove(&id);
    }

    pub(super) fn count(&self) -> usize {
        self.map.len()
    }

    /// Whether a lane may be given something, once it has answered what it has.
    pub(super) fn is_any_open(&self) -> bool {
        self.map.values().any(|lane| lane.held_until.is_none())
    }

    /// How long the app takes for a record, the longest of late.
    pub(super) fn takes(&self) -> Duration {
        let takes = self.map.values().filter_map(|lane| lane.takes);
        takes.max().unwrap_or_default()
    }

    /// How many records a lane may have, never more than the window.
    ///
    /// A serial one gets few ahead, so that an idle lane never waits for what a busy one was given,
    /// and fewer the longer the app takes.
    fn depth(&self, lane: &Lane, limits: &Limits) -> usize {
        let most = match self.map.len() {
            1 => limits.only_lane_depth,
            _ => limits.lane_depth,
        };
        let depth = match lane.takes {
            _ if lane.concurrent => limits.max_in_flight,
            None => most.min(limits.new_lane_depth),
            Some(takes) => {
                let fits = limits.lane_room.as_nanos().checked_div(takes.as_nanos());
                let fits = fits.and_then(|fits| usize::try_from(fits).ok());
                fits.unwrap_or(usize::MAX).max(LEAST).min(most)
            }
        };
        depth.min(limits.max_in_flight)
    }

    /// The lane that has the fewest records, if any has room.
    pub(super) fn pick(&self, limits: &Limits) -> Option<LaneId> {
        self.map
            .iter()
            .filter(|(_, lane)| lane.has_room(self.depth(lane, limits)))
            .min_by_key(|(_, lane)| lane.pending.len())
            .map(|(id, _)| *id)
    }

    pub(super) fn take(&mut self, id: LaneId, delivery: DeliveryId) {
        if let Some(lane) = self.map.get_mut(&id) {
            lane.pending.insert(delivery);
        }
    }

    /// When a serial daprd began the call for a delivery that was handed out then; `None` if it
    /// still works on an older one of the lane.
    pub(super) fn began_serially(
        &self,
        id: LaneId,
        delivery: DeliveryId,
        handed: Instant,
    ) -> Option<Instant> {
        let lane = self.map.get(&id)?;
        let is_first = lane.pending.first() == Some(&delivery);
        is_first.then(|| {
            lane.released
                .map_or(handed, |released| handed.max(released))
        })
    }

    /// A delivery that was handed out then is not with this lane any more. If the app answered it
    /// before an older one, the lane is concurrent. Returns whether it is known to be.
    pub(super) fn release(
        &mut self,
        id: LaneId,
        (delivery, handed): (DeliveryId, Instant),
        by_app: bool,
        now: Instant,
    ) -> bool {
        let Some(lane) = self.map.get_mut(&id) else {
            return false;
        };
        let is_first = lane.pending.first() == Some(&delivery);
        let began = match lane.released {
            Some(released) if !lane.concurrent => handed.max(released),
            _ => handed,
        };
        // Of a serial lane the others wait for the first.
        if by_app && (is_first || lane.concurrent) {
            let took = now.saturating_duration_since(began);
            let before = lane.takes.unwrap_or_default();
            // One quick answer after slow ones says little.
            lane.takes = Some(took.max(before * 7 / 8));
        }
        lane.concurrent |= by_app && !is_first && !lane.pending.is_empty();
        lane.released = Some(now);
        lane.pending.remove(&delivery);
        lane.concurrent
    }

    /// Gives a lane nothing until then.
    pub(super) fn hold(&mut self, id: LaneId, until: Instant) {
        if let Some(lane) = self.map.get_mut(&id) {
            lane.held_until = Some(until);
        }
    }

    pub(super) fn release_due(&mut self, now: Instant) {
        for lane in self.map.values_mut() {
            if lane.held_until.is_some_and(|until| until <= now) {
                lane.held_until = None;
            }
        }
    }

    pub(super) fn next_release(&self) -> Option<Instant> {
        self.map.values().filter_map(|lane| lane.held_until).min()
    }

    /// Whether there is one lane only, and it was never seen to be concurrent.
    pub(super) fn is_one_serial(&self) -> bool {
        self.map.len() == 1 && self.map.values().all(|lane| !lane.concurrent)
    }
}
