//! docs/operations.md and docs/dead-letters.md, played: their commands print what the pages show.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::http::StatusCode;
use dapr_rdkafka::model::dead_letter;
use harness::{Component, Daprd, Kafka, Result, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::{App, Event, subscription},
        endpoints::get,
        letters::{self, say},
        page::{Page, Shown, is_shown, words},
        program, records,
    },
};

/// The names that the page uses.
const TOPIC: &str = "task-created";
const DEAD: &str = "task-created.dlq";
const GROUP: &str = "todo";
const PARTITIONS: i32 = 3;

/// What the page calls the ports of the component's endpoints and of daprd.
const ADMIN: &str = "localhost:9405";
const DAPR: &str = "3500";

/// What the page's commands are run in.
struct Stage {
    page: Page,
    place: Place,
    component: Component,
    daprd: Daprd,
}

/// The states that the page's sections are about, one after the other: blocks are marked
/// with the state that they were run in.
pub async fn the_page_shows_what_its_commands_print(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = Kafka::start().await?;
    admin::create_topic(&kafka.address, TOPIC, PARTITIONS, &[]).await?;
    let settings = [
        ("deadLetterTopic", "{topic}.dlq"),
        ("maxDeliveryAttempts", "2"),
        ("deadLetterMinAge", "0s"),
        ("backOffDuration", "50ms"),
    ];
    let place = Place::with_component(&kafka.address, &settings)?;
    let component = place.component().await?;
    let mended = Arc::new(AtomicBool::new(false));
    let app = app(&mended).await?;
    let daprd = place.daprd(fixture.daprd, GROUP, Some(app.port)).await?;
    let mut stage = Stage {
        page: Page::read("operations.md")?,
        place,
        component,
        daprd,
    };
    let played = play(&mut stage, &kafka, &mended).await;
    played.map_err(|error| stage.component.process.failed(&format!("ran: {error}")))
}

/// Kafka's own scripts, as the page calls them, on a cluster of one broker.
pub async fn each_of_kafkas_commands_on_the_page_is_one_that_kafka_takes(
    _: Arc<Fixture>,
) -> Result<()> {
    let kafka = Kafka::start().await?;
    admin::create_topic(&kafka.address, TOPIC, PARTITIONS, &[]).await?;
    // The group that the page looks at.
    let group = "kafka-consumer-groups.sh --bootstrap-server <bootstrap> --group todo --topic \
                 task-created --reset-offsets --to-earliest --execute";
    kafka.run(group).await?;
    let mut scripts = BTreeSet::new();
    for shown in Page::read("operations.md")?.commands() {
        let words = words(&shown.command);
        if !words[0].starts_with("kafka-") {
            continue;
        }
        let line = words.iter().map(|word| match word.as_str() {
            "kafka-0:9092" | "kafka-west-0:9092" => "<bootstrap>",
            word => word,
        });
        let line: Vec<_> = line.collect();
        let line = line.join(" ");
        let line = line.replace("--replication-factor 3", "--replication-factor 1");
        kafka.run(&line).await?;
        scripts.insert(words[0].clone());
    }
    let expected = [
        "kafka-configs.sh",
        "kafka-consumer-groups.sh",
        "kafka-topics.sh",
    ];
    ensure!(scripts.iter().eq(expected), "{scripts:?}");
    ensure!(
        admin::replicas(&kafka.address, TOPIC).await?.len() == 6,
        "the page gives it 6 partitions"
    );
    Ok(())
}

async fn play(stage: &mut Stage, kafka: &Kafka, mended: &AtomicBool) -> Result<()> {
    stage.shows("missing").await?;
    admin::create_topic(&kafka.address, DEAD, PARTITIONS, &[]).await?;
    let query = "metadata.partitionKey=task-3";
    for number in [3, 8] {
        let task = json!({ "id": "task-3", "n": number });
        let sent = stage.daprd.publish("todo-pubsub", TOPIC, query, &task);
        sent.await?;
    }
    records::wait_for(&kafka.address, DEAD, 2).await?;
    stage.shows("lag").await?;
    mended.store(true, Ordering::Relaxed);
    stage.shows("letters").await?;

    // Restarted alone, the component stays without Init.
    let process = &mut stage.component.process;
    process.signal("KILL").await?;
    let ended = || std::future::ready(process.has_ended().then_some(()));
    eventually("the component is killed", SOON, ended).await?;
    stage.component = stage.place.component().await?;
    let refused = stage
        .daprd
        .publish("todo-pubsub", TOPIC, query, &Value::Null);
    ensure!(refused.await.is_err(), "it was initialised again");
    stage.shows("uninitialised").await
}

/// The walk-through of docs/dead-letters.md.
pub async fn a_thousand_dead_letters_are_redriven_as_the_page_says(
    fixture: Arc<Fixture>,
) -> Result<()> {
    const ORDERS: &str = "orders";
    const DEAD_ORDERS: &str = "orders.dlq";
    let kafka = Kafka::start().await?;
    for topic in [ORDERS, DEAD_ORDERS] {
        admin::create_topic(&kafka.address, topic, 1, &[]).await?;
    }
    let place = Place::with_component(&kafka.address, &[("deadLetterTopic", "{topic}.dlq")])?;
    let component = place.component().await?;
    let app = App::with(json!([subscription(ORDERS, &json!({}))]), |_| {
        StatusCode::OK
    })
    .await?;
    let daprd = place.daprd(fixture.daprd, GROUP, Some(app.port)).await?;
    let stock = "HTTP 500: out of stock";
    let causes = [
        (600, ORDERS, GROUP, stock),
        (
            150,
            ORDERS,
            GROUP,
            "HTTP 500: the payment service timed out",
        ),
        (120, ORDERS, "todo-old", stock),
        (90, ORDERS, GROUP, "HTTP 400: no such customer"),
        (40, "orders-v1", GROUP, stock),
    ];
    let letters = causes.iter().flat_map(|(count, topic, group, message)| {
        let letter = move |n: usize| {
            let event = json!({
                "specversion": "1.0", "id": n.to_string(), "source": "test", "type": "order",
                "datacontenttype": "application/json", "data": {"n": n},
            });
            let key = format!("order-{}", n % 20);
            let letter = letters::letter(&key, &event.to_string(), topic, group);
            letter.with(dead_letter::MESSAGE, *message)
        };
        (0..*count).map(letter)
    });
    let letters: Vec<_> = letters.collect();
    records::write_to(&kafka.address, DEAD_ORDERS, Some(0), &letters).await?;
    let mut stage = Stage {
        page: Page::read("dead-letters.md")?,
        place,
        component,
        daprd,
    };
    let played = stage.shows("thousand").await;
    played.map_err(|error| stage.component.process.failed(&format!("ran: {error}")))
}

/// An app that is out of stock until it is mended.
async fn app(mended: &Arc<AtomicBool>) -> Result<App> {
    let mended = mended.clone();
    let answer = move |_: &Event| {
        if mended.load(Ordering::Relaxed) {
            StatusCode::OK
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    App::with(json!([subscription(TOPIC, &json!({}))]), answer).await
}

impl Stage {
    /// Runs all blocks with this mark, in their order.
    async fn shows(&mut self, mark: &str) -> Result<()> {
        let all = self.page.commands();
        let marked: Vec<_> = all.iter().filter(|shown| shown.about == mark).collect();
        ensure!(!marked.is_empty(), "no block is marked {mark}");
        for shown in marked {
            let printed = self.run(shown).await?;
            is_shown(&shown.output, &printed)
                .map_err(|error| format!("{}: {error}", shown.command))?;
        }
        Ok(())
    }

    /// What a command prints on its standard output.
    async fn run(&mut self, shown: &Shown) -> Result<String> {
        let words = words(&shown.command);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        match &words[..] {
            ["curl", "-s", url] => {
                let path = url.strip_prefix(ADMIN);
                let path = path.ok_or_else(|| format!("{url} is not at {ADMIN}"))?;
                let admin = self.component.admin().await?;
                Ok(get(&format!("{admin}{path}")).await?.1)
            }
            ["dapr-rdkafka", arguments @ ..] => {
                let port = self.daprd.http_port.to_string();
                let arguments = arguments.iter().map(|word| match *word {
                    DAPR => port.as_str(),
                    word => word,
                });
                let mut command = Command::new(program());
                command
                    .args(arguments)
                    .env("DAPR_COMPONENTS_SOCKETS_FOLDER", self.place.sockets());
                Ok(say(command).await?.out)
            }
            _ => Err(format!("{}: how?", shown.command).into()),
        }
    }
}
