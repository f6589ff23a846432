use std::sync::Arc;

use harness::Result;

use super::Bench;
use crate::{
    ensure,
    support::{Fixture, SOON},
};

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
