use std::{collections::BTreeSet, sync::Arc};

use dapr_rdkafka::kafka::EmbeddedBroker;
use harness::{Result, eventually};

use super::Bench;
use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        player::{Player, Pull, properties, text},
    },
};

/// What daprd says when nobody listens on the app's port.
const REFUSED: &str = "error returned from app channel while sending pub/sub event to app: retriable \
    error occurred: Post \"http://127.0.0.1:8080/orders\": dial tcp 127.0.0.1:8080: connect: \
    connection refused";

/// Before the app has answered, a stream gets two records at the most.
async fn answers_quickly(player: &mut Player, pull: &mut Pull) -> Result<()> {
    player.publish("orders", "first", "first").await?;
    pull.take(1, SOON).await?;
    Ok(())
}

pub async fn keys_run_concurrently_and_equal_keys_in_order(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    answers_quickly(&mut player, &mut pull).await?;
    for round in 0..2 {
        for key in ["a", "b", "c", "d"] {
            player
                .publish("orders", key, &format!("{key}{round}"))
                .await?;
        }
    }
    // Nothing was answered: only the first of each key may come.
    let mut first = Vec::new();
    for _ in 0..4 {
        first.push(pull.next(SOON).await?);
    }
    let texts: BTreeSet<_> = first.iter().map(text).collect();
    let expected = ["a0", "b0", "c0", "d0"].map(String::from);
    ensure!(texts == BTreeSet::from(expected), "{texts:?}");

    for message in &first {
        pull.ack(message).await?;
        let next = pull.next(SOON).await?;
        let key = text(message).replace('0', "1");
        ensure!(
            text(&next) == key,
            "after {} came {}",
            text(message),
            text(&next)
        );
        pull.ack(&next).await?;
    }
    Ok(())
}

pub async fn a_refused_record_comes_again_and_the_others_of_its_key_wait(
    _: Arc<Fixture>,
) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    for (key, data) in [("a", "a0"), ("a", "a1"), ("b", "b0")] {
        player.publish("orders", key, data).await?;
    }
    let mut seen = Vec::new();
    let mut refused = false;
    while seen.len() < 4 {
        let message = pull.next(SOON).await?;
        if text(&message) == "a0" && !refused {
            refused = true;
            pull.nack(&message, "the app is not in the mood").await?;
        } else {
            pull.ack(&message).await?;
        }
        seen.push(text(&message));
    }
    let of_key_a: Vec<_> = seen.iter().filter(|text| text.starts_with('a')).collect();
    ensure!(of_key_a == ["a0", "a0", "a1"], "{seen:?}");
    ensure!(
        seen.iter().position(|text| text == "b0") < Some(3),
        "b waited: {seen:?}"
    );
    let reason = "the app is not in the mood";
    let process = &mut bench.component.process;
    process
        .line(reason, SOON, |line| line.contains(reason))
        .await?;
    Ok(())
}

pub async fn no_verdict_is_delivered_again_soon(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    player.publish("orders", "a", "a0").await?;
    let message = pull.next(SOON).await?;
    pull.nack(&message, "subscription is closed").await?;
    let again = pull.next(SOON).await?;
    ensure!(text(&again) == "a0" && again.id != message.id, "{again:?}");
    let log = bench.component.process.output();
    ensure!(
        !log.contains("was refused"),
        "it was taken for a verdict: {log}"
    );
    pull.ack(&again).await
}

/// daprd acknowledges one of two calls that were refused (docs/daprd-acks.md).
pub async fn an_app_that_is_gone_is_tried_and_an_untrue_ack_is_not_believed(
    _: Arc<Fixture>,
) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    answers_quickly(&mut player, &mut pull).await?;
    for key in ["a", "b", "c"] {
        player.publish("orders", key, key).await?;
    }
    let [a, b, c] = [
        pull.next(SOON).await?,
        pull.next(SOON).await?,
        pull.next(SOON).await?,
    ];
    pull.nack(&a, REFUSED).await?;
    pull.ack(&b).await?;
    pull.nack(&c, REFUSED).await?;
    // One of the three at a time, until one was taken.
    let probe = pull.next(SOON).await?;
    pull.nack(&probe, REFUSED).await?;
    let probe = pull.next(SOON).await?;
    pull.ack(&probe).await?;
    let mut texts = vec![text(&probe)];
    texts.extend(pull.take(2, SOON).await?);
    texts.sort();
    ensure!(texts == ["a", "b", "c"], "{texts:?}");
    let process = &mut bench.component.process;
    for said in [
        "the app can't be reached",
        "daprd acknowledged them just before a call",
        "answers again",
    ] {
        process.line(said, SOON, |line| line.contains(said)).await?;
    }
    Ok(())
}

pub async fn what_a_cut_stream_had_comes_again_on_another(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut first = player.pull("orders").await?;
    player.publish("orders", "a", "a0").await?;
    let unanswered = first.next(SOON).await?;
    drop(first);
    let mut second = player.pull("orders").await?;
    let again = second.next(SOON).await?;
    ensure!(text(&again) == text(&unanswered), "{again:?}");
    second.ack(&again).await
}

pub async fn paused_nothing_is_delivered(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    player.publish("orders", "a", "before").await?;
    pull.take(1, SOON).await?;
    player.pause().await?;
    player.publish("orders", "a", "while paused").await?;
    // Far longer than a delivery takes, as the other tests see.
    let nothing = pull.next(std::time::Duration::from_secs(2)).await;
    ensure!(nothing.is_err(), "delivered while paused: {nothing:?}");
    player.resume().await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["while paused"], "{texts:?}");
    Ok(())
}

/// Not the first one only: how a commit ended must be learned for the next to go.
pub async fn every_commit_reaches_the_broker(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let brokers = bench.broker.address()?;
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    for round in 1..=3 {
        player.publish("orders", "a", "x").await?;
        pull.take(1, SOON).await?;
        eventually(&format!("commit {round}"), SOON, || async {
            let committed = admin::committed(&brokers, "group", "orders", 3)
                .await
                .ok()?;
            committed.contains(&Some(round)).then_some(())
        })
        .await?;
    }
    Ok(())
}

/// As `kafka.sock` one record of a partition is delivered at a time: one of another
/// key does not overtake a refused one.
pub async fn in_the_built_ins_place_a_refused_record_holds_its_partition(
    _: Arc<Fixture>,
) -> Result<()> {
    let broker = EmbeddedBroker::start(["orders"])?;
    let place = Place::new()?;
    let _component = place.component_with(&["kafka"], &[]).await?;
    let address = broker.address()?;
    for (ordering, expected) in [(None, ["a", "a", "b"]), (Some("key"), ["a", "b", "a"])] {
        let given = ordering.map(|ordering| ("ordering", ordering));
        let retry = [("backOffDuration", "500ms")];
        let more: Vec<_> = retry.into_iter().chain(given).collect();
        let group = ordering.unwrap_or("default");
        let properties = properties(&address, group, &more);
        let mut player = Player::start(&place.socket("kafka"), properties).await?;
        if ordering.is_none() {
            for key in ["a", "b"] {
                let pairs = [("partitionKey", key), ("partitionNumber", "0")];
                let metadata = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
                let data = key.as_bytes().to_vec();
                player.publish_bytes("orders", data, metadata).await?;
            }
        }
        let mut pull = player.pull("orders").await?;
        let first = pull.next(SOON).await?;
        pull.nack(&first, "not yet").await?;
        let mut texts = vec![text(&first)];
        texts.extend(pull.take(2, SOON).await?);
        ensure!(texts == expected, "ordering {ordering:?}: {texts:?}");
    }
    Ok(())
}
