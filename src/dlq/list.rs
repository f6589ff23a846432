//! `dlq list`: what is in dead-letter topics.

use std::{
    collections::BTreeMap,
    io::Write,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use super::{Connection, Failed, browser, letter, settled::Settled, store, topics};
use crate::{
    connect::Output,
    kafka::{Browser, topic_retention},
    model::{Record, dead_letter, text::on_one_line, time},
};

/// What stands for a header that is not there.
const UNKNOWN: &str = "unknown";

/// What a dead-letter topic holds.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Summary {
    #[serde(rename = "type")]
    kind: &'static str,
    topic: String,
    /// By offsets: gaps of transactions and compaction count, too.
    records: u64,
    /// Neither sent back nor resolved.
    not_redriven: u64,
    /// When the first record of a partition was written.
    oldest: Option<String>,
    /// How long the topic keeps records, in milliseconds.
    retention_ms: Option<i64>,
    #[serde(flatten)]
    reasons: Option<Breakdown>,
}

/// Why records are there. All of them must be read for it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Breakdown {
    /// By the kind of failure.
    reasons: BTreeMap<String, u64>,
    /// By the topic that they come from.
    sources: BTreeMap<String, u64>,
    /// By the group that failed.
    groups: BTreeMap<String, u64>,
    /// When the first and the last one failed.
    first_failure: Option<String>,
    last_failure: Option<String>,
}

/// What stands for all texts beyond [`DISTINCT`].
const OTHER: &str = "other";

/// Different texts of one header that are counted each: other programs write to these
/// topics, too, and may write another one into every record.
const DISTINCT: usize = 100;

/// What to list, and how.
#[derive(Clone, Debug)]
pub struct List {
    /// These topics; all that are found if there are none.
    pub topics: Vec<String>,
    /// Read all records, and count them by reason, source and group.
    pub reasons: bool,
    /// How the result is written.
    pub output: Output,
}

/// Lists topics. One that can't be read does not hold up the others.
///
/// # Errors
/// When Kafka or the output refuses; among others when a named topic does not exist. The
/// text names each topic that is not listed.
pub async fn list(
    connection: &Connection,
    list: &List,
    out: &mut impl Write,
) -> Result<(), Failed> {
    // Any group will do: nothing is committed.
    let browser = browser(connection, &store::group("")).await?;
    let topics = if list.topics.is_empty() {
        find(connection, &browser).await?
    } else {
        list.topics.clone()
    };
    if topics.is_empty() {
        tracing::warn!(
            "no topic ends in {}, or is a deadLetterTopic of the component or of a Subscription \
             beside it; --topic names one",
            topics::ENDINGS.join(", ")
        );
    }
    let mut settled = store::read(&browser, &topics).await?;
    let retention = topic_retention(&connection.settings, &topics).await;
    let (all, mut failures) = (topics.len(), Vec::new());
    for topic in topics {
        let known = settled
            .remove(&topic)
            .unwrap_or_else(|| Settled::of(&topic));
        let summary = summarise(connection, &browser, &topic, known, list.reasons).await;
        let summary = summary.map(|summary| Summary {
            retention_ms: retention.get(&topic).copied(),
            ..summary
        });
        match (summary, list.output) {
            (Ok(summary), Output::Text) => {
                out.write_all(summary.text(SystemTime::now()).as_bytes())?;
            }
            (Ok(summary), Output::Json) => writeln!(out, "{}", serde_json::json!(summary))?,
            // Without a broker none can be read, and each would wait for it.
            (Err(failed @ Failed::Connect(_)), _) => return Err(failed),
            (Err(failed), _) => failures.push(failed.to_string()),
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(Failed::Partly(format!(
        "{} of {all} topics can't be listed: {}",
        failures.len(),
        failures.join("; ")
    )))
}

async fn find(connection: &Connection, browser: &Browser) -> Result<Vec<String>, Failed> {
    let topics = browser.topics().await;
    let mut topics = topics.map_err(Failed::kafka("listing topics"))?;
    topics.retain(|topic| topics::is_dead_letter(connection, topic));
    Ok(topics)
}

async fn summarise(
    connection: &Connection,
    browser: &Browser,
    topic: &str,
    settled: Settled,
    reasons: bool,
) -> Result<Summary, Failed> {
    let reading = || Failed::kafka(format!("reading {topic}"));
    let ends = browser.ends(topic).await.map_err(reading())?;
    let loaded = store::check(connection, browser, topic, settled, &ends).await?;
    for (_, doubt) in &loaded.doubts {
        tracing::warn!("what was sent back of {topic} is not certain: {doubt}");
    }
    let settled = loaded.or_nothing();
    let (mut records, mut not_redriven) = (0, 0);
    for (partition, low, high) in &ends {
        let there = high.0.abs_diff(low.0);
        records += there;
        not_redriven += there.saturating_sub(settled.count(*partition, *low, *high));
    }
    let first = ends
        .iter()
        .map(|(partition, low, high)| (*partition, *low, low.next().min(*high)));
    let mut oldest: Option<i64> = None;
    let mut reading_first = browser.read(topic, first).map_err(reading())?;
    while let Some(record) = reading_first.next().await.map_err(reading())? {
        oldest = [oldest, record.timestamp].into_iter().flatten().min();
    }
    let reasons = if reasons {
        Some(read_reasons(browser, topic, ends).await?)
    } else {
        None
    };
    Ok(Summary {
        kind: "topic",
        topic: topic.to_owned(),
        records,
        not_redriven,
        oldest: oldest.and_then(letter::rfc3339),
        retention_ms: None,
        reasons,
    })
}

async fn read_reasons(
    browser: &Browser,
    topic: &str,
    ends: Vec<store::Ends>,
) -> Result<Breakdown, Failed> {
    let reading = || Failed::kafka(format!("reading {topic}"));
    let mut reasons = Breakdown::default();
    let (mut first, mut last) = (None, None);
    let mut records = browser.read(topic, ends).map_err(reading())?;
    while let Some(record) = records.next().await.map_err(reading())? {
        reasons.add(&record);
        let at = letter::failed_at(&record);
        first = [first, at].into_iter().flatten().min();
        last = last.max(at);
    }
    reasons.first_failure = first.and_then(letter::rfc3339);
    reasons.last_failure = last.and_then(letter::rfc3339);
    Ok(reasons)
}

impl Breakdown {
    fn add(&mut self, record: &Record) {
        let count = |counts: &mut BTreeMap<String, u64>, header| {
            let text = record.header(header).unwrap_or(UNKNOWN);
            let known = counts.contains_key(text) || counts.len() < DISTINCT;
            let text = if known { text } else { OTHER };
            *counts.entry(text.to_owned()).or_default() += 1;
        };
        count(&mut self.reasons, dead_letter::FAILURE);
        count(&mut self.sources, dead_letter::TOPIC);
        count(&mut self.groups, dead_letter::GROUP);
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, counts) in [
            ("reason", &self.reasons),
            ("source", &self.sources),
            ("group", &self.groups),
        ] {
            for (what, count) in counts {
                lines.push(format!("  {name}  {count:>8}  {}", on_one_line(what)));
            }
        }
        if let (Some(first), Some(last)) = (&self.first_failure, &self.last_failure) {
            lines.push(format!("  failed  {first} to {last}"));
        }
        lines
    }
}

impl Summary {
    fn text(&self, now: SystemTime) -> String {
        let Self {
            topic,
            records,
            not_redriven,
            ..
        } = self;
        let mut lines = vec![format!(
            "{topic}: {records} records, {not_redriven} not redriven"
        )];
        if let Some(oldest) = &self.oldest {
            let left = match self.expires_in(now) {
                None => String::new(),
                Some(Duration::ZERO) => ", due to be removed by the topic's retention".into(),
                Some(left) => format!(", removed by the topic's retention in {}", rough(left)),
            };
            lines.push(format!("  oldest  {oldest}{left}"));
        }
        let reasons = self.reasons.iter();
        lines.extend(reasons.flat_map(Breakdown::lines));
        lines.join("\n") + "\n"
    }

    /// How long the topic still keeps the oldest record. `None` if it keeps records without end,
    /// or it is not known.
    fn expires_in(&self, now: SystemTime) -> Option<Duration> {
        let retention = u64::try_from(self.retention_ms?).ok()?;
        let written = time::parse(self.oldest.as_deref()?)?;
        let expires = written.checked_add(Duration::from_millis(retention))?;
        Some(expires.duration_since(now).unwrap_or_default())
    }
}

/// A duration in its largest unit, days at most.
fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlq::tests::{any_record, letter};

    proptest::proptest! {
        #[test]
        fn any_record_can_be_counted(record in any_record()) {
            let mut reasons = Breakdown::default();
            reasons.add(&record);
            proptest::prop_assert_eq!(reasons.lines().len(), 3);
        }
    }

    #[test]
    fn records_are_counted_by_their_headers() {
        let rejected = letter(&[
            (dead_letter::FAILURE, b"rejected"),
            (dead_letter::TOPIC, b"orders"),
            (dead_letter::GROUP, b"todo"),
        ]);
        let mut reasons = Breakdown::default();
        for record in [&rejected, &rejected, &letter(&[])] {
            reasons.add(record);
        }
        reasons.first_failure = Some("A".into());
        reasons.last_failure = Some("B".into());
        let summary = Summary {
            topic: "orders.dlq".into(),
            records: 3,
            not_redriven: 2,
            reasons: Some(reasons),
            ..Summary::default()
        };
        let text = summary.text(SystemTime::UNIX_EPOCH);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "orders.dlq: 3 records, 2 not redriven");
        assert_eq!(lines[1], "  reason         2  rejected");
        assert_eq!(lines[2], "  reason         1  unknown");
        assert_eq!(lines[7], "  failed  A to B");
    }

    #[test]
    fn the_oldest_record_says_how_long_it_has() {
        let summary = |retention_ms| Summary {
            oldest: Some("1970-01-02T00:00:00.000Z".into()),
            retention_ms,
            ..Summary::default()
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(2 * 86_400);
        let days = |days: i64| Some(days * 86_400_000);
        for (retention, said) in [
            (days(14), ", removed by the topic's retention in 13 days"),
            (days(1), ", due to be removed by the topic's retention"),
            (Some(1), ", due to be removed by the topic's retention"),
            (Some(-1), ".000Z"),
            (None, ".000Z"),
        ] {
            let text = summary(retention).text(now);
            assert!(text.trim_end().ends_with(said), "{text}");
        }
    }

    #[test]
    fn texts_without_end_are_counted_as_others() {
        let mut reasons = Breakdown::default();
        let mut record = letter(&[(dead_letter::TOPIC, b"")]);
        for n in 0..DISTINCT + 5 {
            record.headers[0].value = Some(format!("topic-{n}").into());
            reasons.add(&record);
        }
        assert_eq!(reasons.sources.len(), DISTINCT + 1);
        assert_eq!((reasons.sources["topic-0"], reasons.sources[OTHER]), (1, 5));
    }
}
