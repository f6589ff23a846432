//! How many messages daprd hands an app at once, and what becomes of them when daprd ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use harness::{Daprd, DaprdBuild, Result, eventually};
use serde_json::{Value, json};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::{App, Event, subscription},
        records,
    },
};

const PARTITIONS: i32 = 3;

/// Long enough that messages overlap if they may.
const WORK: Duration = Duration::from_millis(100);

/// Publishes numbers in one call, under keys that repeat after `keys` of them.
async fn publish(daprd: &Daprd, topic: &str, count: usize, keys: usize) -> Result<()> {
    let entries: Vec<Value> = (0..count)
        .map(|n| {
            json!({
                "entryId": n.to_string(),
                "event": n,
                "contentType": "application/json",
                "metadata": { "partitionKey": format!("k{}", n % keys) },
            })
        })
        .collect();
    let path = format!("-alpha1/publish/bulk/todo-pubsub/{topic}");
    let body = Value::from(entries).to_string();
    let (status, answer) = daprd.post(&path, "application/json", body).await?;
    ensure!(status == 204, "{status} {answer}");
    Ok(())
}

/// The number that an event carries.
fn number(event: &Event) -> Result<usize> {
    let number = event.body["data"]
        .as_u64()
        .ok_or("an event without its number")?;
    Ok(usize::try_from(number)?)
}

/// The most events that the app had at the same time.
fn most_at_once(events: &[Event]) -> usize {
    let at = |moment: Instant| {
        let held = events.iter();
        let held = held.filter(|event| event.begun <= moment && moment < event.ended);
        held.count()
    };
    events
        .iter()
        .map(|event| at(event.begun))
        .max()
        .unwrap_or_default()
}

/// Without lanes an app gets many messages at once from a concurrent daprd, and one from a serial
/// one. Either way equal keys come in order, and never two of them at once.
pub async fn one_stream_hands_out_as_daprd_does(fixture: Arc<Fixture>) -> Result<()> {
    const MESSAGES: usize = 120;
    const KEYS: usize = 12;
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("dispatch"), fixture.name("app"));
    admin::create_topic(kafka, &topic, PARTITIONS, &[]).await?;
    let place = Place::with_component(kafka, &[])?;
    let _component = place.component().await?;
    let app = App::working(json!([subscription(&topic, &json!({}))]), WORK).await?;
    let daprd = place.daprd(fixture.daprd, &group, Some(app.port)).await?;
    publish(&daprd, &topic, MESSAGES, KEYS).await?;

    let mut events = app.events(MESSAGES).await?;
    ensure!(
        events.len() == MESSAGES,
        "{} came again",
        events.len() - MESSAGES
    );
    let most = most_at_once(&events);
    println!("daprd {}: {most} at once", fixture.daprd.version());
    ensure!((most == 1) == fixture.daprd.is_serial(), "{most} at once");
    ensure!(most <= KEYS, "{most} at once of {KEYS} keys");
    events.sort_by_key(|event| event.begun);
    let mut last: BTreeMap<usize, (usize, Instant)> = BTreeMap::new();
    for event in &events {
        let n = number(event)?;
        if let Some((before, ended)) = last.insert(n % KEYS, (n, event.ended)) {
            ensure!(before < n, "{n} came after {before}");
            ensure!(ended <= event.begun, "{n} came while the app had {before}");
        }
    }
    admin::all_committed(kafka, &group, &topic, PARTITIONS, MESSAGES).await
}

/// A bulk subscription gets batches from a concurrent daprd. A serial one puts a single message
/// into each, since it hands out no second one before the first is answered.
pub async fn a_bulk_subscription_gets_batches_if_daprd_is_concurrent(
    fixture: Arc<Fixture>,
) -> Result<()> {
    const MESSAGES: usize = 24;
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("batches"), fixture.name("app"));
    admin::create_topic(kafka, &topic, PARTITIONS, &[]).await?;
    let place = Place::with_component(kafka, &[])?;
    let _component = place.component().await?;
    let mut bulk = subscription(&topic, &json!({}));
    bulk["bulkSubscribe"] =
        json!({ "enabled": true, "maxMessagesCount": 8, "maxAwaitDurationMs": 200 });
    let app = App::working(json!([bulk]), Duration::ZERO).await?;
    let daprd = place.daprd(fixture.daprd, &group, Some(app.port)).await?;
    publish(&daprd, &topic, MESSAGES, MESSAGES).await?;
    admin::all_committed(kafka, &group, &topic, PARTITIONS, MESSAGES).await?;

    let batches: Vec<_> = app.seen().iter().filter_map(Event::batch).collect();
    println!("daprd {}: batches of {batches:?}", fixture.daprd.version());
    let largest = batches.iter().copied().max().unwrap_or_default();
    ensure!(batches.iter().sum::<usize>() == MESSAGES, "{batches:?}");
    ensure!((largest == 1) == fixture.daprd.is_serial(), "{batches:?}");
    ensure!(largest <= 8, "{batches:?}");
    Ok(())
}

/// daprd ends while its app works on messages. The app's answers still count, nothing is refused
/// on the app's behalf, and on 1.18.3 and 1.18.4 nothing that the app finished is delivered again.
/// 1.18.5 may end calls that are under way, as a dying app does: acks of that moment are suspect.
pub async fn a_daprd_that_ends_waits_for_its_app(fixture: Arc<Fixture>) -> Result<()> {
    const MESSAGES: usize = 40;
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("ends"), fixture.name("app"));
    let dead = format!("{topic}.dlq");
    admin::create_topic(kafka, &topic, PARTITIONS, &[]).await?;
    admin::create_topic(kafka, &dead, 1, &[]).await?;
    // One refusal makes a dead letter.
    let settings = [
        ("deadLetterTopic", dead.as_str()),
        ("maxDeliveryAttempts", "1"),
        ("deadLetterMinAge", "0s"),
    ];
    let place = Place::with_component(kafka, &settings)?;
    let _component = place.component().await?;
    let app = App::working(json!([subscription(&topic, &json!({}))]), WORK * 3).await?;
    let daprd = place.daprd(fixture.daprd, &group, Some(app.port)).await?;
    publish(&daprd, &topic, MESSAGES, MESSAGES).await?;
    eventually("the app works on a second message", SOON, || async {
        (!app.seen().is_empty() && app.at_work() > 0).then_some(())
    })
    .await?;
    let stopped = Instant::now();
    daprd.process.stop(SOON * 2).await?;
    let (began, ended) = (
        |event: &Event| event.begun < stopped,
        |event: &Event| event.ended > stopped,
    );
    let held = app
        .seen()
        .iter()
        .filter(|event| began(event) && ended(event))
        .count();
    ensure!(
        held > 0,
        "the app had no message when daprd was told to end"
    );
    let before = app.seen().len();
    let _daprd = place.daprd(fixture.daprd, &group, Some(app.port)).await?;
    admin::all_committed(kafka, &group, &topic, PARTITIONS, MESSAGES).await?;

    let events = app.seen();
    let numbers = events.iter().map(number).collect::<Result<Vec<_>>>()?;
    let distinct: BTreeSet<_> = numbers.iter().collect();
    println!(
        "daprd {}: {before} before it ended, {} deliveries of {MESSAGES}",
        fixture.daprd.version(),
        numbers.len()
    );
    ensure!(distinct.len() == MESSAGES, "{numbers:?}");
    if matches!(fixture.daprd, DaprdBuild::V1_18_3 | DaprdBuild::V1_18_4) {
        ensure!(numbers.len() == MESSAGES, "some came again: {numbers:?}");
    }
    let letters = records::read(kafka, &dead).await?;
    ensure!(letters.is_empty(), "{letters:?}");
    Ok(())
}
