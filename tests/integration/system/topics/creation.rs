//! `topicCreation: subscribe`.

use std::{sync::Arc, time::Duration};

use harness::{Result, eventually};

use crate::{
    doctor::rights::{allow, guarded},
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::App,
        player::{Player, properties},
    },
};

/// It is tried again after 30 s.
const TRIED_AGAIN: Duration = Duration::from_secs(60);

const CREATES: (&str, &str) = ("topicCreation", "subscribe");

/// Through the real daprd; what is published at once comes, whatever `initialOffset` says,
/// and so does the dead-letter topic.
pub async fn a_subscription_creates_its_missing_topic_if_told_to(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("made");
    let newest = ("initialOffset", "newest");
    let dead = ("deadLetterTopic", "{topic}.dlq");
    let place = Place::with_component(kafka, &[CREATES, newest, dead])?;
    let _component = place.component().await?;
    let app = App::start_raw(&topic).await?;
    let _daprd = place
        .daprd(fixture.daprd, &fixture.name("app"), Some(app.port))
        .await?;
    for name in [&topic, &format!("{topic}.dlq")] {
        eventually(&format!("{name} is there"), SOON, || async {
            let replicas = admin::replicas(kafka, name).await.ok()?;
            (replicas == [1]).then_some(())
        })
        .await?;
    }
    admin::produce(kafka, &topic, "first").await?;
    let events = app.events(1).await?;
    // "first", as daprd wraps what is no JSON.
    let data = &events[0].body["data_base64"];
    ensure!(data == "Zmlyc3Q=", "{:?}", events[0]);
    Ok(())
}

/// What the brokers refuse is told with the command that allows it, and tried again; the
/// stream that waited for it goes on.
pub async fn what_forbids_it_is_told_and_the_stream_goes_on(_: Arc<Fixture>) -> Result<()> {
    let kafka = guarded().await?;
    let brokers = kafka.address.as_str();
    allow(
        &kafka,
        "ANONYMOUS",
        "--operation ClusterAction --operation Alter --cluster",
    )
    .await?;
    allow(
        &kafka,
        "ANONYMOUS",
        "--operation Read --operation Write --topic mine",
    )
    .await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let properties = properties(brokers, "group", &[CREATES]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let mut pull = player.pull("mine").await?;
    let told = "the topic mine does not exist and can't be created";
    let line = component
        .process
        .line(told, SOON, |line| line.contains(told))
        .await?;
    let named = line
        .split('`')
        .find(|part| part.starts_with("kafka-acls.sh"));
    let command = named.ok_or_else(|| format!("no command in {line}"))?;
    ensure!(
        command.ends_with("--operation Create --topic mine"),
        "{line}"
    );
    kafka.run(command).await?;
    let created = "created the topic mine";
    component
        .process
        .line(created, TRIED_AGAIN, |line| line.contains(created))
        .await?;
    player.publish("mine", "a", "first").await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["first"], "{texts:?}");
    kafka.stop().await
}
