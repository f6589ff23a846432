use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::http::StatusCode;
use harness::Result;
use serde_json::{Value, json};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::{App, subscription},
        player::{Player, properties},
    },
};

const LANES: usize = 8;
const MESSAGES: usize = 400;

/// Every message comes once, by any of the lanes, and equal keys in order.
pub async fn lanes_of_a_topic_share_it_and_keep_the_order_of_keys(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("lanes");
    admin::create_topic(kafka, &topic, 3, &[]).await?;
    let place = Place::with_component(kafka, &[])?;
    let _component = place.component().await?;
    let lanes = (0..LANES).map(|lane| {
        let separator = ["~", "#"][lane % 2];
        subscription(&format!("{topic}{separator}{lane}"), &json!({}))
    });
    let app = App::with(lanes.collect(), |_| StatusCode::OK).await?;
    let app_id = fixture.name("app");
    let daprd = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
    for n in 0..MESSAGES {
        let query = format!("metadata.partitionKey=k{}", n % 30);
        daprd
            .publish("todo-pubsub", &topic, &query, &json!(n))
            .await?;
    }
    let events = app.events(MESSAGES).await?;
    ensure!(events.len() == MESSAGES, "each once: {}", events.len());
    let used: BTreeSet<_> = events.iter().map(|event| &event.topic).collect();
    ensure!(used.len() > 1, "they share the work: {used:?}");
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for event in &events {
        let n = event.body["data"].as_u64().ok_or("a number")?;
        if let Some(before) = last.insert(n % 30, n) {
            ensure!(before < n, "{n} came after {before}");
        }
    }
    admin::all_committed(kafka, &app_id, &topic, 3, MESSAGES).await
}

/// daprd compares exact names, so it would let anyone read a protected topic by
/// one of its lanes.
pub async fn a_lane_is_no_way_around_a_protected_topic(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("protected");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let place = Place::with_component(kafka, &[("protectedTopics", &topic)])?;
    let mut component = place.component().await?;
    let lanes = ["~1", "#1"].map(|lane| subscription(&format!("{topic}{lane}"), &json!({})));
    let app = App::with(json!(lanes), |_| StatusCode::OK).await?;
    let mut daprd = place
        .daprd(fixture.daprd, &fixture.name("app"), Some(app.port))
        .await?;
    let refused = "which protectedTopics names";
    for lane in ["~1", "#1"] {
        let names = |line: &str| line.contains(refused) && line.contains(&format!("{topic}{lane}"));
        daprd.process.line(refused, SOON, names).await?;
        component.process.line(refused, SOON, names).await?;
    }
    ensure!(app.seen().is_empty(), "{:?}", app.seen());
    Ok(())
}

/// Nobody's lane waits for a record that another lane was given: one that hangs
/// holds what it has, and the others go on.
pub async fn a_lane_that_hangs_holds_up_no_other(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("hang"), fixture.name("group"));
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let place = Place::new()?;
    let _component = place.component().await?;
    let properties = properties(kafka, &group, &[]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let _hangs = player.pull(&format!("{topic}#1")).await?;
    let mut works = player.pull(&format!("{topic}#2")).await?;
    for n in 0..50 {
        player
            .publish(&topic, &format!("k{n}"), &n.to_string())
            .await?;
    }
    // A lane that may be serial is handed two records, no more.
    let texts = works.take(48, SOON).await?;
    let distinct: BTreeSet<_> = texts.iter().collect();
    ensure!(distinct.len() == 48, "{texts:?}");
    Ok(())
}

/// A reload closes each old stream when its handler is done, and opens the new one
/// at once: it waits for the old ones.
pub async fn a_lane_with_other_metadata_waits_for_the_others_to_close(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("differ"), fixture.name("group"));
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let properties = properties(kafka, &group, &[]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let (one, two) = (format!("{topic}#1"), format!("{topic}#2"));
    let first = player
        .pull_with(&one, &[("maxDeliveryAttempts", "2")])
        .await?;
    let mut second = player.clone();
    let told = format!("{two} and {one} are lanes of topic {topic} with different");
    let closing = async {
        component
            .process
            .line(&told, SOON, |line| line.contains(&told))
            .await?;
        drop(first);
        Ok::<_, harness::Error>(())
    };
    let opening = second.pull_with(&two, &[("maxDeliveryAttempts", "3")]);
    let (opened, closed) = tokio::join!(opening, closing);
    closed?;
    opened?;
    let wrong = player
        .pull_with(&topic, &[("maxDeliveryAttempts", "many")])
        .await;
    let wrong = wrong.err().ok_or("it was taken")?.message().to_owned();
    ensure!(wrong.contains("maxDeliveryAttempts: \"many\""), "{wrong}");
    Ok(())
}

/// The log names both cures: another Dapr, and lanes by a command for this very topic.
pub async fn that_one_stream_is_not_enough_is_told(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("serial");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let place = Place::with_component(kafka, &[])?;
    let mut component = place.component().await?;
    let slow = |_: &crate::support::app::Event| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        StatusCode::OK
    };
    let app = App::with(json!([subscription(&topic, &json!({}))]), slow).await?;
    let daprd = place
        .daprd(fixture.daprd, &fixture.name("app"), Some(app.port))
        .await?;
    let entries: Vec<Value> = (0..100)
        .map(|n| {
            json!({
                "entryId": n.to_string(),
                "event": n.to_string(),
                "contentType": "text/plain",
                "metadata": { "partitionKey": n.to_string() },
            })
        })
        .collect();
    let path = format!("-alpha1/publish/bulk/todo-pubsub/{topic}");
    let sent = daprd
        .post(&path, "application/json", Value::from(entries).to_string())
        .await?;
    ensure!(sent.0 == 204, "{sent:?}");
    let lanes = format!("`dapr-rdkafka lanes --pubsub todo-pubsub --topic {topic} --route PATH`");
    let line = component
        .process
        .line(&lanes, SOON, |line| line.contains(&lanes))
        .await?;
    let upgrade = "Upgrade Dapr to 1.17.14, 1.18.4 or 1.19";
    ensure!(line.contains(upgrade), "{line}");
    Ok(())
}
