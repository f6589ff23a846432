use std::sync::Arc;

use harness::{Component, Result, copy_sample};
use serde_json::json;

use crate::{
    ensure,
    support::{Fixture, Place, admin, app::App, program},
};

/// Two daprds on one machine, one socket folder, one component name: each app
/// must get every event, in a group of its own.
pub async fn two_daprds_that_share_the_folder_keep_their_groups(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("shared");
    admin::create_topic(kafka, &topic, 3, &[]).await?;
    let place = Place::with_component(kafka, &[])?;
    let _component = place.component().await?;
    let mut daprds = Vec::new();
    for _ in 0..2 {
        let app = App::start(&topic).await?;
        let app_id = fixture.name("app");
        let daprd = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
        daprds.push((app_id, app, daprd));
    }
    for n in 0..10 {
        let (_, _, daprd) = &daprds[n % 2];
        let query = format!("metadata.partitionKey={n}");
        daprd
            .publish("todo-pubsub", &topic, &query, &json!(n))
            .await?;
    }
    for (app_id, app, _) in &daprds {
        let events = app.events(10).await?;
        ensure!(events.len() == 10, "{app_id} got some twice: {events:?}");
        let committed = admin::committed(kafka, app_id, &topic, 3).await?;
        ensure!(
            committed.iter().any(Option::is_some),
            "{app_id} has no group: {committed:?}"
        );
    }
    Ok(())
}

/// The component lives on, and must not keep the partitions of the daprd that is
/// gone: its successor is another process, of the same group.
pub async fn after_a_crash_of_daprd_its_successor_goes_on(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, app_id) = (fixture.name("crash"), fixture.name("app"));
    admin::create_topic(kafka, &topic, 6, &[]).await?;
    let place = Place::with_component(kafka, &[])?;
    let _component = place.component().await?;
    let app = App::start(&topic).await?;
    let crashing = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
    crashing
        .publish("todo-pubsub", &topic, "", &json!("before"))
        .await?;
    app.events(1).await?;
    admin::all_committed(kafka, &app_id, &topic, 6, 1).await?;
    crashing.process.kill().await?;

    let successor = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
    for n in 0..20 {
        let query = format!("metadata.partitionKey={n}");
        successor
            .publish("todo-pubsub", &topic, &query, &json!(n))
            .await?;
    }
    let events = app.events(21).await?;
    ensure!(events.len() == 21, "each came once: {events:?}");
    admin::all_committed(kafka, &app_id, &topic, 6, 21).await
}

/// `--name kafka`: the built-in's YAML, unchanged.
pub async fn as_kafka_the_component_takes_the_built_ins_place(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("dropin");
    admin::create_topic(kafka, &topic, 3, &[]).await?;
    let place = Place::new()?;
    copy_sample("todo-pubsub-as-kafka.yaml", &place.resources(), kafka)?;
    let _component = Component::start(program(), &place.sockets(), &["kafka"]).await?;
    let app = App::start(&topic).await?;
    let daprd = place
        .daprd(fixture.daprd, &fixture.name("app"), Some(app.port))
        .await?;

    let metadata = daprd.metadata().await?;
    let loaded = metadata["components"][0].to_string();
    ensure!(loaded.contains("pubsub.kafka"), "{metadata}");
    ensure!(
        loaded.contains("DAPR_RDKAFKA/"),
        "the built-in was loaded: {metadata}"
    );
    daprd
        .publish("todo-pubsub", &topic, "", &json!("hello"))
        .await?;
    let events = app.events(1).await?;
    ensure!(events[0].body["data"] == "hello", "{events:?}");
    Ok(())
}
