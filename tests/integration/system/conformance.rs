//! Dapr's own conformance tests for pub/sub components, through the client with which daprd talks to
//! pluggable components. docs/conformance.md is made from their output.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

use futures_util::future::try_join_all;
use harness::{DaprdBuild, Process, Result, root};
use regex::Regex;
use serde_json::json;
use tokio::process::Command;

use crate::{
    ensure,
    support::{Fixture, Place, admin, page::Page},
};

/// The daprds whose client is used: one that handles the messages of a stream one at a time, and one
/// that handles them concurrently.
const DAPRDS: [DaprdBuild; 2] = [DaprdBuild::V1_18_3, DaprdBuild::V1_18_4];

/// How long the suite may take: about a minute, most of it in the suite's own pauses.
const LIMIT: Duration = Duration::from_secs(150);

/// A way to run the suite.
struct Setup {
    /// What the page calls the setup.
    title: &'static str,
    /// The component's name, and so its socket's.
    name: &'static str,
    /// Partitions of each topic.
    partitions: i32,
    /// The key of all messages, if they have one.
    key: Option<&'static str>,
    /// Whether the suite checks the order of the messages.
    ordered: bool,
    /// Why the suite runs this way, for the page.
    why: &'static str,
}

const SETUPS: [Setup; 3] = [
    Setup {
        title: "`pubsub.kafka`",
        name: "kafka",
        partitions: 1,
        key: None,
        ordered: true,
        why: "The component in place of the built-in one (`--name kafka`), configured as Dapr configures \
              the built-in one for this suite. Topics have one partition, the default of the brokers on which Dapr runs it.",
    },
    Setup {
        title: "`pubsub.rdkafka`, one key",
        name: "rdkafka",
        partitions: 3,
        key: Some("conformance"),
        ordered: true,
        why: "The component under its own name. It keeps the order of each key, so all messages have the \
              same key, as in Dapr's configuration for Azure Event Hubs.",
    },
    Setup {
        title: "`pubsub.rdkafka`, no keys",
        name: "rdkafka",
        partitions: 3,
        key: None,
        ordered: false,
        why: "Messages without a key are spread over three partitions. Each partition keeps its order and the \
              topic has none, so the suite does not check it (`checkInOrderProcessing: false`), as for RabbitMQ or Azure Service Bus.",
    },
];

/// The suite's subtests in their order, and what each requires.
const SUBTESTS: [(&str, &str); 11] = [
    ("init", "Init succeeds."),
    ("ping", "Ping succeeds."),
    ("subscribe", "A subscription opens."),
    ("bulkSubscribe", "A bulk subscription opens."),
    (
        "publish",
        "Publish succeeds for 10 messages to one topic and 11 to the topic of the bulk subscription.",
    ),
    (
        "bulkPublish",
        "Bulk publish succeeds for 10 messages, and no entry fails.",
    ),
    (
        "verify_read",
        "All messages arrive, though the subscriber fails the first two and every fifth. In order, where order is checked.",
    ),
    (
        "verify_read_on_bulk_subscription",
        "The same for the bulk subscription, in batches of at most 5.",
    ),
    ("multiple_handlers", "Both subtests below pass."),
    (
        "multiple_handlers/mutiple_handlers",
        "Subscriptions to two topics get the messages of their own topic. (The name is the suite's.)",
    ),
    (
        "multiple_handlers/stop_subscribers",
        "When one of the two subscriptions is closed, the other goes on.",
    ),
];

/// What the suite printed: its version, and the result of each subtest.
#[derive(Debug, PartialEq, Eq)]
struct Output {
    suite: String,
    results: BTreeMap<String, String>,
}

pub async fn daprs_own_suite_passes(fixture: Arc<Fixture>) -> Result<()> {
    let brokers = fixture.kafka().await?;
    let place = Place::new()?;
    let component = place.component_with(&["rdkafka", "kafka"], &[]).await?;
    let mut runs = Vec::new();
    for setup in &SETUPS {
        for daprd in DAPRDS {
            runs.push(run(&fixture, brokers, &place, setup, daprd));
        }
    }
    let outputs = try_join_all(runs)
        .await
        .map_err(|error| component.process.failed(&format!("ran: {error}")))?;
    same("docs/conformance.md", &page(&outputs)?)?;
    Page::read("conformance.md")?.links_lead_somewhere()
}

/// Runs the suite to its end, on topics of its own.
async fn run(
    fixture: &Fixture,
    brokers: &str,
    place: &Place,
    setup: &Setup,
    daprd: DaprdBuild,
) -> Result<Output> {
    let topics = ["single", "bulk", "first", "second"].map(|topic| fixture.name(topic));
    for topic in &topics {
        admin::create_topic(brokers, topic, setup.partitions, &[]).await?;
    }
    let key: BTreeMap<_, _> = setup
        .key
        .map(|key| ("partitionKey", key))
        .into_iter()
        .collect();
    let [single, bulk, first, second] = &topics;
    let config = json!({
        "testTopicName": single, "testTopicForBulkSub": bulk,
        "testMultiTopic1Name": first, "testMultiTopic2Name": second,
        "publishMetadata": key, "checkInOrderProcessing": setup.ordered,
    });
    let properties = json!({
        "brokers": brokers, "consumerGroup": fixture.name("conformance"),
        "authRequired": "false", "initialOffset": "oldest",
    });
    let program = daprd.program().with_file_name("conformance");
    let mut command = Command::new(program);
    // The suite writes to a map from two goroutines at once, which ends a Go program. On one CPU no
    // goroutine is interrupted while it writes to a map.
    command.args(["-test.v", "-test.cpu", "1"]);
    command.env("CONFORMANCE_SOCKET", place.socket(setup.name));
    command.env("CONFORMANCE_PROPERTIES", properties.to_string());
    command.env("CONFORMANCE_CONFIG", config.to_string());
    let named = format!("the suite as {} on {}", setup.title, daprd.version());
    let ended = Process::start(&named, command)?.wait(LIMIT).await?;
    let output = read(&ended.output);
    output
        .filter(|_| ended.status.success())
        .ok_or_else(|| format!("{named}: {}; it printed:\n{}", ended.status, ended.output).into())
}

/// Reads what the suite printed; nothing if its version is not there.
fn read(printed: &str) -> Option<Output> {
    let suite = Regex::new(r"suite: (\S+ \S+)").ok()?;
    let result = Regex::new(r"(?m)^ +--- (PASS|SKIP|FAIL): TestConformance/(\S+)").ok()?;
    let results = result.captures_iter(printed);
    Some(Output {
        suite: suite.captures(printed)?[1].to_owned(),
        results: results
            .map(|found| (found[2].to_owned(), found[1].to_owned()))
            .collect(),
    })
}

/// The page, of the outputs of each setup on each daprd.
fn page(outputs: &[Output]) -> Result<String> {
    let known: BTreeSet<_> = SUBTESTS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    for output in outputs {
        let found: BTreeSet<_> = output.results.keys().cloned().collect();
        ensure!(found == known, "the suite has the subtests {found:?}");
        ensure!(output.suite == outputs[0].suite, "{outputs:?}");
        let passed = output.results.values().all(|result| result == "PASS");
        ensure!(passed, "a subtest did not pass: {output:?}");
    }
    let mut setups = String::new();
    for setup in &SETUPS {
        let _ = writeln!(setups, "* **{}.** {}", setup.title, setup.why);
    }
    let page = include_str!("conformance/page.md");
    let page = page.replace("{suite}", &outputs[0].suite);
    Ok(page
        .replace("{setups}", &setups)
        .replace("{results}", &table()))
}

/// The table of results: a column for each setup. All subtests have passed when it is made.
fn table() -> String {
    let titles = SETUPS.map(|setup| setup.title).join(" | ");
    let columns = "---|".repeat(SETUPS.len());
    let passed = " passed |".repeat(SETUPS.len());
    let mut table = format!("| subtest | what it requires | {titles} |\n|---|---|{columns}\n");
    for (name, requires) in SUBTESTS {
        let _ = writeln!(table, "| `{name}` | {requires} |{passed}");
    }
    table
}

/// Requires that a file is what the test makes; with `UPDATE_DOCS` it is written so.
fn same(file: &str, made: &str) -> Result<()> {
    let path: &Path = &root().join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, made)?;
    }
    ensure!(
        fs::read_to_string(path).unwrap_or_default() == made,
        "{file} is outdated; `UPDATE_DOCS=1 cargo test --test integration -- conformance` updates it"
    );
    Ok(())
}
