use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use dapr_rdkafka::telemetry::metrics::METRICS;
use harness::{Result, eventually};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::Bench;
use crate::{
    ensure,
    support::{
        Fixture, Place, SOON,
        endpoints::{at_least, get, get_unix, readyz, readyz_says, series},
        player::{Player, properties, text},
        program,
    },
};

const WHO: &str = "component=\"todo-pubsub\"";

/// What [`metrics_move_with_what_happens`] makes happen: metric, labels, value.
const MOVED: [(&str, &str, f64); 5] = [
    (
        "published_messages_total",
        r#"topic="orders",result="ok""#,
        2.0,
    ),
    (
        "published_messages_total",
        r#"topic="orders",result="failed""#,
        1.0,
    ),
    (
        "published_messages_total",
        r#"topic="",result="failed""#,
        1.0,
    ),
    (
        "publish_duration_seconds_count",
        r#"topic="orders",result="ok""#,
        2.0,
    ),
    ("redeliveries_total", r#"topic="orders",group="group""#, 1.0),
];

pub async fn metrics_move_with_what_happens(_: Arc<Fixture>) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let admin = bench.component.admin().await?;
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    player.publish("orders", "a", "1").await?;
    let huge = "x".repeat(2 << 20);
    for topic in ["orders", "made-up"] {
        let published = player.publish(topic, "a", &huge).await;
        ensure!(published.is_err(), "an oversized message was taken");
    }
    // Given back without a verdict, then refused.
    let message = pull.next(SOON).await?;
    pull.nack(&message, "stream closed").await?;
    let message = pull.next(SOON).await?;
    pull.nack(&message, "the app said no").await?;
    let retries = format!("retries_total{{{WHO},topic=\"orders\",group=\"group\"}}");
    at_least(&admin, &retries, 1.0).await?;
    player.publish("orders", "b", "2").await?;
    let message = pull.next(SOON).await?;
    ensure!(text(&message) == "2", "{message:?}");
    pull.ack(&message).await?;

    let committed = format!("commits_total{{{WHO},group=\"group\",result=\"ok\"}}");
    let metrics = at_least(&admin, &committed, 1.0).await?;
    for (name, labels, value) in MOVED {
        let wanted = format!("{name}{{{WHO},{labels}}}");
        ensure!(
            series(&metrics, &wanted) == Some(value),
            "{wanted} is not {value} in\n{metrics}"
        );
    }
    let assigned = format!("rebalances_total{{{WHO},group=\"group\",event=\"assigned\"}}");
    ensure!(
        series(&metrics, &assigned).is_some_and(|times| times >= 1.0),
        "{assigned}: {metrics}"
    );
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("build_info{{version=\"{version}\"}}");
    ensure!(series(&metrics, &build) == Some(1.0), "{build}: {metrics}");
    ensure!(
        !metrics.contains("made-up"),
        "a name that a caller made up is a label: {metrics}"
    );
    every_metric_is_in_the_table(&metrics)
}

fn every_metric_is_in_the_table(metrics: &str) -> Result<()> {
    let served = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    for name in served.filter_map(|line| line.split(' ').next()) {
        ensure!(
            METRICS.iter().any(|row| row.name == name),
            "{name} is not in the table"
        );
        ensure!(
            metrics.contains(&format!("# HELP {name} ")),
            "{name} has no help"
        );
    }
    Ok(())
}

pub async fn the_diagnosis_names_brokers_that_went_away(_: Arc<Fixture>) -> Result<()> {
    // In a process of its own: children of this one would hold its connections open.
    let broker = harness::EmbeddedBroker::start(program(), &["orders"]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let admin = component.admin().await?;
    for path in ["/livez", "/startupz"] {
        let url = format!("{admin}{path}");
        // It has started a moment after it said that its sockets are bound.
        eventually(&format!("{path} answers with success"), SOON, || async {
            get(&url).await.ok().filter(|(status, _)| *status == 200)
        })
        .await?;
    }
    let properties = properties(&broker.address, "group", &[]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let (status, said) = readyz(&admin).await?;
    ensure!(status == 200 && said["ready"] == true, "{status} {said}");
    let instance = &said["instances"][0];
    let me = std::process::id();
    ensure!(
        instance["name"] == "todo-pubsub"
            && instance["type"] == "pubsub.rdkafka"
            && instance["group"] == "group"
            && instance["process"] == me
            && instance["brokers"]["reachable"] == true,
        "{said}"
    );

    let address = broker.address.clone();
    broker.process.kill().await?;
    let publish = tokio::spawn(async move { player.publish("orders", "a", "x").await });
    let queue = format!("producer_queue_messages{{{WHO}}}");
    at_least(&admin, &queue, 1.0).await?;
    at_least(
        &admin,
        &format!("broker_connection_failures_total{{{WHO}}}"),
        1.0,
    )
    .await?;
    let unreachable = |status, said: &Value| {
        let brokers = &said["instances"][0]["brokers"];
        status == 503 && said["ready"] == false && brokers["reachable"] == false
    };
    let said = readyz_says(&admin, "the brokers are gone", unreachable).await?;
    let brokers = &said["instances"][0]["brokers"];
    let reason = brokers["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.starts_with(&format!("RDK-TCP-01 {address}: ")),
        "{said}"
    );
    ensure!(brokers["unreachable_since"].is_string(), "{said}");
    publish.abort();
    Ok(())
}

pub async fn the_diagnosis_names_a_component_without_init(_: Arc<Fixture>) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let admin = bench.component.admin().await?;
    let mut player = Player::connect(&bench.place.socket("rdkafka"), "todo-pubsub").await?;
    ensure!(
        player.publish("orders", "a", "x").await.is_err(),
        "there is no instance"
    );
    let (status, said) = readyz(&admin).await?;
    ensure!(status == 503, "{status} {said}");
    let called = &said["uninitialised"][0];
    ensure!(
        called["name"] == "todo-pubsub" && called["calls"] == 1,
        "{said}"
    );
    let reason = said["reasons"][0]["text"].as_str().unwrap_or_default();
    for part in ["\"todo-pubsub\" (pubsub.rdkafka)", "restart daprd"] {
        ensure!(reason.contains(part), "{part} is not in {said}");
    }
    serves(&admin, 0.0, 1.0).await?;
    player.init(bench.properties(&[])?).await?;
    let (status, said) = readyz(&admin).await?;
    ensure!(status == 200, "it was initialised: {said}");
    serves(&admin, 1.0, 0.0).await
}

/// So many instances, and so many components without Init.
async fn serves(admin: &str, instances: f64, uninitialised: f64) -> Result<()> {
    let (_, text) = get(&format!("{admin}/metrics")).await?;
    for (name, wanted) in [("instances", instances), ("uninitialised", uninitialised)] {
        ensure!(series(&text, name) == Some(wanted), "{name}: {text}");
    }
    Ok(())
}

pub async fn properties_are_for_the_own_user_only(_: Arc<Fixture>) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let admin = bench.component.admin().await?;
    let properties = bench.properties(&[("mySecret", "s3cr3t")])?;
    Player::start(&bench.place.socket("rdkafka"), properties.clone()).await?;

    let folder = bench.place.sockets().join("admin");
    let socket = folder.join("rdkafka.sock");
    for (path, mode) in [(&folder, 0o700), (&socket, 0o600)] {
        let found = std::fs::metadata(path)?.permissions().mode() & 0o777;
        ensure!(found == mode, "{} has mode {found:o}", path.display());
    }
    let (status, answer) = get_unix(&socket, "/v1/instances").await?;
    let list: Value = serde_json::from_str(&answer)?;
    ensure!(
        status == 200 && list[0]["name"] == "todo-pubsub",
        "{status} {answer}"
    );
    let path = "/v1/instances/todo-pubsub/properties";
    let (status, answer) = get_unix(&socket, path).await?;
    ensure!(status == 200, "{status} {answer}");
    ensure!(
        serde_json::from_str::<Value>(&answer)? == serde_json::to_value(&properties)?,
        "{answer}"
    );
    let (status, answer) = get_unix(&socket, "/v1/instances/other/properties").await?;
    ensure!(
        status == 404 && answer.contains("\\\"other\\\""),
        "{status} {answer}"
    );
    for path in ["/metrics", "/livez", "/startupz", "/readyz"] {
        let (status, answer) = get_unix(&socket, path).await?;
        ensure!(status == 200, "{path}: {status} {answer}");
    }
    for path in ["/v1/instances", path] {
        let (status, answer) = get(&format!("{admin}{path}")).await?;
        ensure!(status == 404, "TCP serves {path}: {status} {answer}");
    }

    for path in ["/metrics", "/readyz"] {
        let (_, answer) = get(&format!("{admin}{path}")).await?;
        ensure!(
            !answer.contains("s3cr3t"),
            "{path} shows a secret: {answer}"
        );
    }
    let stopped = bench.component.stop().await?;
    ensure!(!stopped.output.contains("s3cr3t"), "{}", stopped.output);
    ensure!(
        stopped.status.success(),
        "{}: {}",
        stopped.status,
        stopped.output
    );
    ensure!(!socket.exists(), "the admin socket is left over");
    Ok(())
}

/// As with two daprds on one machine; here two types, since the test is one process.
pub async fn a_name_that_two_instances_have_is_no_guess(_: Arc<Fixture>) -> Result<()> {
    let broker = dapr_rdkafka::kafka::EmbeddedBroker::start(["orders"])?;
    let place = Place::new()?;
    let _component = place.component_with(&["rdkafka", "kafka"], &[]).await?;
    for name in ["rdkafka", "kafka"] {
        let properties = properties(&broker.address()?, &format!("group-of-{name}"), &[]);
        Player::start(&place.socket(name), properties).await?;
    }
    let socket = place.sockets().join("admin/rdkafka+kafka.sock");
    let path = "/v1/instances/todo-pubsub/properties";
    let (status, answer) = get_unix(&socket, path).await?;
    ensure!(status == 409, "{status} {answer}");
    for choice in ["pubsub.rdkafka", "pubsub.kafka", "group-of-kafka"] {
        ensure!(answer.contains(choice), "{choice} is not in {answer}");
    }
    let (status, answer) = get_unix(&socket, &format!("{path}?type=pubsub.kafka")).await?;
    ensure!(
        status == 200 && answer.contains("group-of-kafka"),
        "{status} {answer}"
    );
    Ok(())
}

pub async fn a_taken_port_is_a_warning(_: Arc<Fixture>) -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();
    let place = Place::new()?;
    let mut component = place
        .component_with(&["rdkafka"], &["--admin-listen", &address])
        .await?;
    let warned = format!("--admin-listen {address}: ");
    let process = &mut component.process;
    let line = process
        .line(&warned, SOON, |line| line.contains(&warned))
        .await?;
    ensure!(
        line.contains("WARN") && line.contains("give another address"),
        "{line}"
    );
    let (status, _) = get_unix(&place.sockets().join("admin/rdkafka.sock"), "/livez").await?;
    ensure!(status == 200, "the socket is served all the same: {status}");

    let place = Place::new()?;
    let off = ["--admin-listen", "off"];
    let component = place.component_with(&["rdkafka"], &off).await?;
    let told = component.stop().await?.output;
    ensure!(!told.contains("admin endpoints"), "it is off: {told}");
    Ok(())
}

pub async fn who_is_slow_or_sends_too_much_gets_nothing(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let mut component = place.component().await?;
    let admin = component.admin().await?;
    let address = admin.trim_start_matches("http://");
    let mut slow = TcpStream::connect(address).await?;
    slow.write_all(b"GET /livez HTTP/1.1\r\n").await?;

    let mut large = TcpStream::connect(address).await?;
    let request = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    // It may be cut off before all of it is taken.
    let _ = large.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(SOON, large.read_to_end(&mut answer)).await?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(!answer.contains("200 OK"), "{answer}");

    // Nobody else waits for the slow one; and it is cut off in the end.
    let (status, _) = get(&format!("{admin}/livez")).await?;
    ensure!(status == 200, "{status}");
    let cut = tokio::time::timeout(SOON, slow.read(&mut [0; 64])).await?;
    ensure!(matches!(cut, Ok(0) | Err(_)), "it was answered: {cut:?}");
    Ok(())
}
