//! `dlq redrive --wait`: what became of the records that were sent.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Connection, Failed, browser,
    finished::Finished,
    letter,
    settled::Target,
    store::{self, Ends},
};
use crate::model::{Offset, Record, dead_letter};

/// How often groups are asked how far they are.
const PAUSE: Duration = Duration::from_secs(1);

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Their group has acknowledged them.
    pub acknowledged: u64,
    /// They are dead letters again.
    pub dead_again: u64,
    /// Their group has not finished them.
    pub unfinished: u64,
    /// They were sent to every group, so it is not known who should have finished them.
    pub to_all: u64,
}

/// Waits until the groups have finished what was sent, or until the caller stops. `ends` are the
/// ends of the dead-letter topic before anything was sent.
///
/// # Errors
/// When brokers don't answer.
pub async fn wait(
    connection: &Connection,
    topic: &str,
    sent: &[(Target, Offset)],
    ends: &[Ends],
    stop: &CancellationToken,
) -> Result<Outcome, Failed> {
    loop {
        let finished = Finished::ask(connection, sent.iter().map(|(target, _)| target)).await?;
        let outcome = count(sent, &finished, &HashSet::new());
        if outcome.unfinished == 0 || stop.is_cancelled() {
            let dead = dead_again(connection, topic, ends).await?;
            return Ok(count(sent, &finished, &dead));
        }
        stop.run_until_cancelled(sleep(PAUSE)).await;
    }
}

/// The places of records that became dead letters again: topic, partition and offset.
type Places = HashSet<(String, i32, i64)>;

fn count(sent: &[(Target, Offset)], finished: &Finished, dead: &Places) -> Outcome {
    let mut outcome = Outcome::default();
    for (target, offset) in sent {
        let place = (target.topic.clone(), target.partition, offset.0);
        let kind = if dead.contains(&place) {
            &mut outcome.dead_again
        } else if target.group.is_none() {
            &mut outcome.to_all
        } else if finished.has(target, *offset) {
            &mut outcome.acknowledged
        } else {
            &mut outcome.unfinished
        };
        *kind += 1;
    }
    outcome
}

/// The new records of the dead-letter topic that were sent back before.
async fn dead_again(connection: &Connection, topic: &str, ends: &[Ends]) -> Result<Places, Failed> {
    let reading = || Failed::kafka(format!("reading {topic}"));
    let browser = browser(connection, &store::group(topic)).await?;
    let before: HashMap<_, _> = ends
        .iter()
        .map(|(partition, _, high)| (*partition, *high))
        .collect();
    let now = browser.ends(topic).await.map_err(reading())?;
    let new = now.into_iter().map(|(partition, low, high)| {
        let first = before
            .get(&partition)
            .map_or(low, |before| low.max(*before));
        (partition, first, high)
    });
    let mut records = browser.read(topic, new).map_err(reading())?;
    let mut places = Places::new();
    while let Some(record) = records.next().await.map_err(reading())? {
        places.extend(place(&record));
    }
    Ok(places)
}

/// Where a dead letter was read, if it had been sent back.
fn place(record: &Record) -> Option<(String, i32, i64)> {
    if letter::redrives(record) == 0 {
        return None;
    }
    let partition = record.header(dead_letter::PARTITION)?.parse().ok()?;
    let offset = record.header(dead_letter::OFFSET)?.parse().ok()?;
    Some((
        record.header(dead_letter::TOPIC)?.to_owned(),
        partition,
        offset,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlq::tests;

    #[test]
    fn a_dead_letter_names_the_record_that_was_sent() {
        let mut headers = vec![
            (dead_letter::TOPIC, &b"orders"[..]),
            (dead_letter::PARTITION, b"1"),
            (dead_letter::OFFSET, b"7"),
        ];
        assert_eq!(place(&tests::letter(&headers)), None, "it is a new one");
        headers.push((dead_letter::REDRIVES, b"1"));
        let wanted = Some(("orders".to_owned(), 1, 7));
        assert_eq!(place(&tests::letter(&headers)), wanted);
    }

    #[test]
    fn each_record_counts_once() {
        let target = |group: Option<&str>| Target {
            topic: "orders".into(),
            partition: 1,
            group: group.map(str::to_owned),
        };
        let sent = [
            (target(Some("todo")), Offset(7)),
            (target(Some("todo")), Offset(8)),
            (target(None), Offset(9)),
        ];
        let dead = HashSet::from([("orders".to_owned(), 1, 7)]);
        let outcome = count(&sent, &Finished::default(), &dead);
        let wanted = Outcome {
            acknowledged: 0,
            dead_again: 1,
            unfinished: 1,
            to_all: 1,
        };
        assert_eq!(outcome, wanted);
    }
}
