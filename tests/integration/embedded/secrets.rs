//! Secrets are planted in every key that holds one, everything is logged, and what the
//! process shows is searched.

use std::{collections::HashMap, sync::Arc};

use axum::{Json, Router, http::StatusCode, routing::get as answer};
use dapr_rdkafka::metadata::keys::{self, Key, Support};
use futures_util::future::join_all;
use harness::{Component, Process, Result, free_port};
use tokio::{net::TcpListener, process::Command};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON,
        endpoints::{get, get_unix},
        player::{Player, properties},
        program,
    },
};

/// What every planted secret has in it. It is base64, so that a key's PEM can hold it.
const MARK: &str = "PLANTEDplanted";

/// Any certificate; its key is not in use anywhere.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUStqhQdpgKkMs1jvFACsaRKsGkdQwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEbm9uZTAgFw0yNjExMjMxNTUxMjdaGA8yMTI2MTAzMDE1NTEy
N1owDzENMAsGA1UEAwwEbm9uZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCk8
IXQf2NfKbI34pSlD2ukvkG7MRNlJl2hv7Y1tgcC7PREa3uac5SVmhJ00PWK42eL9
xiVPaMLPdBPgT6NaG2qjUzBRMB0GA1UdDgQWBBQ2RQwC5TZZSyER5iOV/FgVAbEo
xTAfBgNVHSMEGDAWgBQ2RQwC5TZZSyER5iOV/FgVAbEoxTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIBkLMYL2OtDNHi3n4FyZrvrWx/P2hXARUO/B
IjzipHT3AiEA3DxW64TXUAHggB8woJXVirykFxOjnD7arEytZd7XyUI=
-----END CERTIFICATE-----
";

/// A process may print so much before the harness forgets the rest.
const LINES: usize = 200_000;

/// Ways to log in, with an instance for each.
const LOGINS: [(&str, &str); 6] = [
    ("password", "with-password"),
    ("mtls", "with-mtls"),
    ("certificate", "with-certificate"),
    ("oidc", "with-oidc"),
    ("oidc_private_key_jwt", "with-jwt"),
    ("awsiam", "with-aws"),
];

fn planted(key: &Key, body: &str) -> String {
    let mark = format!("{MARK}{}{body}", key.name);
    if ["clientKey", "oidcClientAssertionKey"].contains(&key.name) {
        return format!("-----BEGIN PRIVATE KEY-----\n{mark}\n-----END PRIVATE KEY-----\n");
    }
    mark
}

fn secrets() -> impl Iterator<Item = &'static Key> {
    keys::all().filter(|key| key.secret)
}

/// Secrets in all keys that are honoured, and what else the logins need.
fn metadata(brokers: &str, more: &[(&str, &str)]) -> HashMap<String, String> {
    let mut all = properties(brokers, "group", &[]);
    let honoured = |key: &&Key| matches!(key.support, Support::Honoured(_) | Support::Access(_));
    let secrets = secrets().filter(honoured);
    all.extend(secrets.map(|key| (key.name.to_owned(), planted(key, ""))));
    let others = [
        ("caCert", CERTIFICATE),
        ("clientCert", CERTIFICATE),
        ("oidcClientAssertionCert", CERTIFICATE),
        ("oidcTokenEndpoint", "http://127.0.0.1:9/token"),
        ("oidcClientID", "client"),
        ("awsRegion", "eu-west-1"),
        ("publishTimeout", "1s"),
    ];
    let others = others.iter().chain(more);
    all.extend(others.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    all
}

/// Keys as a container's credential service answers them.
fn container_keys() -> serde_json::Value {
    serde_json::json!({
        "AccessKeyId": format!("{MARK}id"),
        "SecretAccessKey": format!("{MARK}key"),
        "Token": format!("{MARK}session"),
        "Expiration": "2999-01-01T00:00:00Z",
    })
}

/// The component, logging everything, with a daprd that refuses the planted token.
async fn start(place: &Place, format: &str) -> Result<Component> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let daprd = format!("http://{}", listener.local_addr()?);
    let routes = Router::new()
        .route("/ecs", answer(|| async { Json(container_keys()) }))
        .fallback(|| async { StatusCode::UNAUTHORIZED });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let mut command = Command::new(program());
    command
        .env("DAPR_API_TOKEN", format!("{MARK}token"))
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{daprd}/ecs"))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", format!("{MARK}ecs"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .args(["run", "--log-level", "trace", "--log-format", format])
        .args(["--heal-daprd", &daprd, "--admin-listen", "127.0.0.1:0"])
        .arg("--socket-folder")
        .arg(place.sockets());
    let mut process = Process::start("dapr-rdkafka", command)?;
    for told in ["pubsub.rdkafka listens on", "set DAPR_API_TOKEN"] {
        process.line(told, SOON, |line| line.contains(told)).await?;
    }
    Ok(Component { process })
}

/// Each way to log in fails, and each for another reason: all of them are returned.
async fn failing(place: &Place, brokers: &str) -> Result<Vec<String>> {
    let socket = &place.socket("rdkafka");
    let logins = LOGINS.map(|(login, name)| (name, metadata(brokers, &[("authType", login)])));
    // No text that librdkafka could take ends in the middle.
    let mut cut = metadata(brokers, &[("authType", "password")]);
    cut.insert("saslPassword".into(), format!("{MARK}\0{MARK}"));
    // Nothing is as it should be, and keys that are refused hold secrets too.
    let mut wrong = metadata(brokers, &[("authType", "mtls"), ("maxInFlight", "many")]);
    wrong.extend(secrets().map(|key| (key.name.to_owned(), format!("{MARK}{}", key.name))));
    // Without keys the container's are asked for.
    let mut container = metadata(brokers, &[("authType", "awsiam")]);
    container.retain(|key, _| {
        !["awsAccessKey", "awsSecretKey", "awsSessionToken"].contains(&key.as_str())
    });
    let both = [
        ("cut", cut),
        ("wrong", wrong),
        ("with-container", container),
    ];
    let all = logins
        .into_iter()
        .chain(both)
        .map(|(name, properties)| async move {
            let mut player = Player::connect(socket, name).await?;
            match player.init(properties).await {
                Err(status) => Ok(format!("{name}: {status:?}")),
                Ok(()) => Err(format!("{name}: Init succeeded without a broker").into()),
            }
        });
    join_all(all).await.into_iter().collect()
}

/// What `dlq` prints of the running instance's settings, and of its own arguments.
async fn dlq(place: &Place) -> Result<String> {
    let mut command = Command::new(program());
    command
        .args([
            "dlq",
            "list",
            "--log-level",
            "trace",
            "--instance",
            "todo-pubsub",
        ])
        .args([
            "--set",
            &format!("saslPassword={MARK}set"),
            "--socket-folder",
        ])
        .arg(place.sockets());
    let ended = Process::start("dapr-rdkafka dlq", command)?
        .wait(SOON)
        .await?;
    ensure!(ended.output.contains("RDK-TCP-01"), "{}", ended.output);
    Ok(ended.output)
}

async fn shown_with(format: &str) -> Result<()> {
    let place = Place::new()?;
    let mut component = start(&place, format).await?;
    let admin = component.admin().await?;
    let brokers = format!("127.0.0.1:{}", free_port()?);
    let mut shown = failing(&place, &brokers).await?;
    // So the container's keys did arrive.
    let told = "a token from the environment's AWS credentials";
    let process = &mut component.process;
    process.line(told, SOON, |line| line.contains(told)).await?;

    let anyway = [("authType", "password"), ("startWithoutBrokers", "true")];
    let given = metadata(&brokers, &anyway);
    let mut player = Player::start(&place.socket("rdkafka"), given.clone()).await?;
    let Err(status) = player.publish("orders", "a", "x").await else {
        return Err("published without a broker".into());
    };
    shown.push(format!("{status:?}"));
    let pull = player.pull("orders").await?;
    for path in ["/metrics", "/readyz"] {
        shown.push(get(&format!("{admin}{path}")).await?.1);
    }
    let socket = place.sockets().join("admin/rdkafka.sock");
    shown.push(get_unix(&socket, "/v1/instances").await?.1);
    shown.push(dlq(&place).await?);
    // This alone tells them, to the process's own user: so they did arrive.
    let path = "/v1/instances/todo-pubsub/properties";
    let (_, told) = get_unix(&socket, path).await?;
    let told: HashMap<String, String> = serde_json::from_str(&told)?;
    ensure!(told == given, "{path} tells something else");

    // It waits for whoever is connected.
    drop((player, pull));
    let log = component.stop().await?.output;
    ensure!(log.contains("TRACE"), "not everything was logged");
    let lines = log.lines().count();
    ensure!(lines < LINES, "too many lines to search: {lines}");
    shown.push(log);
    for text in shown {
        let line = text.lines().find(|line| line.contains(MARK));
        ensure!(line.is_none(), "a secret is shown: {line:?}");
    }
    Ok(())
}

pub async fn no_secret_is_shown_in_text(_: Arc<Fixture>) -> Result<()> {
    shown_with("text").await
}

pub async fn no_secret_is_shown_in_json(_: Arc<Fixture>) -> Result<()> {
    shown_with("json").await
}
