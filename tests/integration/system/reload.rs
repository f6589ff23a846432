//! A Component that changes under a running daprd: Dapr's feature `HotReload`.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use harness::{Daprd, Kafka, Result, eventually, free_port};
use serde_json::Value;

use crate::{
    ensure,
    support::{
        Fixture, Place, admin,
        endpoints::get_unix,
        members::settled,
        notebook::{Notebook, data, key, write},
        records,
    },
};

const PARTITIONS: i32 = 3;
const TOPIC: &str = "reload";
const GROUP: &str = "reload-app";

/// Messages between two changes.
const BETWEEN: usize = 50;

/// How long a change may take: daprd looks every 200 ms, closes the component,
/// and initialises it; what failed because a broker was slow it tries again after 60 s.
const RELOADED: Duration = Duration::from_secs(120);

/// A Kafka with one listener more, where two users may log in.
async fn kafka_with_users() -> Result<(Kafka, String)> {
    let port = free_port()?;
    let (open, login) = ("PLAINTEXT://127.0.0.1:{port}", format!("127.0.0.1:{port}"));
    let advertised = format!("{open},LOGIN://{login}");
    let listeners = format!("{advertised},CONTROLLER://127.0.0.1:{{controller}}");
    let kafka = Kafka::start_with(&[
        ("listeners", &listeners),
        ("advertised.listeners", &advertised),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT",
        ),
        ("listener.name.login.sasl.enabled.mechanisms", "PLAIN"),
        (
            "listener.name.login.plain.sasl.jaas.config",
            "org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_before=\"first-secret\" user_after=\"second-secret\";",
        ),
    ])
    .await?;
    Ok((kafka, login))
}

/// The Component, as a user would change it.
struct Changing<'a> {
    place: &'a Place,
    brokers: &'a str,
}

impl Changing<'_> {
    fn put(&self, user: &str, password: &str, token: &str) -> Result<()> {
        let metadata = [
            ("brokers", self.brokers),
            ("authType", "password"),
            ("saslUsername", user),
            ("saslPassword", password),
            ("disableTls", "true"),
            ("initialOffset", "oldest"),
            ("clientID", user),
            ("reloadToken", token),
        ];
        self.place
            .put_lenient_component("pubsub.rdkafka", &metadata)
    }

    fn admin(&self) -> std::path::PathBuf {
        self.place.sockets().join("admin/rdkafka.sock")
    }
}

/// Waits until the instance was initialised with this value.
async fn in_force(admin: &Path, name: &str, value: &str) -> Result<()> {
    eventually(&format!("{name} is {value}"), RELOADED, || async {
        let path = "/v1/instances/todo-pubsub/properties";
        let (_, answer) = get_unix(admin, path).await.ok()?;
        let properties: Value = serde_json::from_str(&answer).ok()?;
        (properties[name] == value).then_some(())
    })
    .await
}

/// Publishes number after number until it is told to stop, each until daprd takes
/// it; returns how many.
async fn publish(daprd: &Daprd, stop: &AtomicBool) -> Result<usize> {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let query = format!("metadata.partitionKey={}", key(number));
        eventually("a publish is taken", RELOADED, || async {
            let data = data(number);
            let sent = daprd.publish("todo-pubsub", TOPIC, &query, &data);
            sent.await.ok()
        })
        .await?;
        number += 1;
    }
    Ok(number)
}

/// The token alone, then another user, under load; then a user that does not
/// exist: the instance before must not go on with what it was given, and what is
/// published meanwhile waits for the next Component that is right.
pub async fn a_changed_component_goes_on_without_loss(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, login) = kafka_with_users().await?;
    let open = kafka.address.as_str();
    admin::create_topic(open, TOPIC, PARTITIONS, &[]).await?;
    let place = Place::new()?;
    let changing = Changing {
        place: &place,
        brokers: &login,
    };
    changing.put("before", "first-secret", "1")?;
    let mut component = place.component().await?;
    let notebook = Notebook::new(Duration::from_millis(2));
    let app = notebook.app("app", &[TOPIC]).await?;
    let daprd = place
        .reloading_daprd(fixture.daprd, GROUP, Some(app.port))
        .await?;

    let stop = AtomicBool::new(false);
    let change = async {
        let admin = changing.admin();
        notebook.until(BETWEEN).await?;
        changing.put("before", "first-secret", "2")?;
        in_force(&admin, "reloadToken", "2").await?;
        notebook.until(notebook.len() + BETWEEN).await?;
        changing.put("after", "second-secret", "2")?;
        in_force(&admin, "saslUsername", "after").await?;
        notebook.until(notebook.len() + BETWEEN).await?;
        settled(
            open,
            GROUP,
            "only the new one is left",
            |members| matches!(members, [one] if one.client == "after"),
        )
        .await?;
        stop.store(true, Ordering::Relaxed);
        Ok(())
    };
    let ((), published) = tokio::try_join!(change, publish(&daprd, &stop))?;

    notebook.until_all(TOPIC, 0..published).await?;
    let written = records::read(open, TOPIC).await?.len();
    admin::all_committed(open, GROUP, TOPIC, PARTITIONS, written).await?;
    let repeats = notebook.judge(TOPIC, 0..published)?;
    println!("{published} published, {written} written, {repeats} came again");
    // Two changes, and a serial daprd works on one event of the only stream. A concurrent one works on
    // several, and may leave them unanswered: then the acks of calls that began with them are suspect.
    let most = if fixture.daprd.is_serial() { 2 } else { 20 };
    ensure!(repeats <= most, "{repeats} came again");

    changing.put("nobody", "third-secret", "2")?;
    let told = "has no instance any more";
    let process = &mut component.process;
    process
        .line(told, RELOADED, |line| line.contains(told))
        .await?;
    settled(open, GROUP, "nobody is left", <[_]>::is_empty).await?;
    let (_, instances) = get_unix(&changing.admin(), "/v1/instances").await?;
    let listed: Vec<Value> = serde_json::from_str(&instances)?;
    let initialised: Vec<_> = listed.iter().map(|one| &one["initialised"]).collect();
    ensure!(initialised == [false], "{instances}");

    write(open, TOPIC, published..published + BETWEEN).await?;
    changing.put("before", "first-secret", "2")?;
    notebook
        .until_all(TOPIC, 0..published + BETWEEN)
        .await
        .map_err(|error| daprd.process.failed(&error.to_string()))?;
    notebook.judge(TOPIC, 0..published + BETWEEN)?;
    Ok(())
}
