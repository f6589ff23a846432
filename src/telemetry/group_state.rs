//! How a consumer group is doing, as its owner sees it.

use std::{sync::Arc, time::Duration};

use metrics::gauge;

use super::{Member, metrics as names};

/// A snapshot of a consumer group. Its owner publishes one once a second.
#[derive(Clone, Debug)]
pub struct GroupState {
    /// Whose it is.
    pub member: Member,
    /// The topics that are subscribed to now.
    pub topics: Vec<TopicState>,
    /// What librdkafka has read ahead.
    pub read_ahead: ReadAheadState,
}

/// Records that librdkafka has read and nobody has taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadAheadState {
    /// What they take, in bytes, as far as that can be seen.
    pub bytes: usize,
    /// What they may take, in bytes: other groups of the process leave no more.
    pub limit: usize,
    /// Partitions with a backlog that are not fetched, because others fill the limit.
    pub waiting: usize,
}

/// One subscribed topic. What is not known, because no broker said so yet, is
/// `None`, and not shown.
#[derive(Clone, Debug)]
pub struct TopicState {
    /// The Kafka topic's name.
    pub topic: Arc<str>,
    /// Records that were received and are not finished.
    pub in_flight: usize,
    /// How many may be.
    pub in_flight_limit: usize,
    /// Streams to daprd.
    pub lanes: usize,
    /// How long the oldest unfinished record has been here; zero if there is none.
    pub oldest_unfinished: Duration,
    /// Finished records above the commit points.
    pub uncommitted_gap: usize,
    /// Records on the broker above the commit points.
    pub lag: Option<u64>,
    /// Age of the oldest record that is not committed; zero if there is none.
    pub lag_age: Option<Duration>,
    /// Partitions assigned to this process.
    pub assigned_partitions: usize,
    /// Of these, how many are not read because a bound was reached.
    pub paused_partitions: usize,
    /// What the breaker does.
    pub breaker: Breaker,
    /// There is lag, and nothing progresses.
    pub stalled: bool,
    /// Partitions that wait for a transaction that has been open for `stallTimeout`.
    pub open_transactions: usize,
    /// Unfinished records that may be what breaks the app.
    pub suspected_records: usize,
    /// Records in the topic's dead-letter topic, if it has one.
    pub dlq_depth: Option<u64>,
}

/// What a subscription's breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Records flow.
    Closed,
    /// Nearly all failed: delivery rests.
    Open,
    /// Single records probe the app.
    Probing,
}

impl GroupState {
    /// Sets the gauges. Those of a topic that is no longer among [`Self::topics`],
    /// or of a group that publishes nothing any more, go by themselves after 10 s.
    pub fn publish(&self) {
        for topic in &self.topics {
            topic.publish(&self.member);
        }
        self.read_ahead.publish(&self.member);
    }
}

impl ReadAheadState {
    #[allow(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; beyond 2^53 nobody counts on the last digit"
    )]
    fn publish(self, member: &Member) {
        let set = |name: &'static str, value: usize| {
            gauge!(
                name,
                "component" => member.component.clone(),
                "group" => member.group.clone()
            )
            .set(value as f64);
        };
        set(names::READ_AHEAD, self.bytes);
        set(names::READ_AHEAD_LIMIT, self.limit);
        set(names::READ_AHEAD_WAITING, self.waiting);
    }
}

impl TopicState {
    #[allow(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; beyond 2^53 nobody counts on the last digit"
    )]
    fn publish(&self, member: &Member) {
        let set = |name: &'static str, value: f64| {
            gauge!(
                name,
                "component" => member.component.clone(),
                "topic" => self.topic.clone(),
                "group" => member.group.clone()
            )
            .set(value);
        };
        set(names::IN_FLIGHT, self.in_flight as f64);
        set(names::IN_FLIGHT_LIMIT, self.in_flight_limit as f64);
        set(names::LANES, self.lanes as f64);
        set(
            names::OLDEST_UNFINISHED,
            self.oldest_unfinished.as_secs_f64(),
        );
        set(names::UNCOMMITTED_GAP, self.uncommitted_gap as f64);
        set(names::ASSIGNED_PARTITIONS, self.assigned_partitions as f64);
        set(names::PAUSED_PARTITIONS, self.paused_partitions as f64);
        set(names::BREAKER_STATE, f64::from(self.breaker as u8));
        set(names::STALLED, f64::from(u8::from(self.stalled)));
        set(names::OPEN_TRANSACTIONS, self.open_transactions as f64);
        set(names::SUSPECTED_RECORDS, self.suspected_records as f64);
        if let Some(lag) = self.lag {
            set(names::CONSUMER_LAG, lag as f64);
        }
        if let Some(age) = self.lag_age {
            set(names::CONSUMER_LAG_SECONDS, age.as_secs_f64());
        }
        if let Some(depth) = self.dlq_depth {
            set(names::DLQ_DEPTH, depth as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{super::metrics::tests, *};

    fn state(topics: &[&str]) -> GroupState {
        let topic = |name: &&str| TopicState {
            topic: (*name).into(),
            in_flight: 3,
            in_flight_limit: 1000,
            lanes: 2,
            oldest_unfinished: Duration::from_millis(1500),
            uncommitted_gap: 4,
            lag: Some(7),
            lag_age: Some(Duration::from_secs(9)),
            assigned_partitions: 6,
            paused_partitions: 1,
            breaker: Breaker::Probing,
            stalled: true,
            open_transactions: 2,
            suspected_records: 8,
            dlq_depth: Some(5),
        };
        GroupState {
            member: Member {
                component: "todo-pubsub".into(),
                group: "todo".into(),
            },
            topics: topics.iter().map(topic).collect(),
            read_ahead: ReadAheadState {
                bytes: 1000,
                limit: 2000,
                waiting: 3,
            },
        }
    }

    #[test]
    fn every_field_moves_its_gauge() {
        let text = tests::rendered(|| state(&["orders"]).publish());
        for (name, value) in [
            ("in_flight", "3"),
            ("in_flight_limit", "1000"),
            ("lanes", "2"),
            ("oldest_unfinished_seconds", "1.5"),
            ("uncommitted_gap", "4"),
            ("consumer_lag", "7"),
            ("consumer_lag_seconds", "9"),
            ("assigned_partitions", "6"),
            ("paused_partitions", "1"),
            ("breaker_state", "2"),
            ("stalled", "1"),
            ("open_transactions", "2"),
            ("suspected_records", "8"),
            ("dlq_depth", "5"),
        ] {
            let labels = "component=\"todo-pubsub\",topic=\"orders\",group=\"todo\"";
            let line = format!("dapr_rdkafka_{name}{{{labels}}} {value}\n");
            assert!(text.contains(&line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn what_is_read_ahead_is_shown_for_the_group() {
        let text = tests::rendered(|| state(&[]).publish());
        for (name, value) in [
            ("read_ahead_bytes", "1000"),
            ("read_ahead_limit_bytes", "2000"),
            ("read_ahead_waiting_partitions", "3"),
        ] {
            let labels = "component=\"todo-pubsub\",group=\"todo\"";
            let line = format!("dapr_rdkafka_{name}{{{labels}}} {value}\n");
            assert!(text.contains(&line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let mut unknown = state(&["orders"]);
        for topic in &mut unknown.topics {
            (topic.lag, topic.lag_age, topic.dlq_depth) = (None, None, None);
        }
        let text = tests::rendered(|| unknown.publish());
        assert!(
            !text.contains("lag{") && !text.contains("lag_seconds{"),
            "{text}"
        );
        assert!(!text.contains("dlq_depth{"), "{text}");
    }

    #[test]
    fn a_topic_that_is_gone_goes_from_the_metrics() {
        let recorder = tests::recorder(Duration::from_millis(200));
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            state(&["orders", "gone"]).publish();
            assert!(handle.render().contains("topic=\"gone\""));
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                state(&["orders"]).publish();
                let text = handle.render();
                assert!(text.contains("topic=\"orders\""), "{text}");
                if !text.contains("topic=\"gone\"") {
                    return;
                }
                assert!(Instant::now() < deadline, "{text}");
                std::thread::yield_now();
            }
        });
    }
}
