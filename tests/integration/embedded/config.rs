//! `dapr-rdkafka config` as a command, and keys that librdkafka has to take.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use harness::{Result, root};

use super::Bench;
use crate::{
    ensure,
    support::{Fixture, Place, SOON, player::Player, program},
};

fn config(arguments: &[&str], folder: &Path) -> Result<Output> {
    let mut command = Command::new(program());
    let command = command.arg("config").args(arguments).current_dir(folder);
    Ok(command.output()?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub async fn the_samples_are_right(_: Arc<Fixture>) -> Result<()> {
    let mut arguments = vec!["check".to_owned()];
    for folder in ["components", "components/connect"] {
        for entry in fs::read_dir(root().join(folder))? {
            let path = entry?.path();
            // What is made for Dapr's own tools is no Component.
            if path.is_file() && !path.ends_with("metadata.yaml") {
                arguments.push(path.display().to_string());
            }
        }
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let checked = config(&arguments, &root())?;
    ensure!(checked.status.code() == Some(0), "{}", said(&checked));
    Ok(())
}

pub async fn what_is_wrong_is_told_to_scripts_by_the_exit_code(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let folder = place.sockets();
    fs::create_dir_all(&folder)?;
    let component = |value: &str| {
        format!(
            "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: c}}\nspec:\n  type: pubsub.kafka\n  metadata:\n  \
             - {{name: brokers, value: 'a:1'}}\n  - {{name: authType, value: {value}}}\n"
        )
    };
    fs::write(folder.join("right.yaml"), component("none"))?;
    fs::write(folder.join("wrong.yaml"), component("kerberos"))?;
    for (arguments, code, part) in [
        (
            &["check", "right.yaml"][..],
            0,
            "Component c (pubsub.kafka): right",
        ),
        (
            &["check", "right.yaml", "wrong.yaml"],
            1,
            "problem: authType: \"kerberos\"",
        ),
        (
            &["check", "none.yaml"],
            1,
            "none.yaml: problem: it can't be read",
        ),
        (&["check"], 2, ""),
        (&["diff", "right.yaml"], 0, "  authType: same\n"),
        (&["reference"], 0, "# Metadata of a Component"),
        (&["reference", "--format", "schema"], 0, "schemaVersion: v1"),
    ] {
        let output = config(arguments, &folder)?;
        let said = said(&output);
        ensure!(
            output.status.code() == Some(code),
            "{arguments:?}: {output:?}"
        );
        ensure!(
            said.contains(part),
            "{arguments:?}: {part:?} is not in: {said}"
        );
    }
    Ok(())
}

/// A Component that states the built-in's defaults of 1.19 starts, and one that turns a
/// transaction on does not.
pub async fn transactions_are_refused_by_name(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let off = [
        ("producerTransactionsEnabled", "false"),
        ("consumerTransactionsEnabled", "false"),
        ("transactionalIdPrefix", "orders"),
        ("transactionTimeout", "60s"),
        ("consumerIsolationLevel", "read_uncommitted"),
    ];
    let socket = bench.place.socket("rdkafka");
    let properties = |pairs: &[(&str, &str)]| bench.properties(pairs);
    let mut player = Player::start(&socket, properties(&off)?).await?;
    player.publish("orders", "k", "published").await?;
    for (key, value, told) in [
        (
            "producerTransactionsEnabled",
            "true",
            "writes no transactions",
        ),
        ("consumerTransactionsEnabled", "true", "in no transaction"),
        ("isolationLevel", "read_committed", "keep one of both"),
    ] {
        let pairs = off.iter().filter(|(name, _)| *name != key).copied();
        let pairs: Vec<_> = pairs.chain([(key, value)]).collect();
        let refused = Player::start(&socket, properties(&pairs)?).await;
        let said = refused.err().map(|error| error.to_string());
        let said = said.ok_or_else(|| format!("{key} {value} was taken"))?;
        ensure!(said.contains(key) && said.contains(told), "{key}: {said}");
    }
    Ok(())
}

/// librdkafka refuses some values only when a client is made.
pub async fn librdkafka_takes_the_keys_at_their_bounds(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let longest = [
        ("sessionTimeout", "1h"),
        ("heartbeatInterval", "59m"),
        ("dialTimeout", "5m"),
        ("readTimeout", "150"),
        ("writeTimeout", "2m30s"),
        ("clientConnectionTopicMetadataRefreshInterval", "1h"),
        ("consumerFetchMin", "1"),
        ("consumerFetchDefault", "1000000000"),
        ("consumerGroupRebalanceStrategy", "roundrobin"),
        ("maxMessageBytes", "1_000_000_000"),
        ("producerRetryMax", "2147483647"),
    ];
    let shortest = [
        ("sessionTimeout", "10ms"),
        ("heartbeatInterval", "1ms"),
        ("dialTimeout", "1s"),
        ("readTimeout", "1s"),
        ("writeTimeout", "1s"),
        ("clientConnectionTopicMetadataRefreshInterval", "1s"),
        ("consumerFetchMin", "100000000"),
        ("consumerFetchDefault", "1"),
        ("producerRequiredAcks", "local"),
        ("producerRetryMax", "0"),
        ("idempotence", "false"),
    ];
    for pairs in [longest, shortest] {
        let properties = bench.properties(&pairs)?;
        let mut player = Player::start(&bench.place.socket("rdkafka"), properties).await?;
        // Opened, so that the group's client is made too; what the mock cluster answers
        // such a member is no matter.
        drop(player.pull("orders").await?);
    }
    // An instance with usual ones goes on beside.
    let mut player = bench.player().await?;
    let mut pull = player.pull("orders").await?;
    player.publish("orders", "k", "received").await?;
    pull.take(1, SOON).await?;
    Ok(())
}
