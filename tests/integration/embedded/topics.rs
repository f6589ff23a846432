use std::sync::Arc;

use harness::Result;

use super::Bench;
use crate::{
    ensure,
    support::{Fixture, SOON},
};

pub async fn topics_that_come_together_join_once(_: Arc<Fixture>) -> Result<()> {
    let topics = ["a", "b", "c", "d", "e", "f"];
    let mut bench = Bench::start(&topics).await?;
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
    let joined = "assigned 18 partitions";
    let process = &mut bench.component.process;
    process
        .line(joined, SOON, |line| line.contains(joined))
        .await?;
    let log = process.output();
    let rebalances = log.lines().filter(|line| line.contains("assigned "));
    ensure!(rebalances.count() == 1, "one rebalance for all: {log}");
    Ok(())
}
