//! A pod ends while events are on their way, and another takes its place.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::http::StatusCode;
use harness::Result;
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    pod::Pod,
    wanted::{Wanted, Way},
};
use crate::{
    ensure,
    support::{
        Fixture, admin,
        app::{App, subscription},
    },
};

/// The app publishes from so many tasks, and has seen so many events when the pod ends.
const TASKS: u64 = 4;
const EVENTS: usize = 100;

/// How long the app works on an event: less comes out than goes in, so that some are everywhere
/// on the way when the pod ends.
const WORK: Duration = Duration::from_millis(10);

const PARTITIONS: i32 = 3;

/// App and daprd end first, and the component when they have gone.
pub async fn the_sidecar_last_loses_nothing(fixture: Arc<Fixture>) -> Result<()> {
    let code = ends_under_load(&fixture, Way::NativeSidecar).await?;
    ensure!(code == 0, "the component ended with {code}");
    Ok(())
}

/// All three get the signal together, and the app does not wait for anybody. What daprd had in its
/// hands then may be left over, which is code 3.
pub async fn all_at_once_loses_nothing(fixture: Arc<Fixture>) -> Result<()> {
    let code = ends_under_load(&fixture, Way::Container).await?;
    ensure!([0, 3].contains(&code), "the component ended with {code}");
    Ok(())
}

/// How the component ended.
async fn ends_under_load(fixture: &Arc<Fixture>, way: Way) -> Result<i32> {
    let kafka = fixture.todo_kafka().await?;
    let topic = fixture.name("ends");
    admin::create_topic(kafka, &topic, PARTITIONS, &[]).await?;
    let subscribed = json!([subscription(&topic, &json!({}))]);
    let mut app = App::with(subscribed, |_| {
        std::thread::sleep(WORK);
        StatusCode::OK
    })
    .await?;
    let wanted = Wanted {
        app_port: Some(app.port),
        ..Wanted::new(way, fixture)
    };
    let mut pod = Pod::ready(fixture, wanted.clone()).await?;

    let mut publishers = JoinSet::new();
    for task in 0..TASKS {
        publishers.spawn(publish(pod.url(&topic), task));
    }
    let many = || async { app.seen().len() >= EVENTS };
    pod.keep("the app is busy", many).await?;
    let ended = pod.end(|| app.down()).await?;
    let mut published = BTreeSet::new();
    for task in publishers.join_all().await {
        published.extend(task);
    }
    let before = app.seen().len();

    app.up().await?;
    let mut next = Pod::ready(fixture, wanted.clone()).await?;
    let lost = || -> Vec<u64> {
        let seen = app.seen();
        let seen: BTreeSet<_> = seen
            .iter()
            .filter_map(|it| it.body["data"].as_u64())
            .collect();
        published.difference(&seen).copied().collect()
    };
    let came = next
        .keep("each comes", || async { lost().is_empty() })
        .await;
    came.map_err(|error| {
        format!(
            "{:?} are lost: {error}; before: {}",
            lost(),
            ended.component.output
        )
    })?;
    next.end(|| app.down()).await?;
    let records = admin::records(kafka, &topic, PARTITIONS).await?;
    admin::all_committed(kafka, &wanted.app_id, &topic, PARTITIONS, records).await?;
    println!(
        "{way:?}: {} published, {records} records, {before} delivered before the end, {} in all",
        published.len(),
        app.seen().len()
    );
    let code = ended.component.status.code();
    Ok(code.ok_or("the component was killed")?)
}

/// Publishes one after the other until that fails, which it does when daprd has gone; returns what
/// daprd has taken.
async fn publish(url: String, task: u64) -> Vec<u64> {
    let client = reqwest::Client::new();
    let mut taken = Vec::new();
    for n in 0.. {
        let number = n * TASKS + task;
        let request = client
            .post(format!("{url}?metadata.partitionKey={}", number % 10))
            .json(&json!(number));
        match request.send().await {
            Ok(answer) if answer.status().is_success() => taken.push(number),
            // It says no while it ends; nothing is promised then.
            Ok(_) => {}
            Err(_) => break,
        }
    }
    taken
}
