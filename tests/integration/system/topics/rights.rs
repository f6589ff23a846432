//! What a user needs for it, and how it is told.

use std::sync::Arc;

use harness::{Kafka, Result, eventually};

use super::Wanted;
use crate::{
    doctor::rights::{allow, guarded},
    ensure,
    support::{Fixture, SOON, admin},
};

/// Applies again and again; each time one right is missing, and the command that is named
/// gives it. Which ones that were.
async fn until_allowed(kafka: &Kafka, wanted: &Wanted) -> Result<Vec<String>> {
    let mut rights = Vec::new();
    for _ in 0..8 {
        let said = wanted.run("apply", &["--allow", "mine"]).await?;
        if said.code == Some(0) {
            return Ok(rights);
        }
        let named = said
            .out
            .split('`')
            .find(|part| part.starts_with("kafka-acls.sh"));
        let command = named.ok_or_else(|| format!("no command in {said:?}"))?;
        let right = command.split("--operation ").nth(1).unwrap_or_default();
        rights.push(right.to_owned());
        kafka.run(command).await?;
        // A broker learns of it from the controller, a moment later.
        let before = said.out;
        eventually("the right is there", SOON, || async {
            let said = wanted.run("apply", &["--allow", "mine"]).await.ok()?;
            (said.out != before).then_some(())
        })
        .await?;
    }
    Err(format!("still not allowed with {rights:?}").into())
}

pub async fn each_right_that_is_missing_is_named_and_its_command_gives_it(
    _: Arc<Fixture>,
) -> Result<()> {
    let kafka = guarded().await?;
    let brokers = kafka.address.as_str();
    // The brokers themselves are this user, too.
    allow(
        &kafka,
        "ANONYMOUS",
        "--operation ClusterAction --operation Alter --cluster",
    )
    .await?;
    allow(&kafka, "somebody", "--operation Read --topic mine").await?;
    let first = Wanted::new(brokers, "topics: [{name: mine}]")?;
    let rights = until_allowed(&kafka, &first).await?;
    let expected = [
        "Describe --topic mine",
        "Create --topic mine",
        "DescribeConfigs --topic mine",
    ];
    ensure!(rights == expected, "{rights:?}");

    let more = "topics: [{name: mine, partitions: 2, retention: forever}]";
    let rights = until_allowed(&kafka, &Wanted::new(brokers, more)?).await?;
    let expected = ["Alter --topic mine", "AlterConfigs --topic mine"];
    ensure!(rights == expected, "{rights:?}");
    let replicas = admin::replicas(brokers, "mine").await?;
    ensure!(replicas.len() == 2, "{replicas:?}");
    kafka.stop().await
}
