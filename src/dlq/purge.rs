//! `dlq purge`: deletes dead letters permanently.

use std::io::{BufRead, IsTerminal as _, Write};

use serde_json::json;

use super::{
    Connection, Failed, browser,
    finished::Finished,
    letter,
    settled::{Fate, Settled},
    store::{self, Ends},
    tally::at,
    topics,
};
use crate::connect::Output;
use crate::{
    kafka::{Browser, delete_records},
    model::{Offset, Record, TopicPartition, dead_letter},
};

/// What to delete, and how.
#[derive(Clone, Copy, Debug)]
pub struct Purge {
    /// Also what failed last before this time, in milliseconds since the Unix epoch, whether it
    /// was sent back or not.
    pub before: Option<i64>,
    /// Delete nothing; show what would be deleted.
    pub dry_run: bool,
    /// Without asking.
    pub yes: bool,
    /// How the result is written.
    pub output: Output,
}

/// What may be deleted of one partition: Kafka deletes only everything before an offset.
#[derive(Debug)]
struct Prefix {
    at: TopicPartition,
    /// The first offset that stays.
    end: Offset,
    records: u64,
    /// Of these, how many were neither sent back nor resolved.
    never_redriven: u64,
    /// Why it ends where it does, unless it is the whole partition.
    kept: Option<String>,
}

/// Deletes the records at the beginning of each partition that were finished by their group
/// after a redrive, or resolved, or are older than a time.
///
/// # Errors
/// When the answer is no, when nobody can be asked, when the topic holds other records than
/// dead letters, or when Kafka or the output refuses. The text says what was deleted all the same.
pub async fn purge(
    connection: &Connection,
    topic: &str,
    purge: Purge,
    out: &mut impl Write,
) -> Result<(), Failed> {
    if !purge.yes && !purge.dry_run && !std::io::stdin().is_terminal() {
        return Err(Failed::Usage(
            "purge asks before it deletes, and there is no terminal; --yes deletes without asking"
                .into(),
        ));
    }
    let browser = browser(connection, &store::group(topic)).await?;
    let reading = || Failed::kafka(format!("reading {topic}"));
    browser.ends(topic).await.map_err(reading())?;
    let writing = if purge.dry_run {
        None
    } else {
        Some(store::open(connection, &browser, topic).await?)
    };
    let ends = browser.ends(topic).await.map_err(reading())?;
    let loaded = store::load(connection, &browser, topic, &ends).await?;
    let mut settled = loaded.certain(topic)?;
    let finished = Finished::ask(connection, settled.targets()).await?;
    let mut prefixes = Vec::new();
    for partition in ends {
        let prefix = prefix(
            connection, &browser, topic, partition, purge, &settled, &finished,
        );
        prefixes.push(prefix.await?);
    }
    let Some((store, lock)) = writing else {
        write(topic, purge, &prefixes, out)?;
        return Ok(());
    };
    let count: u64 = prefixes.iter().map(|prefix| prefix.records).sum();
    if count > 0 && !purge.yes {
        let never: u64 = prefixes.iter().map(|prefix| prefix.never_redriven).sum();
        ask(topic, count, never).await?;
    }
    let failures = delete(connection, topic, &mut prefixes).await?;
    for prefix in &prefixes {
        settled.drop_before(prefix.at.partition, prefix.end);
    }
    // What is kept of records that are gone does no harm.
    if let Err(cause) = store.write(&mut settled).await {
        tracing::debug!("forgetting what was settled of deleted records: {cause}");
    }
    lock.release().await;
    write(topic, purge, &prefixes, out)?;
    if failures.is_empty() {
        return Ok(());
    }
    let deleted: u64 = prefixes.iter().map(|prefix| prefix.records).sum();
    Err(Failed::Partly(format!(
        "{deleted} of {count} deleted from {topic}; not deleted: {}",
        failures.join("; ")
    )))
}

/// Reads a partition up to the first record that must stay.
async fn prefix(
    connection: &Connection,
    browser: &Browser,
    topic: &str,
    (partition, low, high): Ends,
    purge: Purge,
    settled: &Settled,
    finished: &Finished,
) -> Result<Prefix, Failed> {
    let mut prefix = Prefix {
        at: TopicPartition::new(topic, partition),
        end: high,
        records: 0,
        never_redriven: 0,
        kept: None,
    };
    let reading = || Failed::kafka(format!("reading {topic}"));
    let by_name = topics::is_dead_letter(connection, topic);
    let records = browser.read(topic, [(partition, low, high)]);
    let mut records = records.map_err(reading())?;
    while let Some(record) = records.next().await.map_err(reading())? {
        let fate = settled.fate(partition, record.offset);
        let old = purge
            .before
            .is_some_and(|before| letter::failed_at(&record).is_some_and(|at| at < before));
        match keeps(fate, finished) {
            Some(why) if !old => {
                prefix.kept = Some(format!("{} {why}", at(&record)));
                prefix.end = record.offset;
                return Ok(prefix);
            }
            _ => {}
        }
        if !by_name && !is_letter(&record) {
            return Err(Failed::Usage(format!(
                "{topic} does not look like a dead-letter topic: neither its name nor the record \
                 {} says so. If it is one, say so with --set deadLetterTopic={topic}",
                at(&record)
            )));
        }
        prefix.records += 1;
        prefix.never_redriven += u64::from(fate.is_none());
    }
    Ok(prefix)
}

/// Why a record must stay, or `None`.
fn keeps(fate: Option<Fate<'_>>, finished: &Finished) -> Option<String> {
    match fate {
        None => Some("was not redriven".into()),
        Some(Fate::Sent(target, offset)) if !finished.has(target, offset) => Some(format!(
            "was sent to {}/{}@{offset}, which the group {} has not finished",
            target.topic,
            target.partition,
            target.group.as_deref().unwrap_or_default()
        )),
        Some(Fate::Sent(..) | Fate::Resolved | Fate::SentBefore) => None,
    }
}

/// Whether a record says that it is a dead letter.
fn is_letter(record: &Record) -> bool {
    let names = [dead_letter::FAILURE, dead_letter::TOPIC];
    names.iter().any(|name| record.header(name).is_some())
}

/// Deletes the prefixes. Says which partitions failed, and why; nothing of these is deleted.
async fn delete(
    connection: &Connection,
    topic: &str,
    prefixes: &mut [Prefix],
) -> Result<Vec<String>, Failed> {
    let ends: Vec<_> = prefixes
        .iter()
        .filter(|prefix| prefix.records > 0)
        .map(|prefix| (prefix.at.clone(), prefix.end))
        .collect();
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let results = delete_records(&connection.settings, &connection.name, &ends).await;
    let results = results.map_err(Failed::kafka(format!(
        "deleting records of {topic}, of which some may be deleted; `dlq list` shows what is there"
    )))?;
    let mut failures = Vec::new();
    for (at, result) in results {
        if let Err(cause) = result {
            failures.push(format!("{at} ({cause})"));
            for prefix in prefixes.iter_mut().filter(|prefix| prefix.at == at) {
                prefix.records = 0;
                prefix.never_redriven = 0;
                prefix.end = Offset(0);
            }
        }
    }
    Ok(failures)
}

fn write(
    topic: &str,
    purge: Purge,
    prefixes: &[Prefix],
    out: &mut impl Write,
) -> Result<(), Failed> {
    let count: u64 = prefixes.iter().map(|prefix| prefix.records).sum();
    let never: u64 = prefixes.iter().map(|prefix| prefix.never_redriven).sum();
    let kept: Vec<_> = prefixes
        .iter()
        .filter_map(|prefix| prefix.kept.as_ref())
        .collect();
    if purge.output == Output::Json {
        let line = json!({
            "type": "purge",
            "topic": topic,
            "dry_run": purge.dry_run,
            "deleted": count,
            "never_redriven": never,
            "kept": kept,
        });
        return Ok(writeln!(out, "{line}")?);
    }
    let verb = if purge.dry_run {
        "would be deleted"
    } else {
        "deleted"
    };
    let never = match never {
        0 => String::new(),
        never => format!(", of which {never} were never redriven"),
    };
    writeln!(out, "{count} {verb} from {topic}{never}")?;
    for kept in kept {
        writeln!(out, "stops at {kept}")?;
    }
    Ok(())
}

async fn ask(topic: &str, count: u64, never: u64) -> Result<(), Failed> {
    eprint!(
        "{count} records are deleted permanently, {never} of which were never redriven. Type the \
         topic's name to go on: "
    );
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    });
    let answer = answer.await.map_err(std::io::Error::other)??;
    if agrees(&answer, topic) {
        return Ok(());
    }
    Err(Failed::Usage(
        "that is not its name; nothing was deleted".into(),
    ))
}

/// Whether a line is the topic's name, and nothing else.
fn agrees(answer: &str, topic: &str) -> bool {
    answer.trim() == topic
}

#[cfg(test)]
mod tests {
    use super::agrees;

    #[test]
    fn only_the_topics_own_name_agrees() {
        assert!(agrees("orders.dlq\n", "orders.dlq"));
        for no in [
            "",
            "\n",
            "y\n",
            "yes\n",
            "orders\n",
            "ORDERS.DLQ\n",
            "orders.dlq x\n",
        ] {
            assert!(!agrees(no, "orders.dlq"), "{no:?}");
        }
    }
}
