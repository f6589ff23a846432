//! Where it is kept what is settled: a compacted topic of its own, which does not expire.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Connection, Failed, REACH,
    settled::{Settled, Witness},
};
use crate::{
    kafka::{
        Browser, Cause, Confirmation, Exclusive, Kind, Mark, New, Outgoing, Refused, Sender,
        create_topic,
    },
    model::Offset,
};

/// The topic that keeps what is settled of all dead-letter topics. It has one partition.
pub const TOPIC: &str = "dapr-rdkafka-redrives";

/// How long to wait before it is looked again whether the topic is there.
const PAUSE: Duration = Duration::from_millis(100);

/// The ends of a partition: its first offset and the one after its last.
pub type Ends = (i32, Offset, Offset);

/// The group whose only member may change what is settled of a dead-letter topic. Version 0.1
/// has kept its progress as the offsets of this group.
pub fn group(topic: &str) -> String {
    format!("dapr-rdkafka-redrive.{topic}")
}

/// What is settled of a topic, and why that may be wrong: for each partition concerned.
#[derive(Debug)]
pub struct Loaded {
    /// What is settled, as it is kept.
    pub settled: Settled,
    /// What is contradictory, by partition.
    pub doubts: Vec<(i32, String)>,
}

impl Loaded {
    /// What is settled, if nothing contradicts it.
    ///
    /// # Errors
    /// Names what does, and the way out.
    pub fn certain(self, topic: &str) -> Result<Settled, Failed> {
        if self.doubts.is_empty() {
            return Ok(self.settled);
        }
        let doubts: Vec<_> = self.doubts.into_iter().map(|(_, doubt)| doubt).collect();
        Err(Failed::Partly(format!(
            "it is not certain which records of {topic} were sent back already: {}. Nothing was \
             done. `dlq redrive {topic} --from-start` takes all records of these partitions for \
             not sent, and sends the selected ones",
            doubts.join("; ")
        )))
    }

    /// What is settled; of partitions in doubt that is nothing.
    pub fn or_nothing(mut self) -> Settled {
        for (partition, _) in &self.doubts {
            self.settled.forget(*partition);
        }
        self.settled
    }
}

/// Reads what is settled of these topics.
pub async fn read(
    browser: &Browser,
    topics: &[String],
) -> Result<HashMap<String, Settled>, Failed> {
    let reading = || {
        Failed::kafka(format!(
            "reading which records were sent back (this takes the right to read the topic {TOPIC})"
        ))
    };
    let mut all: HashMap<_, _> = topics
        .iter()
        .map(|topic| (topic.clone(), Settled::of(topic)))
        .collect();
    let ends = match browser.ends(TOPIC).await {
        Ok(ends) => ends,
        Err(cause) if cause.kind == Kind::UnknownTopic => return Ok(all),
        Err(cause) => return Err(reading()(cause)),
    };
    let mut last = HashMap::new();
    let mut records = browser.read(TOPIC, ends).map_err(reading())?;
    while let Some(record) = records.next().await.map_err(reading())? {
        let key = record
            .key
            .as_deref()
            .and_then(|key| std::str::from_utf8(key).ok());
        let topic = key.and_then(|key| Some((key, key.split_once('/')?.0)));
        if let Some((key, topic)) = topic
            && all.contains_key(topic)
        {
            last.insert((topic.to_owned(), key.to_owned()), record.value);
        }
    }
    for ((topic, key), value) in last {
        if let Some(settled) = all.get_mut(&topic) {
            settled.read(&key, value.as_deref()).map_err(|problem| {
                Failed::Partly(format!(
                    "{TOPIC} has a record {key} that can't be used: {problem}"
                ))
            })?;
        }
    }
    Ok(all)
}

/// Reads what is settled of a topic, and compares it with the topic.
pub async fn load(
    connection: &Connection,
    browser: &Browser,
    topic: &str,
    ends: &[Ends],
) -> Result<Loaded, Failed> {
    let mut all = read(browser, &[topic.to_owned()]).await?;
    let settled = all.remove(topic).unwrap_or_else(|| Settled::of(topic));
    check(connection, browser, topic, settled, ends).await
}

/// Compares what is settled of a topic with the topic.
pub async fn check(
    connection: &Connection,
    browser: &Browser,
    topic: &str,
    mut settled: Settled,
    ends: &[Ends],
) -> Result<Loaded, Failed> {
    let (known, unknown): (Vec<&Ends>, Vec<&Ends>) = ends
        .iter()
        .partition(|(partition, ..)| settled.knows(*partition));
    let mut doubts = Vec::new();
    for (partition, ..) in &unknown {
        if settled.must_know(*partition) {
            let doubt = format!("nothing is kept of {topic}/{partition} any more");
            doubts.push((*partition, doubt));
        }
    }
    doubts.extend(rewritten(browser, topic, &settled, &known).await?);
    let earlier = before(connection, topic, &unknown).await?;
    for (partition, low, high) in unknown {
        let Some(mark) = earlier.get(partition) else {
            continue;
        };
        match adopted(mark, *low, *high) {
            Ok(end) => settled.sent_before(*partition, *low, end),
            Err(doubt) => doubts.push((*partition, format!("{topic}/{partition}: {doubt}"))),
        }
    }
    Ok(Loaded { settled, doubts })
}

/// Partitions that are not what they were when something in them was settled: the topic was
/// deleted and created again, or its log was cut.
async fn rewritten(
    browser: &Browser,
    topic: &str,
    settled: &Settled,
    ends: &[&Ends],
) -> Result<Vec<(i32, String)>, Failed> {
    let (mut doubts, mut witnesses) = (Vec::new(), HashMap::new());
    for (partition, low, high) in ends {
        let end = settled.end(*partition).unwrap_or(*low);
        let witness = settled.witness(*partition);
        if end > *high {
            doubts.push((
                *partition,
                format!(
                    "{topic}/{partition} ends at {high}, and offset {} was settled",
                    end.0 - 1
                ),
            ));
        } else if let Some(witness) = witness.filter(|witness| witness.offset >= low.0) {
            witnesses.insert(*partition, witness);
        }
    }
    let reading = || Failed::kafka(format!("reading {topic}"));
    let ranges = witnesses.iter().map(|(partition, witness)| {
        let at = Offset(witness.offset);
        (*partition, at, at.next())
    });
    let mut records = browser.read(topic, ranges).map_err(reading())?;
    while let Some(record) = records.next().await.map_err(reading())? {
        let witness = Witness {
            offset: record.offset.0,
            time: record.timestamp,
        };
        let partition = record.at.partition;
        if witnesses.get(&partition) == Some(&witness) {
            witnesses.remove(&partition);
        }
    }
    // Retention may have removed a witness since the ends were asked for.
    let now = browser.ends(topic).await.map_err(reading())?;
    let low: HashMap<_, _> = now
        .into_iter()
        .map(|(partition, low, _)| (partition, low))
        .collect();
    for (partition, Witness { offset, .. }) in witnesses {
        if low.get(&partition).is_some_and(|low| low.0 <= offset) {
            let doubt = format!("{topic}/{partition}@{offset} is not the record that was settled");
            doubts.push((partition, doubt));
        }
    }
    Ok(doubts)
}

/// What version 0.1 has kept of partitions, as the offsets of a group.
async fn before(
    connection: &Connection,
    topic: &str,
    partitions: &[&Ends],
) -> Result<HashMap<i32, Mark>, Failed> {
    if partitions.is_empty() {
        return Ok(HashMap::new());
    }
    let reading = Failed::kafka(format!(
        "reading how far version 0.1 redrove {topic} (this takes the right to read groups \
         dapr-rdkafka-redrive.*)"
    ));
    let ids: Vec<_> = partitions
        .iter()
        .map(|(partition, ..)| *partition)
        .collect();
    let browser = Browser::new(&connection.settings, &group(topic), connection.name.clone());
    let browser = browser.map_err(Failed::kafka("making a Kafka client"))?;
    browser.committed(topic, &ids).await.map_err(reading)
}

/// Before which offset version 0.1 has sent everything.
fn adopted(mark: &Mark, low: Offset, high: Offset) -> Result<Offset, String> {
    if mark.offset > high {
        return Err(format!(
            "version 0.1 came to {}, which is beyond its end {high}",
            mark.offset
        ));
    }
    let Some(left) = mark.note.strip_prefix("left ") else {
        return Ok(mark.offset);
    };
    let mut numbers = left.split(' ').map(|number| number.parse::<i64>().ok());
    let (first, count) = (numbers.next().flatten(), numbers.next().flatten());
    let Some((first, count)) = first.zip(count) else {
        return Err(format!("version 0.1 noted {:?}", mark.note));
    };
    // It has noted the first one and how many: where the others are is known only if it left
    // everything behind the first.
    if first <= low.0 && mark.offset <= low || mark.offset.0.checked_sub(first) == Some(count) {
        return Ok(Offset(first));
    }
    Err(format!(
        "version 0.1 left {count} records between {first} and {}, and did not note which",
        mark.offset
    ))
}

/// Creates the topic if need be, and waits until no other command can change what is settled of
/// this dead-letter topic. None can as long as the lock is held.
///
/// # Errors
/// When another command does, or when Kafka refuses.
pub async fn open(
    connection: &Connection,
    browser: &Browser,
    topic: &str,
) -> Result<(Store, Exclusive), Failed> {
    let found = browser.partitions(TOPIC).await;
    if found.is_err_and(|cause| cause.kind == Kind::UnknownTopic) {
        let created = create_topic(&connection.settings, TOPIC, New::Compacted).await;
        created.map_err(Failed::kafka(format!("creating the topic {TOPIC}")))?;
        // Other brokers than the one that created it learn of it a moment later.
        let deadline = Instant::now() + REACH;
        while browser.partitions(TOPIC).await.is_err() && Instant::now() < deadline {
            sleep(PAUSE).await;
        }
    }
    let name: Arc<str> = connection.name.clone();
    let group = group(topic);
    let lock = Exclusive::obtain(&connection.settings, &group, TOPIC, name.clone()).await;
    let lock = lock.map_err(|refused| match refused {
        Refused::Taken(by) => Failed::Partly(format!(
            "another command changes what is settled of {topic} ({}); nothing was done",
            if by.is_empty() {
                group.clone()
            } else {
                by.join(", ")
            }
        )),
        Refused::Failed(cause) => Failed::kafka(format!(
            "joining the group {group}, which keeps other redrives away (this takes the right to \
             read the group and the topic {TOPIC})"
        ))(cause),
    })?;
    let sender = Sender::new(&connection.settings, name)
        .map_err(Failed::kafka("making a Kafka producer"))?;
    Ok((Store { sender }, lock))
}

/// Writes what is settled.
pub struct Store {
    sender: Sender,
}

impl Store {
    /// Writes what has changed, and waits until it is written.
    ///
    /// # Errors
    /// When Kafka refuses. What was not written is written by the next call.
    pub async fn write(&self, settled: &mut Settled) -> Result<(), Cause> {
        let mut sent: Vec<(String, Confirmation)> = Vec::new();
        let mut failed = None;
        for (key, value) in settled.changes() {
            let record = Outgoing {
                topic: TOPIC.to_owned(),
                partition: Some(0),
                key: Some(key.clone().into()),
                value: value.map(Into::into),
                headers: Vec::new(),
                timestamp: None,
            };
            match self.sender.send(&record) {
                Ok(confirmation) => sent.push((key, confirmation)),
                Err(error) => {
                    settled.unwritten(&key);
                    failed = Some(error.cause);
                }
            }
        }
        for (key, mut confirmation) in sent {
            if let Err(error) = confirmation.confirmed().await {
                settled.unwritten(&key);
                failed = Some(error.cause);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_version_0_1_has_sent_is_taken_over_as_far_as_it_is_certain() {
        let mark = |offset, note: &str| Mark {
            offset: Offset(offset),
            note: note.to_owned(),
        };
        let adopted = |offset, note| adopted(&mark(offset, note), Offset(2), Offset(9));
        assert_eq!(adopted(7, ""), Ok(Offset(7)));
        assert_eq!(adopted(7, "left 5 2"), Ok(Offset(5)));
        assert!(adopted(7, "left 4 2").is_err(), "one of three was sent");
        assert!(adopted(10, "").is_err(), "beyond the end");
        assert!(adopted(7, "left x").is_err());
    }
}
