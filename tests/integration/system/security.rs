//! Each way to connect and to log in, against a Kafka that has a listener for each,
//! and each with its wrong twin.

mod wrong;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use harness::{
    Authority, Component, DOTTED, PASSWORD, Result, SecureKafka, USER, Way, eventually,
    write_component,
};
use serde_json::json;
use tokio::process::Command;
use tonic::Code;
pub use wrong::{each_way_that_is_wrong_is_told_with_its_remedy, refused};

use crate::{
    ensure,
    support::{
        Fixture, Place, admin,
        app::App,
        player::{Player, properties},
        program,
    },
};

/// How long an Init may take to turn out as it must. It is asked again until then:
/// on a loaded machine one try's few seconds can be too short for a handshake.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many cases go at a time.
const AT_A_TIME: usize = 4;

/// What a Component says.
type Metadata<'a> = Vec<(&'static str, &'a str)>;

/// A name for an instance, the listener, and what the Component says beside it.
type Case<'a> = (&'static str, Way, Metadata<'a>);

pub async fn each_way_to_connect_goes_around(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    let place = Place::new()?;
    // The certificate authorities of this component's system.
    let system = place.sockets().with_extension("pem");
    std::fs::write(&system, &kafka.authority.pem)?;
    let mut command = Command::new(program());
    command.env("SSL_CERT_FILE", &system);
    let _component = Component::start_by(command, &place.sockets(), &["rdkafka"], &[]).await?;

    let ca = ("caCert", kafka.authority.pem.as_str());
    let client = kafka.authority.client("app")?;
    let own = [
        ("clientCert", client.certificate.as_str()),
        ("clientKey", client.key.as_str()),
    ];
    let tls_off = ("disableTls", "true");
    let any = Authority::new("Another authority")?;
    let unverified = vec![
        ("authType", "certificate"),
        ("caCert", any.pem.as_str()),
        ("skipVerify", "true"),
    ];
    let cases: Vec<Case<'_>> = vec![
        ("none", Way::Plaintext, vec![("authType", "none")]),
        (
            "none-is-plaintext-whatever-else-is-said",
            Way::Plaintext,
            vec![("authType", "none"), ("disableTls", "false"), ca],
        ),
        (
            "certificate",
            Way::Tls,
            vec![("authType", "certificate"), ca],
        ),
        (
            "mtls",
            Way::Mtls,
            [&[("authType", "mtls"), ca][..], &own].concat(),
        ),
        (
            "mtls-system",
            Way::Mtls,
            [&[("authType", "mtls")][..], &own].concat(),
        ),
        ("plain", Way::Sasl, login("PLAINTEXT", tls_off)),
        ("scram-256", Way::Sasl, login("SHA-256", tls_off)),
        ("scram-512", Way::Sasl, login("SHA-512", tls_off)),
        ("plain-tls", Way::SaslTls, login("PLAINTEXT", ca)),
        ("scram-256-tls", Way::SaslTls, login("SHA-256", ca)),
        ("scram-512-tls", Way::SaslTls, login("SHA-512", ca)),
        (
            "scram-512-system",
            Way::SaslTls,
            login("SHA-512", ("clientID", "a")),
        ),
        ("skip-authority", Way::Tls, unverified.clone()),
        ("skip-expired", Way::Expired, unverified.clone()),
        ("skip-name", Way::OtherName, unverified),
    ];
    for some in cases.chunks(AT_A_TIME) {
        let around = some
            .iter()
            .map(|case| goes_around(&fixture, kafka, &place, case));
        try_join_all(around).await?;
    }
    Ok(())
}

/// A user's login, and one more pair.
fn login<'a>(mechanism: &'static str, more: (&'static str, &'a str)) -> Metadata<'a> {
    vec![
        ("authType", "password"),
        ("saslMechanism", mechanism),
        ("saslUsername", USER),
        ("saslPassword", PASSWORD),
        more,
    ]
}

/// Init, a message to a topic, and the message back.
async fn goes_around(
    fixture: &Fixture,
    kafka: &SecureKafka,
    place: &Place,
    (name, way, metadata): &Case<'_>,
) -> Result<()> {
    let topic = fixture.name("security");
    admin::create_topic(&kafka.address(Way::Plaintext), &topic, 1, &[]).await?;
    let properties = properties(&kafka.address(*way), &topic, metadata);
    let around = async {
        let mut player = starts(place, name, properties).await?;
        player.publish(&topic, "key", name).await?;
        let mut pull = player.pull(&topic).await?;
        let texts = pull.take(1, PATIENCE).await?;
        ensure!(texts == [*name], "{texts:?}");
        Ok(())
    };
    let around: Result<()> = around.await;
    around.map_err(|error| format!("{name}: {error}").into())
}

/// An instance that was initialised, however often it had to be tried.
async fn starts(
    place: &Place,
    name: &'static str,
    properties: HashMap<String, String>,
) -> Result<Player> {
    let mut player = Player::connect(&place.socket("rdkafka"), name).await?;
    let end = Instant::now() + PATIENCE;
    loop {
        match player.init(properties.clone()).await {
            Ok(()) => return Ok(player),
            Err(status) if status.code() == Code::Unavailable && Instant::now() < end => {}
            Err(status) => return Err(status.into()),
        }
    }
}

pub async fn names_with_a_trailing_dot_are_verified_without_it(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    let place = Place::new()?;
    let whole = DOTTED.trim_end_matches('.');
    let wrong = "rp-1.test.";
    let hosts = place.sockets().with_extension("hosts");
    let command = SecureKafka::with_hosts(program(), &hosts, &[DOTTED, whole, wrong])?;
    let _component = Component::start_by(command, &place.sockets(), &["rdkafka"], &[]).await?;
    let port = kafka.port(Way::Dotted).ok_or("no such listener")?;
    let topic = fixture.name("security");
    admin::create_topic(&kafka.address(Way::Plaintext), &topic, 1, &[]).await?;
    let metadata = [
        ("authType", "certificate"),
        ("caCert", kafka.authority.pem.as_str()),
    ];
    let at = |host: &str, group| properties(&format!("{host}:{port}"), group, &metadata);

    for (name, host) in [("dotted", DOTTED), ("whole", whole)] {
        let mut player = starts(&place, name, at(host, name)).await?;
        // What answers is the broker as it is advertised: with the dot.
        player.publish(&topic, "key", name).await?;
        let mut pull = player.pull(&topic).await?;
        ensure!(pull.take(1, PATIENCE).await? == ["dotted"], "{name}");
    }
    refused(&place, "wrong", at(wrong, "wrong"), &["RDK-TLS-05"]).await
}

/// The system's own way: daprd with a Component file, and an app.
pub async fn daprd_gets_its_messages_over_tls_with_a_login(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    let topic = fixture.name("security");
    admin::create_topic(&kafka.address(Way::Plaintext), &topic, 1, &[]).await?;
    let place = Place::new()?;
    let brokers = kafka.address(Way::SaslTls);
    let mut metadata = login("SHA-512", ("caCert", &kafka.authority.pem));
    metadata.extend([("brokers", brokers.as_str()), ("initialOffset", "oldest")]);
    write_component(
        &place.resources(),
        "todo-pubsub",
        "pubsub.rdkafka",
        &metadata,
    )?;
    let _component = place.component().await?;
    let app = App::start(&topic).await?;
    let daprd = place
        .daprd(fixture.daprd, &fixture.name("app"), Some(app.port))
        .await?;
    daprd
        .publish("todo-pubsub", &topic, "", &json!({ "n": 1 }))
        .await?;
    let events = app.events(1).await?;
    ensure!(events[0].body["data"]["n"] == 1, "{events:?}");
    Ok(())
}

/// A login that is refused while the component runs is neither fatal nor silent: the
/// log and each publish say it, and once the broker knows the user all goes on.
pub async fn a_refused_login_is_told_and_heals(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    let topic = fixture.name("security");
    admin::create_topic(&kafka.address(Way::Plaintext), &topic, 1, &[]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let user = fixture.name("user");
    let mut metadata = login("SHA-512", ("disableTls", "true"));
    metadata.retain(|(key, _)| *key != "saslUsername");
    metadata.extend([
        ("saslUsername", user.as_str()),
        ("startWithoutBrokers", "true"),
        ("publishTimeout", "3s"),
    ]);
    let properties = properties(&kafka.address(Way::Sasl), &topic, &metadata);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let refused = "SASL authentication error: Authentication failed";
    for told in ["started without brokers", "broker connection failed"] {
        let both = |line: &str| line.contains(told) && line.contains("Authentication failed");
        component.process.line(told, PATIENCE, both).await?;
    }
    let Err(status) = player.publish(&topic, "key", "early").await else {
        return Err("a user whom nobody knows has published".into());
    };
    ensure!(status.message().contains(refused), "{status}");

    kafka.add_user(&user, PASSWORD).await?;
    eventually("a publish succeeds", PATIENCE, || {
        let (mut player, topic) = (player.clone(), topic.clone());
        async move { player.publish(&topic, "key", "late").await.ok() }
    })
    .await
}
