//! `dlq purge`: deletes dead letters for good.

use std::io::{BufRead, IsTerminal as _, Write};

use serde_json::json;

use super::{Connection, Failed, Selection, browser, progress, topics};
use crate::connect::Output;
use crate::{
    kafka::{Browser, delete_records},
    model::{Offset, TopicPartition, dead_letter},
};

/// What to delete, and how.
#[derive(Clone, Copy, Debug)]
pub struct Purge {
    /// Only what a redrive of everything has sent back.
    pub redriven: bool,
    /// Without asking.
    pub yes: bool,
    /// How the result is written.
    pub output: Output,
}

/// Deletes a topic's records that stand in it now.
///
/// # Errors
/// When the answer is no, when nobody can be asked, when the topic holds no dead letters
/// at all, or when Kafka or the output refuses. The text says what was deleted all the
/// same.
pub async fn purge(
    connection: &Connection,
    topic: &str,
    purge: Purge,
    out: &mut impl Write,
) -> Result<(), Failed> {
    if !purge.yes && !std::io::stdin().is_terminal() {
        return Err(Failed::Usage(
            "purge asks before it deletes, and there is no terminal; --yes deletes without asking"
                .into(),
        ));
    }
    let browser = browser(connection, &Selection::default().progress_group(topic)).await?;
    let reading = || Failed::kafka(format!("reading {topic}"));
    let ends = browser.ends(topic).await.map_err(reading())?;
    refuse_others(connection, &browser, topic, &ends).await?;
    let progress = if purge.redriven {
        Some(progress::read(&browser, topic, &ends).await?)
    } else {
        None
    };
    let before: Vec<_> = ends
        .iter()
        .filter_map(|(partition, low, high)| {
            let end = match &progress {
                None => *high,
                Some(progress) => progress.get(partition)?.sent_before(),
            };
            let deleted = end.0 - low.0;
            (deleted > 0).then(|| (TopicPartition::new(topic, *partition), end, deleted))
        })
        .collect();
    let count: i64 = before.iter().map(|(_, _, deleted)| deleted).sum();
    if count > 0 && !purge.yes {
        ask(topic, count).await?;
    }
    let (deleted, failures) = delete(connection, topic, &before).await?;
    match purge.output {
        Output::Json => writeln!(out, "{}", json!({"topic": topic, "deleted": deleted}))?,
        Output::Text => writeln!(out, "{deleted} deleted from {topic}")?,
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(Failed::Partly(format!(
        "{deleted} of {count} deleted from {topic}; not deleted: {}",
        failures.join("; ")
    )))
}

/// Deletes each partition's records before an offset, and counts them. Also says which
/// partitions failed, and why.
async fn delete(
    connection: &Connection,
    topic: &str,
    before: &[(TopicPartition, Offset, i64)],
) -> Result<(i64, Vec<String>), Failed> {
    if before.is_empty() {
        return Ok((0, Vec::new()));
    }
    let ends: Vec<_> = before
        .iter()
        .map(|(at, end, _)| (at.clone(), *end))
        .collect();
    let results = delete_records(&connection.settings, &connection.name, &ends).await;
    let results = results.map_err(Failed::kafka(format!(
        "deleting records of {topic}, of which some may be deleted; `dlq list` tells what stands"
    )))?;
    let (mut deleted, mut failures) = (0, Vec::new());
    for (at, result) in results {
        match result {
            Ok(()) => {
                let of = before.iter().filter(|(asked, _, _)| *asked == at);
                deleted += of.map(|(_, _, count)| count).sum::<i64>();
            }
            Err(cause) => failures.push(format!("{at} ({cause})")),
        }
    }
    Ok((deleted, failures))
}

/// A mistyped name must not empty a topic that the business lives on: neither its name
/// nor its first record tells of dead letters.
async fn refuse_others(
    connection: &Connection,
    browser: &Browser,
    topic: &str,
    ends: &[(i32, Offset, Offset)],
) -> Result<(), Failed> {
    if topics::is_dead_letter(connection, topic) {
        return Ok(());
    }
    let reading = || Failed::kafka(format!("reading {topic}"));
    let mut records = browser.read(topic, ends.to_vec()).map_err(reading())?;
    let first = records.next().await.map_err(reading())?;
    let tells = |name| {
        first
            .as_ref()
            .is_some_and(|record| record.header(name).is_some())
    };
    if first.is_none() || tells(dead_letter::FAILURE) || tells(dead_letter::TOPIC) {
        return Ok(());
    }
    Err(Failed::Usage(format!(
        "{topic} does not look like a dead-letter topic: neither its name nor its first record \
         says so. If it is one, say so with --set deadLetterTopic={topic}"
    )))
}

async fn ask(topic: &str, count: i64) -> Result<(), Failed> {
    eprint!("{count} records are deleted for good. Type the topic's name to go on: ");
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
