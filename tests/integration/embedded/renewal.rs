use std::sync::Arc;

use dapr_rdkafka::kafka::Fault;
use harness::{Result, eventually};

use super::Bench;
use crate::{
    ensure,
    support::{Fixture, SOON, endpoints::at_least, player::text},
};

pub async fn a_producer_that_is_refused_idempotent_writes_says_so_and_is_made_anew(
    _: Arc<Fixture>,
) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    bench.broker.fault(Fault::IdempotenceRefused)?;
    let mut player = bench.player().await?;
    let failed = player.publish("orders", "a", "lost").await;
    let failed = failed.err().ok_or("the fault did nothing")?;
    let remedy = "set `idempotence: \"false\"`";
    ensure!(failed.message().contains(remedy), "{failed}");
    eventually("a publish succeeds", SOON, || async {
        let published = player.clone().publish("orders", "a", "after").await;
        published.is_ok().then_some(())
    })
    .await?;
    let admin = bench.component.admin().await?;
    let counted = "clients_made_anew_total{component=\"todo-pubsub\",client=\"producer\"}";
    at_least(&admin, counted, 1.0).await?;
    Ok(())
}

/// The stream to daprd outlives the consumer behind it: daprd would not open
/// another.
pub async fn a_consumer_that_is_broken_for_good_is_made_anew_behind_its_streams(
    _: Arc<Fixture>,
) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    player.publish("orders", "a", "before").await?;
    ensure!(pull.take(1, SOON).await? == ["before"], "it works");
    bench.broker.fault(Fault::MemberFenced)?;
    let admin = bench.component.admin().await?;
    let counted = "clients_made_anew_total{component=\"todo-pubsub\",client=\"consumer\"}";
    at_least(&admin, counted, 1.0).await?;
    player.publish("orders", "a", "after").await?;
    // What was not committed before may come again.
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "after") {
        // The mock lets the successor of a lost member wait for its session.
        let message = pull.next(SOON * 2).await;
        let message =
            message.map_err(|error| bench.component.process.failed(&error.to_string()))?;
        pull.ack(&message).await?;
        seen.push(text(&message));
    }
    Ok(())
}

/// A broker may call an offset out of range that it has, for instance after it lost records and
/// got them back from another.
pub async fn an_offset_that_is_called_out_of_range_and_is_there_brings_nothing_back(
    _: Arc<Fixture>,
) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    for n in 0..10 {
        let published = player.publish("orders", "a", &n.to_string()).await;
        published.map_err(|error| bench.component.process.failed(&error.to_string()))?;
    }
    pull.take(10, SOON).await?;
    bench.broker.fault(Fault::OutOfRange)?;
    let named = "calls offset 10 out of range, but has it";
    let process = &mut bench.component.process;
    process
        .line(named, SOON, |line| line.contains(named))
        .await?;
    let published = player.publish("orders", "a", "after").await;
    published.map_err(|error| bench.component.process.failed(&error.to_string()))?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["after"], "redelivered: {texts:?}");
    Ok(())
}
