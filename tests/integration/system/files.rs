//! Component files as people write them, read by daprd and by this program.

use std::{
    fs,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use dapr_rdkafka::resources::{Document, Elsewhere, documents};
use harness::{Daprd, DaprdBuild, DaprdOptions, Proxy, Result, free_port, root};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, RngSeed, TestRunner},
};
use regex::Regex;
use serde::Deserialize;
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::{
    ensure,
    support::{Fixture, Place, program},
};

/// Random files that are compared.
const FILES: usize = 2000;

/// A Component as daprd's own loader reads it.
#[derive(Debug, Deserialize)]
struct Loaded {
    name: String,
    #[serde(rename = "type")]
    of: String,
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    name: String,
    value: Option<String>,
    secret: String,
    variable: String,
}

/// What one reader makes of a Component: its name, its type, and for each key its value or where
/// daprd looks for one.
type Read = (String, String, Vec<(String, String)>);

/// Needs `target/daprd/1.18.3/resources`, which `scripts/daprd resources` builds from daprd's source.
pub async fn a_component_means_to_this_program_what_it_means_to_daprd(
    _: Arc<Fixture>,
) -> Result<()> {
    let seed = rand_seed();
    let config = Config {
        rng_algorithm: RngAlgorithm::XorShift,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let mut texts = Vec::new();
    while texts.len() < FILES {
        let made = file().new_tree(&mut runner);
        texts.push(made.map_err(|reason| reason.to_string())?.current());
    }
    let daprds = read_by_daprd(&texts).await?;
    let mut components = 0;
    for (text, daprds) in texts.iter().zip(daprds) {
        let ours = read_here(text);
        components += ours.len();
        ensure!(
            ours == daprds,
            "seed {seed}: this file\n{text}\nis to this program\n{ours:#?}\nand to daprd\n{daprds:#?}"
        );
    }
    ensure!(
        components > FILES / 2,
        "only {components} Components were read"
    );
    Ok(())
}

fn rand_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    let given = std::env::var("FILES_SEED").ok();
    let given = given.and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| RandomState::new().hash_one(0))
}

async fn read_by_daprd(texts: &[String]) -> Result<Vec<Vec<Read>>> {
    let reader = DaprdBuild::V1_18_3.program().with_file_name("resources");
    let mut child = Command::new(&reader)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", reader.display()))?;
    let mut input = child.stdin.take().ok_or("it has no input")?;
    let given = serde_json::to_vec(texts)?;
    let write = async move { input.write_all(&given).await };
    let (written, output) = tokio::join!(write, child.wait_with_output());
    written?;
    let output = String::from_utf8(output?.stdout)?;
    // The loader's own log stands between.
    let lines = output.lines().filter(|line| line.starts_with('['));
    let read = lines.map(|line| {
        let loaded: Vec<Loaded> = serde_json::from_str(line)?;
        Ok(loaded.into_iter().map(daprds).collect())
    });
    let read = read.collect::<Result<Vec<_>>>()?;
    ensure!(
        read.len() == texts.len(),
        "{} of {}",
        read.len(),
        texts.len()
    );
    Ok(read)
}

/// What daprd makes of the items (dapr/dapr v1.18.3, `pkg/runtime/processor/secret`).
fn daprds(loaded: Loaded) -> Read {
    let mut read: Vec<(String, String)> = Vec::new();
    for Item {
        name,
        value,
        secret,
        variable,
    } in loaded.items
    {
        let meant = match value {
            None if !variable.is_empty() => "from a variable".to_owned(),
            _ if !secret.is_empty() => "from a secret".to_owned(),
            value => format!("= {}", value.unwrap_or_default()),
        };
        read.retain(|(there, _)| *there != name);
        read.push((name, meant));
    }
    read.sort();
    (loaded.name, loaded.of, read)
}

fn read_here(text: &str) -> Vec<Read> {
    let components = documents(text)
        .into_iter()
        .filter_map(|document| match document {
            Document::PubSub(component) => Some(component),
            _ => None,
        });
    let read = components.map(|component| {
        let values = component.properties.into_iter();
        let mut read: Vec<_> = values
            .map(|(key, value)| (key, format!("= {value}")))
            .collect();
        for (key, there) in component.elsewhere {
            let meant = match there {
                Elsewhere::Secret => "from a secret",
                Elsewhere::Environment => "from a variable",
            };
            read.push((key, meant.to_owned()));
        }
        read.sort();
        (component.name, component.of, read)
    });
    read.collect()
}

/// A file with up to three Components, of which some are spoilt.
fn file() -> impl Strategy<Value = String> {
    let ends = select(vec!["\n", "\n", "\n", "\r\n"]);
    let separator = select(vec!["---\n", "---\n", "--- # next\n", "---   \n"]);
    (vec((component(), separator), 1..4), any::<bool>(), ends).prop_map(|(all, first, end)| {
        let mut text = String::new();
        for (index, (component, separator)) in all.into_iter().enumerate() {
            if index > 0 || first {
                text.push_str(separator);
            }
            text.push_str(&component.replace("NAME", &format!("c{index}")));
        }
        text.replace('\n', end)
    })
}

fn component() -> impl Strategy<Value = String> {
    let head = select(vec![
        "apiVersion: dapr.io/v1alpha1\nkind: Component\n",
        "apiVersion: dapr.io/v1alpha1\nkind: Component\n",
        "apiVersion: dapr.io/v1alpha1\nkind: Component\n",
        "\"apiVersion\": 'dapr.io/v1alpha1'\nKind: Component\n",
        "APIVERSION: dapr.io/v1alpha1\nkind: \"Component\"\nscopes: [orders]\n",
        "kind: Component\n",
        "apiVersion: dapr.io/v1\nkind: Component\n",
        "apiVersion: dapr.io/v1alpha1\nkind: component\n",
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nignored: yes\n",
    ]);
    let spec = select(vec![
        "spec:\n  type: pubsub.kafka\n  version: v1\n",
        "spec:\n  type: pubsub.kafka\n  version: 1\n",
        "spec:\n  Type: pubsub.kafka\n  ignoreErrors: yes\n",
        "SPEC:\n  type: 'pubsub.kafka'\n  initTimeout: 60s\n",
        "spec:\n  type: pubsub.kafka\n  ignoreErrors: 'true'\n",
        "spec:\n  type: pubsub.kafka\n  version: [v1]\n",
    ]);
    (head, spec, vec(item(), 0..5)).prop_map(|(head, spec, items)| {
        let mut text = format!("{head}metadata:\n  name: NAME\n{spec}  metadata:\n");
        for item in items {
            text.push_str(&item);
        }
        text
    })
}

fn item() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        select(vec!["brokers", "maxMessageBytes", "caCert", "a", "b"]).prop_map(str::to_owned),
        "[a-z]{1,6}",
    ];
    let label = select(vec!["name", "name", "name", "Name", "'name'"]);
    (label, name, rest()).prop_map(|(label, name, rest)| format!("  - {label}: \"{name}\"\n{rest}"))
}

/// What stands behind an item's name.
fn rest() -> impl Strategy<Value = String> {
    let value = (
        select(vec!["value", "value", "value", "Value", "VALUE"]),
        value(),
    );
    prop_oneof![
        12 => value.prop_map(|(label, value)| format!("    {label}: {value}\n")),
        1 => Just("    secretKeyRef: {name: s, key: k}\n".to_owned()),
        1 => Just("    secretkeyref:\n      name: s\n".to_owned()),
        1 => Just("    envRef: VARIABLE\n".to_owned()),
        1 => Just("    value: x\n    ENVREF: VARIABLE\n".to_owned()),
        1 => Just("    value: ~\n    envRef: VARIABLE\n".to_owned()),
        1 => Just("    secretKeyRef: kafka\n".to_owned()),
        1 => Just(String::new()),
    ]
}

fn value() -> impl Strategy<Value = String> {
    let written = select(vec![
        "yes",
        "No",
        "on",
        "y",
        "true",
        "~",
        "null",
        "",
        "0",
        "-1",
        "+7",
        "0x1F",
        "0o17",
        "017",
        "08",
        "0b11",
        "1_000",
        "1048576.0",
        "1e3",
        "1.5e-7",
        "1e21",
        ".5",
        ".inf",
        ".nan",
        "18446744073709551615",
        "18446744073709551616",
        "12:30",
        "2026-01-02",
        "2026-01-02T03:04:05Z",
        "a:1,b:2",
        "kafka:9092 # the broker",
        "'a''b'",
        "\"a\\tb\\u00e9\\n\"",
        "|\n      line one\n      line two",
        "|-\n      -----BEGIN X-----\n      abc",
        ">\n      folded\n      text",
        ">-\n      folded\n\n      text",
        "a\n      b",
        "[a, 'b', 1.0, no]",
        "{b: 1, a: [x]}",
        "!!str 5",
        "!!binary aGk=",
        "!custom x",
        "!!int '5'",
        "&anchor x",
        "${PLACE}",
        "$(PLACE)",
        "{{ place }}",
        "@x",
        "`x",
        "%x",
        "- x",
        "a: b",
        "é ü 漢",
        "\"<&>\"",
        "=",
        "<<",
    ])
    .prop_map(str::to_owned);
    let word = "[a-zA-Z0-9_.+:/-]{1,12}";
    let quoted = "[ -~]{0,12}".prop_map(|text| format!("'{}'", text.replace('\'', "''")));
    let json = any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap_or_default());
    prop_oneof![6 => written, 3 => word, 2 => quoted, 1 => json]
}

/// What must become of a file.
enum Becomes {
    /// daprd initialises the component, and `config check` notes this.
    Accepted(&'static [&'static str]),
    /// Init and `config check` name this.
    Refused(&'static [&'static str]),
    /// daprd never hands it to a component, and `config check` says this.
    Unread(&'static [&'static str]),
}

use Becomes::{Accepted, Refused, Unread};

/// The files of `tests/integration/files`, with what must become of each document of theirs.
const PEOPLES: [(&str, Becomes); 20] = [
    (
        "01-docs-full-sample",
        Accepted(&["schemaRegistryURL has no effect: Only topics with valueSchemaType"]),
    ),
    ("03-event-hubs-plain", Accepted(&[])),
    (
        "04-redpanda-cloud-scram",
        Accepted(&[
            "saslMechanism means SCRAM-SHA-256 here; Dapr's built-in component would have sent PLAIN",
            "enableTLS is no known key and has no effect: TLS is on unless",
        ]),
    ),
    ("06-plain-no-authtype", Accepted(&[])),
    (
        "07-other-clients-keys",
        Accepted(&[
            "consumerSessionTimeout is no known key and has no effect; did you mean sessionTimeout?",
            "producerAcks is no known key and has no effect; did you mean producerRequiredAcks?",
            "maxRetries is no known key and has no effect; did you mean producerRetryMax?",
            "producerCompressionType is no known key and has no effect; did you mean compression?",
        ]),
    ),
    (
        "08-required-acks-all",
        Refused(&[
            "\"WaitForAll\": expected all, local; write all",
            "\"earliest\": expected newest, oldest; write oldest",
            "use range or roundrobin",
        ]),
    ),
    (
        "10-mtls-secret-two-documents",
        Unread(&["daprd skips Component pubsub (pubsub.kafka): it has no apiVersion"]),
    ),
    ("15-helm-rendered-floats", Accepted(&[])),
    ("17-consumer-id-lower-case", Accepted(&[])),
    (
        "18-brokers-on-lines",
        Refused(&["separate brokers by commas"]),
    ),
    (
        "19-brokers-semicolons",
        Refused(&["separate brokers by commas", "it is a list; write one text"]),
    ),
    (
        "20-brokers-protocol-and-commas",
        Refused(&["is a URL; write b1.example.net:9096"]),
    ),
    (
        "21-component-with-subscriptions",
        Accepted(&[
            "daprd publishes a message to deadLetterTopic poisonMessages at the first error",
            "with bulkSubscribe Dapr 1.16.0 to",
            "consumerGroup shipping has no effect in a Subscription",
            "valueSchemaType: \"Avro\" needs a schema registry",
        ]),
    ),
    (
        "22-retry-keys",
        Accepted(&["maxRetryAttempts is no known key and has no effect\n"]),
    ),
    ("28-msk-iam-irsa", Accepted(&[])),
    (
        "30-kubectl-get-list",
        Unread(&["List: its items were not read; write each as a document of its own"]),
    ),
    (
        "31-init-timeout",
        Accepted(&["spec.initTimeout 60s: daprd waits so long, and does not tell the component"]),
    ),
    (
        "33-placeholders",
        Refused(&["looks like a placeholder that nobody replaced"]),
    ),
    (
        "34-secret-with-newline",
        Accepted(&["saslPassword: its value ends in a line break"]),
    ),
    (
        "35-three-brokers-certification",
        Refused(&["use range or roundrobin"]),
    ),
];

pub async fn peoples_files_are_checked_as_daprd_would_take_them(_: Arc<Fixture>) -> Result<()> {
    for (name, becomes) in &PEOPLES {
        let file = root().join(format!("tests/integration/files/{name}.yaml"));
        let mut command = Command::new(program());
        command.args(["config", "check"]).arg(&file);
        let output = command.output().await?;
        let said = String::from_utf8(output.stdout)?;
        let (Accepted(parts) | Refused(parts) | Unread(parts)) = becomes;
        for part in *parts {
            ensure!(said.contains(part), "{name}: {part:?} is not in\n{said}");
        }
        let is_accepted = matches!(becomes, Accepted(_));
        let components = said.lines().filter(|line| line.contains(": Component "));
        let right = components.filter(|line| line.ends_with(": right")).count();
        ensure!(
            (right > 0) == is_accepted || *name == "20-brokers-protocol-and-commas",
            "{said}"
        );
        ensure!(!said.contains("right-password"), "{name}: {said}");
    }
    Ok(())
}

/// One daprd gets all of them. No broker is there, so they start without one.
pub async fn peoples_files_go_through_daprds_init(fixture: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    fs::create_dir_all(place.resources())?;
    let mut meant = Vec::new();
    for (index, (name, becomes)) in PEOPLES.iter().enumerate() {
        let file = root().join(format!("tests/integration/files/{name}.yaml"));
        let prefix = format!("f{index}-");
        let text = made_lenient(&fs::read_to_string(file)?, &prefix)?;
        fs::write(place.resources().join(format!("{name}.yaml")), text)?;
        meant.push((prefix, name, becomes));
    }
    let component = place.component_with(&["kafka"], &[]).await?;
    let daprd = place.daprd(fixture.daprd, "orders", None).await?;
    let said = daprd.process.output();
    for (prefix, name, becomes) in meant {
        let loaded = said.matches(&format!("Component loaded: {prefix}")).count();
        let failed = format!("Failed to init component {prefix}");
        let failures: Vec<_> = said.lines().filter(|line| line.contains(&failed)).collect();
        match becomes {
            Accepted(_) => ensure!(
                loaded > 0 && failures.is_empty(),
                "{name}: {loaded} loaded, {failures:#?}"
            ),
            Refused(parts) => {
                let all = failures.join("\n").replace('\\', "");
                for part in *parts {
                    let part = part.replace('\\', "");
                    ensure!(all.contains(&part), "{name}: {part:?} is not in\n{all}");
                }
            }
            Unread(_) => ensure!(
                loaded == 0 && failures.is_empty(),
                "{name}: {loaded} loaded, {failures:#?}"
            ),
        }
    }
    component.stop().await?;
    Ok(())
}

/// The file's Components with names of their own, without secrets that no store has, and so that
/// neither an error nor a missing broker ends daprd.
fn made_lenient(text: &str, prefix: &str) -> Result<String> {
    let replace = |text: &str, what: &str, by: &str| -> Result<String> {
        Ok(Regex::new(what)?.replace_all(text, by).into_owned())
    };
    // daprd is built without secret stores.
    let parts = text
        .split("---\n")
        .filter(|part| !part.contains("secretstores."));
    let text = parts.collect::<Vec<_>>().join("---\n");
    let text = replace(
        &text,
        r"(?m)^metadata:\n  name: ",
        &format!("metadata:\n  name: {prefix}"),
    )?;
    let reference = r"secretKeyRef:.*\n(?: {6,}(?:name|key): .*\n)*";
    let text = replace(&text, &format!(r"(?m)^ +- name: caCert\n +{reference}"), "")?;
    let text = replace(
        &text,
        &format!(r"(?m)^( +){reference}"),
        "${1}value: \"x:1\"\n",
    )?;
    let text = replace(&text, r"(?m)^auth:\n(?:  .*\n)+", "")?;
    let text = replace(&text, r"(?m)^scopes:\n(?:- .*\n)+", "")?;
    let text = replace(
        &text,
        "(?m)^  type: pubsub.kafka\n",
        "  type: pubsub.kafka\n  ignoreErrors: true\n",
    )?;
    replace(
        &text,
        r"(?m)^  metadata:\n( *)- ",
        "  metadata:\n${1}- name: startWithoutBrokers\n${1}  value: \"true\"\n\
         ${1}- name: initTimeout\n${1}  value: 1s\n${1}- ",
    )
}

/// daprd counts an Init as failed that ends after `spec.initTimeout`, 5 s by default, and tells the
/// component nothing of it.
pub async fn init_may_wait_for_brokers_longer_than_five_seconds(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (_, target) = kafka.rsplit_once(':').ok_or("it has no port")?;
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let place = Place::with_component(&address, &[("initTimeout", "55s")])?;
    let file = place.resources().join("todo-pubsub.yaml");
    let text = fs::read_to_string(&file)?.replace("spec:\n", "spec:\n  initTimeout: 60s\n");
    fs::write(file, text)?;
    let component = place.component().await?;
    let name = fixture.name("app");
    let options = DaprdOptions {
        app_id: &name,
        app_port: None,
        resources: &place.resources(),
        sockets: &place.sockets(),
    };
    let mut daprd = Daprd::spawn(&fixture.daprd.program(), &options, free_port()?)?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(7) {
        ensure!(!daprd.process.has_ended(), "{}", daprd.process.output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let said = daprd.process.output();
    ensure!(!said.contains("Component loaded: todo-pubsub"), "{said}");
    let _proxy = Proxy::start(port, target.parse()?).await?;
    daprd.ready().await?;
    let said = daprd.process.output();
    ensure!(said.contains("Component loaded: todo-pubsub"), "{said}");
    component.stop().await?;
    Ok(())
}
