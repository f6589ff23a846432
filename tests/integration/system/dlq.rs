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
    doctor::rights::{allow, guarded},
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        letters::{admin_socket, begin, dlq, dlq_bare, letter, produce_aborted, read_all, say},
        records::{Plain, write_to},
    },
};

/// How many records of a topic were neither sent back nor resolved.
async fn not_redriven(kafka: &str, dead: &str) -> Result<u64> {
    let listed = say(dlq(kafka, &["list", "--topic", dead, "--output", "json"])).await?;
    let lines = listed.json()?;
    let open = lines.first().and_then(|line| line["not_redriven"].as_u64());
    open.ok_or_else(|| format!("{listed:?}").into())
}

/// A source topic and its dead-letter topic, each with so many partitions. The groups of the
/// letters have read the source before.
async fn topics(fixture: &Fixture, partitions: i32) -> Result<(String, String, String)> {
    let kafka = fixture.kafka().await?.to_owned();
    let source = fixture.name("orders");
    let dead = format!("{source}.dlq");
    for topic in [&source, &dead] {
        admin::create_topic(&kafka, topic, partitions, &[]).await?;
    }
    for group in ["todo", "other"] {
        admin::commit(&kafka, group, &source, 0, "").await?;
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

    let listed = say(dlq(&kafka, &["list", "--reasons", "--output", "json"])).await?;
    let lines = listed.json()?;
    let line = lines.iter().find(|line| line["topic"] == dead.as_str());
    let line = line.ok_or_else(|| format!("not found by its name: {listed:?}"))?;
    ensure!(listed.code == Some(0), "{listed:?}");
    // By offsets: the aborted record counts until the next one is committed, too.
    ensure!(line["records"] == line["not_redriven"], "{line}");
    ensure!(
        line["type"] == "topic" && line["retention_ms"] == 604_800_000,
        "{line}"
    );
    ensure!(
        line["reasons"] == json!({"rejected": 2, "unknown": 1}),
        "{line}"
    );
    ensure!(line["sources"][&source] == 2, "{line}");
    ensure!(line["groups"]["todo"] == 2, "{line}");
    ensure!(
        line["first_failure"] == "2026-01-31T12:05:00.000Z",
        "{line}"
    );
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
    ensure!(partly.out.contains("not redriven\n  oldest"), "{partly:?}");
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
    ensure!(
        not_redriven(&kafka, &dead).await? == 4,
        "a dry run settled some"
    );

    let redriven = say(dlq(&kafka, &["redrive", &dead, "--output", "json"])).await?;
    let summary = redriven.json()?.pop().unwrap_or_default();
    // What can't be sent is a failure, with its remedy.
    ensure!(
        redriven.code == Some(1) && dry.code == Some(1),
        "{redriven:?}"
    );
    ensure!(redriven.err.contains("--default-to TOPIC"), "{redriven:?}");
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

    // What was left is open, and the same command with the remedy sends it, and nothing else.
    ensure!(not_redriven(&kafka, &dead).await? == 2, "two are left");
    let rest = ["redrive", &dead, "--to-all", "--default-to", &source];
    let rest = say(dlq(&kafka, &rest)).await?;
    ensure!(
        rest.code == Some(1) && rest.out.contains("1 sent"),
        "{rest:?}"
    );
    let sent = read_all(&kafka, &source).await?;
    ensure!(sent.len() == 3 && sent[2].text() == "nameless", "{sent:?}");
    ensure!(
        sent[2].header(dead_letter::REDRIVE_GROUP).is_none(),
        "{sent:?}"
    );
    Ok(())
}

/// What would be thrown away by every consumer, or written where only a header says so, is
/// refused before it is sent.
pub async fn what_nobody_would_get_is_refused_with_the_remedy(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, source, dead) = topics(&fixture, 1).await?;
    let (foreign, gone) = (fixture.name("payments"), fixture.name("gone"));
    admin::create_topic(&kafka, &foreign, 1, &[]).await?;
    admin::commit(&kafka, "todo", &foreign, 0, "").await?;
    let missing = fixture.name("missing");
    let letters = [
        letter("a", "renamed", &source, &gone),
        letter("b", "foreign", &foreign, "todo"),
        letter("c", "missing", &missing, "todo"),
        letter("d", "fine", &source, "todo"),
    ];
    write_to(&kafka, &dead, Some(0), &letters).await?;
    for more in [&["--dry-run"][..], &[]] {
        let arguments = [&["redrive", &dead, "--source", &source][..], more].concat();
        let only = say(dlq(&kafka, &[&arguments[..], &["--key", "a"]].concat())).await?;
        ensure!(only.code == Some(1), "{only:?}");
        let remedy = format!("--regroup {gone}=NEW");
        ensure!(only.err.contains(&remedy), "{remedy} is not in {only:?}");
    }
    ensure!(read_all(&kafka, &source).await?.is_empty(), "it was sent");
    let redriven = say(dlq(&kafka, &["redrive", &dead, "--output", "json"])).await?;
    ensure!(redriven.code == Some(1), "{redriven:?}");
    let summary = redriven.json()?.pop().unwrap_or_default();
    let left = json!({"group-gone": 1, "not-a-source": 2});
    ensure!(summary["left"] == left, "{summary}");
    for remedy in [
        format!("--regroup {gone}=NEW"),
        format!("--source {foreign}"),
        format!("--source {missing}"),
    ] {
        ensure!(
            redriven.err.contains(&remedy),
            "{remedy} is not in {redriven:?}"
        );
    }
    ensure!(
        texts(&read_all(&kafka, &source).await?) == ["fine"],
        "only that"
    );
    ensure!(
        read_all(&kafka, &foreign).await?.is_empty(),
        "a header chose it"
    );

    // Each remedy sends what it is for, and the others stay open.
    let renamed = format!("{gone}=todo");
    let regrouped = say(dlq(&kafka, &["redrive", &dead, "--regroup", &renamed])).await?;
    ensure!(regrouped.out.contains("1 sent"), "{regrouped:?}");
    let named = ["redrive", &dead, "--source", &foreign, "--source", &missing];
    let named = say(dlq(&kafka, &named)).await?;
    ensure!(named.code == Some(1), "{named:?}");
    let no_topic = format!("the topic {missing} does not exist");
    ensure!(named.err.contains(&no_topic), "{named:?}");
    ensure!(
        texts(&read_all(&kafka, &foreign).await?) == ["foreign"],
        "it was named"
    );
    let elsewhere = ["redrive", &dead, "--to", &source];
    let elsewhere = say(dlq(&kafka, &elsewhere)).await?;
    ensure!(elsewhere.code == Some(0), "{elsewhere:?}");
    let sent = read_all(&kafka, &source).await?;
    ensure!(texts(&sent) == ["fine", "renamed", "missing"], "{sent:?}");
    let group = sent[1].header(dead_letter::REDRIVE_GROUP);
    ensure!(group.as_deref() == Some("todo"), "{group:?}");
    Ok(())
}

/// Whatever the filters are, nothing is sent twice, and nothing is hidden.
pub async fn a_wide_redrive_sends_what_a_narrow_one_did_not(fixture: Arc<Fixture>) -> Result<()> {
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
    let one = say(dlq(&kafka, &["redrive", &dead, "--limit", "1"])).await?;
    ensure!(one.out.contains("1 sent"), "{one:?}");
    say(dlq(&kafka, &["redrive", &dead])).await?;
    let sent = texts(&read_all(&kafka, &source).await?);
    ensure!(sent[2..] == ["0", "2", "3", "5"], "{sent:?}");
    write_to(&kafka, &dead, Some(0), &numbered(6..9, &source)).await?;
    let resolved = say(dlq(&kafka, &["resolve", &dead, "--key", "k0"])).await?;
    ensure!(resolved.out.contains("1 resolved"), "{resolved:?}");
    say(dlq(&kafka, &["redrive", &dead])).await?;
    let sent = texts(&read_all(&kafka, &source).await?);
    ensure!(sent[6..] == ["7", "8"], "it goes on: {sent:?}");
    say(dlq(&kafka, &["redrive", &dead, "--from-start"])).await?;
    ensure!(
        read_all(&kafka, &source).await?.len() == 17,
        "from the start"
    );
    Ok(())
}

/// Where it is not certain what was sent, nothing is sent until an operator says so.
pub async fn a_redrive_never_starts_over_by_itself(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, source, dead) = topics(&fixture, 1).await?;
    write_to(&kafka, &dead, Some(0), &numbered(0..6, &source)).await?;
    let redriven = say(dlq(&kafka, &["redrive", &dead, "--limit", "3"])).await?;
    ensure!(redriven.code == Some(0), "{redriven:?}");

    // Created again, with more records than were settled: the numbers alone show nothing.
    admin::make_again(&kafka, &dead, 1).await?;
    write_to(&kafka, &dead, Some(0), &numbered(6..15, &source)).await?;
    for command in [&["redrive", &dead][..], &["purge", &dead, "--yes"]] {
        let stopped = say(dlq(&kafka, command)).await?;
        ensure!(stopped.code == Some(1), "{stopped:?}");
        let named = format!("{dead}/0@2 is not the record");
        for part in [&named, "--from-start"] {
            ensure!(stopped.err.contains(part), "{part} is not in {stopped:?}");
        }
    }
    ensure!(
        read_all(&kafka, &source).await?.len() == 3,
        "some were sent"
    );
    let sure = say(dlq(&kafka, &["redrive", &dead, "--from-start"])).await?;
    ensure!(sure.code == Some(0), "{sure:?}");
    let sent = texts(&read_all(&kafka, &source).await?);
    ensure!(sent.len() == 12 && sent[3] == "6", "{sent:?}");
    let again = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(again.out.contains("nothing sent"), "{again:?}");
    Ok(())
}

/// Version 0.1 has kept its progress as a group's offsets.
pub async fn what_version_0_1_sent_is_not_sent_again(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, source, dead) = topics(&fixture, 1).await?;
    write_to(&kafka, &dead, Some(0), &numbered(0..6, &source)).await?;
    let group = format!("dapr-rdkafka-redrive.{dead}");
    admin::commit(&kafka, &group, &dead, 4, "left 1 2").await?;
    let unsure = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(unsure.code == Some(1), "{unsure:?}");
    ensure!(
        unsure.err.contains("left 2 records between 1 and 4"),
        "{unsure:?}"
    );
    admin::commit(&kafka, &group, &dead, 4, "").await?;
    let redriven = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(redriven.code == Some(0), "{redriven:?}");
    let sent = texts(&read_all(&kafka, &source).await?);
    ensure!(sent == ["4", "5"], "{sent:?}");
    Ok(())
}

/// Two at once would send everything twice.
pub async fn two_redrives_of_a_topic_exclude_each_other(fixture: Arc<Fixture>) -> Result<()> {
    let (kafka, source, dead) = topics(&fixture, 1).await?;
    write_to(&kafka, &dead, Some(0), &numbered(0..MANY, &source)).await?;
    let first = begin(dlq(&kafka, &["redrive", &dead, "--rate", RATE]))?;
    let many = MANY as u64;
    let noted = || async {
        let open = not_redriven(&kafka, &dead).await.ok()?;
        (open < many).then_some(())
    };
    eventually("what is sent is noted", SOON, noted).await?;
    let second = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(second.code == Some(1), "{second:?}");
    for part in ["another command", "nothing was done", " at "] {
        ensure!(second.err.contains(part), "{part} is not in {second:?}");
    }
    first.signal("INT").await?;
    let stopped = first.wait(SOON).await?;
    ensure!(stopped.status.code() == Some(130), "{stopped:?}");
    let rest = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(rest.code == Some(0), "{rest:?}");
    let sent = read_all(&kafka, &source).await?;
    ensure!(sent.len() == MANY, "{} came for {MANY}", sent.len());
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
    let many = MANY as u64;
    let noted = || async {
        let open = not_redriven(&kafka, &dead).await.ok()?;
        (open + 20 < many).then_some(())
    };
    eventually("what is sent is noted", SOON, noted).await?;
    child.kill().await?;
    let before = settled(&kafka, &source).await?;
    ensure!(before < MANY, "it was not killed in the middle");
    let open = usize::try_from(not_redriven(&kafka, &dead).await?)?;

    let resumed = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(resumed.code == Some(0), "{resumed:?}");
    let sent = read_all(&kafka, &source).await?;
    let again = sent.len() - MANY;
    let unnoted = before + open - MANY;
    ensure!(
        again == unnoted,
        "{again} came again, {unnoted} were not noted"
    );
    ensure!(unnoted <= MAY_REPEAT, "{unnoted} were not noted");
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
    let many = MANY as u64;
    let noted = || async {
        let open = not_redriven(&kafka, &dead).await.ok()?;
        (open + 20 < many).then_some(())
    };
    eventually("what is sent is noted", SOON, noted).await?;
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

/// A record that the topic does not take holds up no other, and stays open.
pub async fn a_record_that_cant_be_sent_holds_up_no_other(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?.to_owned();
    let source = fixture.name("small");
    let dead = format!("{source}.dlq");
    let small = [("max.message.bytes", "2000")];
    admin::create_topic(&kafka, &source, 1, &small).await?;
    admin::create_topic(&kafka, &dead, 1, &[]).await?;
    admin::commit(&kafka, "todo", &source, 0, "").await?;
    // Together they are larger than the topic takes, and but for one they are not each alone.
    let mut letters = numbered(0..100, &source);
    for letter in &mut letters {
        letter.headers.push(("room".into(), vec![b'x'; 500]));
    }
    letters.insert(1, letter("big", &"x".repeat(3000), &source, "todo"));
    write_to(&kafka, &dead, Some(0), &letters).await?;
    let redrive = ["redrive", &dead, "--output", "json"];
    let stopped = say(dlq(&kafka, &redrive)).await?;
    ensure!(stopped.code == Some(1), "{stopped:?}");
    let summary = stopped.json()?.pop().unwrap_or_default();
    ensure!(summary["left"] == json!({"too-large": 1}), "{summary}");
    let place = format!("the first at {dead}/0@1");
    for part in [&place, "max.message.bytes"] {
        ensure!(stopped.err.contains(part), "{part} is not in {stopped:?}");
    }
    let sent = read_all(&kafka, &source).await?;
    ensure!(sent.len() == 100, "{} were sent", sent.len());
    in_order(&sent, 100)?;
    admin::set_topic(&kafka, &source, "max.message.bytes", "4000").await?;
    let resumed = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(
        resumed.code == Some(0) && resumed.out.contains("1 sent"),
        "{resumed:?}"
    );
    Ok(())
}

pub async fn purge_deletes_what_is_finished_and_asks(fixture: Arc<Fixture>) -> Result<()> {
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
    let purge = ["purge", &dead, "--yes"];
    let purged = say(dlq(&kafka, &purge)).await?;
    let first = format!("stops at {dead}/0@0 was not redriven");
    ensure!(purged.out.contains(&first), "{first} is not in {purged:?}");
    ensure!(standing().await?.len() == 5, "nothing was redriven yet");

    // What was sent is not purged before its group has finished it.
    let redriven = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(redriven.code == Some(1), "one names no topic: {redriven:?}");
    admin::commit(&kafka, "todo", &source, 2, "").await?;
    let dry = say(dlq(&kafka, &["purge", &dead, "--dry-run"])).await?;
    let unfinished = format!("stops at {dead}/0@2 was sent to {source}/0@2, which the group todo");
    for part in ["2 would be deleted", &unfinished] {
        ensure!(dry.out.contains(part), "{part} is not in {dry:?}");
    }
    ensure!(standing().await?.len() == 5, "a dry run deleted some");
    admin::commit(&kafka, "todo", &source, 4, "").await?;
    let purged = say(dlq(&kafka, &purge)).await?;
    ensure!(purged.out.contains("3 deleted"), "{purged:?}");
    let left = standing().await?;
    ensure!(left == ["left", "4"], "what was left stays: {left:?}");
    say(dlq(&kafka, &["resolve", &dead, "--key", "n"])).await?;
    let purged = say(dlq(&kafka, &purge)).await?;
    ensure!(purged.out.contains("2 deleted"), "{purged:?}");
    ensure!(standing().await?.is_empty(), "some are left");

    let (_, other, _) = topics(&fixture, 1).await?;
    let business = [Plain::new("a", "no dead letter")];
    write_to(&kafka, &other, Some(0), &business).await?;
    let refused = say(dlq(&kafka, &["purge", &other, "--yes", "--before", "0s"])).await?;
    ensure!(refused.code == Some(1), "{refused:?}");
    ensure!(refused.err.contains("does not look like"), "{refused:?}");
    ensure!(read_all(&kafka, &other).await?.len() == 1, "it was purged");

    // What comes after a purge is redriven all the same.
    write_to(&kafka, &dead, Some(0), &numbered(5..6, &source)).await?;
    let redriven = say(dlq(&kafka, &["redrive", &dead])).await?;
    ensure!(redriven.out.contains("1 sent"), "{redriven:?}");
    write_to(&kafka, &dead, Some(0), &numbered(6..8, &source)).await?;
    let everything = [
        "purge", &dead, "--yes", "--before", "0s", "--output", "json",
    ];
    let purged = say(dlq(&kafka, &everything)).await?;
    let wanted = json!({
        "type": "purge", "topic": dead, "dry_run": false, "deleted": 3, "never_redriven": 2, "kept": [],
    });
    ensure!(purged.json()? == [wanted], "{purged:?}");
    Ok(())
}

/// The runbook's commands need no right that the manifests don't give.
pub async fn the_rights_of_the_manifests_suffice(_: Arc<Fixture>) -> Result<()> {
    let guarded = guarded().await?;
    let kafka = guarded.address.clone();
    let (source, dead) = ("task-created", "task-created.dlq");
    for topic in [source, dead] {
        admin::create_topic(&kafka, topic, 1, &[]).await?;
    }
    admin::commit(&kafka, "todo", source, 0, "").await?;
    write_to(&kafka, dead, Some(0), &numbered(0..3, source)).await?;

    let manifest = harness::root().join("deploy/brokers/strimzi/user.yaml");
    let manifest: Value = serde_norway::from_str(&std::fs::read_to_string(manifest)?)?;
    let rules = &manifest["spec"]["authorization"]["acls"];
    let concerned = [
        "task-",
        dead,
        "todo",
        "dapr-rdkafka-redrives",
        "dapr-rdkafka-redrive.",
    ];
    let mut given = 0;
    for rule in rules.as_array().ok_or("no rules")? {
        let text = |key: &str| rule["resource"][key].as_str();
        let (kind, name) = text("type")
            .zip(text("name"))
            .ok_or("a rule is of nothing")?;
        if !concerned.contains(&name) {
            continue;
        }
        let pattern = match text("patternType") {
            Some("prefix") => "prefixed",
            _ => "literal",
        };
        let operations = rule["operations"].as_array().ok_or("no operations")?;
        let operations = operations.iter().filter_map(Value::as_str);
        let operations: Vec<_> = operations.map(|one| format!("--operation {one}")).collect();
        let operations = operations.join(" ");
        let rule = format!("{operations} --{kind} {name} --resource-pattern-type {pattern}");
        allow(&guarded, "ANONYMOUS", &rule).await?;
        given += 1;
    }
    ensure!(given == concerned.len(), "{given} rules are concerned");

    // A broker learns of it from the controller, a moment later.
    let redrive = ["redrive", dead, "--output", "json"];
    let redriven = || async {
        let redriven = say(dlq(&kafka, &redrive)).await.ok()?;
        (redriven.code == Some(0)).then_some(redriven)
    };
    let redriven = eventually("the redrive is allowed", SOON, redriven).await?;
    ensure!(redriven.json()?[0]["sent"][source] == 3, "{redriven:?}");
    admin::commit(&kafka, "todo", source, 3, "").await?;
    let listed = say(dlq(&kafka, &["list"])).await?;
    ensure!(
        listed.out.contains("removed by the topic's retention"),
        "{listed:?}"
    );
    let purged = say(dlq(&kafka, &["purge", dead, "--yes"])).await?;
    ensure!(
        purged.code == Some(0) && purged.out.contains("3 deleted"),
        "{purged:?}"
    );
    Ok(())
}

pub async fn a_purge_that_fails_says_what_was_deleted(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?.to_owned();
    let dead = fixture.name("compact.dlq");
    admin::create_topic(&kafka, &dead, 1, &[("cleanup.policy", "compact")]).await?;
    write_to(&kafka, &dead, Some(0), &numbered(0..3, "orders")).await?;
    let purged = say(dlq(&kafka, &["purge", &dead, "--yes", "--before", "0s"])).await?;
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
