//! Plans and what is made of them, on one broker.

use std::sync::Arc;

use harness::{Result, free_port};

use super::{Wanted, of};
use crate::{
    ensure,
    support::{Fixture, admin},
};

pub async fn a_file_is_applied_once_and_then_nothing_is_left_to_do(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, plain) = (fixture.name("wanted"), fixture.name("plain"));
    let dead = format!("{topic}.dlq");
    let wanted = Wanted::new(
        kafka,
        &format!(
            "defaults: {{replication: 1}}
topics:
- name: {topic}
  partitions: 3
  retention: 7d
  compaction: on with deletion
  minInSync: 1
  deadLetter: {{retention: 30d}}
  config: {{segment.ms: 3600000, max.message.bytes: 2000000}}
- name: {plain}
"
        ),
    )?;
    let (states, code) = wanted.plan().await?;
    ensure!(
        states.iter().all(|(_, state)| state == "create") && states.len() == 3,
        "{states:?}"
    );
    ensure!(code == Some(3), "there is something to do: {code:?}");

    let applied = wanted.run("apply", &[]).await?;
    ensure!(applied.code == Some(0), "{applied:?}");
    let settings = admin::topic_settings(kafka, &topic).await?;
    for (name, value) in [
        ("retention.ms", "604800000"),
        ("cleanup.policy", "compact,delete"),
        ("min.insync.replicas", "1"),
        ("segment.ms", "3600000"),
        ("max.message.bytes", "2000000"),
    ] {
        ensure!(settings[name] == value, "{name}: {}", settings[name]);
    }
    let settings = admin::topic_settings(kafka, &dead).await?;
    for (name, value) in [
        ("retention.ms", "2592000000"),
        ("cleanup.policy", "delete"),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", "2065536"),
    ] {
        ensure!(
            settings[name] == value,
            "{dead}: {name}: {}",
            settings[name]
        );
    }
    for (name, partitions) in [(&topic, 3), (&dead, 3), (&plain, 1)] {
        let replicas = admin::replicas(kafka, name).await?;
        ensure!(replicas == vec![1; partitions], "{name}: {replicas:?}");
    }

    let (states, code) = wanted.plan().await?;
    ensure!(
        states.iter().all(|(_, state)| state == "unchanged") && code == Some(0),
        "a second plan is empty: {states:?}, {code:?}"
    );
    let again = wanted.run_by_component("apply").await?;
    ensure!(again.code == Some(0), "{again:?}");
    for line in again.json()? {
        ensure!(
            line["outcome"].is_null() && line["steps"] == serde_json::json!([]),
            "it does nothing: {line}"
        );
    }
    Ok(())
}

pub async fn each_kind_of_change_is_made_and_nothing_else(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("changed");
    let before = [
        ("retention.ms", "86400000"),
        ("segment.ms", "1234567"),
        ("compression.type", "zstd"),
    ];
    admin::create_topic(kafka, &topic, 2, &before).await?;
    let wanted = Wanted::new(
        kafka,
        &format!(
            "topics: [{{name: {topic}, retention: forever, minInSync: 1, config: \
             {{max.message.bytes: 20000000}}}}]"
        ),
    )?;
    let plan = wanted.run("plan", &[]).await?;
    let lines = plan.json()?;
    let steps = of(&lines, &topic)?["steps"].as_array().cloned();
    let steps = steps.unwrap_or_default();
    let whats: Vec<_> = steps.iter().map(|step| step["what"].clone()).collect();
    ensure!(
        whats == ["max.message.bytes", "min.insync.replicas", "retention.ms"],
        "{steps:?}"
    );
    ensure!(
        steps[1]["from"] == "1" && steps[1]["to"] == "1",
        "the brokers' default is pinned: {steps:?}"
    );
    ensure!(plan.code == Some(3), "{plan:?}");

    let applied = wanted.run("apply", &[]).await?;
    ensure!(applied.code == Some(0), "{applied:?}");
    let settings = admin::topic_settings(kafka, &topic).await?;
    for (name, value) in [
        ("retention.ms", "-1"),
        ("max.message.bytes", "20000000"),
        // What the file does not name stays, although it is no default.
        ("segment.ms", "1234567"),
        ("compression.type", "zstd"),
    ] {
        ensure!(settings[name] == value, "{name}: {}", settings[name]);
    }
    let replicas = admin::replicas(kafka, &topic).await?;
    ensure!(replicas.len() == 2, "{replicas:?}");
    let (states, code) = wanted.plan().await?;
    ensure!(code == Some(0), "{states:?}");
    Ok(())
}

pub async fn what_may_lose_something_is_left_unless_it_is_allowed(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, other) = (fixture.name("kept"), fixture.name("other"));
    let before = [("retention.ms", "604800000"), ("cleanup.policy", "compact")];
    admin::create_topic(kafka, &topic, 2, &before).await?;
    let wanted = Wanted::new(
        kafka,
        &format!(
            "topics:
- {{name: {topic}, partitions: 3, retention: 1d, compaction: on with deletion, config: {{segment.ms: 7654321}}}}
- {{name: {other}}}
"
        ),
    )?;
    let (states, code) = wanted.plan().await?;
    ensure!(states[0].1 == "risk" && code == Some(3), "{states:?}");
    let refused = wanted.run("apply", &[]).await?;
    ensure!(refused.code == Some(3), "something was left: {refused:?}");
    let fine = wanted.run("apply", &["--differences-ok"]).await?;
    ensure!(fine.code == Some(0), "for a Job: {fine:?}");
    let fine = wanted.run("plan", &["--differences-ok"]).await?;
    ensure!(fine.code == Some(0), "for a Job: {fine:?}");
    let lines = refused.json()?;
    for step in of(&lines, &topic)?["steps"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let came = if step["what"] == "segment.ms" {
            "done"
        } else {
            "left"
        };
        ensure!(step["outcome"]["came"] == came, "{step}");
        let why = step["outcome"]["why"].as_str().unwrap_or_default();
        let remedy = format!("--allow {topic}");
        ensure!(came == "done" || why.contains(&remedy), "{step}");
    }
    let made = of(&lines, &other)?;
    ensure!(
        made["outcome"]["came"] == "done",
        "the rest is done: {made}"
    );
    let settings = admin::topic_settings(kafka, &topic).await?;
    ensure!(
        settings["retention.ms"] == "604800000" && settings["cleanup.policy"] == "compact",
        "nothing was lost: {settings:?}"
    );

    let strange = wanted.run("apply", &["--allow", "nobody"]).await?;
    ensure!(strange.code == Some(2), "{strange:?}");
    let allowed = wanted.run("apply", &["--allow", &topic]).await?;
    ensure!(allowed.code == Some(0), "{allowed:?}");
    let settings = admin::topic_settings(kafka, &topic).await?;
    ensure!(
        settings["retention.ms"] == "86400000" && settings["cleanup.policy"] == "compact,delete",
        "{settings:?}"
    );

    // What Kafka can't do is said, whatever is allowed.
    let fewer = Wanted::new(
        kafka,
        &format!("topics: [{{name: {topic}, partitions: 2}}]"),
    )?;
    for action in ["plan", "apply"] {
        let said = fewer.run(action, &["--allow", &topic]).await?;
        ensure!(said.code == Some(1), "{said:?}");
        ensure!(
            said.out.contains("takes no partitions away; want 3"),
            "{said:?}"
        );
    }
    let many = Wanted::new(kafka, "topics: [{name: too-many, replication: 3}]")?;
    let said = many.run("apply", &[]).await?;
    ensure!(said.code == Some(1), "{said:?}");
    ensure!(
        said.out
            .contains("3 replicas need as many brokers, and 1 of the cluster's are up"),
        "{said:?}"
    );
    let replicas = admin::replicas(kafka, &topic).await?;
    ensure!(replicas.len() == 3, "{replicas:?}");
    Ok(())
}

pub async fn a_file_that_is_wrong_is_told_before_any_broker_is_asked(
    _: Arc<Fixture>,
) -> Result<()> {
    // Nobody listens there: who asks it fails otherwise.
    let nobody = format!("127.0.0.1:{}", free_port()?);
    let text = "topics: [{name: a b}, {name: c, retenton: 7d, partitions: 0}]";
    let wrong = Wanted::new(&nobody, text)?;
    let said = wrong.run("apply", &["--differences-ok"]).await?;
    ensure!(said.code == Some(1), "{said:?}");
    for part in [
        "3 things are wrong, and no broker was asked",
        "topics[0] (a b).name: ",
        "topics[1] (c).retenton: there is no such field; \"retention\" may be meant",
        "topics[1] (c).partitions: \"0\" can't be",
    ] {
        ensure!(said.err.contains(part), "{part} is not in {}", said.err);
    }
    let right = Wanted::new(&nobody, "topics: [{name: c}]")?;
    let said = right.run("plan", &[]).await?;
    ensure!(said.code == Some(1), "{said:?}");
    ensure!(
        said.err.contains("RDK-TCP-"),
        "why no broker answers: {said:?}"
    );
    Ok(())
}
