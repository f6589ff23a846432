use std::{sync::Arc, time::Duration};

use harness::{Kafka, Result};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        player::{Player, properties, text},
    },
};

/// How long the broker is away: longer than sessions, timeouts and the time after
/// which something that does not progress is looked into.
const OUTAGE: Duration = Duration::from_secs(60);

/// Nothing is made anew for a broker that is merely away, and everything goes on
/// once it is back: librdkafka recovers from that by itself.
pub async fn a_minute_without_a_broker_heals_by_itself(_: Arc<Fixture>) -> Result<()> {
    let mut kafka = Kafka::start().await?;
    admin::create_topic(&kafka.address, "outage", 1, &[]).await?;
    let place = Place::new()?;
    let component = place.component().await?;
    let quick = [("publishTimeout", "2s"), ("stallTimeout", "10s")];
    let properties = properties(&kafka.address, "group", &quick);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let mut pull = player.pull("outage").await?;
    player.publish_at_last("outage", "a", "before").await?;
    ensure!(pull.take(1, SOON).await? == ["before"], "it works");

    kafka.down().await?;
    let back = tokio::time::Instant::now() + OUTAGE;
    while tokio::time::Instant::now() < back {
        let failed = player.publish("outage", "a", "away").await.err();
        let failed = failed.ok_or("published to a broker that is away")?;
        ensure!(failed.message().contains("outage"), "{failed}");
    }
    kafka.up().await?;
    player.publish_at_last("outage", "a", "after").await?;
    // What was published in vain may have arrived after all.
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "after") {
        let message = pull.next(SOON).await?;
        pull.ack(&message).await?;
        seen.push(text(&message));
    }
    let output = component.process.output();
    ensure!(!output.contains("made anew"), "{output}");
    kafka.stop().await
}
