//! The command itself: what it writes, how it ends.

use std::{process::Stdio, sync::Arc};

use dapr_rdkafka::metadata::keys;
use harness::{Result, root};
use serde_json::Value;
use tokio::{process::Command, time::timeout};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        doctor::Patient,
        player::{Player, properties},
        program,
    },
    tests,
};

tests!(
    "system::doctor::command",
    the_text_says_what_the_json_says,
    metadata_that_is_wrong_is_cured_by_what_is_told,
    files_are_read_as_daprd_reads_them,
    a_running_component_tells_its_topics,
    flags_alone_do,
    what_can_not_be_done_is_not_fine,
    an_interrupted_one_tells_what_it_has,
    no_secret_is_shown,
);

/// What the program wrote, and how it ended.
struct Said {
    code: i32,
    out: String,
    log: String,
}

async fn doctor(arguments: &[&str]) -> Result<Said> {
    let mut command = Command::new(program());
    command.arg("doctor").args(arguments);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(3 * SOON, command.output()).await??;
    Ok(Said {
        code: output.status.code().ok_or("it was killed")?,
        out: String::from_utf8(output.stdout)?,
        log: String::from_utf8(output.stderr)?,
    })
}

impl Said {
    fn json(&self) -> Result<Value> {
        let read = serde_json::from_str(&self.out);
        read.map_err(|error| format!("{error}: {} {}", self.out, self.log).into())
    }

    fn ends(&self, code: i32) -> Result<()> {
        let Self { out, log, .. } = self;
        ensure!(self.code == code, "{} is not {code}: {out}{log}", self.code);
        Ok(())
    }
}

/// A file in a place's folder of Components.
fn write(place: &Place, name: &str, text: &str) -> Result<String> {
    std::fs::create_dir_all(place.resources())?;
    let path = place.resources().join(name);
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

fn component(name: &str, kind: &str, items: &[(&str, &str)]) -> String {
    let items = items
        .iter()
        .map(|(key, value)| format!("  - {{name: {key}, {value}}}\n"));
    let items: String = items.collect();
    format!(
        "---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\nspec:\n  \
         type: {kind}\n  version: v1\n  metadata:\n{items}"
    )
}

pub async fn the_text_says_what_the_json_says(fixture: Arc<Fixture>) -> Result<()> {
    let brokers = format!("value: '{}'", fixture.kafka().await?);
    let place = Place::new()?;
    let right = [("brokers", &*brokers), ("authType", "value: none")];
    let odd = [&right[..], &[("initialOfset", "value: oldest")]].concat();
    let wrong = [&odd[..], &[("compression", "value: brotli")]].concat();
    let file =
        |name: &str, items: &[_]| write(&place, name, &component("todo", "pubsub.rdkafka", items));
    let (right, odd) = (file("right.yaml", &right)?, file("odd.yaml", &odd)?);
    let wrong = file("wrong.yaml", &wrong)?;
    for (file, verdict, code, strict) in [
        (&right, "fine", 0, 0),
        (&odd, "warnings", 0, 1),
        (&wrong, "problems", 3, 3),
    ] {
        let json = doctor(&["--component", file, "--output", "json"]).await?;
        json.ends(code)?;
        let strictly = doctor(&["--component", file, "--strict"]).await?;
        strictly.ends(strict)?;
        let json = json.json()?;
        ensure!(json["verdict"] == verdict, "{verdict}: {json:#}");
        ensure!(
            json["type"] == "diagnosis" && json["version"] == 1 && json["component"] == "todo",
            "{json:#}"
        );
        let text = &strictly.out;
        ensure!(!text.contains('\u{1b}'), "no terminal, no colours: {text}");
        let summary = json["summary"].as_str().unwrap_or_default();
        ensure!(text.starts_with(&format!("todo: {summary}")), "{text}");
        for finding in json["findings"].as_array().into_iter().flatten() {
            let code = finding["code"].as_str().unwrap_or_default();
            ensure!(!code.is_empty() && text.contains(code), "{code}: {text}");
        }
    }
    let text = doctor(&["--component", &wrong]).await?.out;
    for part in [
        "  # replace:\n  - name: compression\n    value: \"<one of",
        "  # remove: initialOfset",
    ] {
        ensure!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    Ok(())
}

pub async fn metadata_that_is_wrong_is_cured_by_what_is_told(fixture: Arc<Fixture>) -> Result<()> {
    let brokers = fixture.kafka().await?;
    for (items, known) in [
        (
            &[("brokers", "kafka"), ("authType", "none")][..],
            &[("brokers", brokers)][..],
        ),
        (&[("authType", "none")], &[("brokers", brokers)]),
        (&[("brokers", brokers)], &[("authType", "none")]),
        (
            &[
                ("brokers", brokers),
                ("authType", "none"),
                ("compression", "brotli"),
            ],
            &[("compression", "gzip")],
        ),
        (
            &[
                ("brokers", brokers),
                ("authType", "none"),
                ("AuthType", "none"),
            ],
            &[],
        ),
        (
            &[
                ("brokers", brokers),
                ("authType", "none"),
                ("heartbeatInterval", "20s"),
            ],
            &[("heartbeatInterval", "2s")],
        ),
    ] {
        Patient::new(items)?
            .is_cured_of("RDK-CFG-01", &[], known)
            .await?;
    }
    let given = [("brokers", brokers), ("authType", "none")];
    for (key, value, known) in [
        ("initialOfset", "oldest", &[("initialOffset", "oldest")][..]),
        ("noSuchKeyAnywhere", "x", &[]),
        ("backOffMultiplier", "2", &[]),
    ] {
        let mut patient = Patient::new(&[&given[..], &[(key, value)]].concat())?;
        let diagnosis = patient.diagnose(&[]).await?;
        ensure!(
            diagnosis.codes() == ["RDK-CFG-02"] && diagnosis.code == 0,
            "{key}: {:#}",
            diagnosis.json
        );
        patient.mend(&diagnosis, known)?;
        patient.is_healthy(&["--strict"]).await?;
    }
    // What the built-in has and this one needs not is in many a healthy Component.
    let more = [("version", "2.8.0"), ("disableTls", "true")];
    Patient::new(&[&given[..], &more].concat())?
        .is_healthy(&["--strict"])
        .await
}

pub async fn files_are_read_as_daprd_reads_them(fixture: Arc<Fixture>) -> Result<()> {
    let brokers = fixture.kafka().await?;
    let (orders, lane) = (fixture.name("orders"), fixture.name("lane"));
    for topic in [&orders, &lane] {
        admin::create_topic(brokers, topic, 1, &[]).await?;
    }
    let place = Place::new()?;
    let sample = std::fs::read_to_string(root().join("components/todo-pubsub-as-kafka.yaml"))?;
    write(&place, "a.yaml", &sample.replace("localhost:9092", brokers))?;
    let secret = "secretKeyRef: {name: kafka, key: password}";
    let brokers = format!("value: '{brokers}'");
    let items = [("brokers", &*brokers), ("authType", secret)];
    let other = component("other", "pubsub.rdkafka", &items);
    write(
        &place,
        "b.yml",
        &(other + &component("state", "pubsub.redis", &[])),
    )?;
    let subscriptions = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Subscription\nmetadata: {{name: a}}\nspec: {{topic: \
         {orders}, pubsubname: todo-pubsub, route: /a}}\n---\napiVersion: dapr.io/v2alpha1\nkind: \
         Subscription\nmetadata: {{name: b}}\nspec: {{topic: '{lane}#1', pubsubname: todo-pubsub, \
         metadata: {{deadLetterTopic: '{orders}'}}}}\n"
    );
    let folder = write(&place, "subscriptions.yaml", &subscriptions)?;
    let folder = folder.trim_end_matches("/subscriptions.yaml");

    let several = doctor(&["--component", folder]).await?;
    several.ends(3)?;
    ensure!(
        several.out.contains("RDK-CFG-05")
            && several.out.contains("pick one with --name: todo-pubsub,"),
        "{}{}",
        several.out,
        several.log
    );
    let todo = [
        "--component",
        folder,
        "--name",
        "todo-pubsub",
        "--output",
        "json",
    ];
    let healthy = doctor(&todo).await?;
    healthy.ends(0)?;
    ensure!(
        healthy.json()?["findings"] == serde_json::json!([]),
        "{}",
        healthy.out
    );

    // A value that no file has, and the ways out.
    let other = ["--component", folder, "--name", "other", "--output", "json"];
    let unknown = doctor(&other).await?;
    unknown.ends(3)?;
    let first = &unknown.json()?["findings"][0];
    ensure!(first["code"] == "RDK-CFG-03", "{first:#}");
    ensure!(
        first["fix"]["text"]
            .to_string()
            .contains("--set authType=VALUE"),
        "{first:#}"
    );
    ensure!(
        first["fix"]["command"] == "dapr-rdkafka doctor --instance other",
        "{first:#}"
    );
    doctor(&[&other[..], &["--set", "authType=none"]].concat())
        .await?
        .ends(0)?;

    // A subscription that would be refused.
    let bad = subscriptions.replace(&format!("'{orders}'"), &format!("'{lane}'"));
    write(&place, "subscriptions.yaml", &bad)?;
    let refused = doctor(&todo).await?;
    refused.ends(3)?;
    let first = &refused.json()?["findings"][0];
    ensure!(first["code"] == "RDK-CFG-04", "{first:#}");
    Ok(())
}

pub async fn a_running_component_tells_its_topics(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (sent, read) = (fixture.name("sent"), fixture.name("read"));
    for topic in [&sent, &read] {
        admin::create_topic(kafka, topic, 1, &[]).await?;
    }
    let place = Place::new()?;
    let component = place.component().await?;
    let given = properties(kafka, &fixture.name("group"), &[]);
    let mut player = Player::start(&place.socket("rdkafka"), given).await?;
    player.publish(&sent, "a", "x").await?;
    let pull = player.pull(&format!("{read}#1")).await?;
    let socket = place.sockets().join("admin/rdkafka.sock");
    let uses = harness::eventually("the topics are told", SOON, || async {
        let path = "/v1/instances/todo-pubsub/uses";
        let (_, text) = crate::support::endpoints::get_unix(&socket, path)
            .await
            .ok()?;
        let uses: Value = serde_json::from_str(&text).ok()?;
        (uses["subscriptions"][0]["topic"] == *read).then_some(uses)
    })
    .await?;
    ensure!(uses["published"] == serde_json::json!([sent]), "{uses}");
    let folder = place.sockets().display().to_string();
    let asked = [
        "--instance",
        "todo-pubsub",
        "--socket-folder",
        &folder,
        "--strict",
    ];
    let said = doctor(&asked).await?;
    said.ends(0)?;
    ensure!(
        said.out.starts_with("todo-pubsub: nothing is wrong"),
        "{}",
        said.out
    );
    // What it says of the settings is what daprd sent, not what a file would.
    let broken = doctor(&[&asked[..], &["--set", "compression=brotli"]].concat()).await?;
    broken.ends(3)?;
    let none = doctor(&["--instance", "other", "--socket-folder", &folder]).await?;
    none.ends(3)?;
    ensure!(none.out.contains("todo-pubsub"), "{}", none.out);
    drop((player, pull));
    component.stop().await.map(drop)
}

pub async fn flags_alone_do(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let said = doctor(&["--brokers", kafka, "--strict"]).await?;
    said.ends(0)?;
    let told = "nothing is wrong in what was checked; not checked: topics";
    ensure!(said.out.contains(told), "{}", said.out);
    let said = doctor(&["--brokers", kafka, "--set", "authType=password"]).await?;
    said.ends(3)?;
    ensure!(said.out.contains("- name: saslUsername"), "{}", said.out);
    Ok(())
}

pub async fn what_can_not_be_done_is_not_fine(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let none = write(&place, "none.yaml", "kind: Subscription\n")?;
    let broken = write(&place, "broken.yaml", "kind: [hunter2")?;
    let missing = place.resources().join("missing.yaml").display().to_string();
    for (file, says) in [
        (none, "no Component"),
        (broken, "no YAML"),
        (missing, "reading"),
    ] {
        let said = doctor(&["--component", &file, "--output", "json"]).await?;
        said.ends(3)?;
        let first = &said.json()?["findings"][0];
        let cause = first["cause"].as_str().unwrap_or_default();
        ensure!(
            first["code"] == "RDK-CFG-05" && cause.contains(says),
            "{first:#}"
        );
        let all = said.out + &said.log;
        ensure!(!all.contains("hunter2"), "{all}");
    }
    for line in [&[][..], &["--brokers", "a:1", "--timeout", "10ms"]] {
        doctor(line).await?.ends(2)?;
    }
    // Nobody answers, and whatever is found of it, it is not fine.
    let closed = format!("127.0.0.1:{}", harness::free_port()?);
    let said = doctor(&["--brokers", &closed, "--timeout", "1s", "--output", "json"]).await?;
    let verdict = &said.json()?["verdict"];
    let wanted = if verdict == "problems" { 3 } else { 1 };
    ensure!(verdict != "fine" && said.code == wanted, "{}", said.out);
    Ok(())
}

pub async fn an_interrupted_one_tells_what_it_has(_: Arc<Fixture>) -> Result<()> {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = silent.local_addr()?.to_string();
    let mut command = Command::new(program());
    command.args(["doctor", "--timeout", "60s", "--brokers", &address]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.kill_on_drop(true).spawn()?;
    let connection = timeout(SOON, silent.accept()).await??;
    let id = child.id().ok_or("it has ended")?;
    let mut kill = Command::new("kill");
    let sent = kill.args(["-INT", &id.to_string()]).status().await?;
    ensure!(sent.success(), "the signal was not sent");
    let output = timeout(SOON, child.wait_with_output()).await??;
    drop(connection);
    let out = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.code() == Some(130),
        "{}: {out}",
        output.status
    );
    for part in ["not everything could be checked", "interrupted:"] {
        ensure!(out.contains(part), "{part:?} is not in:\n{out}");
    }
    Ok(())
}

/// What every planted secret has in it.
const MARK: &str = "PLANTEDplanted";

pub async fn no_secret_is_shown(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let closed = format!("127.0.0.1:{}", harness::free_port()?);
    let secrets: Vec<_> = keys::all().filter(|key| key.secret).collect();
    ensure!(secrets.len() > 5, "few keys are secret: {}", secrets.len());
    for login in [
        "none",
        "password",
        "mtls",
        "certificate",
        "oidc",
        "awsiam",
        "nothing",
    ] {
        for kind in ["pubsub.rdkafka", "pubsub.kafka"] {
            let quoted = |text: &str| format!("value: '{text}'");
            let mut items = vec![("brokers", quoted(&closed)), ("authType", quoted(login))];
            for key in &secrets {
                items.push((key.name, quoted(&format!("{MARK}{}", key.name))));
            }
            // Keys that nobody knows, and a key that is nearly one.
            items.push(("saslPasword", quoted(MARK)));
            items.push(("somethingElse", quoted(MARK)));
            let items: Vec<_> = items.iter().map(|(key, value)| (*key, &**value)).collect();
            let file = write(&place, "c.yaml", &component("todo", kind, &items))?;
            for output in ["text", "json"] {
                let set = format!("clientKey={MARK}");
                let said = doctor(&[
                    "--component",
                    &file,
                    "--output",
                    output,
                    "--log-level",
                    "trace",
                    "--timeout",
                    "1s",
                    "--set",
                    &set,
                ])
                .await?;
                ensure!(
                    said.code != 0 && !said.out.is_empty(),
                    "{login}: {}",
                    said.log
                );
                let all = format!("{}{}", said.out, said.log);
                let line = all.lines().find(|line| line.contains(MARK));
                ensure!(line.is_none(), "{login}: a secret is shown: {line:?}");
            }
        }
    }
    Ok(())
}
