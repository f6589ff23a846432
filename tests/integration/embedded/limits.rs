//! Who goes over a limit is told so, and nobody else notices.

use std::{collections::HashMap, sync::Arc, time::Duration};

use dapr_rdkafka::dapr::proto::{PingRequest, pub_sub_client::PubSubClient};
use harness::Result;
use tokio::{net::UnixStream, task::JoinSet};
use tonic::{Code, Request, Status};

use super::Bench;
use crate::{
    ensure,
    support::{
        Fixture, Place, SOON,
        player::{Player, dial, properties},
    },
};

/// What was refused, with the parts that the error must have.
fn refused<T>(result: Result<T, Status>, code: Code, parts: &[&str]) -> Result<()> {
    let Err(status) = result else {
        return Err(format!("taken, although over a limit: {parts:?}").into());
    };
    ensure!(status.code() == code, "{status}");
    for part in parts {
        ensure!(
            status.message().contains(part),
            "{part} is not in: {status}"
        );
    }
    Ok(())
}

fn pairs(count: usize) -> HashMap<String, String> {
    let pairs = (0..count).map(|number| (format!("h{number}"), String::from("v")));
    pairs.collect()
}

pub async fn what_is_over_a_limit_is_refused_by_name(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;

    let many = properties("a:1", "group", &[])
        .into_iter()
        .chain(pairs(1024));
    let init = player.init(many.collect()).await;
    refused(
        init,
        Code::InvalidArgument,
        &["1028 metadata pairs", "limit is 1024"],
    )?;

    let sent = player
        .publish_bytes("orders", b"x".to_vec(), pairs(16 * 1024 + 1))
        .await;
    refused(
        sent,
        Code::InvalidArgument,
        &["16385 metadata pairs", "limit is 16384"],
    )?;
    let large = HashMap::from([("h".to_owned(), "v".repeat(4 << 20))]);
    let sent = player.publish_bytes("orders", b"x".to_vec(), large).await;
    refused(
        sent,
        Code::InvalidArgument,
        &["4194305 bytes", "limit is 4194304"],
    )?;

    let entries: Vec<_> = (0..=64 * 1024)
        .map(|n: u32| (n.to_string(), Vec::new()))
        .collect();
    let sent = player.bulk("orders", &entries).await;
    refused(
        sent,
        Code::InvalidArgument,
        &["65537 entries", "limit is 65536"],
    )?;

    let long = format!("orders#{}", "1".repeat(500));
    let opened = player.pull(&long).await.map(drop);
    refused(opened, Code::InvalidArgument, &["507 bytes", "is 498"])?;

    // A message of ten thousand headers is within them.
    player
        .publish_bytes("orders", b"many".to_vec(), pairs(10_000))
        .await?;
    let texts = player.pull("orders").await?.take(1, SOON).await?;
    ensure!(texts == ["many"], "{texts:?}");
    Ok(())
}

pub async fn a_request_over_the_limit_fails_alone(_: Arc<Fixture>) -> Result<()> {
    let broker = dapr_rdkafka::kafka::EmbeddedBroker::start(["orders"])?;
    let place = Place::new()?;
    let one = ["--max-request-mib", "1"];
    let _component = place.component_with(&["rdkafka"], &one).await?;
    let properties = properties(&broker.address()?, "group", &[]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let large = "x".repeat(1 << 20);
    let sent = player.publish("orders", "a", &large).await;
    refused(
        sent,
        Code::OutOfRange,
        &["message length too large", "1048576 bytes"],
    )?;
    player.publish("orders", "a", &large[..1 << 19]).await?;

    let mut client = PubSubClient::new(dial(&place.socket("rdkafka")).await?);
    let mut ping = Request::new(PingRequest {});
    let header = "x".repeat(32 * 1024).parse()?;
    ping.metadata_mut().insert("x-large", header);
    ensure!(
        client.ping(ping).await.is_err(),
        "32 KiB of headers were taken"
    );
    client.ping(PingRequest {}).await?;
    Ok(())
}

pub async fn an_instance_has_so_many_streams(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut open = Vec::new();
    for lane in 0..896 {
        open.push(player.pull(&format!("orders#{lane}")).await?);
    }
    let one_more = player.pull("orders#more").await.map(drop);
    refused(one_more, Code::ResourceExhausted, &["896 streams", "limit"])?;
    player.publish("orders", "a", "x").await?;
    Ok(())
}

/// An app that ends with its publishes under way gives all of them up at once. What the
/// component finds then, having had no processor for a while, is no attack.
pub async fn calls_that_are_given_up_together_break_no_stream(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut stream = player.pull("orders").await?;
    let process = &bench.component.process;
    process.signal("STOP").await?;
    let mut calls = JoinSet::new();
    for _ in 0..800 {
        let mut player = player.clone();
        calls.spawn(async move { player.publish("orders", "a", "x").await });
    }
    // Nobody tells when they are written. If they are not, there is less to give up.
    let answered = tokio::time::timeout(Duration::from_secs(1), calls.join_next()).await;
    ensure!(
        answered.is_err(),
        "a stopped process answered: {answered:?}"
    );
    calls.shutdown().await;
    process.signal("CONT").await?;
    player.publish("orders", "b", "last").await?;
    while stream.take(1, SOON).await? != ["last"] {}
    Ok(())
}

/// Others have taken all files that the process may have.
pub async fn a_socket_survives_a_process_without_files(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let mut process = place.component_after("ulimit -n 64").await?;
    let socket = place.socket("rdkafka");
    let mut taken = Vec::new();
    for _ in 0..100 {
        taken.push(UnixStream::connect(&socket).await?);
    }
    let told = "a connection was not taken";
    process.line(told, SOON, |line| line.contains(told)).await?;
    drop(taken);
    PubSubClient::new(dial(&socket).await?)
        .ping(PingRequest {})
        .await?;
    Ok(())
}
