//! Lanes against the built-in component: how fast one topic is consumed when
//! the app needs 5 ms for each message.
//!
//! `make bench-lanes` builds what it needs and runs it: a real Kafka, the real
//! daprd with `pubsub.kafka` and with this component (one lane, and sixteen), in
//! alternating rounds. The clock runs from the first message that reaches the
//! app to the last; all of it on one machine, so only the ratios mean something.

mod app;

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use app::App;
// The linker sends librdkafka's calls of OpenSSL to the component (build.rs).
use dapr_rdkafka as _;
use harness::{Component, Daprd, DaprdOptions, Kafka, Result, write_component};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};
use serde_json::{Value, json};

const PARTITIONS: i32 = 6;
const MESSAGES: usize = 6000;
const PER_CALL: usize = 100;
const KEYS: usize = 600;
const ROUNDS: usize = 3;

/// What is measured.
#[derive(Clone, Copy)]
struct Side {
    name: &'static str,
    kind: &'static str,
    lanes: usize,
}

const SIDES: [Side; 3] = [
    Side {
        name: "built-in",
        kind: "pubsub.kafka",
        lanes: 1,
    },
    Side {
        name: "this component, 1 lane",
        kind: "pubsub.rdkafka",
        lanes: 1,
    },
    Side {
        name: "this component, 16 lanes",
        kind: "pubsub.rdkafka",
        lanes: 16,
    },
];

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let kafka = Kafka::start().await?;
    let mut rates = vec![Vec::new(); SIDES.len()];
    for round in 0..ROUNDS {
        for (side, rates) in SIDES.iter().zip(&mut rates) {
            let topic = format!("lanes-{round}-{}-{}", side.lanes, &side.kind[7..]);
            create(&kafka.address, &topic).await?;
            let rate = measure(*side, &kafka.address, &topic).await?;
            println!("round {}: {}: {rate:.0} msg/s", round + 1, side.name);
            rates.push(rate);
        }
    }
    println!();
    let base = median(&mut rates[0]);
    for (side, rates) in SIDES.iter().zip(&mut rates) {
        let middle = median(rates);
        let (low, high) = (rates[0], rates[rates.len() - 1]);
        println!(
            "{:<26} median {middle:>5.0} msg/s ({low:.0} to {high:.0}), {:.2} of the built-in",
            side.name,
            middle / base
        );
    }
    kafka.stop().await
}

/// One side consumes a topic; returns messages per second.
async fn measure(side: Side, brokers: &str, topic: &str) -> Result<f64> {
    let place = tempfile::tempdir()?;
    let (resources, sockets) = (
        place.path().join("components"),
        place.path().join("sockets"),
    );
    std::fs::create_dir_all(&sockets)?;
    let metadata = [
        ("brokers", brokers),
        ("authType", "none"),
        ("initialOffset", "oldest"),
    ];
    write_component(&resources, "pubsub", side.kind, &metadata)?;
    let program = Path::new(env!("CARGO_BIN_EXE_dapr-rdkafka"));
    let app = App::start(topic, side.lanes).await?;
    let component = match side.kind {
        "pubsub.rdkafka" => Some(Component::start(program, &sockets, &["rdkafka"]).await?),
        _ => None,
    };
    let options = DaprdOptions {
        app_id: topic,
        app_port: Some(app.port),
        resources: &resources,
        sockets: &sockets,
    };
    let daprd = Daprd::start(&Daprd::built(), options).await?;
    // A message of its own shows that the group has joined.
    publish(&daprd, topic, &[json!({ "key": "first", "seq": 0 })]).await?;
    app.done(1).await?;

    let begun = Instant::now();
    let messages: Vec<_> = (0..MESSAGES)
        .map(|n| json!({ "key": format!("k{}", n % KEYS), "seq": n }))
        .collect();
    for chunk in messages.chunks(PER_CALL) {
        publish(&daprd, topic, chunk).await?;
    }
    app.done(MESSAGES + 1).await?;
    let taken = begun.elapsed();
    app.check_order()?;
    let (daprd, component) = (daprd.process.stop(LIMIT), async {
        match component {
            Some(component) => component.stop().await.map(drop),
            None => Ok(()),
        }
    });
    let (daprd, component) = tokio::join!(daprd, component);
    daprd?;
    component?;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    Ok(MESSAGES as f64 / taken.as_secs_f64())
}

const LIMIT: Duration = Duration::from_secs(60);

async fn publish(daprd: &Daprd, topic: &str, messages: &[Value]) -> Result<()> {
    let entries: Vec<_> = messages
        .iter()
        .map(|message| {
            json!({
                "entryId": message["seq"].to_string(),
                "event": message,
                "contentType": "application/json",
                "metadata": { "partitionKey": message["key"] },
            })
        })
        .collect();
    let path = format!("-alpha1/publish/bulk/pubsub/{topic}");
    let body = Value::from(entries).to_string();
    match daprd.post(&path, "application/json", body).await? {
        (204, _) => Ok(()),
        (status, answer) => Err(format!("bulk publish: {status} {answer}").into()),
    }
}

async fn create(brokers: &str, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()?;
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    for result in admin.create_topics([&new], &options).await? {
        result.map_err(|(topic, code)| format!("creating {topic}: {code}"))?;
    }
    Ok(())
}

/// Sorts the figures, and returns the one in the middle.
fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
