//! Topics, and the bounds of sizes and times.

use std::sync::Arc;

use harness::{
    Kafka, Lab, Result,
    lab::{self, LabOptions, Rewrite},
};
use kafka_protocol::{
    messages::{
        ApiKey, BrokerId, CreateTopicsRequest, DescribeConfigsResponse, MetadataResponse,
        TopicName,
        create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig},
    },
    protocol::StrBytes,
};

use crate::{
    ensure,
    support::{
        Fixture,
        doctor::{Diagnosis, Patient},
    },
    tests,
};

tests!(
    "system::doctor::topics",
    each_topic_that_is_wrong_is_cured,
    bounds_of_brokers_and_topics_are_kept,
    what_brokers_do_not_tell_is_not_fine,
);

/// The version of `CreateTopics` in which topics are made here.
const CREATE: i16 = 5;

/// Makes a topic of one replica.
pub async fn create(
    kafka: &str,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Result<()> {
    let topic = CreatableTopic::default()
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    make(kafka, name, topic, configs).await
}

/// Makes a topic of one partition on these brokers.
pub async fn created_on(
    kafka: &str,
    name: &str,
    brokers: &[i32],
    configs: &[(&str, &str)],
) -> Result<()> {
    let assignment = CreatableReplicaAssignment::default()
        .with_broker_ids(brokers.iter().copied().map(BrokerId).collect());
    let topic = CreatableTopic::default()
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(vec![assignment]);
    make(kafka, name, topic, configs).await
}

async fn make(
    kafka: &str,
    name: &str,
    topic: CreatableTopic,
    configs: &[(&str, &str)],
) -> Result<()> {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let configs = configs.iter().map(|(key, value)| {
        CreatableTopicConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)))
    });
    let topic = topic
        .with_name(TopicName(text(name)))
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default()
        .with_timeout_ms(20_000)
        .with_topics(vec![topic]);
    let answer = lab::ask(kafka, &request, CREATE).await?;
    let failed = answer.topics.iter().find(|topic| topic.error_code != 0);
    ensure!(failed.is_none(), "{failed:?}");
    Ok(())
}

/// Requires that this is what was found first, however bad it is.
pub fn first(diagnosis: &Diagnosis, code: &str) -> Result<()> {
    let first = diagnosis.codes().first().copied();
    ensure!(
        first == Some(code),
        "expected {code}, got {first:?}: {:#}",
        diagnosis.json
    );
    Ok(())
}

fn patient(kafka: &str, more: &[(&str, &str)]) -> Result<Patient> {
    let given = [("brokers", kafka), ("authType", "none")];
    Patient::new(&[&given, more].concat())
}

/// Requires this first finding, runs its command, and requires that there is none then.
async fn is_cured_by_command(
    kafka: &Kafka,
    more: &[(&str, &str)],
    code: &str,
    arguments: &[&str],
) -> Result<()> {
    let patient = patient(&kafka.address, more)?;
    let diagnosis = patient.diagnose(arguments).await?;
    first(&diagnosis, code)?;
    let command = diagnosis.findings()[0]["fix"]["command"].as_str();
    kafka.run(command.ok_or("no command")?).await?;
    let healthy = patient.is_healthy(arguments).await;
    healthy.map_err(|error| format!("after the fix of {code}: {error}").into())
}

/// The same of a warning that metadata cures.
async fn is_cured_by_metadata(
    kafka: &str,
    more: &[(&str, &str)],
    code: &str,
    arguments: &[&str],
) -> Result<()> {
    let mut patient = patient(kafka, more)?;
    let diagnosis = patient.diagnose(arguments).await?;
    first(&diagnosis, code)?;
    patient.mend(&diagnosis, &[])?;
    let healthy = patient.is_healthy(arguments).await;
    healthy.map_err(|error| format!("after the fix of {code}: {error}").into())
}

pub async fn each_topic_that_is_wrong_is_cured(_: Arc<Fixture>) -> Result<()> {
    let kafka = Kafka::start().await?;
    let address = kafka.address.as_str();
    let dlq = [("deadLetterTopic", "{topic}.dlq")];
    let topics: [(&str, &[(&str, &str)]); 11] = [
        ("fine", &[]),
        ("fine.dlq", &[]),
        ("lost", &[]),
        ("lost-too", &[]),
        ("keyed", &[]),
        ("keyed.dlq", &[("cleanup.policy", "compact")]),
        ("long", &[("retention.ms", "-1")]),
        ("long.dlq", &[("retention.ms", "1209600000")]),
        ("compacted", &[("cleanup.policy", "compact,delete")]),
        ("safest", &[("min.insync.replicas", "2")]),
        ("brief", &[("retention.ms", "1000")]),
    ];
    for (name, configs) in topics {
        create(address, name, 2, configs).await?;
    }
    let creating = [dlq[0], ("topicCreation", "dlq")];
    patient(address, &dlq)?
        .is_healthy(&["--topic", "fine"])
        .await?;
    patient(address, &[])?
        .is_healthy(&["--topic", "fine", "--topic", "lost"])
        .await?;
    patient(address, &creating)?
        .is_healthy(&["--topic", "brief"])
        .await?;
    patient(address, &[])?.is_healthy(&[]).await?;

    let unnameable = patient(address, &[])?.diagnose(&["--topic", "a b"]).await?;
    unnameable.is_first("RDK-TOP-01")?;
    let named = ["--topic", "fine"];
    patient(address, &[])?.is_healthy(&named).await?;
    let to_itself = [("deadLetterTopic", "fine"), creating[1]];
    let (mut to_itself, mut lost) = (patient(address, &to_itself)?, patient(address, &dlq)?);
    tokio::try_join!(
        to_itself.is_cured_of("RDK-TOP-08", &["--topic", "fine"], &[]),
        lost.is_cured_of("RDK-TOP-09", &["--topic", "lost"], &[]),
        is_cured_by_command(&kafka, &[], "RDK-TOP-02", &["--topic", "missing"]),
        is_cured_by_command(&kafka, &[], "RDK-TOP-06", &["--topic", "safest"]),
        is_cured_by_command(&kafka, &dlq, "RDK-TOP-09", &["--topic", "lost-too"]),
    )?;
    tokio::try_join!(
        is_cured_by_command(&kafka, &dlq, "RDK-TOP-10", &["--topic", "keyed"]),
        is_cured_by_command(&kafka, &dlq, "RDK-TOP-11", &["--topic", "long"]),
        is_cured_by_command(&kafka, &[], "RDK-TOP-12", &["--topic", "compacted"]),
    )?;
    kafka.stop().await
}

pub async fn bounds_of_brokers_and_topics_are_kept(_: Arc<Fixture>) -> Result<()> {
    let kafka = Kafka::start().await?;
    let address = kafka.address.as_str();
    let small = [("max.message.bytes", "100000")];
    create(address, "large", 1, &[]).await?;
    create(address, "small", 1, &small).await?;
    create(address, "large.dlq", 1, &small).await?;
    let topic = ["--topic", "large"];
    let dlq = [
        ("deadLetterTopic", "{topic}.dlq"),
        ("maxMessageBytes", "100000"),
    ];
    let hurried = [("sessionTimeout", "5s")];
    let patience = [("sessionTimeout", "31m"), ("heartbeatInterval", "30m")];
    let (mut hurried, mut patient) = (patient(address, &hurried)?, patient(address, &patience)?);
    tokio::try_join!(
        hurried.is_cured_of("RDK-LIM-01", &topic, &[]),
        patient.is_cured_of("RDK-LIM-01", &[], &[]),
        is_cured_by_metadata(address, &[], "RDK-LIM-02", &["--topic", "small"]),
        is_cured_by_command(&kafka, &dlq, "RDK-LIM-03", &topic),
    )?;
    kafka.stop().await
}

/// A lab that changes its answers to one request.
fn saying(
    rewrite: impl Fn(i16, i16, bytes::Bytes) -> bytes::Bytes + Send + Sync + 'static,
) -> LabOptions {
    let rewrite: Rewrite = Arc::new(rewrite);
    LabOptions {
        rewrite: Some(rewrite),
        ..LabOptions::default()
    }
}

pub async fn what_brokers_do_not_tell_is_not_fine(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let all = ["told", "missing", "made"].map(|name| fixture.name(name));
    let [name, missing, made] = all;
    create(kafka, &name, 1, &[]).await?;
    let configs = |change: fn(&mut DescribeConfigsResponse)| {
        saying(move |key, version, bytes| {
            if key != ApiKey::DescribeConfigs as i16 {
                return bytes;
            }
            lab::edit(version, bytes, change).unwrap_or_default()
        })
    };
    // Brokers that make topics by themselves.
    let making = configs(|answer| {
        for config in answer
            .results
            .iter_mut()
            .flat_map(|result| &mut result.configs)
        {
            if config.name.as_str() == "auto.create.topics.enable" {
                config.value = Some(StrBytes::from_static_str("true"));
            }
        }
    });
    let lab = Lab::start(kafka, making).await?;
    let patient = patient(&lab.address, &[])?;
    let diagnosis = patient.diagnose(&["--topic", &made]).await?;
    ensure!(
        diagnosis.codes() == ["RDK-TOP-03"] && diagnosis.code == 0,
        "{:#}",
        diagnosis.json
    );
    create(kafka, &made, 1, &[]).await?;
    patient.is_healthy(&["--topic", &made]).await?;
    // Brokers that tell their settings to nobody.
    lab.change(configs(|answer| {
        for result in &mut answer.results {
            result.error_code = if result.resource_type == 2 { 29 } else { 31 };
            result.configs.clear();
        }
    }))?;
    let topic = ["--topic", &name];
    let diagnosis = patient.diagnose(&topic).await?;
    ensure!(diagnosis.codes().is_empty(), "{:#}", diagnosis.json);
    for stage in ["topics", "limits"] {
        let checks = diagnosis.checks(stage);
        let named = checks.iter().any(|check| {
            let text = check["text"].as_str().unwrap_or_default();
            check["outcome"] == "skipped" && text.contains("--operation DescribeConfigs --topic")
        });
        ensure!(named, "{stage}: {:#}", diagnosis.json);
    }
    let fine = diagnosis
        .checks("limits")
        .iter()
        .any(|check| check["outcome"] == "fine");
    ensure!(!fine, "{:#}", diagnosis.json);
    let diagnosis = patient.diagnose(&["--topic", &missing]).await?;
    ensure!(
        diagnosis.codes() == ["RDK-TOP-02"] && diagnosis.code == 0,
        "{:#}",
        diagnosis.json
    );
    // Brokers that answer with an error.
    lab.change(saying(|key, version, bytes| {
        if key != ApiKey::Metadata as i16 {
            return bytes;
        }
        let edited = lab::edit::<MetadataResponse>(version, bytes, |answer| {
            answer
                .topics
                .iter_mut()
                .for_each(|topic| topic.error_code = -1);
        });
        edited.unwrap_or_default()
    }))?;
    patient.diagnose(&topic).await?.is_first("RDK-TOP-13")?;
    lab.change(LabOptions::default())?;
    patient.is_healthy(&topic).await
}
