//! The same checks at Init, and when a running connection breaks.

use std::{sync::Arc, time::Duration};

use harness::{
    Advertise, Authority, Behaviour, Daprd, DaprdBuild, DaprdOptions, Lab, LabOptions, LabTls,
    Result, Way, eventually, free_port,
};

use tokio::time::timeout;

use super::cluster::another_cluster;
use crate::{
    ensure,
    support::{
        Fixture, Place,
        player::{Player, properties},
    },
    tests,
};

tests!(
    "system::doctor::inits",
    daprd_logs_the_code_and_the_fix,
    brokers_that_are_advertised_elsewhere_fail_init,
    a_broker_of_another_cluster_is_none_of_ours,
    what_is_no_broker_is_told_within_daprds_patience,
    one_broker_is_enough_and_the_others_are_told,
    a_broken_connection_is_told_with_its_cause_until_it_is_well,
);

/// How long daprd waits for an Init: that it is kept is a promise.
const DAPRDS_PATIENCE: Duration = Duration::from_secs(5);

/// How long a state may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The error of an Init; that it succeeds is the failure here.
async fn refused(place: &Place, brokers: &str) -> Result<String> {
    let mut player = Player::connect(&place.socket("rdkafka"), "todo-pubsub").await?;
    match player.init(properties(brokers, "group", &[])).await {
        Ok(()) => Err("Init succeeded".into()),
        Err(status) => Ok(status.message().to_owned()),
    }
}

/// The user whose only clue was an EOF reads daprd's log, and nothing else.
async fn daprd_logs_the_code_and_the_fix(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    let address = kafka.address(Way::Tls);
    let place = Place::new()?;
    place.put_component(
        "pubsub.rdkafka",
        &[("brokers", &address), ("authType", "none")],
    )?;
    let _component = place.component().await?;
    let options = DaprdOptions {
        app_id: "app",
        app_port: None,
        resources: &place.resources(),
        sockets: &place.sockets(),
    };
    let mut daprd = Daprd::spawn(&DaprdBuild::USUAL.program(), &options, free_port()?)?;
    let code = format!("RDK-PRT-01 {address}: ");
    let line = daprd
        .process
        .line(&code, PATIENCE, |line| line.contains(&code))
        .await?;
    ensure!(line.contains("set authType: "), "{line}");
    Ok(())
}

/// The first connection works, and no other would: that was found out at the first publish.
async fn brokers_that_are_advertised_elsewhere_fail_init(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let nobody = Advertise::At("127.0.0.1".into(), free_port()?);
    let unknown = Advertise::Host("no-such-host.invalid".into());
    for (advertise, code) in [(nobody, "RDK-CLU-02 "), (unknown, "RDK-CLU-01 ")] {
        let lab = Lab::start(kafka, LabOptions::default().advertising(advertise)).await?;
        let told = refused(&place, &lab.address).await?;
        ensure!(told.starts_with(code), "{told}");
        ensure!(
            told.contains("as advertised)") && told.contains("Fix: ") && told.len() <= 400,
            "{told}"
        );
        component
            .process
            .line(code, PATIENCE, |line| line.contains(code.trim_end()))
            .await?;
    }
    Ok(())
}

/// What answers where the broker is advertised is one of another cluster: nothing that is
/// published there is in this one.
async fn a_broker_of_another_cluster_is_none_of_ours(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let place = Place::new()?;
    let _component = place.component().await?;
    let other = Lab::start(kafka, another_cluster()).await?;
    let astray = Advertise::At("127.0.0.1".into(), other.port);
    let lab = Lab::start(kafka, LabOptions::default().advertising(astray)).await?;
    // Whichever of client and checks is first.
    for _ in 0..5 {
        let told = refused(&place, &lab.address).await?;
        ensure!(told.starts_with("RDK-CLU-09 "), "{told}");
    }
    other.change(LabOptions::default())?;
    Player::start(
        &place.socket("rdkafka"),
        properties(&lab.address, "group", &[]),
    )
    .await?;
    Ok(())
}

/// Whatever listens there: one line with its code and a fix, before daprd gives up.
async fn what_is_no_broker_is_told_within_daprds_patience(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let place = Place::new()?;
    let _component = place.component().await?;
    let lab = Lab::start(kafka, LabOptions::default()).await?;
    for (behaviour, code) in [
        (Behaviour::Hangup, "RDK-PRT-04"),
        (Behaviour::CloseAtFirst, "RDK-PRT-04"),
        (Behaviour::CloseAfterVersions, "RDK-LGN-07"),
        (Behaviour::Garbage, "RDK-PRT-11"),
        (Behaviour::Http, "RDK-PRT-05"),
        (Behaviour::Silent, "RDK-PRT-03"),
    ] {
        lab.change(LabOptions::default().behaving(behaviour))?;
        let told = timeout(DAPRDS_PATIENCE, refused(&place, &lab.address)).await;
        let told = told.map_err(|_| format!("{behaviour:?}: no answer in time"))??;
        ensure!(
            told.starts_with(&format!("{code} {}: ", lab.address))
                && told.contains("Fix: ")
                && told.chars().count() <= 400
                && !told.contains('\n'),
            "{behaviour:?}: {told}"
        );
    }
    // A slow one is one all the same.
    lab.change(LabOptions {
        delay: Duration::from_millis(200),
        ..LabOptions::default()
    })?;
    let init = properties(&lab.address, "group", &[]);
    let socket = place.socket("rdkafka");
    timeout(DAPRDS_PATIENCE, Player::start(&socket, init)).await??;
    Ok(())
}

/// A silent and a closed one beside it neither fail Init nor hold it up.
async fn one_broker_is_enough_and_the_others_are_told(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let silent = Lab::start(kafka, LabOptions::default().behaving(Behaviour::Silent)).await?;
    let closed = format!("127.0.0.1:{}", free_port()?);
    let brokers = format!("{},{closed},{kafka}", silent.address);
    Player::start(&place.socket("rdkafka"), properties(&brokers, "group", &[])).await?;
    for told in [
        format!("broker {}: RDK-PRT-03", silent.address),
        format!("broker {closed}: RDK-TCP-01"),
    ] {
        let line = component
            .process
            .line(&told, PATIENCE, |line| line.contains(&told))
            .await?;
        ensure!(line.contains("WARN"), "{line}");
    }
    Ok(())
}

/// A listener that speaks TLS from one moment to the next, and then plaintext again.
async fn a_broken_connection_is_told_with_its_cause_until_it_is_well(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let lab = Lab::start(fixture.kafka().await?, LabOptions::default()).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let admin = component.admin().await?;
    let brokers = properties(&lab.address, "group", &[]);
    let mut player = Player::start(&place.socket("rdkafka"), brokers).await?;

    let identity = Authority::new("test")?.server(&["localhost"])?;
    lab.change(LabOptions::default().with_tls(LabTls::new(identity)))?;
    let publishing = tokio::spawn(async move {
        // Without use nobody connects.
        while player.publish("orders", "key", "x").await.is_err() {}
    });
    let told = "broke: RDK-PRT-01: ";
    let line = component
        .process
        .line(told, PATIENCE, |line| line.contains(told))
        .await?;
    ensure!(
        line.contains(&lab.address) && line.contains("authType") && line.contains("ERROR"),
        "{line}"
    );
    problems(&admin, "RDK-PRT-01", "1").await?;

    lab.change(LabOptions::default())?;
    let told = "is reached again: RDK-PRT-01 is over";
    component
        .process
        .line(told, PATIENCE, |line| line.contains(told))
        .await?;
    problems(&admin, "RDK-PRT-01", "0").await?;
    publishing.abort();
    Ok(())
}

/// Waits until so many brokers have this problem.
async fn problems(admin: &str, code: &str, count: &str) -> Result<()> {
    let series =
        format!("dapr_rdkafka_broker_problem{{component=\"todo-pubsub\",code=\"{code}\"}}");
    let wanted = format!("{series} {count}");
    eventually(&wanted, PATIENCE, || async {
        let text = reqwest::get(format!("{admin}/metrics")).await.ok()?;
        let text = text.text().await.ok()?;
        text.lines().any(|line| line == wanted).then_some(())
    })
    .await
}
