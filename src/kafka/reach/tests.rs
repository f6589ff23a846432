use std::{collections::HashMap, net::TcpListener};

use super::*;
use crate::{kafka::EmbeddedBroker, metadata};

/// Long enough for any machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn client(brokers: &str) -> Client {
    let pairs = [("brokers", brokers), ("authType", "none")];
    let pairs: HashMap<_, _> = pairs.map(|(key, value)| (key.into(), value.into())).into();
    Client {
        settings: metadata::resolve(&pairs).expect("good metadata").settings,
        instance: "todo".into(),
        failures: Failures::default(),
    }
}

#[tokio::test]
async fn the_clients_answer_counts_also_when_it_comes_late() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client(&silent.local_addr().unwrap().to_string());
    // It has its answer once a check has come: so after the head start.
    let reached = client.answers(PATIENCE, move |_| silent.accept().is_ok().then_some(3));
    assert_eq!(reached.await.ok(), Some(3));
}

#[tokio::test]
async fn a_client_without_an_answer_is_told_as_such() {
    let broker = EmbeddedBroker::start(["orders"]).expect("a broker");
    let client = client(&broker.address().expect("its address"));
    client.failures.note("a:1/bootstrap: it says so");
    let reached = client.reach(Duration::from_secs(2), |_| None).await;
    let told = reached.expect_err("no answer").to_string();
    assert!(
        told.starts_with("RDK-CLU-13") && told.contains("it says so"),
        "{told}"
    );
}

#[tokio::test]
async fn a_silent_bootstrap_broker_holds_up_nobody() {
    let broker = EmbeddedBroker::start(["orders"]).expect("a broker");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let client = client(&format!(
        "{silent},{}",
        broker.address().expect("its address")
    ));
    // The checks alone would wait for the silent one to the end.
    let checks = Checks::begin(&client.settings, Instant::now() + PATIENCE);
    let ended = checks.task;
    let usable = timeout(PATIENCE / 2, client.reach(PATIENCE, |_| Some(1))).await;
    assert_eq!(usable.expect("in time").ok(), Some(1));
    assert!(!ended.is_finished());
}
