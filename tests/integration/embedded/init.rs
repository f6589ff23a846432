use std::{sync::Arc, time::Duration};

use dapr_rdkafka::kafka::EmbeddedBroker;
use harness::{Result, eventually, free_port};
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON,
        player::{Player, dial, properties},
    },
};

/// daprd's own limit for Init.
const DAPRDS_PATIENCE: Duration = Duration::from_secs(5);

pub async fn bad_metadata_is_reported_at_once(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let _component = place.component().await?;
    let mut player = Player::connect(&place.socket("rdkafka"), "todo-pubsub").await?;
    let wrong = [
        ("authType", "kerberos"),
        ("maxInFlight", "many"),
        ("sessionTimeout", "soon"),
    ];
    let Err(status) = player.init(properties("no-port", "group", &wrong)).await else {
        return Err("bad metadata was taken".into());
    };
    ensure!(status.code() == Code::InvalidArgument, "{status}");
    ensure!(status.message().starts_with("RDK-CFG-01: "), "{status}");
    for part in [
        "brokers: \"no-port\"",
        "authType: \"kerberos\"",
        "maxInFlight: \"many\"",
        "sessionTimeout: \"soon\"",
    ] {
        ensure!(
            status.message().contains(part),
            "{part} is not in: {status}"
        );
    }
    Ok(())
}

/// Every way to miss a broker at once: the first is told while daprd still listens, and
/// each by its name in the log.
pub async fn a_broker_that_cant_be_reached_is_named_with_its_cause(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let mut component = place.component().await?;
    let refused = format!("127.0.0.1:{}", free_port()?);
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let closing = TcpListener::bind("127.0.0.1:0").await?;
    let silent_address = silent.local_addr()?.to_string();
    let closing_address = closing.local_addr()?.to_string();
    let unknown = "no-such-host.invalid:9092";
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = closing.accept().await {
            // As a TLS listener: reads what is no handshake, and hangs up.
            let _ = stream.read(&mut [0; 64]).await;
        }
    });

    let brokers = [refused.as_str(), &silent_address, &closing_address, unknown].join(",");
    let mut player = Player::connect(&place.socket("rdkafka"), "todo-pubsub").await?;
    // A connection's own time does not keep Init waiting.
    let long = [("dialTimeout", "5m"), ("readTimeout", "2m")];
    let init = player.init(properties(&brokers, "group", &long));
    let status = match tokio::time::timeout(DAPRDS_PATIENCE, init).await {
        Ok(Err(status)) => status,
        Ok(Ok(())) => return Err("Init succeeded without a broker".into()),
        Err(_) => return Err("Init took longer than daprd waits".into()),
    };
    ensure!(status.code() == Code::Unavailable, "{status}");
    let told = status.message();
    ensure!(
        told.starts_with(&format!("RDK-NAM-01 {unknown}: "))
            && told.contains("Fix: ")
            && told.ends_with("(+3 more, see the component's log)")
            && told.chars().count() <= 400,
        "{told}"
    );
    for (code, broker) in [
        ("RDK-NAM-01", unknown),
        ("RDK-TCP-01", &refused),
        ("RDK-PRT-03", &silent_address),
        ("RDK-PRT-04", &closing_address),
    ] {
        let told = format!("broker {broker}: {code}: ");
        component
            .process
            .line(&told, SOON, |line| line.contains(&told))
            .await?;
    }
    Ok(())
}

pub async fn the_component_starts_without_brokers_if_told_to(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let mut component = place.component().await?;
    let nobody = format!("127.0.0.1:{}", free_port()?);
    let mut player = Player::connect(&place.socket("rdkafka"), "todo-pubsub").await?;
    let anyway = [("startWithoutBrokers", "true")];
    player.init(properties(&nobody, "group", &anyway)).await?;
    let told = "started without brokers";
    component
        .process
        .line(told, SOON, |line| line.contains(told))
        .await?;
    serving(&place, ServingStatus::NotServing).await?;

    let broker = EmbeddedBroker::start(["orders"])?;
    player
        .init(properties(&broker.address()?, "group", &anyway))
        .await?;
    serving(&place, ServingStatus::Serving).await
}

async fn serving(place: &Place, wanted: ServingStatus) -> Result<()> {
    let client = HealthClient::new(dial(&place.socket("rdkafka")).await?);
    eventually(&format!("health is {wanted:?}"), SOON, || {
        let mut client = client.clone();
        async move {
            let service = "dapr.proto.components.v1.PubSub".to_owned();
            let answer = client.check(HealthCheckRequest { service }).await.ok()?;
            (answer.into_inner().status() == wanted).then_some(())
        }
    })
    .await
}
