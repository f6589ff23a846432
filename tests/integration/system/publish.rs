use std::sync::Arc;

use harness::{Component, Daprd, Result};
use serde_json::{Value, json};

use crate::{
    ensure,
    support::{Fixture, Place, admin, app::App},
};

/// A daprd with the component, a topic of its own and an app subscribed to it.
struct Bench {
    topic: String,
    app: App,
    daprd: Daprd,
    component: Component,
    _place: Place,
}

impl Bench {
    async fn start(fixture: &Fixture, raw: bool, metadata: &[(&str, &str)]) -> Result<Self> {
        let kafka = fixture.kafka().await?;
        let topic = fixture.name("publish");
        admin::create_topic(kafka, &topic, 3, &[("max.message.bytes", "8388608")]).await?;
        let place = Place::with_component(kafka, metadata)?;
        let component = place.component().await?;
        let app = if raw {
            App::start_raw(&topic).await?
        } else {
            App::start(&topic).await?
        };
        let daprd = place
            .daprd(fixture.daprd, &fixture.name("app"), Some(app.port))
            .await?;
        Ok(Self {
            topic,
            app,
            daprd,
            component,
            _place: place,
        })
    }

    async fn bulk(&self, entries: &[Value]) -> Result<(u16, String)> {
        let path = format!("-alpha1/publish/bulk/todo-pubsub/{}", self.topic);
        let body = Value::from(entries.to_vec()).to_string();
        self.daprd.post(&path, "application/json", body).await
    }
}

fn entry(id: &str, event: &Value) -> Value {
    json!({ "entryId": id, "event": event, "contentType": "application/json" })
}

pub async fn cloud_events_raw_payloads_and_bulks_arrive(fixture: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&fixture, false, &[]).await?;
    let query = "metadata.partitionKey=k1";
    bench
        .daprd
        .publish("todo-pubsub", &bench.topic, query, &json!({ "n": 1 }))
        .await?;
    let events = bench.app.events(1).await?;
    let [event] = &events[..] else {
        return Err(format!("one event was published: {events:?}").into());
    };
    ensure!(event.topic == bench.topic, "{event:?}");
    ensure!(event.body["data"] == json!({ "n": 1 }), "{event:?}");
    ensure!(
        event.body["specversion"] == "1.0",
        "a CloudEvent: {event:?}"
    );
    let key = event
        .headers
        .get("metadata.__key")
        .or_else(|| event.headers.get("__key"));
    ensure!(
        key.is_some_and(|key| key == "k1"),
        "the key reached the app: {event:?}"
    );

    let entries: Vec<_> = (0..10)
        .map(|n| entry(&format!("e{n}"), &json!({ "n": n })))
        .collect();
    let (status, answer) = bench.bulk(&entries).await?;
    ensure!(status == 204, "{status} {answer}");
    let events = bench.app.events(11).await?;
    ensure!(events.len() == 11, "each came once: {events:?}");

    let raw = Bench::start(&fixture, true, &[]).await?;
    let query = "metadata.rawPayload=true";
    raw.daprd
        .publish("todo-pubsub", &raw.topic, query, &json!({ "raw": true }))
        .await?;
    let events = raw.app.events(1).await?;
    // daprd wraps what it reads raw, as base64.
    let data = events[0].body["data_base64"].as_str().unwrap_or_default();
    ensure!(data == "eyJyYXciOnRydWV9", "{events:?}");
    Ok(())
}

/// What is known before the first entry is sent keeps all of them back, so that an app that
/// publishes the bulk again doubles none.
pub async fn a_bulk_with_an_oversized_entry_publishes_nothing(fixture: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&fixture, false, &[]).await?;
    let entries = [
        entry("small", &json!("fits")),
        entry("huge", &json!("x".repeat(2 << 20))),
    ];
    let (status, answer) = bench.bulk(&entries).await?;
    ensure!(status >= 400, "the app was told success: {status} {answer}");
    for part in ["nothing was published", "huge", "too large"] {
        ensure!(answer.contains(part), "{part} is not in {status} {answer}");
    }
    bench
        .daprd
        .publish("todo-pubsub", &bench.topic, "", &json!("after"))
        .await?;
    let events = bench.app.events(1).await?;
    ensure!(events[0].body["data"] == "after", "{events:?}");
    Ok(())
}

pub async fn large_requests_are_taken(fixture: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&fixture, false, &[("maxMessageBytes", "6291456")]).await?;
    let hundred: Vec<_> = (0..100)
        .map(|n| entry(&n.to_string(), &json!("y".repeat(100_000))))
        .collect();
    let (status, answer) = bench.bulk(&hundred).await?;
    ensure!(status == 204, "100 entries of 100 kB: {status} {answer}");
    bench.app.events(100).await?;

    // daprd can't receive it back (4 MiB): it must hold up only its own key, say
    // so, and leave the stream alive.
    let five_mebibytes = json!("x".repeat(5 << 20));
    let key = "metadata.partitionKey=large";
    bench
        .daprd
        .publish("todo-pubsub", &bench.topic, key, &five_mebibytes)
        .await?;
    let mut process = bench.component.process;
    process
        .line("why it is held", crate::support::SOON, |line| {
            line.contains("too large for daprd")
        })
        .await?;
    bench
        .daprd
        .publish("todo-pubsub", &bench.topic, "", &json!("after"))
        .await?;
    let events = bench.app.events(101).await?;
    ensure!(events[100].body["data"] == "after", "{:?}", events[100]);
    Ok(())
}
