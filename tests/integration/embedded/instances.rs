use std::sync::Arc;

use harness::Result;
use serde_json::Value;
use tonic::Code;

use super::Bench;
use crate::{
    ensure,
    support::{Fixture, SOON, endpoints::readyz_says, player::Player},
};

pub async fn a_call_without_init_says_so(_: Arc<Fixture>) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let mut player = Player::connect(&bench.place.socket("rdkafka"), "todo-pubsub").await?;
    let Err(status) = player.publish("orders", "a", "x").await else {
        return Err("published through an instance that does not exist".into());
    };
    ensure!(status.code() == Code::FailedPrecondition, "{status}");
    for part in [
        "\"todo-pubsub\" (pubsub.rdkafka)",
        "never initialised",
        "restart daprd",
    ] {
        ensure!(
            status.message().contains(part),
            "{part} is not in: {status}"
        );
    }
    let told = "never initialised";
    let process = &mut bench.component.process;
    process.line(told, SOON, |line| line.contains(told)).await?;
    Ok(())
}

/// gRPC drops idle connections and dials again, without Init.
pub async fn an_instance_outlives_its_connections(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    drop(bench.player().await?);
    let socket = bench.place.socket("rdkafka");
    let mut redialled = Player::connect(&socket, "todo-pubsub").await?;
    redialled.publish("orders", "a", "x").await?;
    let mut pull = redialled.pull("orders").await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["x"], "{texts:?}");
    Ok(())
}

pub async fn a_second_init_replaces_the_first(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut old = player.pull("orders").await?;
    player.publish("orders", "a", "first").await?;
    old.take(1, SOON).await?;

    player
        .init(bench.properties(&[("clientID", "second")])?)
        .await?;
    old.ended(SOON).await?;
    let mut new = player.pull("orders").await?;
    player.publish("orders", "a", "second").await?;
    let texts = new.take(1, SOON).await?;
    ensure!(texts == ["second"], "the same group goes on: {texts:?}");
    Ok(())
}

/// What the app works on when the second Init comes is answered, committed, and
/// not given to it again.
pub async fn a_second_init_lets_the_first_finish(_: Arc<Fixture>) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut old = player.pull("orders").await?;
    player.publish("orders", "a", "first").await?;
    let first = old.next(SOON).await?;

    let again = bench.properties(&[("clientID", "second")])?;
    let mut initialising = player.clone();
    let init = tokio::spawn(async move { initialising.init(again).await });
    let told = "the instance before is ended";
    let process = &mut bench.component.process;
    process.line(told, SOON, |line| line.contains(told)).await?;
    old.ack(&first).await?;
    init.await??;
    old.ended(SOON).await?;

    player.publish("orders", "a", "second").await?;
    let mut pull = player.pull("orders").await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["second"], "{texts:?}");
    Ok(())
}

/// daprd takes the component for failed; what it was given before may be a
/// password that was withdrawn.
pub async fn a_second_init_that_fails_leaves_nothing_behind(_: Arc<Fixture>) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut old = player.pull("orders").await?;
    let wrong = bench.properties(&[("ordering", "backwards")])?;
    let Err(status) = player.init(wrong).await else {
        return Err("an ordering that can't be is taken".into());
    };
    ensure!(status.code() == Code::InvalidArgument, "{status}");
    old.ended(SOON).await?;
    let told = "has no instance any more";
    let process = &mut bench.component.process;
    process.line(told, SOON, |line| line.contains(told)).await?;
    let Err(status) = player.publish("orders", "a", "x").await else {
        return Err("published through an instance that was ended".into());
    };
    let told = status.message();
    ensure!(
        status.code() == Code::FailedPrecondition && told.contains("its last Init failed"),
        "{status}"
    );

    let admin = bench.component.admin().await?;
    let holds = |said: &Value| said["reasons"].to_string().contains("ordering");
    readyz_says(&admin, "why it is not ready", |_, said| holds(said)).await?;

    player.init(bench.properties(&[])?).await?;
    readyz_says(&admin, "that it is ready", |_, said| !holds(said)).await?;
    player.publish("orders", "a", "x").await?;
    let mut pull = player.pull("orders").await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["x"], "{texts:?}");
    Ok(())
}

/// An app that works on: daprd would take a late Init for a failed one, so the new
/// instance does not wait for it. What is not answered comes again.
pub async fn a_second_init_does_not_wait_for_a_slow_app(_: Arc<Fixture>) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut old = player.pull("orders").await?;
    player.publish("orders", "a", "slow").await?;
    old.next(SOON).await?;

    let again = bench.properties(&[("clientID", "second")])?;
    player.init(again).await?;
    let told = "is still finishing";
    let process = &mut bench.component.process;
    process.line(told, SOON, |line| line.contains(told)).await?;
    let mut new = player.pull("orders").await?;
    let texts = new.take(1, SOON * 3).await?;
    ensure!(texts == ["slow"], "{texts:?}");
    old.ended(SOON).await?;
    Ok(())
}
