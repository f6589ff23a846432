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
/// what Init must answer: the code first, then the remedy.
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
    let needs_login: &[_] = &["RDK-LGN-01", "authType: \"password\""];
    let has_no_tls: &[_] = &["RDK-PRT-02"];
    vec![
        Case(
            "no-tls",
            Way::Tls,
            none.clone(),
            &["RDK-PRT-01", "authType: \"certificate\""],
        ),
        Case(
            "no-tls-login",
            Way::SaslTls,
            login("SHA-512", TLS_OFF),
            &["RDK-PRT-01", "remove disableTls"],
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
            &["RDK-LGN-04", "authType: \"none\""],
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
    let another: &[_] = &["RDK-TLS-01", "The test's authority", "set caCert: "];
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
            &["RDK-TLS-02", "The test's authority", "set caCert: "],
        ),
        Case(
            "expired",
            Way::Expired,
            vec![CERTIFICATE, ca],
            &["RDK-TLS-06", "2021"],
        ),
        Case(
            "name",
            Way::OtherName,
            vec![CERTIFICATE, ca],
            &["RDK-TLS-05", "elsewhere.test"],
        ),
        Case(
            "no-certificate",
            Way::Mtls,
            vec![CERTIFICATE, ca],
            &["RDK-TLS-09", "authType: \"mtls\""],
        ),
        Case(
            "strange-certificate",
            Way::Mtls,
            stranger,
            &["RDK-TLS-10", "clientCert"],
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
    let check: &[_] = &["RDK-LGN-03", "saslPassword"];
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
            &["RDK-LGN-02", "saslMechanism: \"SHA-512\""],
        ),
    ]
}

async fn judged(kafka: &SecureKafka, place: &Place, case: &Case<'_>) -> Result<()> {
    let Case(name, way, metadata, parts) = case;
    let properties = properties(&kafka.address(*way), name, metadata);
    refused(place, name, properties, parts).await
}

/// What a machine that is too busy makes of any cause: only then it is asked again.
const TOO_SLOW: [&str; 5] = [
    "RDK-TCP-02",
    "RDK-PRT-03",
    "RDK-NAM-02",
    "RDK-LGN-07",
    "no broker",
];

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
        let told = status.message();
        let is_about = told.contains(address) && told.contains("Fix: ");
        if is_about && parts.iter().all(|part| told.contains(part)) && told.chars().count() <= 400 {
            return Ok(());
        }
        let slow = TOO_SLOW.iter().any(|slow| told.starts_with(slow));
        if !slow || Instant::now() > end {
            return Err(format!("{name}: {parts:?} of {address} are not in: {status}").into());
        }
    }
}
