//! How fast events are taken.

use std::time::Duration;

use benches::{
    figures::Kind,
    is_left_out,
    kafka::{self, KEYS},
    load::closed,
};
use harness::Result;
use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::{
    World,
    rig::{BUILT_IN, COMPONENT, Rig, Side, add_cpu},
};

const WINDOW: Duration = Duration::from_secs(5);

/// One way to publish.
struct Way {
    scenario: &'static str,
    slug: &'static str,
    callers: usize,
    /// Events a call; 1 is the plain API.
    per_call: usize,
    size: usize,
}

const WAYS: [Way; 3] = [
    Way {
        scenario: "publish, 200 B",
        slug: "small",
        callers: 64,
        per_call: 1,
        size: 200,
    },
    Way {
        scenario: "publish, 10 kB",
        slug: "large",
        callers: 64,
        per_call: 1,
        size: 10_000,
    },
    Way {
        scenario: "bulk publish, 100 of 200 B",
        slug: "bulk",
        callers: 8,
        per_call: 100,
        size: 200,
    },
];

pub async fn all(world: &mut World) -> Result<()> {
    for way in WAYS.iter().filter(|way| !is_left_out(way.scenario)) {
        for side in world.turn(&[BUILT_IN, COMPONENT]) {
            measure(world, way, side).await?;
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "there are some thousands")]
async fn measure(world: &mut World, way: &Way, side: Side) -> Result<()> {
    let topic = world.name(way.slug, side);
    kafka::create(&world.kafka.address, std::slice::from_ref(&topic), 6).await?;
    let rig = Rig::start(world, side, &topic, None).await?;
    let client = Client::new();
    let path = match way.per_call {
        1 => format!("/publish/pubsub/{topic}"),
        _ => format!("-alpha1/publish/bulk/pubsub/{topic}"),
    };
    let url = rig.daprd.url(&path);
    let (per_call, size) = (way.per_call, way.size);
    let call = move |n: usize| {
        let (body, query) = body(n, per_call, size);
        let request = client.post(format!("{url}{query}")).body(body);
        publish(request)
    };
    let mut readings = Vec::new();
    let window = closed(way.callers, WINDOW, call, || {
        readings.push(rig.cpu()?);
        Ok(())
    })
    .await?;
    let events = window.calls * way.per_call;
    let rate = events as f64 / window.taken.as_secs_f64();
    world.add(way.scenario, Kind::rate("messages"), side, rate);
    add_cpu(
        world,
        way.scenario,
        side,
        [readings[0], readings[1]],
        events,
    );
    Ok(())
}

/// A call's body, and its query.
fn body(n: usize, per_call: usize, size: usize) -> (String, String) {
    if per_call == 1 {
        let query = format!("?metadata.partitionKey=k{}", n % KEYS);
        return (kafka::data(n, size).to_string(), query);
    }
    let entry = |at: usize| {
        let n = n * per_call + at;
        json!({
            "entryId": at.to_string(),
            "event": kafka::data(n, size),
            "contentType": "application/json",
            "metadata": { "partitionKey": format!("k{}", n % KEYS) },
        })
    };
    let entries: serde_json::Value = (0..per_call).map(entry).collect();
    (entries.to_string(), String::new())
}

/// Sends a publish, and fails unless it is taken as a whole.
pub async fn publish(request: reqwest::RequestBuilder) -> Result<()> {
    let request = request.header("content-type", "application/json");
    let answer = request.send().await?;
    match answer.status() {
        StatusCode::NO_CONTENT => Ok(()),
        status => Err(format!("publishing: {status} {}", answer.text().await?).into()),
    }
}
