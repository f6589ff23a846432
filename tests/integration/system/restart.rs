use std::{collections::BTreeSet, sync::Arc, time::Duration};

use harness::{Component, Result};
use serde_json::json;

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::App,
        player::{Player, properties, text},
        program,
    },
};

/// How soon a restarted component must deliver: it left the group, so nobody
/// waits for its session to time out (10 s).
const RESTARTED: Duration = Duration::from_secs(3);

pub async fn a_restarted_component_goes_on_at_once(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("restart"), fixture.name("group"));
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let place = Place::new()?;
    let socket = place.socket("rdkafka");
    let component = place.component().await?;
    let mut player = Player::start(&socket, properties(kafka, &group, &[])).await?;
    let mut pull = player.pull(&topic).await?;
    for data in ["0", "1", "2"] {
        player.publish(&topic, "a", data).await?;
    }
    pull.take(2, SOON).await?;
    let unanswered = pull.next(SOON).await?;
    ensure!(text(&unanswered) == "2", "{unanswered:?}");
    // daprd's streams are cut, and both get SIGTERM.
    drop((pull, player));
    let stopped = component.stop().await?;
    ensure!(
        stopped.status.success(),
        "{}: {}",
        stopped.status,
        stopped.output
    );
    let committed = admin::committed(kafka, &group, &topic, 1).await?;
    ensure!(
        committed == [Some(2)],
        "what was answered is committed: {committed:?}"
    );

    let component = Component::start(program(), &place.sockets(), &["rdkafka"]).await?;
    let mut player = Player::connect(&socket, "todo-pubsub").await?;
    let again = async {
        player.init(properties(kafka, &group, &[])).await?;
        player.pull(&topic).await?.take(1, SOON).await
    };
    let texts = tokio::time::timeout(RESTARTED, again).await.map_err(|_| {
        let what = format!("delivered nothing within {RESTARTED:?}");
        component.process.failed(&what)
    })??;
    ensure!(
        texts == ["2"],
        "only what was not answered comes again: {texts:?}"
    );
    Ok(())
}

pub async fn component_and_daprd_restarted_go_on_where_they_stopped(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, app_id) = (fixture.name("restart"), fixture.name("app"));
    admin::create_topic(kafka, &topic, 3, &[]).await?;
    let place = Place::with_component(kafka, &[])?;
    let app = App::start(&topic).await?;

    for round in 0..2 {
        let component = place.component().await?;
        let daprd = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
        for n in round * 20..(round + 1) * 20 {
            let query = format!("metadata.partitionKey={}", n % 5);
            daprd
                .publish("todo-pubsub", &topic, &query, &json!(n))
                .await?;
        }
        let all = (round + 1) * 20;
        let events = app.events(all).await?;
        let seen: BTreeSet<_> = events
            .iter()
            .filter_map(|event| event.body["data"].as_u64())
            .collect();
        ensure!(seen.len() == all, "each of {all}: {seen:?}");
        ensure!(events.len() == all, "nothing twice: {events:?}");
        // Both at once, as a pod ends. Then the group has committed everything.
        let (daprd, component) = tokio::join!(daprd.process.stop(SOON * 2), component.stop());
        daprd?;
        let stopped = component?;
        ensure!(
            stopped.status.success(),
            "{}: {}",
            stopped.status,
            stopped.output
        );
        admin::all_committed(kafka, &app_id, &topic, 3, all).await?;
    }
    Ok(())
}
