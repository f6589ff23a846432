//! `dlq resolve`: settles dead letters without sending them.

use std::io::Write;

use serde_json::json;

use super::{Connection, Failed, Output, Selection, browser, settled::Witness, store};

/// What to resolve, and how.
#[derive(Clone, Debug)]
pub struct Resolve {
    /// Which records.
    pub selection: Selection,
    /// Change nothing; count what would be resolved.
    pub dry_run: bool,
    /// How the result is written.
    pub output: Output,
}

/// Notes that the open records of a selection need not be sent back: `purge` deletes them, and
/// `redrive` passes them.
///
/// # Errors
/// When Kafka or the output refuses.
pub async fn resolve(
    connection: &Connection,
    topic: &str,
    resolve: &Resolve,
    out: &mut impl Write,
) -> Result<(), Failed> {
    let browser = browser(connection, &store::group(topic)).await?;
    let reading = || Failed::kafka(format!("reading {topic}"));
    browser.ends(topic).await.map_err(reading())?;
    let writing = if resolve.dry_run {
        None
    } else {
        Some(store::open(connection, &browser, topic).await?)
    };
    let ends = browser.ends(topic).await.map_err(reading())?;
    let loaded = store::load(connection, &browser, topic, &ends).await?;
    let mut settled = loaded.certain(topic)?;
    settled.begin(ends.iter().map(|(partition, ..)| *partition));
    let ranges: Vec<_> = ends
        .into_iter()
        .filter_map(|(partition, low, high)| {
            let (first, end) = resolve.selection.range(partition, low, high)?;
            Some((partition, first, end))
        })
        .collect();
    let mut count = 0;
    let mut records = browser.read(topic, ranges).map_err(reading())?;
    while let Some(record) = records.next().await.map_err(reading())? {
        let (partition, offset) = (record.at.partition, record.offset);
        if resolve.selection.holds(&record) && settled.fate(partition, offset).is_none() {
            count += 1;
            let letter = Witness {
                offset: offset.0,
                time: record.timestamp,
            };
            settled.resolve(partition, letter);
        }
    }
    if let Some((store, lock)) = writing {
        let noting = Failed::kafka("noting what is settled");
        store.write(&mut settled).await.map_err(noting)?;
        lock.release().await;
    }
    let verb = if resolve.dry_run {
        "would be resolved"
    } else {
        "resolved"
    };
    match resolve.output {
        Output::Json => {
            let line = json!({
                "type": "resolve",
                "topic": topic,
                "dry_run": resolve.dry_run,
                "resolved": count,
            });
            writeln!(out, "{line}")?;
        }
        Output::Text => writeln!(out, "{count} {verb} in {topic}")?,
    }
    Ok(())
}
