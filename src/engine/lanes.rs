//! The streams to daprd, and which of them takes the next record.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::LaneId;

#[derive(Debug, Default)]
pub(super) struct Lanes {
    map: BTreeMap<LaneId, Lane>,
}

#[derive(Debug)]
struct Lane {
    topic: Arc<str>,
    in_flight: usize,
    held_until: Option<Instant>,
}

impl Lanes {
    pub(super) fn open(&mut self, id: LaneId, topic: Arc<str>) {
        let lane = Lane {
            topic,
            in_flight: 0,
            held_until: None,
        };
        self.map.insert(id, lane);
    }

    pub(super) fn close(&mut self, id: LaneId) {
        self.map.remove(&id);
    }

    /// The lane of this topic that has the fewest records, if any has room.
    pub(super) fn pick(&self, topic: &str, depth: usize) -> Option<LaneId> {
        self.map
            .iter()
            .filter(|(_, lane)| {
                *lane.topic == *topic && lane.in_flight < depth && lane.held_until.is_none()
            })
            .min_by_key(|(_, lane)| lane.in_flight)
            .map(|(id, _)| *id)
    }

    pub(super) fn take(&mut self, id: LaneId) {
        if let Some(lane) = self.map.get_mut(&id) {
            lane.in_flight += 1;
        }
    }

    pub(super) fn release(&mut self, id: LaneId) {
        if let Some(lane) = self.map.get_mut(&id) {
            lane.in_flight -= 1;
        }
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
}
