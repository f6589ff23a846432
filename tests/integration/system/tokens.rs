//! Logins by token, on a real Kafka that looks who signed them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use harness::{Component, Result, eventually, free_port, write_component};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tonic::{Code, Status};

use crate::{
    ensure,
    support::{
        Fixture, Place, admin,
        idp::{Idp, Key, SECRET},
        letters::{dlq_bare, letter, say},
        player::{Player, Pull, properties},
        records::write_to,
    },
};

/// How long something may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait between two Inits.
const AGAIN: Duration = Duration::from_millis(100);

/// Metadata with some of its values replaced.
fn with<'a>(given: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [given, more].concat()
}

/// Init fails with an error that has these parts, and never the secret. It is asked again
/// until then: on a loaded machine one try's few seconds can be too short for a token and
/// a login.
async fn refused(
    place: &Place,
    brokers: &str,
    metadata: &[(&str, &str)],
    parts: &[&str],
) -> Result<Status> {
    let mut player = Player::connect(&place.socket("rdkafka"), "todo-pubsub").await?;
    let end = Instant::now() + PATIENCE;
    loop {
        let init = player.init(properties(brokers, "group", metadata)).await;
        let status = init
            .err()
            .ok_or_else(|| format!("Init took {metadata:?}"))?;
        ensure!(!status.message().contains(SECRET), "{status}");
        match names(&status, parts) {
            Err(missing) if Instant::now() > end => return Err(missing),
            Err(_) => tokio::time::sleep(AGAIN).await,
            Ok(()) => return Ok(status),
        }
    }
}

/// Initialises, as often as it takes: see [`refused`].
async fn starts(place: &Place, properties: HashMap<String, String>) -> Result<Player> {
    let mut player = Player::connect(&place.socket("rdkafka"), "todo-pubsub").await?;
    let end = Instant::now() + PATIENCE;
    loop {
        match player.init(properties.clone()).await {
            Ok(()) => return Ok(player),
            Err(status) if status.code() == Code::Unavailable && Instant::now() < end => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(status) => return Err(status.into()),
        }
    }
}

fn names(status: &Status, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(
            status.message().contains(part),
            "{part:?} is not in: {status}"
        );
    }
    Ok(())
}

async fn goes_around(player: &mut Player, pull: &mut Pull, topic: &str, text: &str) -> Result<()> {
    player.publish(topic, "key", text).await?;
    let texts = pull.take(1, PATIENCE).await?;
    ensure!(texts == [text], "{texts:?} instead of {text}");
    Ok(())
}

/// The lines that the component must not print, or must.
async fn waits_for(component: &mut Component, told: &str) -> Result<String> {
    component
        .process
        .line(told, PATIENCE, |line| line.contains(told))
        .await
}

pub async fn a_client_secret_logs_in_with_scopes_and_extensions(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.token_kafka().await?;
    let idp = Idp::start(kafka.key.clone()).await?;
    let topic = fixture.name("orders");
    admin::create_topic(kafka.plain(), &topic, 1, &[]).await?;
    let place = Place::new()?;
    let component = place.component().await?;
    let (seen, listener) = watched(&kafka.address).await?;
    let metadata = with(
        &idp.by_secret(),
        &[
            ("oidcScopes", "openid,kafka"),
            ("oidcExtensions", r#"{"logicalCluster":"lkc-1"}"#),
        ],
    );
    let properties = properties(&listener, &fixture.name("group"), &metadata);
    let mut player = starts(&place, properties).await?;
    let mut pull = player.pull(&topic).await?;
    goes_around(&mut player, &mut pull, &topic, "by token").await?;

    let asked = idp.asked().ok_or("the provider was not asked")?;
    ensure!(asked["scope"] == "openid kafka", "{asked:?}");
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let holds = |part: &[u8]| seen.windows(part.len()).any(|window| window == part);
    ensure!(holds(b"auth=Bearer "), "no token was seen on the way");
    ensure!(
        holds(b"\x01logicalCluster=lkc-1\x01"),
        "the extension is missing"
    );
    let stopped = component.stop().await?;
    ensure!(!stopped.output.contains(SECRET), "{}", stopped.output);
    // A JWT begins so.
    ensure!(!stopped.output.contains("eyJ"), "{}", stopped.output);
    Ok(())
}

/// No MSK is at hand: this Kafka refuses the token, which is no JWT, but gets it.
pub async fn aws_keys_sign_a_token_that_reaches_the_broker(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.token_kafka().await?;
    let place = Place::new()?;
    let component = place.component().await?;
    let (seen, listener) = watched(&kafka.address).await?;
    let metadata = [
        ("authType", "awsiam"),
        ("disableTls", "true"),
        ("awsRegion", "eu-central-1"),
        ("awsAccessKey", "AKIDEXAMPLE"),
        ("awsSecretKey", SECRET),
    ];
    // Not a failure to reach it: the broker says no to the token.
    let told = ["RDK-LGN-06", "set awsRegion: "];
    refused(&place, &listener, &metadata, &told).await?;
    // https://kafka.eu-central-1.amazonaws.com/ in base64.
    let token = b"auth=Bearer aHR0cHM6Ly9rYWZrYS5ldS1jZW50cmFsLTEuYW1hem9uYXdzLmNvbS";
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let came = seen.windows(token.len()).any(|window| window == token);
    ensure!(came, "no token was seen on the way");
    let stopped = component.stop().await?;
    ensure!(!stopped.output.contains(SECRET), "{}", stopped.output);
    Ok(())
}

/// A way to a broker that keeps what clients send.
async fn watched(broker: &str) -> Result<(Arc<Mutex<Vec<u8>>>, String)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let (kept, broker) = (seen.clone(), broker.to_owned());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&broker).await else {
                continue;
            };
            let (mut from, mut back) = client.into_split();
            let (mut answers, mut to) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
            let kept = kept.clone();
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = from.read(&mut bytes).await {
                    keep(&kept, &bytes[..count]);
                    if to.write_all(&bytes[..count]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    Ok((seen, address))
}

fn keep(kept: &Mutex<Vec<u8>>, bytes: &[u8]) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.extend_from_slice(bytes);
}

pub async fn a_signed_assertion_logs_in(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.token_kafka().await?;
    let idp = Idp::start(kafka.key.clone()).await?;
    let topic = fixture.name("orders");
    admin::create_topic(kafka.plain(), &topic, 1, &[]).await?;
    let place = Place::new()?;
    let _component = place.component().await?;
    let (right, wrong) = (idp.client_key().pem()?, Key::new()?.pem()?);
    let metadata = |key| {
        with(
            &idp.by_secret(),
            &[
                ("authType", "oidc_private_key_jwt"),
                ("oidcClientAssertionCert", "not looked at"),
                ("oidcClientAssertionKey", key),
                ("oidcKid", "todo-1"),
            ],
        )
    };
    refused(
        &place,
        &kafka.address,
        &metadata(wrong.as_str()),
        &[idp.url(), "401", "invalid_client", "oidcClientAssertionKey"],
    )
    .await?;

    let metadata = metadata(right.as_str());
    let properties = properties(&kafka.address, &fixture.name("group"), &metadata);
    let mut player = starts(&place, properties).await?;
    let mut pull = player.pull(&topic).await?;
    goes_around(&mut player, &mut pull, &topic, "by assertion").await
}

pub async fn what_is_wrong_with_a_token_is_inits_error(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.token_kafka().await?;
    let idp = Idp::start(kafka.key.clone()).await?;
    let place = Place::new()?;
    let _component = place.component().await?;

    let good = idp.by_secret();
    let wrong = with(&good, &[("oidcClientSecret", "wrong-and-planted")]);
    let told = [
        idp.url(),
        "401 Unauthorized",
        "invalid_client",
        "no such client",
    ];
    let status = refused(&place, &kafka.address, &wrong, &told).await?;
    ensure!(!status.message().contains("wrong-and-planted"), "{status}");

    let html = idp.url().replace("/token", "/html");
    let nonsense = with(&good, &[("oidcTokenEndpoint", &html)]);
    let told = [&html, "what is no token", "text/html"];
    let status = refused(&place, &kafka.address, &nonsense, &told).await?;
    ensure!(!status.message().contains("Sign in"), "{status}");

    let nobody = format!("http://127.0.0.1:{}/token", free_port()?);
    let down = with(&good, &[("oidcTokenEndpoint", &nobody)]);
    refused(&place, &kafka.address, &down, &[&nobody, "refused"]).await?;

    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let silent = format!("http://{}/token", silent.local_addr()?);
    let hangs = with(&good, &[("oidcTokenEndpoint", &silent)]);
    refused(&place, &kafka.address, &hangs, &[&silent]).await?;

    // A token that someone else signed: the broker must be the one who says no.
    let stranger = Idp::start(Key::new()?).await?;
    let told = [&kafka.address, "RDK-LGN-06", "set oidcTokenEndpoint: "];
    refused(&place, &kafka.address, &stranger.by_secret(), &told).await?;
    ensure!(stranger.granted() > 0, "no token was given");
    Ok(())
}

pub async fn a_login_outlives_its_tokens_and_their_provider(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.token_kafka().await?;
    let mut idp = Idp::start(kafka.key.clone()).await?;
    idp.tokens_live(Duration::from_secs(5));
    let topic = fixture.name("orders");
    admin::create_topic(kafka.plain(), &topic, 1, &[]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let group = fixture.name("group");
    let properties = properties(&kafka.address, &group, &idp.by_secret());
    let mut player = starts(&place, properties).await?;
    let mut pull = player.pull(&topic).await?;
    goes_around(&mut player, &mut pull, &topic, "first").await?;

    // Each of these tokens ends before the last of them was given.
    let begun = idp.granted();
    eventually("three more tokens", PATIENCE, || async {
        (idp.granted() >= begun + 3).then_some(())
    })
    .await?;
    goes_around(&mut player, &mut pull, &topic, "after three lives").await?;

    idp.down();
    let told = waits_for(&mut component, "login: no token from").await?;
    ensure!(
        told.contains(idp.url()) && told.contains("trying again"),
        "{told}"
    );
    let before = idp.granted();
    idp.up().await?;
    eventually("a token again", PATIENCE, || async {
        (idp.granted() > before).then_some(())
    })
    .await?;
    goes_around(
        &mut player,
        &mut pull,
        &topic,
        "after the provider was down",
    )
    .await
}

pub async fn without_a_provider_it_starts_if_told_to(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.token_kafka().await?;
    let mut idp = Idp::start(kafka.key.clone()).await?;
    let topic = fixture.name("orders");
    admin::create_topic(kafka.plain(), &topic, 1, &[]).await?;
    idp.down();
    let place = Place::new()?;
    let mut component = place.component().await?;
    let anyway = idp.by_secret();
    let anyway: Vec<_> = anyway.into_iter().map(|(k, v)| (k, v.to_owned())).collect();
    let mut anyway: Vec<_> = anyway.iter().map(|(k, v)| (*k, v.as_str())).collect();
    anyway.push(("startWithoutBrokers", "true"));
    anyway.push(("publishTimeout", "3s"));
    let properties = properties(&kafka.address, &fixture.name("group"), &anyway);
    let mut player = starts(&place, properties).await?;
    let told = waits_for(&mut component, "started without a token").await?;
    ensure!(told.contains(idp.url()), "{told}");
    let failed = player.publish(&topic, "key", "too early").await;
    let failed = failed.err().ok_or("published without a token")?;
    names(&failed, &["meanwhile: no token from", idp.url()])?;
    let told = waits_for(&mut component, "reaching a broker").await?;
    ensure!(told.contains(idp.url()), "{told}");

    idp.up().await?;
    waits_for(&mut component, "a broker answers now").await?;
    let published = || {
        let (mut player, topic) = (player.clone(), topic.clone());
        async move { player.publish(&topic, "key", "at last").await.ok() }
    };
    eventually("a publish", PATIENCE, published).await
}

pub async fn dead_letters_are_read_with_a_token(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.token_kafka().await?;
    let idp = Idp::start(kafka.key.clone()).await?;
    let topic = fixture.name("orders.dlq");
    admin::create_topic(kafka.plain(), &topic, 1, &[]).await?;
    write_to(
        kafka.plain(),
        &topic,
        Some(0),
        &[letter("a", "1", "orders", "todo")],
    )
    .await?;
    let place = Place::new()?;
    for (name, secret) in [("right", SECRET), ("wrong", "wrong-and-planted")] {
        let brokers = ("brokers", kafka.address.as_str());
        let metadata = with(&idp.by_secret(), &[brokers, ("oidcClientSecret", secret)]);
        // A key stands once in a file: its last value.
        let metadata: std::collections::BTreeMap<_, _> = metadata.into_iter().collect();
        let metadata: Vec<_> = metadata.into_iter().collect();
        write_component(&place.resources(), name, "pubsub.rdkafka", &metadata)?;
    }
    let list = |name: &str| {
        let file = place.resources().join(format!("{name}.yaml"));
        dlq_bare(&[
            "list",
            "--topic",
            &topic,
            "--component",
            &file.to_string_lossy(),
        ])
    };
    let right = say(list("right")).await?;
    ensure!(right.out.contains("1 records"), "{right:?}");
    let wrong = say(list("wrong")).await?;
    ensure!(wrong.code == Some(1), "{wrong:?}");
    for part in [idp.url(), "invalid_client"] {
        ensure!(wrong.err.contains(part), "{part} is not in {wrong:?}");
    }
    ensure!(!wrong.err.contains("wrong-and-planted"), "{wrong:?}");
    Ok(())
}
