//! `dapr-rdkafka dlq` on dead letters that were written by hand.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::Path, http::StatusCode, routing::get};
use dapr_rdkafka::{dlq::MAY_REPEAT, model::dead_letter};
use harness::{Result, eventually, write_component};
use serde_json::{Value, json};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        letters::{admin_socket, begin, dlq, dlq_bare, letter, produce_aborted, read_all, say},
        records::{Plain, write_to},
    },
};

/// The group under which progress is kept.
fn progress(topic: &str) -> String {
    format!("dapr-rdkafka-redrive.{topic}")
}

/// A source topic and its dead-letter topic, each with so many partitions.
async fn topics(fixture: &Fixture, partitions: i32) -> Result<(String, String, String)> {
    let kafka = fixture.kafka().await?.to_owned();
    let source = fixture.name("orders");
    let dead = format!("{source}.dlq");
    for topic in [&source, &dead] {
        admin::create_topic(&kafka, topic, partitions, &[]).await?;
    }
    Ok((kafka, source, dead))
}

fn numbered(range: std::ops::Range<usize>, source: &str) -> Vec<Plain> {
    let letter = |n: usize| letter(&format!("k{}", n % 3), &n.to_string(), source, "todo");
    range.map(letter).collect()
}

fn texts(records: &[Plain]) -> Vec<String> {
    records.iter().map(Plain::text).collect()
}

pub async fn dead_letters_are_listed_and_shown(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, source, dead) = topics(&fixture, 2).await?;
    let letter = letter("a", r#"{"id": 1}"#, &source, "todo");
    let mut binary = letter.clone().with("\u{1b}[31m", "red");
    binary.key = Some(vec![0, 255]);
    binary.value = None;
    write_to(&kafka, &dead, Some(0), &[letter, binary]).await?;
    write_to(&kafka, &dead, Some(1), &[Plain::new("b", "plain")]).await?;
    // The last offset is a transaction's marker: no record ever comes for it.
    produce_aborted(&kafka, &dead).await?;

    let listed = say(dlq(&kafka, &["list", "--output", "json"])).await?;
    let lines = listed.json()?;
    let line = lines.iter().find(|line| line["topic"] == dead.as_str());
    let line = line.ok_or_else(|| format!("not found by its name: {listed:?}"))?;
    ensure!(listed.code == Some(0), "{listed:?}");
    ensure!(line["records"] == 3 && line["not_redriven"] == 3, "{line}");
    ensure!(
        line["reasons"] == json!({"rejected": 2, "unknown": 1}),
        "{line}"
    );
    ensure!(line["sources"][&source] == 2, "{line}");
    ensure!(line["groups"]["todo"] == 2, "{line}");
    ensure!(line["oldest"] == "2026-01-31T12:05:00.000Z", "{line}");
    ensure!(
        lines.iter().all(|line| line["topic"] != source.as_str()),
        "{lines:?}"
    );

    let missing = format!("{dead}.missing");
    let partly = say(dlq(
        &kafka,
        &["list", "--topic", &missing, "--topic", &dead],
    ))
    .await?;
    ensure!(partly.code == Some(1), "{partly:?}");
    ensure!(partly.out.contains("3 records"), "{partly:?}");
    let named = format!("1 of 2 topics can't be listed: reading {missing}");
    ensure!(partly.err.contains(&named), "{named} is not in {partly:?}");

    let shown = say(dlq(&kafka, &["show", &dead, "--reason", "OUT OF"])).await?;
    for part in [
        "header __dlq.errors.message         HTTP 500: out of stock",
        "  value  JSON\n    {\n      \"id\": 1\n    }",
        "key    hex:00ff",
        "value  null",
        "\\u{1b}[31m",
    ] {
        ensure!(shown.out.contains(part), "{part:?} is not in {}", shown.out);
    }
    ensure!(
        !shown.out.contains("plain") && !shown.out.contains('\u{1b}'),
        "{shown:?}"
    );
    let one = ["show", &dead, "--key", "hex:00ff", "--output", "json"];
    let one = say(dlq(&kafka, &one)).await?.json()?;
    ensure!(one.len() == 1 && one[0]["offset"] == 1, "{one:?}");
    ensure!(one[0]["key"] == json!({"hex": "00ff"}), "{one:?}");
    let few = say(dlq(
        &kafka,
        &["show", &dead, "--limit", "1", "--output", "json"],
    ))
    .await?;
    ensure!(
        few.json()?.len() == 1 && few.err.contains("--limit"),
        "{few:?}"
    );
    Ok(())
}

pub async fn a_redriven_record_is_what_it_was(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, source, dead) = topics(&fixture, 1).await?;
    let mut binary = letter("", "", &source, "todo")
        .with("__key", "k")
        .with("partitionNumber", "3")
        .with("kafka_dlt-exception-fqcn", "x")
        .with("user", "twice")
        .with(dead_letter::REDRIVES, "1");
    binary.key = Some(vec![0, 255]);
    binary.value = Some(vec![1, 0, 254]);
    let mut tombstone = letter("t", "", &source, "other");
    tombstone.value = None;
    let often = letter("o", "often", &source, "todo").with(dead_letter::REDRIVES, "3");
    let nameless = Plain::new("n", "nameless");
    let all = [binary.clone(), often, tombstone.clone(), nameless];
    write_to(&kafka, &dead, Some(0), &all).await?;

    let dry = ["redrive", &dead, "--dry-run", "--output", "json"];
    let dry = say(dlq(&kafka, &dry)).await?;
    let lines = dry.json()?;
    ensure!(
        lines.len() == 5 && lines[0]["to"] == source.as_str(),
        "{dry:?}"
    );
    ensure!(
        lines[0]["group"] == "todo" && lines[2]["group"] == "other",
        "{dry:?}"
    );
    ensure!(
        lines[1]["left"] == "too-often" && lines[3]["left"] == "no-topic",
        "{dry:?}"
    );
    ensure!(
        read_all(&kafka, &source).await?.is_empty(),
        "a dry run sent something"
    );
    let committed = admin::committed(&kafka, &progress(&dead), &dead, 1).await?;
    ensure!(
        committed == [None],
        "a dry run left progress: {committed:?}"
    );

    let redriven = say(dlq(&kafka, &["redrive", &dead, "--output", "json"])).await?;
    let summary = redriven.json()?.pop().unwrap_or_default();
    ensure!(redriven.code == Some(0), "{redriven:?}");
    ensure!(
        summary["sent"] == json!({ (source.as_str()): 2 }),
        "{summary}"
    );
    ensure!(
        summary["left"] == json!({"too-often": 1, "no-topic": 1}),
        "{summary}"
    );
    let sent = read_all(&kafka, &source).await?;
    let wanted = |of: &Plain, user: &[&str], redrives: &str, group: &str| Plain {
        headers: user
            .iter()
            .map(|user| ("user".to_owned(), user.as_bytes().to_vec()))
            .chain([
                (dead_letter::REDRIVES.to_owned(), redrives.into()),
                (dead_letter::REDRIVE_GROUP.to_owned(), group.into()),
                (
                    dead_letter::REDRIVE_TOPIC.to_owned(),
                    source.clone().into_bytes(),
                ),
            ])
            .collect(),
        ..of.clone()
    };
    let wanted = [
        wanted(&binary, &["kept", "twice"], "2", "todo"),
        wanted(&tombstone, &["kept"], "1", "other"),
    ];
    ensure!(sent == wanted, "{sent:?} is not {wanted:?}");

    // What was left counts as not redriven, and is sent with other rules.
    let listed = say(dlq(&kafka, &["list", "--topic", &dead, "--output", "json"])).await?;
    ensure!(listed.json()?[0]["not_redriven"] == 2, "{listed:?}");
    // Other rules alone don't bring it along, and are told so.
    let again = ["redrive", &dead, "--to-all", "--topic", &source];
    let again = say(dlq(&kafka, &again)).await?;
    let earlier = format!("2 left earlier, the first at {dead}/0@1");
    for part in ["nothing sent", &earlier, "--partition 0 --offset 1.."] {
        ensure!(again.out.contains(part), "{part} is not in {again:?}");
    }
    let rest = [
        "redrive", &dead, "--offset", "3", "--to-all", "--topic", &source,
    ];
    say(dlq(&kafka, &rest)).await?;
    let sent = read_all(&kafka, &source).await?;
    ensure!(sent.len() == 3 && sent[2].text() == "nameless", "{sent:?}");
    ensure!(
        sent[2].header(dead_letter::REDRIVE_GROUP).is_none(),
        "{sent:?}"
    );
    Ok(())
}

/// A narrow redrive must not hide what it did not select from a wide one.
pub async fn each_selection_has_its_own_progress(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, source, dead) = topics(&fixture, 1).await?;
    write_to(&kafka, &dead, Some(0), &numbered(0..6, &source)).await?;
    let narrow = ["redrive", &dead, "--key", "k1"];
    for sent in ["2 sent", "nothing sent"] {
        let said = say(dlq(&kafka, &narrow)).await?;
        ensure!(said.out.contains(sent), "{sent} is not in {said:?}");
    }
    ensure!(
        texts(&read_all(&kafka, &source).await?) == ["1", "4"],
        "only k1"
    );
    say(dlq(&kafka, &["redrive", &dead])).await?;
    let sent = texts(&read_all(&kafka, &source).await?);
    ensure!(sent[2..] == ["0", "1", "2", "3", "4", "5"], "{sent:?}");
    write_to(&kafka, &dead, Some(0), &numbered(6..8, &source)).await?;
    say(dlq(&kafka, &["redrive", &dead])).await?;
    let sent = texts(&read_all(&kafka, &source).await?);
    ensure!(sent[8..] == ["6", "7"], "it goes on: {sent:?}");
    say(dlq(&kafka, &["redrive", &dead, "--from-start"])).await?;
    ensure!(
        read_all(&kafka, &source).await?.len() == 18,
        "from the start"
    );
    Ok(())
}

/// Each key's first deliveries must come in its order.
fn in_order(sent: &[Plain], letters: usize) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut last = [None; 3];
    for record in sent {
        let n: usize = record.text().parse()?;
        if seen.insert(n) {
            ensure!(last[n % 3] < Some(n), "{n} came after {last:?}");
            last[n % 3] = Some(n);
        }
    }
    ensure!(
        seen.len() == letters,
        "lost: {} of {letters} came",
        seen.len()
    );
    Ok(())
}

/// How many stand in a topic once two readings in a row agree: what a killed process has
/// sent may still be on its way through the broker.
async fn settled(kafka: &str, topic: &str) -> Result<usize> {
    let last = AtomicUsize::new(usize::MAX);
    let agree = || async {
        let now = read_all(kafka, topic).await.ok()?.len();
        (last.swap(now, Ordering::Relaxed) == now).then_some(now)
    };
    eventually("two readings agree", SOON, agree).await
}

/// More than are sent at [`RATE`] before the test's deadlines are over.
const MANY: usize = 4000;

/// Letters per second that are sent until the redrive is stopped.
const RATE: &str = "40";

pub async fn a_killed_redrive_goes_on_at_its_progress(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, source, dead) = topics(&fixture, 1).await?;
    write_to(&kafka, &dead, Some(0), &numbered(0..MANY, &source)).await?;
    let child = begin(dlq(&kafka, &["redrive", &dead, "--rate", RATE]))?;
    let group = progress(&dead);
    let committed = || async {
        let committed = admin::committed(&kafka, &group, &dead, 1).await.ok()?;
        committed[0].filter(|offset| *offset > 20)
    };
    eventually("progress is committed", SOON, committed).await?;
    child.kill().await?;
    let committed = committed().await.ok_or("the progress is gone")?;
    let before = settled(&kafka, &source).await?;
    ensure!(before < MANY, "it was not killed in the middle");

    let resumed = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(resumed.code == Some(0), "{resumed:?}");
    ensure!(
        resumed.err.contains(&format!("0@{committed}")),
        "{resumed:?}"
    );
    let sent = read_all(&kafka, &source).await?;
    let again = sent.len() - MANY;
    let uncommitted = before - usize::try_from(committed)?;
    ensure!(
        again == uncommitted,
        "{again} came again, {uncommitted} were not committed"
    );
    ensure!(
        uncommitted <= MAY_REPEAT,
        "{uncommitted} were not committed"
    );
    in_order(&sent, MANY)
}

pub async fn an_interrupted_redrive_repeats_nothing(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, source, dead) = topics(&fixture, 3).await?;
    for partition in 0..3 {
        let mut letters = numbered(0..MANY, &source);
        letters.retain(|letter| letter.key == Some(format!("k{partition}").into_bytes()));
        write_to(&kafka, &dead, Some(partition), &letters).await?;
    }
    let child = begin(dlq(&kafka, &["redrive", &dead, "--rate", RATE]))?;
    let group = progress(&dead);
    let some = || async {
        let committed = admin::committed(&kafka, &group, &dead, 3).await.ok()?;
        committed
            .into_iter()
            .flatten()
            .any(|at| at > 20)
            .then_some(())
    };
    eventually("progress is committed", SOON, some).await?;
    child.signal("INT").await?;
    let stopped = child.wait(SOON).await?;
    ensure!(stopped.status.code() == Some(130), "{stopped:?}");
    ensure!(
        stopped.output.contains("may send 0 records again"),
        "{stopped:?}"
    );
    let before = read_all(&kafka, &source).await?.len();
    ensure!(before < MANY, "it was not interrupted in the middle");

    say(dlq(&kafka, &["redrive", &dead])).await?;
    let sent = read_all(&kafka, &source).await?;
    ensure!(sent.len() == MANY, "{} came for {MANY}", sent.len());
    in_order(&sent, MANY)
}

/// At the very start, while it waits for brokers that say nothing, a signal counts too.
pub async fn a_redrive_can_be_interrupted_before_it_has_begun(_: Arc<Fixture>) -> Result<()> {
    for more in [&[][..], &["--dry-run"]] {
        // Each has its own: what the one before left in its queue is no connection of this one.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = silent.local_addr()?.to_string();
        let command = [&["redrive", "orders.dlq"], more].concat();
        let child = begin(dlq(&address, &command))?;
        let _connected = tokio::time::timeout(SOON, silent.accept()).await??;
        child.signal("INT").await?;
        let stopped = child.wait(SOON).await?;
        ensure!(stopped.status.code() == Some(130), "{more:?}: {stopped:?}");
    }
    Ok(())
}

pub async fn a_record_that_cant_be_sent_stops_the_redrive(fixture: Arc<Fixture>) -> Result<()> {
    const LETTERS: usize = 400;
    let (kafka, source, dead) = topics(&fixture, 1).await?;
    let missing = fixture.name("missing");
    let mut letters = numbered(0..3, &source);
    letters.push(letter("k0", "3", &missing, "todo"));
    // More than are on their way at once.
    letters.extend(numbered(4..LETTERS, &source));
    write_to(&kafka, &dead, Some(0), &letters).await?;
    let stopped = say(dlq(&kafka, &["redrive", &dead, "--output", "json"])).await?;
    ensure!(stopped.code == Some(1), "{stopped:?}");
    let summary = stopped.json()?.pop().unwrap_or_default();
    let place = format!("{dead}/0@3");
    for part in [&place, &missing, "create the topic", "may come before it"] {
        ensure!(stopped.err.contains(part), "{part} is not in {stopped:?}");
    }
    let committed = admin::committed(&kafka, &progress(&dead), &dead, 1).await?;
    ensure!(committed == [Some(3)], "{committed:?}");
    let before = read_all(&kafka, &source).await?.len();
    let announced = format!("may send {} of them again", before - 3);
    ensure!(
        stopped.err.contains(&announced),
        "{announced} is not in {stopped:?}"
    );
    ensure!(summary["may_repeat"] == before - 3, "{summary}");
    let error = summary["error"].as_str().unwrap_or_default();
    ensure!(error.contains(&place), "{summary}");

    admin::create_topic(&kafka, &missing, 1, &[]).await?;
    let resumed = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(resumed.code == Some(0), "{resumed:?}");
    ensure!(
        texts(&read_all(&kafka, &missing).await?) == ["3"],
        "it is there now"
    );
    ensure!(
        read_all(&kafka, &source).await?.len() == before + LETTERS - 4,
        "the others are"
    );
    Ok(())
}

pub async fn purge_deletes_what_it_was_told_and_asks(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, source, dead) = topics(&fixture, 1).await?;
    let mut letters = numbered(0..3, &source);
    letters.push(Plain::new("n", "left"));
    letters.extend(numbered(4..5, &source));
    write_to(&kafka, &dead, Some(0), &letters).await?;
    let standing = || async { Ok::<_, harness::Error>(texts(&read_all(&kafka, &dead).await?)) };

    let asked = say(dlq(&kafka, &["purge", &dead])).await?;
    ensure!(
        asked.code == Some(1) && asked.err.contains("--yes"),
        "{asked:?}"
    );
    say(dlq(&kafka, &["purge", &dead, "--redriven", "--yes"])).await?;
    ensure!(standing().await?.len() == 5, "nothing was redriven yet");
    say(dlq(&kafka, &["redrive", &dead])).await?;
    let purged = say(dlq(&kafka, &["purge", &dead, "--redriven", "--yes"])).await?;
    ensure!(purged.out.contains("3 deleted"), "{purged:?}");
    let left = standing().await?;
    ensure!(left == ["left", "4"], "what was left stays: {left:?}");

    write_to(
        &kafka,
        &source,
        Some(0),
        &[Plain::new("a", "no dead letter")],
    )
    .await?;
    let (_, other, _) = topics(&fixture, 1).await?;
    write_to(
        &kafka,
        &other,
        Some(0),
        &[Plain::new("a", "no dead letter")],
    )
    .await?;
    let refused = say(dlq(&kafka, &["purge", &other, "--yes"])).await?;
    ensure!(refused.code == Some(1), "{refused:?}");
    ensure!(refused.err.contains("does not look like"), "{refused:?}");
    ensure!(read_all(&kafka, &other).await?.len() == 1, "it was purged");

    let purged = say(dlq(&kafka, &["purge", &dead, "--yes", "--output", "json"])).await?;
    let wanted = [json!({"topic": dead, "deleted": 2})];
    ensure!(purged.json()? == wanted, "{purged:?}");
    ensure!(standing().await?.is_empty(), "some still stand");
    // What comes after a purge is redriven all the same.
    write_to(&kafka, &dead, Some(0), &numbered(5..6, &source)).await?;
    let redriven = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(redriven.out.contains("1 sent"), "{redriven:?}");
    Ok(())
}

pub async fn a_purge_that_fails_says_what_was_deleted(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?.to_owned();
    let dead = fixture.name("compact.dlq");
    admin::create_topic(&kafka, &dead, 1, &[("cleanup.policy", "compact")]).await?;
    write_to(&kafka, &dead, Some(0), &numbered(0..3, "orders")).await?;
    let purged = say(dlq(&kafka, &["purge", &dead, "--yes"])).await?;
    ensure!(purged.code == Some(1), "{purged:?}");
    let counted = format!("0 of 3 deleted from {dead}; not deleted: {dead}/0 (");
    for part in [&counted, "cleanup.policy=compact"] {
        ensure!(purged.err.contains(part), "{part} is not in {purged:?}");
    }
    ensure!(read_all(&kafka, &dead).await?.len() == 3, "it deleted some");
    Ok(())
}

/// From a Component file, and from a running process: an admin server that this test
/// plays.
pub async fn settings_come_from_a_file_or_a_running_process(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, source, dead) = topics(&fixture, 1).await?;
    write_to(&kafka, &dead, Some(0), &numbered(0..1, &source)).await?;
    let place = Place::with_component(&kafka, &[])?;
    let file = place.resources().join("todo-pubsub.yaml");
    let file = file.to_str().ok_or("a path that is text")?;
    let sockets = place.sockets();
    let folder = sockets.to_str().ok_or("a path that is text")?.to_owned();
    let list = |more: &[&str]| dlq_bare(&[&["list", "--topic", &dead], more].concat());

    let from_file = say(list(&["--component", file])).await?;
    ensure!(from_file.out.contains("1 records"), "{from_file:?}");
    let nobody = say(list(&["--instance", "x", "--socket-folder", &folder])).await?;
    ensure!(
        nobody.code == Some(1) && nobody.err.contains("running"),
        "{nobody:?}"
    );

    let listener = tokio::net::UnixListener::bind(admin_socket(&sockets)?)?;
    let server = tokio::spawn(async { axum::serve(listener, admin_server(kafka)).await });
    let instance = ["--socket-folder", &folder, "--instance"];
    let running = say(list(&[&instance[..], &["todo/pubsub"]].concat())).await?;
    ensure!(running.out.contains("1 records"), "{running:?}");
    let unknown = say(list(&[&instance[..], &["x"]].concat())).await?;
    ensure!(unknown.code == Some(1), "{unknown:?}");
    for part in [
        "no instance x",
        "rdkafka.sock: todo/pubsub (group todo), broken",
    ] {
        ensure!(unknown.err.contains(part), "{part} is not in {unknown:?}");
    }
    let broken = say(list(&[&instance[..], &["broken"]].concat())).await?;
    ensure!(broken.code == Some(1), "{broken:?}");
    ensure!(
        !broken.err.contains("31337") && broken.err.contains("rdkafka.sock"),
        "{broken:?}"
    );
    server.abort();

    let secret = [("brokers", "127.0.0.1:1"), ("authType", "none")];
    write_component(&place.resources(), "b", "pubsub.rdkafka", &secret)?;
    let file = place.resources().join("b.yaml");
    let begun = std::time::Instant::now();
    let down = say(list(&["--component", file.to_str().unwrap_or_default()])).await?;
    ensure!(
        down.code == Some(1) && down.err.contains("RDK-TCP-01 127.0.0.1:1: "),
        "{down:?}"
    );
    // The wait is a promise: an operator sits before it.
    ensure!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    Ok(())
}

fn admin_server(kafka: String) -> Router {
    let instances = json!([
        {"name": "todo/pubsub", "socket": "rdkafka", "group": "todo"},
        {"name": "broken", "socket": "rdkafka", "group": null},
    ]);
    let properties = async move |Path(name): Path<String>| -> (StatusCode, Json<Value>) {
        match name.as_str() {
            "todo/pubsub" => {
                let properties = json!({"brokers": kafka, "authType": "none"});
                (StatusCode::OK, Json(properties))
            }
            "broken" => (StatusCode::OK, Json(json!({"saslPassword": 31337}))),
            _ => (StatusCode::NOT_FOUND, Json(json!({"error": "unknown"}))),
        }
    };
    Router::new()
        .route("/v1/instances", get(async move || Json(instances)))
        .route("/v1/instances/{name}/properties", get(properties))
}
