use std::{sync::Arc, time::Duration};

use harness::{Result, eventually};

use super::Bench;
use crate::{
    ensure,
    support::{Fixture, SOON, player::Player},
};

/// How soon after its creation a topic's first message must come.
const APPEARS: Duration = Duration::from_secs(3);

pub async fn a_missing_topic_is_read_from_its_first_message(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let newest = bench.properties(&[("initialOffset", "newest")])?;
    let mut player = Player::start(&bench.place.socket("rdkafka"), newest).await?;
    let mut pull = player.pull("later").await?;
    let subscribed = "subscribed to [\"later\"]";
    let process = &bench.component.process;
    eventually(subscribed, SOON, || async {
        process.output().contains(subscribed).then_some(())
    })
    .await?;

    bench.broker.create_topic("later")?;
    player.publish("later", "a", "first").await?;
    let texts = pull.take(1, APPEARS).await?;
    ensure!(texts == ["first"], "{texts:?}");
    Ok(())
}

pub async fn topics_that_come_together_join_once(_: Arc<Fixture>) -> Result<()> {
    let topics = ["a", "b", "c", "d", "e", "f"];
    let bench = Bench::start(&topics).await?;
    let mut player = bench.player().await?;
    let mut pulls = Vec::new();
    for topic in topics {
        player.publish(topic, "k", topic).await?;
        pulls.push(player.pull(topic).await?);
    }
    for (pull, topic) in pulls.iter_mut().zip(topics) {
        let texts = pull.take(1, SOON).await?;
        ensure!(texts == [topic], "{texts:?}");
    }
    let log = bench.component.process.output();
    let joined = log
        .lines()
        .filter(|line| line.contains("assigned 18 partitions"))
        .count();
    let rebalances = log
        .lines()
        .filter(|line| line.contains("assigned "))
        .count();
    ensure!(
        (joined, rebalances) == (1, 1),
        "one rebalance for all: {log}"
    );
    Ok(())
}
