//! How much memory the component takes where records wait for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{join_all, try_join_all};
use harness::{Kafka, Result, eventually, root};
use tonic::Code;

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        endpoints::at_least,
        player::{Player, Pull, properties, text},
        records::{Plain, write, write_compressed},
    },
};

const TOPICS: usize = 6;
const PARTITIONS: i32 = 6;

/// A record's size, in bytes, and how many there are of each topic: far more than are
/// read ahead.
const SIZE: usize = 10_000;
const RECORDS: usize = 4_000;

/// As many are acknowledged of each topic before it is looked at: by then all that may be
/// read ahead was.
const TAKEN: usize = 300;

/// What the manifests allow a container (deploy/sidecar), in KiB.
pub const LIMIT: usize = 128 * 1024;

/// The most memory that a process had of its own, in KiB. Pages of its program count for a
/// container too, but are given back before it is ended for want of memory; a debug build
/// has far more of them than an image.
fn peak(process: u32) -> Result<usize> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = |name: &str| -> Result<usize> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|text| text.trim().strip_suffix(" kB"));
        Ok(value.ok_or_else(|| format!("no {name}"))?.parse()?)
    };
    Ok(value("VmHWM:")?.saturating_sub(value("RssFile:")?))
}

/// What a process may take whose app is slow and has a few partitions, in KiB.
pub const SLOW_LIMIT: usize = 64 * 1024;

/// An event as apps publish it, some 300 bytes: such compress to a fifth or less.
pub fn event(number: usize) -> Vec<u8> {
    let (customer, price) = (number * 7919 % 100_000, number * 104_729 % 50_000);
    format!(
        r#"{{"specversion":"1.0","id":"{number:08}","source":"shop","type":"com.example.order.created","datacontenttype":"application/json","data":{{"orderId":{number},"customer":{customer},"currency":"EUR","price":{price},"status":"created","address":{{"city":"Springfield","country":"US"}}}}}}"#
    )
    .into_bytes()
}

/// Compressed records take many times their size when they are read, for each partition: here
/// more than ten times, since they are small. Some 180 MB wait.
pub async fn a_compressed_backlog_and_a_slow_app_fit_as_well(fixture: Arc<Fixture>) -> Result<()> {
    let backlog = Backlog {
        partitions: 24,
        records: 25_000,
        value: event,
    };
    fits(&fixture, backlog, SLOW_LIMIT).await
}

/// The records of so many partitions don't fit together: they take turns.
pub async fn many_partitions_with_a_backlog_take_turns(fixture: Arc<Fixture>) -> Result<()> {
    let backlog = Backlog {
        partitions: 200,
        records: 3_000,
        value: event,
    };
    fits(&fixture, backlog, LIMIT).await
}

/// A partition that is paused drops what it has read ahead, and reads it again when its turn comes:
/// each record comes once, in order.
pub async fn turns_lose_and_repeat_nothing(fixture: Arc<Fixture>) -> Result<()> {
    const PARTITIONS: i32 = 60;
    const RECORDS: usize = 300;
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("turns"), fixture.name("group"));
    admin::create_topic(kafka, &topic, PARTITIONS, &[]).await?;
    let value = |number: usize| format!("{number:>3000}").into_bytes();
    write_compressed(kafka, &topic, PARTITIONS, RECORDS, value).await?;
    let place = Place::new()?;
    // 8 MiB for reading ahead, and each partition has a tenth of that.
    let memory = ["--memory-mib", "32"];
    let mut component = place.component_with(&["rdkafka"], &memory).await?;
    let mut player =
        Player::start(&place.socket("rdkafka"), properties(kafka, &group, &[])).await?;
    let mut pull = player.pull(&topic).await?;
    let first = pull.next(SOON).await?;
    let labels = format!("component=\"todo-pubsub\",group=\"{group}\"");
    let gauge = format!("read_ahead_waiting_partitions{{{labels}}}");
    let admin = component.admin().await?;
    at_least(&admin, &gauge, 1.0).await?;
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut message = first;
    for count in 1.. {
        pull.ack(&message).await?;
        let partition = message.metadata["__partition"].clone();
        let number = text(&message).trim().parse()?;
        seen.entry(partition).or_default().push(number);
        if count == PARTITIONS.unsigned_abs() as usize * RECORDS {
            break;
        }
        message = pull.next(SOON).await?;
    }
    for (partition, numbers) in seen {
        ensure!(
            numbers.iter().copied().eq(0..RECORDS),
            "{partition}: {numbers:?}"
        );
    }
    Ok(())
}

/// Partitions that nobody wants any more keep nothing of what was read ahead.
pub async fn an_app_that_hangs_holds_no_memory(fixture: Arc<Fixture>) -> Result<()> {
    const PARTITIONS: i32 = 200;
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("hangs");
    admin::create_topic(kafka, &topic, PARTITIONS, &[]).await?;
    write_compressed(kafka, &topic, PARTITIONS, 3_000, event).await?;
    let place = Place::new()?;
    let memory = ["--memory-mib", &(LIMIT / 1024).to_string()];
    let mut component = place.component_with(&["rdkafka"], &memory).await?;
    let group = fixture.name("group");
    let mut player =
        Player::start(&place.socket("rdkafka"), properties(kafka, &group, &[])).await?;
    let process = component.process.id().ok_or("it has ended")?;
    let mut pull = player.pull(&topic).await?;
    let _never_answered = pull.next(SOON).await?;
    // Each partition has its turn until the window has its part of it.
    let labels = format!("component=\"todo-pubsub\",topic=\"{topic}\",group=\"{group}\"");
    let gauge = format!("paused_partitions{{{labels}}}");
    let admin = component.admin().await?;
    for _ in 0..6 {
        if at_least(&admin, &gauge, f64::from(PARTITIONS))
            .await
            .is_ok()
        {
            break;
        }
    }
    at_least(&admin, &gauge, f64::from(PARTITIONS)).await?;
    let most = peak(process)?;
    println!("{PARTITIONS} partitions and an app that hangs: {most} KiB at most");
    ensure!(most < LIMIT, "{most} KiB are more than {LIMIT}");
    Ok(())
}

/// Compressed records that wait in a topic.
#[derive(Clone, Copy)]
pub struct Backlog {
    pub partitions: i32,
    /// Of each partition.
    pub records: usize,
    /// A record by its number.
    pub value: fn(usize) -> Vec<u8>,
}

/// An app that works on one record at a time comes back to a backlog. It gets records of all
/// partitions, within a limit in KiB.
pub async fn fits(fixture: &Fixture, backlog: Backlog, limit: usize) -> Result<()> {
    let Backlog {
        partitions,
        records,
        value,
    } = backlog;
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("compressed");
    admin::create_topic(kafka, &topic, partitions, &[]).await?;
    write_compressed(kafka, &topic, partitions, records, value).await?;
    let place = Place::new()?;
    let memory = ["--memory-mib", &(LIMIT / 1024).to_string()];
    let component = place.component_with(&["rdkafka"], &memory).await?;
    let group = fixture.name("group");
    let mut player =
        Player::start(&place.socket("rdkafka"), properties(kafka, &group, &[])).await?;
    let process = component.process.id().ok_or("it has ended")?;
    let before = peak(process)?;
    let mut pull = player.pull(&topic).await?;
    let mut missing: BTreeSet<_> = (0..partitions).map(|number| number.to_string()).collect();
    let until = Instant::now() + 6 * SOON;
    while !missing.is_empty() {
        ensure!(Instant::now() < until, "nothing came from {missing:?}");
        let message = pull.next(SOON).await?;
        pull.ack(&message).await?;
        missing.remove(&message.metadata["__partition"]);
    }
    let after = peak(process)?;
    println!("{partitions} partitions: {before} KiB before, {after} KiB at most");
    ensure!(after < limit, "{after} KiB are more than {limit}");
    Ok(())
}

/// An app that was down for hours comes back to six topics of large records.
pub async fn a_backlog_fits_into_a_pods_limit(fixture: Arc<Fixture>) -> Result<()> {
    let patch = fs::read_to_string(root().join("deploy/sidecar/native/patch.yaml"))?;
    let limit = format!("memory: {}Mi", LIMIT / 1024);
    ensure!(patch.contains(&limit), "no {limit} in the manifest");
    let kafka = fixture.kafka().await?;
    let topics: Vec<_> = (0..TOPICS).map(|_| fixture.name("backlog")).collect();
    let records: Vec<_> = (0..RECORDS)
        .map(|number| Plain::new(number.to_string(), vec![b'x'; SIZE]))
        .collect();
    for topic in &topics {
        admin::create_topic(kafka, topic, PARTITIONS, &[]).await?;
        write(kafka, topic, &records).await?;
    }
    let place = Place::new()?;
    let component = place.component().await?;
    let group = fixture.name("group");
    let mut player =
        Player::start(&place.socket("rdkafka"), properties(kafka, &group, &[])).await?;
    let process = component.process.id().ok_or("it has ended")?;
    let before = peak(process)?;
    let mut pulls: Vec<Pull> = Vec::new();
    for topic in &topics {
        pulls.push(player.pull(topic).await?);
    }
    try_join_all(pulls.iter_mut().map(|pull| pull.take(TAKEN, SOON))).await?;
    let after = peak(process)?;
    println!("{before} KiB before, {after} KiB at most");
    ensure!(after < LIMIT, "{after} KiB are more than {LIMIT}");
    Ok(())
}

/// What the process may take while brokers stand still and its app publishes on, in KiB.
const STANDSTILL_LIMIT: usize = 96 * 1024;

/// Waits until the most memory that a process had has stopped growing.
async fn settled(process: u32) -> Result<usize> {
    let mut before = 0;
    let mut interval = tokio::time::interval(Duration::from_secs(1));
    loop {
        interval.tick().await;
        let now = peak(process)?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
}

/// Far more is published than fits, while the broker stands still: most of it waits in daprd.
/// What is acknowledged then is there.
pub async fn publishes_fit_while_brokers_stand_still(_: Arc<Fixture>) -> Result<()> {
    const PUBLISHES: usize = 1_500;
    const SIZE: usize = 100_000;
    let kafka = Kafka::start().await?;
    admin::create_topic(&kafka.address, "still", 3, &[]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let given = properties(&kafka.address, "group", &[]);
    let player = Player::start(&place.socket("rdkafka"), given).await?;
    let process = component.process.id().ok_or("it has ended")?;
    player.publish_at_last("still", "k", "before").await?;
    let before = peak(process)?;
    kafka.signal("STOP").await?;
    let publishes = (0..PUBLISHES).map(|number| {
        let mut player = player.clone();
        async move {
            let mut data = number.to_string().into_bytes();
            data.resize(SIZE, b' ');
            player.publish_bytes("still", data, HashMap::new()).await
        }
    });
    let answers = tokio::spawn(join_all(publishes));
    let admin = component.admin().await?;
    // As many as there is room for.
    let queued = "producer_queue_messages{component=\"todo-pubsub\"}";
    at_least(&admin, queued, 300.0).await?;
    let full = eventually("its memory settles", SOON, || async {
        settled(process).await.ok()
    });
    let full = full.await?;
    kafka.signal("CONT").await?;
    let answers = answers.await?;
    let after = peak(process)?;
    println!("{before} KiB before, {full} KiB while the broker stood still, {after} KiB at most");
    ensure!(
        after < STANDSTILL_LIMIT,
        "{after} KiB are more than {STANDSTILL_LIMIT}"
    );
    let mut acknowledged = 1;
    for answer in answers {
        match answer {
            Ok(()) => acknowledged += 1,
            Err(refused) => ensure!(
                [Code::ResourceExhausted, Code::Unavailable].contains(&refused.code()),
                "{refused:?}"
            ),
        }
    }
    // Nobody else writes, and idempotence lets no record stand twice.
    let written = admin::records(&kafka.address, "still", 3).await?;
    println!("{acknowledged} were acknowledged, and {written} are there");
    ensure!(acknowledged <= written, "acknowledged records are lost");
    ensure!(acknowledged > PUBLISHES / 2, "most come through");
    kafka.stop().await
}
