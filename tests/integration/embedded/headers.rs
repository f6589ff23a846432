use std::sync::Arc;

use dapr_rdkafka::dapr::proto::PullMessagesResponse;
use harness::Result;

use super::Bench;
use crate::{
    ensure,
    support::{
        Fixture, SOON,
        endpoints::at_least,
        player::text,
        records::{self, Plain},
    },
};

/// A header of a message that the app would get.
fn header<'a>(message: &'a PullMessagesResponse, name: &str) -> Option<&'a str> {
    message.metadata.get(name).map(String::as_str)
}

pub async fn odd_records_leave_the_stream_alive(_: Arc<Fixture>) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let numbered = |record: Plain, n: usize| record.with(&format!("h{n}"), "v");
    let many = (0..10_000).fold(Plain::new("many", "many"), numbered);
    let mut tombstone = Plain::new("tombstone", "");
    tombstone.value = None;
    let odd = [
        Plain::new(b"\xff\0".to_vec(), "key"),
        Plain::new("value", "value").with("bytes", b"\xff".to_vec()),
        Plain::new("name", "name")
            .with("odd name", "x")
            .with("", "x"),
        many,
        tombstone,
        Plain::new("empty", ""),
        Plain::new("large", "x".repeat(900_000)),
        Plain::new("last", "last").with("fine", "x"),
    ];
    let broker = bench.broker.address()?;
    records::write_to(&broker, "orders", Some(0), &odd).await?;

    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    let mut got = Vec::new();
    for _ in &odd {
        let message = pull.next(SOON).await?;
        pull.ack(&message).await?;
        got.push(message);
    }
    got.sort_by_key(|message| message.metadata["__offset"].parse::<i64>().ok());
    let [key, value, name, many, tombstone, empty, large, last] = &got[..] else {
        return Err(format!("{} messages", got.len()).into());
    };
    ensure!(header(key, "__key.base64") == Some("/wA="), "{key:?}");
    ensure!(header(key, "__key").is_none(), "{key:?}");
    ensure!(header(value, "bytes").is_none(), "{value:?}");
    ensure!(name.metadata.len() == 5, "{name:?}");
    ensure!(many.metadata.len() == 1005, "{} pairs", many.metadata.len());
    ensure!(header(many, "h999").is_some(), "the first ones stay");
    ensure!(text(tombstone) == "null", "{tombstone:?}");
    ensure!(text(empty).is_empty(), "{empty:?}");
    ensure!(large.data.len() == 900_000, "{} bytes", large.data.len());
    ensure!(header(last, "fine") == Some("x"), "{last:?}");

    let left_out = 1 + 2 + 9000;
    let told = "without 1 of its headers, the first is \"bytes\"";
    let process = &mut bench.component.process;
    process.line(told, SOON, |line| line.contains(told)).await?;
    let series =
        "headers_left_out_total{component=\"todo-pubsub\",topic=\"orders\",group=\"group\"}";
    let admin = bench.component.admin().await?;
    at_least(&admin, series, f64::from(left_out)).await?;
    Ok(())
}

/// It would end daprd 1.16.5.
pub async fn the_trace_of_a_null_stays_here(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut tombstone = Plain::new("k", "").with("traceid", "t").with("fine", "x");
    tombstone.value = None;
    let broker = bench.broker.address()?;
    records::write(&broker, "orders", &[tombstone]).await?;
    let mut pull = player.pull("orders").await?;
    let message = pull.next(SOON).await?;
    ensure!(header(&message, "traceid").is_none(), "{message:?}");
    ensure!(header(&message, "fine") == Some("x"), "{message:?}");
    drop(pull);
    // Read raw, it is no null for daprd.
    let mut pull = player
        .pull_with("orders", &[("rawPayload", "true")])
        .await?;
    let message = pull.next(SOON).await?;
    ensure!(header(&message, "traceid") == Some("t"), "{message:?}");
    Ok(())
}
