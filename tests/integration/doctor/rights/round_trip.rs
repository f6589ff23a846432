//! A record around a cluster.

use std::sync::Arc;

use harness::{Kafka, Result, eventually};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};

use super::{SOON, allow, command, guarded, is_cured_by_command, patient};
use crate::{ensure, support::Fixture};

const ROUND_TRIP: &[&str] = &["--round-trip"];

/// The topics of round trips that are there.
async fn left(brokers: &str) -> Result<Vec<String>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    tokio::task::spawn_blocking(move || {
        let client: BaseConsumer = config.create()?;
        let metadata = client.fetch_metadata(None, SOON)?;
        let names = metadata
            .topics()
            .iter()
            .map(|topic| topic.name().to_owned());
        Ok(names
            .filter(|name| name.starts_with("dapr-rdkafka-doctor-"))
            .collect())
    })
    .await?
}

async fn nothing_is_left(brokers: &str) -> Result<()> {
    let gone = || async { left(brokers).await.ok()?.is_empty().then_some(()) };
    eventually("no topic is left", SOON, gone).await
}

pub async fn a_record_goes_around_and_leaves_nothing(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let patient = patient(kafka, &fixture.name("group"))?;
    let diagnosis = patient.diagnose(ROUND_TRIP).await?;
    let checks = diagnosis.checks("round-trip");
    let words: Vec<_> = checks
        .iter()
        .filter(|check| check["outcome"] == "fine")
        .filter_map(|check| check["text"].as_str()?.split(' ').next())
        .collect();
    ensure!(
        words == ["made", "written", "read", "deleted"] && diagnosis.code == 0,
        "{:#}",
        diagnosis.json
    );
    nothing_is_left(kafka).await?;
    let without = patient.diagnose(&[]).await?;
    ensure!(
        without.checks("round-trip").is_empty(),
        "{:#}",
        without.json
    );
    Ok(())
}

/// First nothing is allowed, then all but to write, then all but to delete.
pub async fn what_is_not_allowed_is_found_and_the_fix_allows_it(_: Arc<Fixture>) -> Result<()> {
    let kafka = guarded().await?;
    let patient = patient(&kafka.address, "group")?;
    let ours = "--topic dapr-rdkafka-doctor- --resource-pattern-type prefixed";
    // What a broker and the one who gives rights need; nobody may make topics then.
    let keep = "--operation Alter --operation ClusterAction --cluster";
    allow(&kafka, "ANONYMOUS", keep).await?;
    allow(&kafka, "somebody", &format!("--operation Read {ours}")).await?;
    let forbidden = patient.diagnose(ROUND_TRIP).await?;
    ensure!(forbidden.codes() == ["RDK-TRIP-01"], "{:#}", forbidden.json);

    let some = format!("--operation Create --operation Delete {ours}");
    allow(&kafka, "ANONYMOUS", &some).await?;
    is_cured_by_command(&kafka, &patient, "RDK-TRIP-01", ROUND_TRIP).await?;
    nothing_is_left(&kafka.address).await?;

    let remove = "kafka-acls.sh --bootstrap-server <bootstrap> --remove --force";
    let delete = format!("{remove} --allow-principal User:ANONYMOUS --operation Delete {ours}");
    kafka.run(&delete).await?;
    let kept = || async {
        let diagnosis = patient.diagnose(ROUND_TRIP).await.ok()?;
        (diagnosis.codes() == ["RDK-TRIP-05"]).then_some(diagnosis)
    };
    let kept = eventually("it may not be deleted", SOON, kept).await?;
    ensure!(kept.code == 0, "a warning: {:#}", kept.json);
    // Those who look after the cluster may.
    let again = format!("--operation Delete {ours}");
    allow(&kafka, "ANONYMOUS", &again).await?;
    kafka.run(command(&kept)?).await?;
    patient.is_healthy(ROUND_TRIP).await?;
    kafka.stop().await
}

/// The brokers' defaults let no record in, and let no topic be made.
pub async fn brokers_that_keep_no_record_are_found(_: Arc<Fixture>) -> Result<()> {
    let refused = async {
        let kafka = Kafka::start_with(&[("message.max.bytes", "20")]).await?;
        let patient = patient(&kafka.address, "group")?;
        is_cured_by_command(&kafka, &patient, "RDK-TRIP-03", ROUND_TRIP).await?;
        nothing_is_left(&kafka.address).await?;
        kafka.stop().await
    };
    let not_made = async {
        let kafka = Kafka::start_with(&[("default.replication.factor", "3")]).await?;
        let patient = patient(&kafka.address, "group")?;
        let diagnosis = patient.diagnose(ROUND_TRIP).await?;
        ensure!(diagnosis.codes() == ["RDK-TRIP-02"], "{:#}", diagnosis.json);
        let fix = &diagnosis.findings()[0]["fix"]["text"];
        let names = fix
            .as_str()
            .is_some_and(|text| text.contains("default.replication.factor"));
        ensure!(names, "{fix}");
        kafka.stop().await?;
        // The default is as the fix says.
        let kafka = Kafka::start_with(&[("default.replication.factor", "1")]).await?;
        self::patient(&kafka.address, "group")?
            .is_healthy(ROUND_TRIP)
            .await?;
        kafka.stop().await
    };
    tokio::try_join!(refused, not_made)?;
    Ok(())
}
