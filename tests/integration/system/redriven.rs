use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::http::StatusCode;
use harness::Result;
use serde_json::json;

use crate::{
    ensure,
    support::{
        Fixture, Place, admin,
        app::{App, Event, subscription},
        endpoints::at_least,
        letters::{dlq_bare, say},
        records,
    },
};

/// The whole way: an app refuses a message, it becomes a dead letter, the app is
/// mended, one command brings it back, and only the group that it failed in gets
/// it. The command asks the running process how to connect.
pub async fn a_mended_app_gets_its_dead_letters_back(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("circle");
    let dead = format!("{topic}.dlq");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    admin::create_topic(kafka, &dead, 1, &[]).await?;
    let settings = [
        ("deadLetterTopic", "{topic}.dlq"),
        ("maxDeliveryAttempts", "2"),
        ("deadLetterMinAge", "0s"),
        ("backOffDuration", "50ms"),
    ];
    let place = Place::with_component(kafka, &settings)?;
    let mut component = place.component().await?;
    let mended = Arc::new(AtomicBool::new(false));
    let answer = {
        let mended = mended.clone();
        move |_: &Event| {
            if mended.load(Ordering::Relaxed) {
                StatusCode::OK
            } else {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    };
    let subscribed = || json!([subscription(&topic, &json!({}))]);
    let failing = App::with(subscribed(), answer).await?;
    let other = App::with(subscribed(), |_| StatusCode::OK).await?;
    let (failed_in, other_group) = (fixture.name("app"), fixture.name("app"));
    let daprd = place
        .daprd(fixture.daprd, &failed_in, Some(failing.port))
        .await?;
    let _other_daprd = place
        .daprd(fixture.daprd, &other_group, Some(other.port))
        .await?;
    let (query, data) = ("metadata.partitionKey=k1", json!("poison"));
    daprd.publish("todo-pubsub", &topic, query, &data).await?;
    records::wait_for(kafka, &dead, 1).await?;
    other.events(1).await?;

    mended.store(true, Ordering::Relaxed);
    let sockets = place.sockets().display().to_string();
    // Two daprds have an instance of this name, and the command does not guess.
    let ask = [
        "redrive",
        &dead,
        "--instance",
        "todo-pubsub",
        "--socket-folder",
        &sockets,
    ];
    let unsure = say(dlq_bare(&ask)).await?;
    ensure!(unsure.code == Some(1), "{unsure:?}");
    let process = daprd.process.id().ok_or("daprd has ended")?.to_string();
    let choice = format!("todo-pubsub (process {process}, pubsub.rdkafka, group {failed_in})");
    for part in ["there are 2 instances", &choice, "--instance-process PID"] {
        ensure!(unsure.err.contains(part), "{part} is not in {unsure:?}");
    }
    let sure = [&ask[..], &["--instance-process", &process]].concat();
    let redriven = say(dlq_bare(&sure)).await?;
    ensure!(redriven.code == Some(0), "{redriven:?}");

    let events = failing.events(3).await?;
    ensure!(events[2].body["data"] == "poison", "{events:?}");
    admin::all_committed(kafka, &failed_in, &topic, 1, 2).await?;
    admin::all_committed(kafka, &other_group, &topic, 1, 2).await?;
    let passed = format!(
        "passed_over_total{{component=\"todo-pubsub\",topic=\"{topic}\",group=\"{other_group}\"}}"
    );
    at_least(&component.admin().await?, &passed, 1.0).await?;
    ensure!(other.seen().len() == 1, "{:?}", other.seen());
    Ok(())
}

/// Inside a pod no file has the secrets, so the running process is asked.
pub async fn the_running_process_tells_how_to_connect(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let place = Place::with_component(kafka, &[])?;
    let _component = place.component().await?;
    let _daprd = place
        .daprd(fixture.daprd, &fixture.name("app"), None)
        .await?;
    let dead = fixture.name("told.dlq");
    admin::create_topic(kafka, &dead, 1, &[]).await?;
    let sockets = place.sockets().display().to_string();
    let ask = [
        "list",
        "--topic",
        &dead,
        "--instance",
        "todo-pubsub",
        "--socket-folder",
        &sockets,
    ];
    let listed = say(dlq_bare(&ask)).await?;
    ensure!(
        listed.code == Some(0) && listed.out.contains(&dead),
        "{listed:?}"
    );
    Ok(())
}
