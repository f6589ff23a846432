//! A topic that is deleted and created again is another topic of the same name.

use std::{sync::Arc, time::Duration};

use harness::{Kafka, Result};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        endpoints::at_least,
        player::{Player, properties},
    },
};

/// How soon a broker's comeback is noticed at the latest.
const COMEBACK: Duration = Duration::from_secs(60);

const TOPIC: &str = "again";
const MADE_ANEW: &str = "clients_made_anew_total{component=\"todo-pubsub\",client=\"consumer\"}";

/// Its leader epoch begins anew, below the one that librdkafka knows.
pub async fn a_topic_that_is_made_again_after_a_leader_change_goes_on_at_its_start(
    _: Arc<Fixture>,
) -> Result<()> {
    let mut kafka = Kafka::start().await?;
    admin::create_topic(&kafka.address, TOPIC, 1, &[]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    // What is published before the group reads again must come all the same.
    let newest = properties(&kafka.address, "group", &[("initialOffset", "newest")]);
    let mut player = Player::start(&place.socket("rdkafka"), newest).await?;
    let mut pull = player.pull(TOPIC).await?;
    let admin = component.admin().await?;
    at_least(&admin, &assigned(), 1.0).await?;
    for n in 0..2 {
        player.publish(TOPIC, "a", &format!("old {n}")).await?;
    }
    pull.take(2, SOON).await?;
    // What is not committed yet may come twice; so it is, before the crash.
    admin::all_committed(&kafka.address, "group", TOPIC, 1, 2).await?;

    // A broker that comes back leads in a new epoch.
    kafka.down().await?;
    kafka.up().await?;
    admin::produce(&kafka.address, TOPIC, "old 2").await?;
    let texts = pull.take(1, COMEBACK).await?;
    ensure!(texts == ["old 2"], "{texts:?}");

    admin::make_again(&kafka.address, TOPIC, 1).await?;
    for n in 0..5 {
        admin::produce(&kafka.address, TOPIC, &format!("new {n}")).await?;
    }
    let texts = pull.take(5, SOON).await;
    let texts = texts.map_err(|error| component.process.failed(&error.to_string()))?;
    let wanted: Vec<_> = (0..5).map(|n| format!("new {n}")).collect();
    ensure!(texts == wanted, "{texts:?}");
    at_least(&admin, MADE_ANEW, 1.0).await?;
    admin::all_committed(&kafka.address, "group", TOPIC, 1, 5).await?;
    kafka.stop().await
}

fn assigned() -> String {
    format!("assigned_partitions{{component=\"todo-pubsub\",topic=\"{TOPIC}\",group=\"group\"}}")
}
