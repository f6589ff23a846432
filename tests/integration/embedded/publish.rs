use std::{collections::HashMap, sync::Arc};

use harness::Result;
use tonic::Code;

use super::Bench;
use crate::{
    ensure,
    support::{
        Fixture, Place, SOON,
        player::{Player, properties, text},
        program, records,
    },
};

fn metadata(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

pub async fn a_message_carries_its_metadata(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let pairs = metadata(&[("partitionKey", "k1"), ("traceid", "t")]);
    player
        .publish_bytes("orders", b"{}".to_vec(), pairs)
        .await?;
    let mut pull = player.pull("orders").await?;
    let message = pull.next(SOON).await?;
    pull.ack(&message).await?;
    ensure!(message.topic_name == "orders", "{message:?}");
    let expected = [
        ("__key", "k1"),
        ("__topic", "orders"),
        ("__offset", "0"),
        ("partitionKey", "k1"),
        ("traceid", "t"),
    ];
    for (name, value) in expected {
        let found = message.metadata.get(name).map(String::as_str);
        ensure!(found == Some(value), "{name} is {found:?}, not {value}");
    }
    for name in ["__partition", "__timestamp"] {
        let number = message
            .metadata
            .get(name)
            .and_then(|value| value.parse::<i64>().ok());
        ensure!(number.is_some(), "{name} is no number: {message:?}");
    }
    Ok(())
}

pub async fn a_partition_number_is_honoured(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    for number in ["0", "1", "2"] {
        let named = metadata(&[("partitionNumber", number), ("partitionKey", "k")]);
        let data = number.as_bytes().to_vec();
        player.publish_bytes("orders", data, named).await?;
    }
    let mut pull = player.pull("orders").await?;
    for _ in 0..3 {
        let message = pull.next(SOON).await?;
        pull.ack(&message).await?;
        ensure!(
            message.metadata["__partition"] == text(&message),
            "{message:?}"
        );
        ensure!(
            message.metadata["partitionNumber"] == text(&message),
            "{message:?}"
        );
    }
    for (number, code, told) in [
        ("99", Code::NotFound, "no partition 99"),
        ("-1", Code::InvalidArgument, "partitionNumber \"-1\""),
    ] {
        let named = metadata(&[("partitionNumber", number)]);
        let published = player.publish_bytes("orders", b"x".to_vec(), named).await;
        let named = matches!(&published, Err(status)
            if status.code() == code && status.message().contains(told));
        ensure!(named, "{number}: {published:?}");
    }
    Ok(())
}

pub async fn a_schema_is_refused_by_name(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let avro = [("valueSchemaType", "Avro")];
    let published = player.publish_bytes("orders", b"{}".to_vec(), metadata(&avro));
    let published = published.await;
    let subscribed = player.pull_with("orders", &avro).await.map(drop);
    for result in [published, subscribed] {
        let named = matches!(&result, Err(status) if status.code() == Code::Unimplemented
            && status.message().contains("valueSchemaType \"Avro\""));
        ensure!(named, "{result:?}");
    }
    let none = [("valueSchemaType", "None")];
    let as_it_is = player.publish_bytes("orders", b"{}".to_vec(), metadata(&none));
    as_it_is.await?;
    let mut pull = player.pull_with("orders", &none).await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["{}"], "{texts:?}");
    Ok(())
}

/// The app relies on the message not being read if its delivery fails, so nothing of it may
/// reach the topic.
pub async fn a_publish_in_a_transaction_is_refused_by_name(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let token = [("__txnToken", "5f0c")];
    let single = player.publish_bytes("orders", b"single".to_vec(), metadata(&token));
    let single = single.await;
    let entries = [("one".to_owned(), b"bulk".to_vec())];
    let bulk = player.bulk_with("orders", &entries, metadata(&token)).await;
    for result in [single, bulk] {
        let named = matches!(&result, Err(status) if status.code() == Code::InvalidArgument
            && status.message().contains("leave __txnToken out"));
        ensure!(named, "{result:?}");
    }
    player.publish("orders", "k", "without").await?;
    let stored = records::read(&bench.broker.address()?, "orders").await?;
    let values: Vec<_> = stored
        .iter()
        .filter_map(|record| record.value.as_deref())
        .collect();
    ensure!(values == [&b"without"[..]], "{values:?}");
    Ok(())
}

/// `null` is a tombstone on the broker and `null` again for the app; nothing is
/// nothing.
pub async fn a_tombstone_goes_around(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    for data in ["null", ""] {
        player.publish("orders", "k", data).await?;
    }
    let stored = records::read(&bench.broker.address()?, "orders").await?;
    let values: Vec<_> = stored
        .iter()
        .map(|record| record.value.as_deref())
        .collect();
    ensure!(values == [None, Some(&b""[..])], "{values:?}");
    let texts = player.pull("orders").await?.take(2, SOON).await?;
    ensure!(texts == ["null", ""], "{texts:?}");
    Ok(())
}

pub async fn a_bulk_with_an_entry_that_cant_be_publishes_nothing(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let entries = [
        ("small".to_owned(), b"fits".to_vec()),
        ("huge".to_owned(), vec![b'x'; 2 << 20]),
    ];
    let Err(status) = player.bulk("orders", &entries).await else {
        return Err("an oversized entry was taken".into());
    };
    ensure!(status.code() == Code::InvalidArgument, "{status}");
    for part in [
        "nothing was published",
        "1 of 2 entries",
        "[entry huge: ",
        "too large",
        "maxMessageBytes",
    ] {
        ensure!(
            status.message().contains(part),
            "{part} is not in: {status}"
        );
    }
    ensure!(!status.message().contains("entry small"), "{status}");
    player.publish("orders", "k", "after").await?;
    let mut pull = player.pull("orders").await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["after"], "an entry was published: {texts:?}");
    Ok(())
}

pub async fn a_topic_that_cant_be_is_refused_by_name(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player: Player = bench.player().await?;
    let published = player.publish("task created", "a", "x").await;
    let subscribed = player.pull("task created").await.map(drop);
    for (what, result) in [("publish", published), ("subscribe", subscribed)] {
        let named = matches!(&result, Err(status)
            if status.code() == Code::InvalidArgument && status.message().contains("\"task created\""));
        ensure!(named, "{what}: {result:?}");
    }
    for lane in ["orders~1", "orders#1"] {
        let result = player.publish(lane, "a", "x").await;
        let is_named = matches!(&result, Err(status) if status.code() == Code::InvalidArgument
            && status.message().contains(&format!("{lane:?} is a lane of the topic orders,")));
        ensure!(is_named, "{lane}: {result:?}");
    }
    Ok(())
}

/// The broker goes away while the component runs.
pub async fn without_a_broker_publish_ends_in_time_and_says_what_is_known(
    _: Arc<Fixture>,
) -> Result<()> {
    // In a process of its own: children of this one would hold its connections open.
    let broker = harness::EmbeddedBroker::start(program(), &["orders"]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let properties = properties(&broker.address, "group", &[("publishTimeout", "8s")]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    player.publish("orders", "a", "before").await?;
    broker.process.kill().await?;
    let published = tokio::time::timeout(SOON, player.publish("orders", "a", "x")).await?;
    let Err(status) = published else {
        return Err("published without a broker".into());
    };
    ensure!(status.code() == Code::Unavailable, "{status}");
    let parts = [
        "orders",
        "publishTimeout (8s)",
        "refused",
        "may still arrive",
    ];
    for part in parts {
        ensure!(
            status.message().contains(part),
            "{part} is not in: {status}"
        );
    }
    let told = "may still arrive";
    let process = &mut component.process;
    process.line(told, SOON, |line| line.contains(told)).await?;
    Ok(())
}

pub async fn a_broker_that_is_silent_is_named_by_the_failed_publish(_: Arc<Fixture>) -> Result<()> {
    let broker = harness::EmbeddedBroker::start(program(), &["orders"]).await?;
    let place = Place::new()?;
    let _component = place.component().await?;
    let properties = properties(&broker.address, "group", &[("publishTimeout", "8s")]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    player.publish("orders", "a", "before").await?;
    broker.process.signal("STOP").await?;
    let published = tokio::time::timeout(SOON, player.publish("orders", "a", "x")).await?;
    let Err(status) = published else {
        return Err("published by a broker that was stopped".into());
    };
    for part in ["meanwhile: RDK-", &broker.address] {
        ensure!(
            status.message().contains(part),
            "{part} is not in: {status}"
        );
    }
    Ok(())
}
