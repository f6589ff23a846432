//! The metrics: one table, of which the recorder and docs/metrics.md are made.
//!
//! The events in [`super::events`] and the states in [`super::group_state`] move
//! them. Labels stay few: topics come from subscriptions and from publishes that
//! succeeded, never from what a caller merely asked for, and keys never.

use std::time::Duration;

use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;

/// What a metric's figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only rises.
    Counter,
    /// It is as it is now.
    Gauge,
    /// How often, in buckets.
    Histogram,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name, with the prefix.
    pub name: &'static str,
    /// What its figures are.
    pub kind: Kind,
    /// What they count.
    pub unit: Unit,
    /// The labels that tell its series apart.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// Makes [`METRICS`], and a constant with the name of each.
macro_rules! metrics {
    ($($id:ident: $kind:ident($name:literal, $unit:ident, [$($label:literal),*], $help:literal);)*) => {
        $(#[doc = $help] pub const $id: &str = concat!("dapr_rdkafka_", $name);)*
        /// Every metric there is.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $id,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &[$($label),*],
            help: $help,
        }),*];
    };
}

metrics! {
    BUILD_INFO: Gauge("build_info", Count, ["version"], "Always 1; the label is this program's version.");
    INSTANCES: Gauge("instances", Count, [], "Component instances that daprd has initialised in this process. 0 while daprd runs: it is older than this process, or has no such Component.");
    UNINITIALISED: Gauge("uninitialised", Count, [], "Components that daprd calls, or that --heal-daprd found loaded, and that were never initialised in this process, because it was started after daprd.");
    PUBLISHED: Counter("published_messages_total", Count, ["component", "topic", "result"], "Messages that were published (result ok) or could not be (failed; the topic is empty as long as no publish to it succeeded).");
    PUBLISH_DURATION: Histogram("publish_duration_seconds", Seconds, ["component", "topic", "result"], "From the publish to the broker's acknowledgement, or to the failure.");
    PRODUCER_QUEUE: Gauge("producer_queue_messages", Count, ["component"], "Messages that the broker has not acknowledged yet.");
    PUBLISHES_WITHOUT_ROOM: Counter("publishes_without_room_total", Count, [], "Publishes that were refused because there was no room for them within 15 s (--max-publish-mib).");
    BROKER_FAILURES: Counter("broker_connection_failures_total", Count, ["component"], "Connections to brokers that failed or were ended by them.");
    BROKER_PROBLEM: Gauge("broker_problem", Count, ["component", "code"], "Brokers whose connections broke and have this problem now, by the code of `dapr-rdkafka doctor`; the log has the cause and the fix.");
    REBALANCES: Counter("rebalances_total", Count, ["component", "group", "event"], "Times that partitions were assigned or revoked.");
    DRAIN_UNANSWERED: Counter("drain_unanswered_total", Count, ["component", "group"], "Messages that the app had not answered when their partitions were given back after rebalanceDrain, a lost session or the end of the process: they are delivered again, and the app may work on them still.");
    COMMITS: Counter("commits_total", Count, ["component", "group", "result"], "Commit requests, each for one or more partitions.");
    OUT_OF_RANGE: Counter("out_of_range_total", Count, ["component", "topic", "group"], "Times that a partition could not continue at the group's offset: retention removed it, brokers lost it, or the topic was created again. The log names the reason and the new offset.");
    RETRIES: Counter("retries_total", Count, ["component", "topic", "group"], "Messages that the app refused and that are tried again.");
    REDELIVERIES: Counter("redeliveries_total", Count, ["component", "topic", "group"], "Messages that came back without the app's verdict and are delivered again.");
    PASSED_OVER: Counter("passed_over_total", Count, ["component", "topic", "group"], "Messages that were sent back from a dead-letter topic for another group, and count as processed here.");
    HEADERS_LEFT_OUT: Counter("headers_left_out_total", Count, ["component", "topic", "group"], "Headers that the app did not get, because no HTTP header can carry them or because there were too many; counted at each delivery.");
    PROCESS_DURATION: Histogram("process_duration_seconds", Seconds, ["component", "topic", "group", "outcome"], "From handing a message to daprd to its answer: ack, nack, timed-out (longer than a resiliency policy of daprd allows), unreachable (the app could not be reached), unknown (no verdict), too-large (for daprd).");
    DLQ_PUBLISHED: Counter("dlq_published_total", Count, ["component", "topic", "group", "reason"], "Messages that became dead letters, by why.");
    DLQ_PUBLISH_FAILURES: Counter("dlq_publish_failures_total", Count, ["component", "topic", "group"], "Dead letters that could not be written; each is tried again, and its source stays uncommitted.");
    CLIENTS_MADE_ANEW: Counter("clients_made_anew_total", Count, ["component", "client"], "Producers and consumers that were broken for good or hung, and were replaced.");
    TOKENS: Counter("tokens_total", Count, ["source", "result"], "Tokens for the login that were fetched (result ok) or could not be (failed; it is tried again), by who is asked: a token endpoint, or the AWS credentials with their region. Instances that log in alike share them.");
    IN_FLIGHT: Gauge("in_flight", Count, ["component", "topic", "group"], "Messages that were received and are not finished.");
    IN_FLIGHT_LIMIT: Gauge("in_flight_limit", Count, ["component", "topic", "group"], "How many messages may be unfinished before reading pauses.");
    LANES: Gauge("lanes", Count, ["component", "topic", "group"], "Streams to daprd.");
    OLDEST_UNFINISHED: Gauge("oldest_unfinished_seconds", Seconds, ["component", "topic", "group"], "How long the oldest unfinished message has been here; 0 if there is none.");
    UNCOMMITTED_GAP: Gauge("uncommitted_gap", Count, ["component", "topic", "group"], "Finished messages above the commit point, which an unfinished one holds. They are committed with it, and come again only where brokers give topics no ids, or take less metadata with an offset.");
    CONSUMER_LAG: Gauge("consumer_lag", Count, ["component", "topic", "group"], "Messages on the broker above the commit points of the partitions assigned here.");
    CONSUMER_LAG_SECONDS: Gauge("consumer_lag_seconds", Seconds, ["component", "topic", "group"], "Age of the oldest message that is not committed; 0 if there is none.");
    ASSIGNED_PARTITIONS: Gauge("assigned_partitions", Count, ["component", "topic", "group"], "Partitions assigned to this process.");
    PAUSED_PARTITIONS: Gauge("paused_partitions", Count, ["component", "topic", "group"], "Assigned partitions that are not read at the moment, because a bound was reached.");
    READ_AHEAD: Gauge("read_ahead_bytes", Bytes, ["component", "group"], "Memory of fetched records that have not been handed to delivery yet, in bytes, estimated from their number and size.");
    READ_AHEAD_LIMIT: Gauge("read_ahead_limit_bytes", Bytes, ["component", "group"], "The bound of `dapr_rdkafka_read_ahead_bytes`: a quarter of the process's memory, less what other groups of the process use.");
    READ_AHEAD_WAITING: Gauge("read_ahead_waiting_partitions", Count, ["component", "group"], "Assigned partitions with a backlog that wait for their turn to be fetched, because others fill `dapr_rdkafka_read_ahead_limit_bytes`.");
    READ_AHEAD_EXCEEDED: Counter("read_ahead_exceeded_total", Count, ["component", "topic", "group"], "Times that what was fetched of one partition alone exceeded `dapr_rdkafka_read_ahead_limit_bytes`, at most once a minute for each partition; the log names the partition.");
    BREAKER_STATE: Gauge("breaker_state", Count, ["component", "topic", "group"], "0: messages flow. 1: nearly all failed, so delivery rests. 2: single messages probe the app.");
    STALLED: Gauge("stalled", Count, ["component", "topic", "group"], "1 if a partition has not progressed for stallTimeout, because a record holds it or its commits fail; the log names which, and what it waits for.");
    OPEN_TRANSACTIONS: Gauge("open_transactions", Count, ["component", "topic", "group"], "Partitions whose next record is one of a transaction that has been open for stallTimeout: nothing of them is delivered before it ends. The log names them.");
    SUSPECTED_RECORDS: Gauge("suspected_records", Count, ["component", "topic", "group"], "Unfinished records that may be what breaks the app: their calls broke twice together with others, or once while no other was under way. The log names them.");
    DLQ_DEPTH: Gauge("dlq_depth", Count, ["component", "topic", "group"], "Messages in the topic's dead-letter topic.");
    DAPRD_SHUTDOWNS: Counter("daprd_shutdowns_total", Count, ["result"], "Times that daprd was asked to shut down, because it never initialised this process (--heal-daprd).");
}

/// From a broker next door to a cluster that is about to give up.
const PUBLISH_BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0,
];

/// From an app that only takes note to one that calls others.
const PROCESS_BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0,
];

/// How long a gauge that nobody sets any more is still shown: its topic, or its
/// consumer group, is gone. Owners set theirs once a second.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// How often the recorder sorts what it was told into the histograms: without
/// that, or a scrape, what it keeps would grow.
const UPKEEP: Duration = Duration::from_secs(5);

/// What is served on `/metrics`. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Takes what is counted in this process from now on; once per process.
    ///
    /// # Errors
    /// When something takes it already.
    pub fn install() -> Result<Self, BuildError> {
        let handle = builder(FORGOTTEN)?.install_recorder()?;
        describe();
        Ok(Self(handle))
    }

    /// The metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1);
        self.0.render()
    }

    /// Keeps the recorder small; runs until it is dropped.
    pub async fn upkeep(self) {
        let mut interval = tokio::time::interval(UPKEEP);
        loop {
            interval.tick().await;
            self.0.run_upkeep();
        }
    }
}

fn builder(forgotten: Duration) -> Result<PrometheusBuilder, BuildError> {
    let publish = Matcher::Full(PUBLISH_DURATION.to_owned());
    let process = Matcher::Full(PROCESS_DURATION.to_owned());
    PrometheusBuilder::new()
        .idle_timeout(MetricKindMask::GAUGE, Some(forgotten))
        .set_buckets_for_metric(publish, &PUBLISH_BUCKETS)?
        .set_buckets_for_metric(process, &PROCESS_BUCKETS)
}

/// Tells the recorder what each metric means.
fn describe() {
    for metric in METRICS {
        let Metric {
            name, unit, help, ..
        } = metric;
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(*name, *unit, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *unit, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *unit, *help),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fmt::Write as _;

    use metrics_exporter_prometheus::PrometheusRecorder;

    use super::*;

    /// A recorder of the test's own, with the program's settings.
    pub(in crate::telemetry) fn recorder(forgotten: Duration) -> PrometheusRecorder {
        let builder = builder(forgotten).expect("the buckets are right");
        let recorder = builder.build_recorder();
        metrics::with_local_recorder(&recorder, describe);
        recorder
    }

    /// What is served after `moved` ran.
    pub(in crate::telemetry) fn rendered(moved: impl FnOnce()) -> String {
        let recorder = recorder(FORGOTTEN);
        metrics::with_local_recorder(&recorder, moved);
        recorder.handle().render()
    }

    #[test]
    fn a_histogram_has_buckets_and_every_metric_its_help() {
        let text = rendered(|| {
            metrics::histogram!(PUBLISH_DURATION, "result" => "ok").record(0.003);
        });
        for line in [
            "# TYPE dapr_rdkafka_publish_duration_seconds histogram",
            "# HELP dapr_rdkafka_publish_duration_seconds From the publish",
            "dapr_rdkafka_publish_duration_seconds_bucket{result=\"ok\",le=\"0.0025\"} 0",
            "dapr_rdkafka_publish_duration_seconds_bucket{result=\"ok\",le=\"0.005\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }

    proptest::proptest! {
        /// Topics and components are named by others.
        #[test]
        fn any_label_stays_within_its_quotes(value in proptest::prelude::any::<String>()) {
            let text = rendered(|| {
                metrics::counter!(PUBLISHED, "topic" => value.clone()).increment(1);
            });
            let (begin, end) = (format!("\n{PUBLISHED}{{topic=\""), "\"} 1\n");
            let label = text.split_once(&begin).and_then(|(_, rest)| rest.trim_end().strip_suffix(end.trim_end()));
            let mut label = label.expect("the last line of the text").chars();
            while let Some(c) = label.next() {
                let escaped = c == '\\' && matches!(label.next(), Some('\\' | '"' | 'n'));
                proptest::prop_assert!(escaped || !matches!(c, '\\' | '"' | '\n'), "{}", text);
            }
        }
    }

    #[test]
    fn names_say_what_they_are() {
        for Metric {
            name, kind, unit, ..
        } in METRICS
        {
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), *unit == Unit::Seconds, "{name}");
        }
    }

    /// `UPDATE_DOCS=1 cargo test --lib docs` writes the page.
    #[test]
    fn the_docs_are_the_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let page = page();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).expect("docs/metrics.md is written");
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            written, page,
            "docs/metrics.md is outdated; `UPDATE_DOCS=1 cargo test --lib docs` writes it anew"
        );
    }

    fn page() -> String {
        let mut page = String::from(
            "# Metrics\n\n\
             `/metrics` on `--admin-listen` (127.0.0.1:9405 by default) serves these in Prometheus' \
             text format.\nTopics are those that were subscribed to, or published to with success. \
             A gauge of a topic or group that\nis gone goes 10 s later. This page is made from \
             `src/telemetry/metrics.rs`.\n\n\
             | metric | kind | labels | |\n|---|---|---|---|\n",
        );
        for Metric {
            name,
            kind,
            labels,
            help,
            ..
        } in METRICS
        {
            let (kind, labels) = (format!("{kind:?}").to_lowercase(), labels.join(", "));
            writeln!(page, "| `{name}` | {kind} | {labels} | {help} |").expect("a string grows");
        }
        page
    }
}
