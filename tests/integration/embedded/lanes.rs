//! Lanes of a topic, with both separators, and `dapr-rdkafka lanes`, which prints them.

use std::{collections::BTreeMap, process::Output, sync::Arc};

use axum::http::StatusCode;
use harness::Result;
use serde_json::json;
use tokio::process::Command;

use super::Bench;
use crate::{
    ensure,
    support::{
        Fixture, SOON,
        app::{App, subscription},
        player::text,
        program,
    },
};

const MESSAGES: usize = 60;
const KEYS: usize = 5;

/// The plain name, `~` and `#` are streams of one subscription.
pub async fn both_separators_and_the_plain_name_share_a_topic(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut pulls = Vec::new();
    for name in ["orders~1", "orders#1", "orders"] {
        pulls.push(player.pull(name).await?);
    }
    for n in 0..MESSAGES {
        let key = format!("k{}", n % KEYS);
        player.publish("orders", &key, &n.to_string()).await?;
    }
    let (mut last, mut used) = (BTreeMap::new(), BTreeMap::new());
    let [tilde, sharp, plain] = &mut pulls[..] else {
        return Err("three streams".into());
    };
    for _ in 0..MESSAGES {
        let (message, pull) = tokio::select! {
            message = tilde.next(SOON) => (message?, &*tilde),
            message = sharp.next(SOON) => (message?, &*sharp),
            message = plain.next(SOON) => (message?, &*plain),
        };
        let n: usize = text(&message).parse()?;
        if let Some(before) = last.insert(n % KEYS, n) {
            ensure!(before + KEYS == n, "{n} came after {before}");
        }
        *used.entry(message.topic_name.clone()).or_insert(0) += 1;
        pull.ack(&message).await?;
    }
    let names: Vec<_> = used.keys().map(String::as_str).collect();
    ensure!(names == ["orders", "orders#1", "orders~1"], "{used:?}");
    Ok(())
}

async fn lanes(arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(program());
    let command = command.arg("lanes").args(arguments);
    Ok(command.env_remove("APP_API_TOKEN").output().await?)
}

/// The lanes of a running app have its routes and metadata, and the component takes them.
pub async fn the_lanes_of_an_app_are_printed_and_work(_: Arc<Fixture>) -> Result<()> {
    let raw = json!({ "rawPayload": "true" });
    let mut ruled = subscription("ruled", &json!({}));
    ruled["route"] = json!(null);
    ruled["routes"] = json!({
        "rules": [{ "match": "event.type == 'new'", "path": "/new" }],
        "default": "/old",
    });
    let own = json!([
        subscription("orders", &raw),
        ruled,
        subscription("busy#1", &raw)
    ]);
    let app = App::with(own, |_| StatusCode::OK).await?;
    let url = format!("http://localhost:{}", app.port);
    let printed = lanes(&["--from", &url, "--count", "2", "--app-id", "todo"]).await?;
    ensure!(printed.status.code() == Some(0), "{printed:?}");
    let note = "\"busy\" gets no lanes: the app opens 1 of its own";
    let log = String::from_utf8(printed.stderr)?;
    ensure!(log.contains(note) && log.lines().count() == 1, "{log}");
    let yaml = String::from_utf8(printed.stdout)?;
    let documents: Vec<_> = yaml.split("---\n").collect();
    ensure!(
        documents.len() == 4,
        "two lanes for each of two topics: {yaml}"
    );

    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let raw = [("rawPayload", "true")];
    let mut pulls = vec![player.pull_with("orders", &raw).await?];
    for (lane, document) in ["orders~1", "orders~2"].into_iter().zip(&documents) {
        for part in [
            "kind: Subscription\n",
            "  pubsubname: \"todo-pubsub\"\n",
            &format!("  topic: \"{lane}\"\n"),
            "    default: \"/events/orders\"\n",
            "    \"rawPayload\": \"true\"\n",
            "scopes:\n- \"todo\"\n",
        ] {
            ensure!(document.contains(part), "{part} is not in {document}");
        }
        pulls.push(player.pull_with(lane, &raw).await?);
    }
    // Each stream is handed two at most until it answers.
    for n in 0..2 * pulls.len() {
        player.publish("orders", &format!("k{n}"), "x").await?;
    }
    for pull in &mut pulls {
        pull.next(SOON).await?;
    }
    let expected =
        "    - match: \"event.type == 'new'\"\n      path: \"/new\"\n    default: \"/old\"\n";
    ensure!(documents[2].contains(expected), "{}", documents[2]);
    Ok(())
}

/// Scripts see by the exit code whether there is anything to apply.
pub async fn without_lanes_the_exit_code_and_a_line_say_why(_: Arc<Fixture>) -> Result<()> {
    let other = json!({ "pubsubname": "other", "topic": "orders", "route": "/other" });
    let several = json!([subscription("orders", &json!({})), other]);
    let with_several = App::with(several, |_| StatusCode::OK).await?;
    let several = format!("http://localhost:{}/dapr/subscribe", with_several.port);
    let app = App::with(json!([]), |_| StatusCode::OK).await?;
    let nothing = format!("http://localhost:{}", app.port);
    let elsewhere = format!("{nothing}/elsewhere");
    let given = [
        "--topic", "a", "--topic", "b", "--pubsub", "p", "--route", "/a",
    ];
    for (arguments, code, part) in [
        (
            &["--from", &nothing][..],
            1,
            "no lanes to print: the app subscribes to nothing",
        ),
        (&["--from", &elsewhere], 1, "answers 404 Not Found"),
        (
            &["--from", &several],
            2,
            "with --pubsub: \"other\", \"todo-pubsub\"",
        ),
        (
            &["--from", &several, "--pubsub", "other"],
            0,
            "name the app with --app-id",
        ),
        (
            &[&given[..], &["--count", "895"]].concat(),
            2,
            "Use --count 447",
        ),
        (&[&given[..], &["--count", "0"]].concat(), 2, "--count"),
        (
            &["--from", "http://:s3cret@localhost"],
            2,
            "expected the app's address",
        ),
    ] {
        let output = lanes(arguments).await?;
        let log = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(code),
            "{arguments:?}: {output:?}"
        );
        ensure!(
            log.contains(part) && !log.contains("s3cret"),
            "{arguments:?}: {log}"
        );
        ensure!(
            (code == 0) != output.stdout.is_empty(),
            "{arguments:?}: {output:?}"
        );
    }
    Ok(())
}
