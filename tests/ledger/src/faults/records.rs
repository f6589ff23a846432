//! Records and publishes that are not as most are.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use harness::{Result, eventually, ledger::DeadLetter};
use tokio::time::sleep;

use super::faults;
use crate::{
    SOON, Side, admin,
    run::{Moods, Transaction, Written, transact, write},
    scene::{BOUND, DEAD_LETTERS, PARTITIONS, PLAIN, Shape, Stage, TOPIC},
};

/// Nothing is refused beside what is planted: it is seen alone.
const CALM: Shape = Shape {
    moods: Moods {
        poison: 0,
        ..PLAIN.moods
    },
    ..PLAIN
};

/// Members come when the gaps are there. Each message has a key of its own, which
/// compaction leaves alone.
const COMPACTED: Shape = Shape {
    keys: 1_000_000_000_000,
    members: 0,
    warm: 0,
    topic: &[
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "100"),
        ("delete.retention.ms", "100"),
    ],
    ..CALM
};

faults! { "records.rs":
    poison: "poison", &[Side::Component], 3, CALM,
        "in each partition stand records that daprd can't read (not UTF-8, null, empty, no JSON), and one of 1 MiB";
    too_large: "publish-too-large", Side::BOTH, 3, CALM,
        "twenty publishes of 2 MiB, more than the component sends (maxMessageBytes, 1 MiB): each must be refused";
    queue_full: "producer-queue-full", Side::BOTH, 3, CALM,
        "the broker is stopped for 5 s, while 150 messages of 900 kB are published at once, more than the producer's queue holds (64 MiB)";
    aborted: "aborted-transactions", Side::BOTH, 3, CALM,
        "twenty transactions of 10 records, each second one aborted";
    open: "open-transaction", &[Side::Component], 3, CALM,
        "for 20 s a transaction is open in every partition, and meanwhile the only member goes and another takes over";
    breaks: "record-breaks-the-app", &[Side::Component], 3, CALM,
        "the app's handler panics on one record, with a key or without one (the seed says which), among others of both kinds: it must become a dead letter for that reason (broke-the-app), and no other record may become one";
    compacted: "compaction-gaps", Side::BOTH, 3, COMPACTED,
        "the topic was compacted before anybody read it: most of its offsets have no record";
}

async fn poison(stage: &mut Stage) -> Result<()> {
    let mut records = Vec::new();
    for partition in 0..PARTITIONS {
        for value in [
            None,
            Some(Vec::new()),
            Some(vec![0xff, 0xfe, 0x00, 0x80]),
            Some(b"neither JSON nor anything else".to_vec()),
        ] {
            records.push(Written {
                partition,
                key: Some("poison".to_owned()),
                value,
            });
        }
        for message in stage.others("large", 1) {
            records.push(Written::event(partition, &message, 1000 * 1024));
        }
    }
    stage.begins("records that can't be read", 0);
    write(&stage.brokers.own(), TOPIC, records).await?;
    stage.heals().await?;
    stage.goes_on(200).await
}

async fn too_large(stage: &mut Stage) -> Result<()> {
    stage.begins("publishes that are too large", 0);
    let client = reqwest::Client::new();
    let url = stage.members.first().ok_or("no member")?.url();
    let url = format!("{url}/publish/todo-pubsub/{TOPIC}");
    for _ in 0..20 {
        let body = serde_json::json!({ "padding": "x".repeat(2 << 20) });
        let answer = client.post(&url).json(&body).send().await?;
        if answer.status().is_success() {
            return Err(format!("a publish of 2 MiB was taken: {}", answer.status()).into());
        }
    }
    stage.heals().await?;
    stage.goes_on(200).await
}

async fn queue_full(stage: &mut Stage) -> Result<()> {
    stage.begins("the producer's queue is full", BOUND);
    stage.brokers.single()?.signal("STOP").await?;
    stage.flood(150, 900_000);
    sleep(Duration::from_secs(5)).await;
    stage.brokers.single()?.signal("CONT").await?;
    stage.heals().await?;
    stage.goes_on(200).await
}

async fn aborted(stage: &mut Stage) -> Result<()> {
    stage.begins("transactions", 0);
    for n in 0..20 {
        let messages = stage.others("transaction", 10);
        let records = messages.iter().zip((0..PARTITIONS).cycle());
        let records = records.map(|(message, partition)| Written::event(partition, message, 0));
        let records = records.collect();
        transact(&stage.brokers.own(), TOPIC, records, n % 2 == 0).await?;
    }
    stage.heals().await?;
    stage.goes_on(200).await
}

/// Nothing behind the transaction's records is handed out before it ends: that is when the fault
/// ends.
async fn open(stage: &mut Stage) -> Result<()> {
    let messages = stage.others("open", PARTITIONS.unsigned_abs().into());
    let records = messages.iter().zip(0..PARTITIONS);
    let records = records.map(|(message, partition)| Written::event(partition, message, 0));
    let records = records.collect();
    stage.begins("a transaction is open", BOUND);
    let transaction = Transaction::begin(&stage.brokers.own(), TOPIC, records).await?;
    let first = stage.members.remove(0);
    first.leave().await?;
    stage.join().await?;
    sleep(Duration::from_secs(20)).await;
    transaction.abort().await?;
    stage.heals_after_drain().await?;
    stage.goes_on(200).await
}

/// The fault ends when the record is a dead letter. What the app acknowledged shortly before a call
/// broke comes again, because daprd may say so falsely.
async fn breaks(stage: &mut Stage) -> Result<()> {
    let key = stage.rolls.seed.is_multiple_of(2).then_some("k7");
    stage.begins("a record breaks the app", BOUND);
    let breaking = stage.publishes_breaking(key).await?;
    let brokers = stage.brokers.own();
    let broken = BTreeSet::from([breaking.uuid]);
    eventually("the record is a dead letter", SOON * 3, || async {
        let letters = failures(&brokers).await.ok()?;
        broken
            .iter()
            .all(|id| letters.contains_key(id))
            .then_some(())
    })
    .await?;
    stage.heals().await?;
    stage.goes_on(200).await?;
    Ok(only_broken(&broken, &failures(&brokers).await?)?)
}

/// The failures that the dead letters of each record name, by the record's id. A crash between a dead
/// letter and its source's commit writes it again, so there may be several.
type Failures = BTreeMap<String, BTreeSet<String>>;

async fn failures(brokers: &str) -> Result<Failures> {
    let letters = crate::run::records(brokers, DEAD_LETTERS, PARTITIONS).await?;
    let mut failures = Failures::new();
    for letter in letters.into_iter().map(DeadLetter) {
        let id = letter.0.uuid().unwrap_or_default();
        let failure = letter.failure().unwrap_or_default().to_owned();
        failures.entry(id).or_default().insert(failure);
    }
    Ok(failures)
}

/// Whether each record that breaks the app is a dead letter for that reason alone, and no other record
/// is one.
fn only_broken(broken: &BTreeSet<String>, letters: &Failures) -> Result<(), String> {
    let reason = BTreeSet::from(["broke-the-app".to_owned()]);
    let wanted: Failures = broken
        .iter()
        .map(|id| (id.clone(), reason.clone()))
        .collect();
    if *letters == wanted {
        return Ok(());
    }
    Err(format!(
        "the dead letters are {letters:?}, and should be {wanted:?}"
    ))
}

async fn compacted(stage: &mut Stage) -> Result<()> {
    let brokers = stage.brokers.own();
    let partitions = PARTITIONS.unsigned_abs() as usize;
    let mut written = 0;
    // A segment is compacted once another one was begun.
    for _ in 0..3 {
        let messages = stage.others("again", 200);
        let records = messages.iter().zip((0..PARTITIONS).cycle());
        let records = records.map(|(message, partition)| Written::event(partition, message, 0));
        let records: Vec<_> = records.collect();
        written += records.len();
        write(&brokers, TOPIC, records).await?;
        sleep(Duration::from_millis(300)).await;
    }
    let what = "most records are compacted away";
    eventually(what, SOON * 3, || async {
        let left = crate::run::records(&brokers, TOPIC, PARTITIONS)
            .await
            .ok()?;
        (left.len() < written / 2).then_some(())
    })
    .await?;
    // What is handed out from now on must stay, to be compared with.
    admin::set_topic(&brokers, TOPIC, "cleanup.policy", "delete").await?;
    stage.begins("offsets without records", 0);
    stage.join().await?;
    stage.heals().await?;
    stage.goes_on(partitions * 50).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(of: &[(&str, &[&str])]) -> Failures {
        let letter = |(id, failures): &(&str, &[&str])| {
            let failures = failures.iter().map(|failure| (*failure).to_owned());
            ((*id).to_owned(), failures.collect())
        };
        of.iter().map(letter).collect()
    }

    #[test]
    fn each_breaking_record_and_no_other_is_a_dead_letter() {
        const BROKE: &[&str] = &["broke-the-app"];
        let broken = ["a", "b"].map(str::to_owned).into();
        let judged = |of: &[(&str, &[&str])]| only_broken(&broken, &letters(of)).is_ok();
        assert!(judged(&[("a", BROKE), ("b", BROKE)]));
        assert!(!judged(&[("a", BROKE)]));
        assert!(!judged(&[("a", BROKE), ("innocent", BROKE)]));
        assert!(!judged(&[
            ("a", BROKE),
            ("b", BROKE),
            ("innocent", &["rejected"])
        ]));
        assert!(!judged(&[
            ("a", BROKE),
            ("b", &["broke-the-app", "rejected"])
        ]));
    }
}
