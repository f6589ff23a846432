//! The wrong twin of each way to connect: Init fails, and says what to change.

use std::{collections::HashMap, sync::Arc, time::Instant};

use futures_util::future::try_join_all;
use harness::{Authority, Identity, PASSWORD, Result, SecureKafka, USER, Way};

use super::{AT_A_TIME, Metadata, PATIENCE, login};
use crate::support::{
    Fixture, Place,
    player::{Player, properties},
};

const CERTIFICATE: (&str, &str) = ("authType", "certificate");
const TLS_OFF: (&str, &str) = ("disableTls", "true");

/// A name for an instance, the listener, what the Component says, and parts of
/// what Init must answer.
struct Case<'a>(&'static str, Way, Metadata<'a>, &'static [&'static str]);

/// What is right, and what is like it.
struct Papers {
    ca: String,
    another_ca: String,
    stranger: Identity,
}

pub async fn each_way_that_is_wrong_is_told_with_its_remedy(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    let place = Place::new()?;
    let _component = place.component().await?;
    let another = Authority::new("Another authority")?;
    let papers = Papers {
        ca: kafka.authority.pem.clone(),
        another_ca: another.pem.clone(),
        stranger: another.client("app")?,
    };
    let cases: Vec<_> = [protocols(&papers), certificates(&papers), logins(&papers)]
        .into_iter()
        .flatten()
        .collect();
    for some in cases.chunks(AT_A_TIME) {
        try_join_all(some.iter().map(|case| judged(kafka, &place, case))).await?;
    }
    Ok(())
}

/// TLS and login where the listener has none, and the other way round.
fn protocols(papers: &Papers) -> Vec<Case<'_>> {
    let ca = ("caCert", papers.ca.as_str());
    let none = vec![("authType", "none")];
    let needs_login: &[_] = &["a listener that requires one does", "authType password"];
    let has_no_tls: &[_] = &["as a listener without TLS does", "`disableTls: \"true\"`"];
    vec![
        Case(
            "no-tls",
            Way::Tls,
            none.clone(),
            &["closed by the peer", "use authType certificate"],
        ),
        Case(
            "no-tls-login",
            Way::SaslTls,
            login("SHA-512", TLS_OFF),
            &["closed by the peer", "remove `disableTls`"],
        ),
        Case("tls", Way::Plaintext, vec![CERTIFICATE, ca], has_no_tls),
        Case(
            "tls-login",
            Way::Plaintext,
            login("PLAINTEXT", ca),
            has_no_tls,
        ),
        Case("no-login", Way::Sasl, none, needs_login),
        Case(
            "no-login-tls",
            Way::SaslTls,
            vec![CERTIFICATE, ca],
            needs_login,
        ),
        Case(
            "login",
            Way::Plaintext,
            login("PLAINTEXT", TLS_OFF),
            &["no login here", "the broker's SASL port"],
        ),
    ]
}

/// The broker's certificate, or the client's.
fn certificates(papers: &Papers) -> Vec<Case<'_>> {
    let ca = ("caCert", papers.ca.as_str());
    let another_ca = ("caCert", papers.another_ca.as_str());
    let stranger = vec![
        ("authType", "mtls"),
        ("clientCert", papers.stranger.certificate.as_str()),
        ("clientKey", papers.stranger.key.as_str()),
        ca,
    ];
    let another: &[_] = &[
        "signed by \"The test's authority\"",
        "`caCert` does not hold",
    ];
    vec![
        Case("ca", Way::Tls, vec![CERTIFICATE, another_ca], another),
        Case(
            "ca-login",
            Way::SaslTls,
            login("PLAINTEXT", another_ca),
            another,
        ),
        Case(
            "ca-system",
            Way::SaslTls,
            login("SHA-512", ("clientID", "a")),
            &[
                "signed by \"The test's authority\"",
                "this system does not know",
            ],
        ),
        Case(
            "expired",
            Way::Expired,
            vec![CERTIFICATE, ca],
            &["expired at Jan  1 00:00:00 2021"],
        ),
        Case(
            "name",
            Way::OtherName,
            vec![CERTIFICATE, ca],
            &["it has elsewhere.test, not localhost"],
        ),
        Case(
            "no-certificate",
            Way::Mtls,
            vec![CERTIFICATE, ca],
            &["requires a client's certificate", "authType mtls"],
        ),
        Case(
            "strange-certificate",
            Way::Mtls,
            stranger,
            &["does not take this client's certificate"],
        ),
    ]
}

/// Names, passwords and mechanisms.
fn logins(papers: &Papers) -> Vec<Case<'_>> {
    let ca = ("caCert", papers.ca.as_str());
    let user = |mechanism, name, password, more| {
        let mut login = login(mechanism, more);
        login.retain(|(key, _)| !["saslUsername", "saslPassword"].contains(key));
        login.extend([("saslUsername", name), ("saslPassword", password)]);
        login
    };
    let check: &[_] = &["login refused", "check `saslUsername` and `saslPassword`"];
    vec![
        Case(
            "plain",
            Way::Sasl,
            user("PLAINTEXT", USER, "no", TLS_OFF),
            check,
        ),
        Case(
            "plain-tls",
            Way::SaslTls,
            user("PLAINTEXT", USER, "no", ca),
            check,
        ),
        Case(
            "scram-256",
            Way::Sasl,
            user("SHA-256", USER, "no", TLS_OFF),
            check,
        ),
        Case(
            "scram-256-tls",
            Way::SaslTls,
            user("SHA-256", USER, "no", ca),
            check,
        ),
        Case(
            "scram-512",
            Way::Sasl,
            user("SHA-512", USER, "no", TLS_OFF),
            check,
        ),
        Case(
            "scram-512-tls",
            Way::SaslTls,
            user("SHA-512", USER, "no", ca),
            check,
        ),
        Case(
            "user",
            Way::Sasl,
            user("SHA-512", "nobody", PASSWORD, TLS_OFF),
            check,
        ),
        Case(
            "mechanism",
            Way::ScramOnly,
            login("PLAINTEXT", TLS_OFF),
            &[
                "does not take PLAIN, it offers SCRAM-SHA-512",
                "use saslMechanism SHA-512",
            ],
        ),
    ]
}

async fn judged(kafka: &SecureKafka, place: &Place, case: &Case<'_>) -> Result<()> {
    let Case(name, way, metadata, parts) = case;
    let properties = properties(&kafka.address(*way), name, metadata);
    refused(place, name, properties, parts).await
}

/// What a machine that is too busy makes of any verdict: only then it is asked again.
/// The last is told where `localhost` has an address on which no Kafka listens, and the
/// other one was not reached in time.
const TOO_SLOW: [&str; 3] = ["no answer", "timed out", "refused: nothing listens"];

/// Inits until one has a verdict on the broker, which must have all parts; that one
/// succeeds is the failure here.
pub async fn refused(
    place: &Place,
    name: &'static str,
    properties: HashMap<String, String>,
    parts: &[&str],
) -> Result<()> {
    let mut player = Player::connect(&place.socket("rdkafka"), name).await?;
    let address = &properties["brokers"];
    let end = Instant::now() + PATIENCE;
    loop {
        let Err(status) = player.init(properties.clone()).await else {
            return Err(format!("{name}: Init succeeded").into());
        };
        let told = status.message().split_once(&format!("[{address}: "));
        if told.is_some_and(|(_, told)| parts.iter().all(|part| told.contains(part))) {
            return Ok(());
        }
        let slow = told.is_some_and(|(_, told)| TOO_SLOW.iter().any(|slow| told.starts_with(slow)));
        if !slow || Instant::now() > end {
            return Err(format!("{name}: {parts:?} of {address} are not in: {status}").into());
        }
    }
}
