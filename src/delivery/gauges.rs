//! How a group is doing, as its gauges show it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::owner::Owner;
use crate::{
    engine::{self, Hold},
    model::{Offset, TopicPartition},
    telemetry::group_state::{Breaker, TopicState},
};

impl Owner {
    pub(super) fn topic_states(&self) -> BTreeMap<Arc<str>, TopicState> {
        let state = |topic: engine::TopicState| {
            let breaker = match (topic.breaker_open, topic.in_flight) {
                (false, _) => Breaker::Closed,
                (true, 0) => Breaker::Open,
                (true, _) => Breaker::Probing,
            };
            let state = TopicState {
                topic: topic.topic.clone(),
                in_flight: 0,
                in_flight_limit: self.max_in_flight,
                lanes: topic.lanes,
                oldest_unfinished: Duration::ZERO,
                uncommitted_gap: 0,
                lag: None,
                lag_age: None,
                assigned_partitions: 0,
                paused_partitions: 0,
                breaker,
                stalled: false,
                dlq_depth: self.watch.depths.get(&topic.topic).copied(),
            };
            (topic.topic, state)
        };
        let subscribed = self.engine.topics().filter(|topic| topic.lanes > 0);
        subscribed.map(state).collect()
    }

    pub(super) fn add_partition(
        &self,
        state: &mut TopicState,
        at: &TopicPartition,
        (commit_point, high): (Offset, Option<Offset>),
        hold: Option<&Hold>,
        now: Instant,
    ) {
        let unfinished = self.engine.unfinished(at);
        state.in_flight += unfinished;
        state.uncommitted_gap += self.engine.uncommitted(at) - unfinished;
        state.assigned_partitions += 1;
        state.paused_partitions += usize::from(!self.engine.is_reading(at));
        if let Some(hold) = hold {
            state.oldest_unfinished = state.oldest_unfinished.max(now - hold.since);
        }
        if let Some(high) = high {
            let lag = u64::try_from(high.0 - commit_point.0).unwrap_or_default();
            state.lag = Some(state.lag.unwrap_or_default() + lag);
            let age = match hold {
                Some(hold) => hold.record.timestamp.map(age),
                None => (lag == 0).then_some(Duration::ZERO),
            };
            state.lag_age = state.lag_age.max(age);
        }
    }
}

/// How old a record with this timestamp is.
fn age(timestamp: i64) -> Duration {
    let millis = u64::try_from(timestamp).unwrap_or_default();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since
        .unwrap_or_default()
        .saturating_sub(Duration::from_millis(millis))
}
