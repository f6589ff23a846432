use std::sync::Arc;

use harness::{Result, eventually};

use super::Bench;
use crate::{
    ensure,
    support::{Fixture, SOON},
};

pub async fn publish_is_served_until_daprd_has_gone(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    player.publish("orders", "a", "0").await?;
    let in_flight = pull.next(SOON).await?;
    let socket = bench.place.socket("rdkafka");

    bench.component.process.signal("TERM").await?;
    let draining = "shutting down: draining";
    let process = &bench.component.process;
    eventually(draining, SOON, || async {
        process.output().contains(draining).then_some(())
    })
    .await?;
    // What was delivered may still be answered, and then the stream ends.
    pull.ack(&in_flight).await?;
    pull.ended(SOON).await?;
    player.publish("orders", "a", "1").await?;
    ensure!(socket.exists(), "the socket went before daprd did");

    drop((pull, player));
    let stopped = bench.component.process.wait(SOON).await?;
    ensure!(
        stopped.status.success(),
        "{}: {}",
        stopped.status,
        stopped.output
    );
    ensure!(!socket.exists(), "the socket is left over");
    Ok(())
}

pub async fn what_is_not_answered_in_time_is_told_by_the_exit_code(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    player.publish("orders", "a", "0").await?;
    let _never_answered = pull.next(SOON).await?;
    bench.component.process.signal("TERM").await?;
    pull.ended(SOON).await?;
    drop((pull, player));
    let stopped = bench.component.process.wait(SOON).await?;
    ensure!(
        stopped.status.code() == Some(3),
        "{}: {}",
        stopped.status,
        stopped.output
    );
    let told = "they will be delivered again";
    ensure!(stopped.output.contains(told), "{}", stopped.output);
    Ok(())
}
