use std::{sync::Arc, time::Duration};

use harness::{Kafka, Result, eventually};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        player::{Player, properties},
    },
};

/// How soon after its creation a topic's first message must come.
const APPEARS: Duration = Duration::from_secs(3);

/// How long a broker's comeback may take to be noticed.
const COMEBACK: Duration = Duration::from_secs(60);

pub async fn a_broker_that_crashed_and_came_back_loses_nothing(_: Arc<Fixture>) -> Result<()> {
    let mut kafka = Kafka::start().await?;
    admin::create_topic(&kafka.address, "orders", 1, &[]).await?;
    let place = Place::new()?;
    let component = place.component().await?;
    let crashed = crash_and_come_back(&mut kafka, &place).await;
    crashed.map_err(|error| component.process.failed(&format!("ran: {error}")))?;
    kafka.stop().await
}

async fn crash_and_come_back(kafka: &mut Kafka, place: &Place) -> Result<()> {
    let properties = properties(&kafka.address, "group", &[("publishTimeout", "60s")]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let mut pull = player.pull("orders").await?;
    player.publish("orders", "a", "before").await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["before"], "{texts:?}");
    // What is not committed yet may come twice; so it is, before the crash.
    committed(kafka, 1).await?;

    kafka.down().await?;
    // Published while there is no broker: it waits, and is acknowledged later.
    let mut publisher = player.clone();
    let waiting = tokio::spawn(async move { publisher.publish("orders", "a", "meanwhile").await });
    kafka.up().await?;
    waiting.await??;
    player.publish("orders", "a", "after").await?;
    // The same stream goes on, and nobody restarted anything.
    let texts = pull.take(2, COMEBACK).await?;
    ensure!(texts == ["meanwhile", "after"], "{texts:?}");
    committed(kafka, 3).await
}

/// Waits until the group has committed so far.
async fn committed(kafka: &Kafka, offset: i64) -> Result<()> {
    eventually(&format!("offset {offset} is committed"), SOON, || async {
        let committed = admin::committed(&kafka.address, "group", "orders", 1).await;
        (committed.ok()? == [Some(offset)]).then_some(())
    })
    .await
}

pub async fn a_broker_that_comes_later_is_used(_: Arc<Fixture>) -> Result<()> {
    let mut kafka = Kafka::start().await?;
    admin::create_topic(&kafka.address, "orders", 1, &[]).await?;
    kafka.down().await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let socket = place.socket("rdkafka");

    let without = properties(&kafka.address, "group", &[]);
    let refused = Player::start(&socket, without).await.err();
    let refused = refused
        .ok_or("Init succeeded on a dead connection")?
        .to_string();
    let named = format!("RDK-TCP-01 {}: ", kafka.address);
    ensure!(refused.contains(&named), "{named} is not in {refused}");

    let anyway = properties(&kafka.address, "group", &[("startWithoutBrokers", "true")]);
    let mut player = Player::start(&socket, anyway).await?;
    let mut pull = player.pull("orders").await?;
    kafka.up().await?;
    let told = "a broker answers now";
    component
        .process
        .line(told, COMEBACK, |line| line.contains(told))
        .await?;
    player.publish("orders", "a", "at last").await?;
    let texts = pull.take(1, COMEBACK).await?;
    ensure!(texts == ["at last"], "{texts:?}");
    kafka.stop().await
}

pub async fn a_missing_topic_is_read_from_its_first_message(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("later");
    let place = Place::new()?;
    let mut component = place.component().await?;
    let newest = properties(
        kafka,
        &fixture.name("group"),
        &[("initialOffset", "newest")],
    );
    let mut player = Player::start(&place.socket("rdkafka"), newest).await?;
    let mut pull = player.pull(&topic).await?;
    let subscribed = format!("subscribed to [\"{topic}\"]");
    component
        .process
        .line(&subscribed, SOON, |line| line.contains(&subscribed))
        .await?;

    admin::create_topic(kafka, &topic, 3, &[]).await?;
    player.publish(&topic, "a", "first").await?;
    let texts = pull.take(1, APPEARS).await?;
    ensure!(texts == ["first"], "{texts:?}");
    Ok(())
}
