//! `dlq list`: what stands in dead-letter topics.

use std::{collections::BTreeMap, io::Write};

use serde::Serialize;

use super::{Connection, Failed, Selection, browser, letter, progress, topics};
use crate::connect::Output;
use crate::model::{Record, dead_letter, text::printable};

/// What stands for a header that is not there.
const UNKNOWN: &str = "unknown";

/// What a dead-letter topic holds.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Summary {
    topic: String,
    records: u64,
    /// Not sent back by a redrive of everything.
    not_redriven: u64,
    /// By the kind of failure.
    reasons: BTreeMap<String, u64>,
    /// By the topic that they come from.
    sources: BTreeMap<String, u64>,
    /// By the group that failed.
    groups: BTreeMap<String, u64>,
    oldest: Option<String>,
    newest: Option<String>,
}

/// What stands for all texts beyond [`DISTINCT`].
const OTHER: &str = "other";

/// Different texts of one header that are counted each: other programs write to these
/// topics, too, and may write another one into every record.
const DISTINCT: usize = 100;

/// Lists these topics, or all that are taken for dead-letter topics. One that can't be
/// read does not hold up the others.
///
/// # Errors
/// When Kafka or the output refuses; among others when a named topic does not exist. The
/// text names each topic that is not listed.
pub async fn list(
    connection: &Connection,
    named: &[String],
    output: Output,
    out: &mut impl Write,
) -> Result<(), Failed> {
    let topics = if named.is_empty() {
        find(connection).await?
    } else {
        named.to_vec()
    };
    if topics.is_empty() {
        tracing::warn!(
            "no topic ends in .dlq or -dlq, or is the component's deadLetterTopic; --topic names one"
        );
    }
    let (all, mut failures) = (topics.len(), Vec::new());
    for topic in topics {
        match (summarise(connection, topic).await, output) {
            (Ok(summary), Output::Text) => out.write_all(summary.text().as_bytes())?,
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

async fn find(connection: &Connection) -> Result<Vec<String>, Failed> {
    // Any group will do: nothing is committed.
    let browser = browser(connection, &Selection::default().progress_group("")).await?;
    let topics = browser.topics().await;
    let mut topics = topics.map_err(Failed::kafka("listing topics"))?;
    topics.retain(|topic| topics::is_dead_letter(connection, topic));
    Ok(topics)
}

async fn summarise(connection: &Connection, topic: String) -> Result<Summary, Failed> {
    let browser = browser(connection, &Selection::default().progress_group(&topic)).await?;
    let reading = || Failed::kafka(format!("reading {topic}"));
    let ends = browser.ends(&topic).await.map_err(reading())?;
    let progress = progress::read(&browser, &topic, &ends).await?;
    let left = progress.values().filter_map(|progress| progress.left);
    let mut summary = Summary {
        topic: topic.clone(),
        not_redriven: left.map(|left| left.count).sum(),
        ..Summary::default()
    };
    let (mut oldest, mut newest) = (None, None);
    let mut records = browser.read(&topic, ends).map_err(reading())?;
    while let Some(record) = records.next().await.map_err(reading())? {
        let progress = progress.get(&record.at.partition);
        let redriven = progress.is_some_and(|progress| record.offset < progress.next);
        summary.add(&record, redriven);
        let at = letter::failed_at(&record);
        oldest = [oldest, at].into_iter().flatten().min();
        newest = newest.max(at);
    }
    // Retention may have removed some of those that were left; how many is not known.
    summary.not_redriven = summary.not_redriven.min(summary.records);
    summary.oldest = oldest.and_then(letter::rfc3339);
    summary.newest = newest.and_then(letter::rfc3339);
    Ok(summary)
}

impl Summary {
    fn add(&mut self, record: &Record, redriven: bool) {
        let count = |counts: &mut BTreeMap<String, u64>, header| {
            let text = record.header(header).unwrap_or(UNKNOWN);
            let known = counts.contains_key(text) || counts.len() < DISTINCT;
            let text = if known { text } else { OTHER };
            *counts.entry(text.to_owned()).or_default() += 1;
        };
        self.records += 1;
        self.not_redriven += u64::from(!redriven);
        count(&mut self.reasons, dead_letter::FAILURE);
        count(&mut self.sources, dead_letter::TOPIC);
        count(&mut self.groups, dead_letter::GROUP);
    }

    fn text(&self) -> String {
        let Self {
            topic,
            records,
            not_redriven,
            ..
        } = self;
        let mut lines = vec![format!(
            "{topic}: {records} records, {not_redriven} not redriven"
        )];
        for (name, counts) in [
            ("reason", &self.reasons),
            ("source", &self.sources),
            ("group", &self.groups),
        ] {
            for (what, count) in counts {
                lines.push(format!("  {name}  {count:>8}  {}", printable(what)));
            }
        }
        if let (Some(oldest), Some(newest)) = (&self.oldest, &self.newest) {
            lines.push(format!("  failed  {oldest} to {newest}"));
        }
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlq::tests::letter;

    #[test]
    fn records_are_counted_by_what_they_say() {
        let rejected = letter(&[
            (dead_letter::FAILURE, b"rejected"),
            (dead_letter::TOPIC, b"orders"),
            (dead_letter::GROUP, b"todo"),
        ]);
        let mut summary = Summary {
            topic: "orders.dlq".into(),
            oldest: Some("A".into()),
            newest: Some("B".into()),
            ..Summary::default()
        };
        summary.add(&rejected, true);
        summary.add(&rejected, false);
        summary.add(&letter(&[]), false);
        let lines: Vec<_> = summary.text().lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "orders.dlq: 3 records, 2 not redriven");
        assert_eq!(lines[1], "  reason         2  rejected");
        assert_eq!(lines[2], "  reason         1  unknown");
        assert_eq!(lines[7], "  failed  A to B");
    }

    #[test]
    fn texts_without_end_are_counted_as_others() {
        let mut summary = Summary::default();
        let mut record = letter(&[(dead_letter::TOPIC, b"")]);
        for n in 0..DISTINCT + 5 {
            record.headers[0].value = Some(format!("topic-{n}").into());
            summary.add(&record, false);
        }
        assert_eq!(summary.sources.len(), DISTINCT + 1);
        assert_eq!((summary.sources["topic-0"], summary.sources[OTHER]), (1, 5));
    }
}
