//! Brokers as they are advertised, clusters of several, and the clock.

use std::{collections::BTreeMap, net::UdpSocket, sync::Arc};

use harness::{
    Kafka, KafkaCluster, Lab, Result, eventually, free_port,
    lab::{self, Advertise, Behaviour, LabOptions, Rewrite},
};
use kafka_protocol::{
    messages::{ApiKey, MetadataResponse, metadata_response::MetadataResponseBroker},
    protocol::StrBytes,
};

use super::topics::{create, created_on, first};
use crate::{
    ensure,
    support::{
        Fixture, SOON,
        doctor::{Diagnosis, Patient},
    },
    tests,
};

tests!(
    "system::doctor::cluster",
    what_a_cluster_says_of_itself_is_weighed,
    a_broker_that_is_advertised_as_this_machine_is_named,
    three_brokers_are_healthy_until_one_is_down,
);

/// A patient of brokers in plaintext.
fn patient(brokers: &str) -> Result<Patient> {
    Patient::new(&[("brokers", brokers), ("authType", "none")])
}

/// A lab that changes its answers to Metadata.
fn saying(change: impl Fn(&mut MetadataResponse) + Send + Sync + 'static) -> LabOptions {
    let rewrite: Rewrite = Arc::new(move |key, version, bytes| {
        if key != ApiKey::Metadata as i16 {
            return bytes;
        }
        lab::edit::<MetadataResponse>(version, bytes, &change).unwrap_or_default()
    });
    LabOptions {
        rewrite: Some(rewrite),
        ..LabOptions::default()
    }
}

/// Another cluster than that of the tests' Kafkas.
pub fn another_cluster() -> LabOptions {
    saying(|answer| answer.cluster_id = Some(StrBytes::from_static_str("another")))
}

/// Requires this first finding, and none once the lab does as a broker should.
async fn is_mended(kafka: &str, options: LabOptions, code: &str) -> Result<Diagnosis> {
    let lab = Lab::start(kafka, options).await?;
    let patient = patient(&lab.address)?;
    let diagnosis = patient.diagnose(&[]).await?;
    first(&diagnosis, code)?;
    lab.change(LabOptions::default())?;
    patient.is_healthy(&[]).await?;
    Ok(diagnosis)
}

pub async fn what_a_cluster_says_of_itself_is_weighed(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let none = saying(|answer| answer.brokers.clear());
    let headless = saying(|answer| answer.controller_id = (-1).into());
    let doubled = saying(|answer| {
        let mut second: MetadataResponseBroker = answer.brokers[0].clone();
        second.node_id = 2.into();
        answer.brokers.push(second);
    });
    let closing = LabOptions::default().behaving(Behaviour::CloseAfterVersions);
    let clock = |clock| LabOptions {
        clock,
        ..LabOptions::default()
    };
    let cases = async {
        tokio::try_join!(
            is_mended(kafka, closing, "RDK-LGN-07"),
            is_mended(kafka, none, "RDK-CLU-06"),
            is_mended(kafka, headless, "RDK-CLU-07"),
            is_mended(kafka, doubled, "RDK-CLU-10"),
            is_mended(kafka, clock(60_000), "RDK-CLK-01"),
            is_mended(kafka, clock(-60_000), "RDK-CLK-01"),
        )
    };
    let (cases, ..) =
        tokio::try_join!(cases, two_clusters(kafka), elsewhere(kafka), clocks(kafka))?;
    let (closed, _, headless, doubled, ahead, behind) = cases;
    ensure!(closed.code == 3 && doubled.code == 3, "no problems");
    ensure!(headless.code == 0, "{:#}", headless.json);
    let cause = |diagnosis: &Diagnosis| diagnosis.findings()[0]["cause"].to_string();
    ensure!(cause(&ahead).contains("ahead of this"), "{}", cause(&ahead));
    ensure!(cause(&behind).contains("behind this"), "{}", cause(&behind));
    Ok(())
}

/// Brokers of two clusters, side by side and one behind the other.
async fn two_clusters(kafka: &str) -> Result<()> {
    let one = Lab::start(kafka, LabOptions::default()).await?;
    let other = Lab::start(kafka, another_cluster()).await?;
    let mut both = patient(&format!("{},{}", one.address, other.address))?;
    both.is_cured_of("RDK-CLU-08", &[], &[]).await?;

    one.change(LabOptions::default().advertising(Advertise::At("127.0.0.1".into(), other.port)))?;
    let led_astray = patient(&one.address)?;
    led_astray.diagnose(&[]).await?.is_first("RDK-CLU-09")?;
    other.change(LabOptions::default())?;
    led_astray.is_healthy(&[]).await
}

/// A broker that can't be reached where it is advertised: that its topics' leader is not
/// reached is no finding beside it, and never fine.
async fn elsewhere(kafka: &str) -> Result<()> {
    let nowhere = Advertise::At("127.0.0.1".into(), free_port()?);
    let lab = Lab::start(kafka, LabOptions::default().advertising(nowhere)).await?;
    create(kafka, "led-elsewhere", 1, &[]).await?;
    let diagnosis = patient(&lab.address)?
        .diagnose(&["--topic", "led-elsewhere"])
        .await?;
    ensure!(
        diagnosis.codes().iter().all(|code| !code.contains("-TOP-")),
        "{:#}",
        diagnosis.json
    );
    let skipped = |check: &&serde_json::Value| {
        let text = check["text"].as_str().unwrap_or_default();
        check["outcome"] == "skipped" && text.contains("led by broker 1, which was not reached")
    };
    let checks = diagnosis.checks("topics");
    ensure!(checks.iter().any(skipped), "{:#}", diagnosis.json);
    Ok(())
}

/// A clock is fine because it was asked for, and else not.
async fn clocks(kafka: &str) -> Result<()> {
    let outcome = async |lab: &Lab| -> Result<String> {
        let diagnosis = patient(&lab.address)?.diagnose(&[]).await?;
        let checks = diagnosis.checks("clock");
        let outcomes = checks.iter().map(|check| check["outcome"].to_string());
        Ok(outcomes.collect())
    };
    let lab = Lab::start(kafka, LabOptions::default()).await?;
    ensure!(outcome(&lab).await? == "\"fine\"", "not fine");
    // It does not serve DescribeQuorum.
    lab.change(LabOptions::redpanda()?)?;
    ensure!(outcome(&lab).await? == "\"skipped\"", "not skipped");
    patient(&lab.address)?.is_healthy(&[]).await
}

pub async fn a_broker_that_is_advertised_as_this_machine_is_named(_: Arc<Fixture>) -> Result<()> {
    // The address by which this machine is known elsewhere; nothing is sent.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket
        .connect("192.0.2.1:9")
        .map_err(|error| format!("this test wants an address beside the loopback: {error}"))?;
    let ip = socket.local_addr()?.ip();
    let (wrong, here, right) = (free_port()?, free_port()?, free_port()?);
    let listeners = format!(
        "PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}},\
         WRONG://{ip}:{wrong},HERE://0.0.0.0:{here},RIGHT://{ip}:{right}"
    );
    let advertised = format!(
        "PLAINTEXT://127.0.0.1:{{port}},WRONG://localhost:{wrong},HERE://127.0.0.1:{here},\
         RIGHT://{ip}:{right}"
    );
    let names = ["PLAINTEXT", "CONTROLLER", "WRONG", "HERE", "RIGHT"];
    let protocols = names.map(|name| format!("{name}:PLAINTEXT")).join(",");
    let kafka = Kafka::start_with(&[
        ("listeners", &listeners),
        ("advertised.listeners", &advertised),
        ("listener.security.protocol.map", &protocols),
    ])
    .await?;
    let at = |port: u16| patient(&format!("{ip}:{port}"));
    let diagnosis = at(wrong)?.diagnose(&[]).await?;
    diagnosis.is_first("RDK-CLU-12")?;
    ensure!(diagnosis.codes().len() == 1, "{:#}", diagnosis.json);
    let fix = diagnosis.findings()[0]["fix"]["text"].to_string();
    ensure!(fix.contains("advertised.listeners"), "{fix}");
    // A listener that is advertised as the fix says.
    at(right)?.is_healthy(&[]).await?;

    // It works from here, and from nowhere else.
    let diagnosis = at(here)?.diagnose(&[]).await?;
    ensure!(
        diagnosis.codes() == ["RDK-CLU-12"] && diagnosis.code == 0,
        "{:#}",
        diagnosis.json
    );
    kafka.stop().await
}

pub async fn three_brokers_are_healthy_until_one_is_down(_: Arc<Fixture>) -> Result<()> {
    let mut cluster = KafkaCluster::start().await?;
    let addresses = cluster.addresses();
    let leader = async |cluster: &KafkaCluster| -> Result<String> {
        Ok(cluster.node(cluster.controller().await?).address.clone())
    };
    let controller = leader(&cluster).await?;
    created_on(&controller, "three", &[1, 2, 3], &[]).await?;
    created_on(&controller, "single", &[2], &[("min.insync.replicas", "1")]).await?;
    created_on(
        &controller,
        "strict",
        &[1, 2, 3],
        &[("min.insync.replicas", "3")],
    )
    .await?;
    let all = patient(&cluster.brokers())?;
    let asked = ["--topic", "three", "--topic", "strict"];
    eventually("all brokers know the topics", SOON, async || {
        all.is_healthy(&asked).await.ok()
    })
    .await?;
    first(&all.diagnose(&["--topic", "single"]).await?, "RDK-TOP-07")?;
    swapped(&addresses).await?;

    cluster.down(2).await?;
    let is = async |topic: &str, code: &str| -> Result<Diagnosis> {
        eventually(&format!("{code} of {topic}"), SOON * 2, async || {
            let diagnosis = all.diagnose(&["--topic", topic]).await.ok()?;
            diagnosis.is_first(code).is_ok().then_some(diagnosis)
        })
        .await
    };
    for (topic, code) in [("single", "RDK-TOP-04"), ("strict", "RDK-TOP-05")] {
        let diagnosis = is(topic, code).await?;
        let fix = &diagnosis.findings()[0]["fix"]["text"];
        ensure!(fix == "start broker 2", "{:#}", diagnosis.json);
    }
    // What has moved away works: the broker that is gone can be done without.
    let diagnosis = all.diagnose(&["--topic", "three"]).await?;
    ensure!(diagnosis.code == 0, "{:#}", diagnosis.json);

    cluster.up(2).await?;
    eventually("all is well again", SOON * 2, async || {
        all.is_healthy(&asked).await.ok()
    })
    .await?;
    first(&all.diagnose(&["--topic", "single"]).await?, "RDK-TOP-07")
}

/// Two brokers whose advertised addresses are mixed up.
async fn swapped(addresses: &[String]) -> Result<()> {
    let (one, two) = (&addresses[0], &addresses[1]);
    let mixed_up = BTreeMap::from([(one.clone(), two.clone()), (two.clone(), one.clone())]);
    let options = LabOptions::default().advertising(Advertise::Each(mixed_up));
    let lab = Lab::start(one, options).await?;
    let patient = patient(&lab.address)?;
    let diagnosis = patient.diagnose(&[]).await?;
    diagnosis.is_first("RDK-CLU-11")?;
    let mut causes: Vec<_> = diagnosis
        .findings()
        .iter()
        .map(|found| &found["cause"])
        .collect();
    causes.sort_by_key(ToString::to_string);
    let expected = [
        "broker 1 answers there, not broker 2",
        "broker 2 answers there, not broker 1",
    ];
    ensure!(causes == expected, "{:#}", diagnosis.json);
    lab.change(LabOptions::default().advertising(Advertise::Untouched))?;
    patient.is_healthy(&[]).await
}
