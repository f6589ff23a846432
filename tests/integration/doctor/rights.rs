//! Permissions, groups and the round trip.

mod group;
mod permissions;
mod round_trip;

use std::time::Duration;

use harness::{Kafka, Result, eventually};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};
use serde_json::Value;

use crate::{
    ensure,
    support::doctor::{Diagnosis, Patient},
    tests,
};

tests!(
    "system::doctor::rights":
    permissions::what_is_not_allowed_is_found_and_the_fix_allows_it,
    group::members_that_this_component_cant_join_are_found,
    group::a_group_of_the_newer_protocol_takes_this_component,
    group::groups_that_are_nowhere_are_found,
    group::a_user_of_few_rights_is_healthy,
    round_trip::a_record_goes_around_and_leaves_nothing,
    round_trip::what_is_not_allowed_is_found_and_the_fix_allows_it,
    round_trip::brokers_that_keep_no_record_are_found,
);

/// How long a change to a cluster may take to be seen.
const SOON: Duration = Duration::from_secs(60);

/// A Kafka where what has rights of its own is for those who have them, and all else for
/// everybody.
pub async fn guarded() -> Result<Kafka> {
    Kafka::start_with(&[
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        ),
        ("allow.everyone.if.no.acl.found", "true"),
    ])
    .await
}

/// Gives rights: `to`, and what it may do.
pub async fn allow(kafka: &Kafka, to: &str, what: &str) -> Result<()> {
    let command = "kafka-acls.sh --bootstrap-server <bootstrap> --add --allow-principal";
    kafka.run(&format!("{command} User:{to} {what}")).await
}

/// A Component of this group.
fn patient(brokers: &str, group: &str) -> Result<Patient> {
    Patient::new(&[
        ("brokers", brokers),
        ("authType", "none"),
        ("consumerGroup", group),
    ])
}

/// Requires that the first finding is this, runs its command, and waits until nothing is
/// found.
async fn is_cured_by_command(
    kafka: &Kafka,
    patient: &Patient,
    code: &str,
    arguments: &[&str],
) -> Result<()> {
    let diagnosis = patient.diagnose(arguments).await?;
    ensure!(
        diagnosis.codes() == [code],
        "expected {code} alone: {:#}",
        diagnosis.json
    );
    kafka.run(command(&diagnosis)?).await?;
    // A broker learns of it from the controller, a moment later.
    let what = format!("the fix of {code} helps");
    let healthy = || async { patient.is_healthy(arguments).await.ok() };
    eventually(&what, SOON, healthy).await
}

/// The first finding's command.
fn command(diagnosis: &Diagnosis) -> Result<&str> {
    let first = diagnosis.findings().first().ok_or("nothing was found")?;
    let command = first["fix"]["command"].as_str();
    Ok(command.ok_or_else(|| format!("no command in {first:#}"))?)
}

/// The text of a stage's check of this, with what came of it.
fn text<'a>(diagnosis: &'a Diagnosis, stage: &str, subject: &str) -> Option<(&'a str, &'a str)> {
    let checks = diagnosis.checks(stage);
    let check = checks
        .into_iter()
        .find(|check| check["subject"] == subject)?;
    let word = |key: &str| check.get(key).and_then(Value::as_str);
    Some((word("outcome")?, word("text")?))
}

/// Commits for a topic's first partition, from outside the group.
async fn commit(brokers: &str, group: &str, topic: &str, offset: i64) -> Result<()> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", group);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset))?;
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        Ok(consumer.commit(&list, CommitMode::Sync)?)
    })
    .await?
}
