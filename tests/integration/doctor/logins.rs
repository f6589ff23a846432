//! Versions and logins, and why the built-in failed.

use std::sync::Arc;

use futures_util::future::try_join_all;
use harness::{
    Kafka, PASSWORD, Release, Result, SecureKafka, USER, Way,
    lab::{Behaviour, Lab, LabOptions, Ranges, edit},
};
use kafka_protocol::messages::ApiVersionsResponse;

use crate::{
    ensure,
    support::{
        Fixture,
        doctor::Patient,
        idp::{Idp, Key, SECRET},
    },
    tests,
};

tests!(
    "system::doctor::logins",
    each_login_that_is_right_has_no_finding,
    each_login_that_is_wrong_is_cured,
    tokens_are_told_apart_from_what_brokers_make_of_them,
    what_a_broker_does_not_serve_is_named,
    the_built_in_is_judged_by_what_was_seen,
);

const TLS_OFF: (&str, &str) = ("disableTls", "true");

/// What a Component says.
type Metadata<'a> = Vec<(&'static str, &'a str)>;

/// The finding, the listener, what the Component says, and what only its user knows.
struct Case<'a>(&'static str, Way, Metadata<'a>, Metadata<'a>);

/// A user's login, and one more pair.
fn login<'a>(
    mechanism: &'static str,
    (user, password): (&'a str, &'a str),
    more: (&'static str, &'a str),
) -> Metadata<'a> {
    vec![
        ("authType", "password"),
        ("saslMechanism", mechanism),
        ("saslUsername", user),
        ("saslPassword", password),
        more,
    ]
}

fn patient(brokers: &str, metadata: &[(&str, &str)]) -> Result<Patient> {
    Patient::new(&[&[("brokers", brokers)], metadata].concat())
}

async fn each_login_that_is_right_has_no_finding(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    let ca = ("caCert", kafka.authority.pem.as_str());
    let right = (USER, PASSWORD);
    let mut cases = vec![
        (Way::Plaintext, vec![("authType", "none")]),
        (Way::Tls, vec![("authType", "certificate"), ca]),
        (Way::ScramOnly, login("SHA-512", right, TLS_OFF)),
    ];
    for mechanism in ["PLAINTEXT", "SHA-256", "SHA-512"] {
        cases.push((Way::Sasl, login(mechanism, right, TLS_OFF)));
        cases.push((Way::SaslTls, login(mechanism, right, ca)));
    }
    let each = cases.iter().map(|(way, metadata)| async move {
        let patient = patient(&kafka.address(*way), metadata)?;
        let healthy = patient.is_healthy(&[]).await;
        healthy.map_err(|error| format!("{way:?}: {error}").into())
    });
    try_join_all(each).await.map(drop)
}

async fn each_login_that_is_wrong_is_cured(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    let ca = ("caCert", kafka.authority.pem.as_str());
    let right = (USER, PASSWORD);
    let user = vec![("saslUsername", USER), ("saslPassword", PASSWORD)];
    let none = vec![("authType", "none")];
    let certificate = vec![("authType", "certificate"), ca];
    let mut cases = vec![
        Case("RDK-LGN-01", Way::Sasl, none.clone(), user.clone()),
        Case("RDK-LGN-01", Way::ScramOnly, none, user.clone()),
        Case("RDK-LGN-01", Way::SaslTls, certificate, user.clone()),
        Case(
            "RDK-LGN-02",
            Way::ScramOnly,
            login("PLAINTEXT", right, TLS_OFF),
            vec![],
        ),
        Case(
            "RDK-LGN-02",
            Way::ScramOnly,
            login("SHA-256", right, TLS_OFF),
            vec![],
        ),
        Case(
            "RDK-LGN-04",
            Way::Plaintext,
            login("SHA-256", right, TLS_OFF),
            vec![],
        ),
        Case(
            "RDK-LGN-04",
            Way::Tls,
            login("PLAINTEXT", right, ca),
            vec![],
        ),
    ];
    for mechanism in ["PLAINTEXT", "SHA-256", "SHA-512"] {
        for (way, more) in [(Way::Sasl, TLS_OFF), (Way::SaslTls, ca)] {
            let wrong = login(mechanism, (USER, "planted and wrong"), more);
            cases.push(Case("RDK-LGN-03", way, wrong, user.clone()));
        }
        let nobody = login(mechanism, ("nobody", PASSWORD), TLS_OFF);
        cases.push(Case("RDK-LGN-03", Way::Sasl, nobody, user.clone()));
    }
    // Not all at a time: each is a program or two.
    for some in cases.chunks(6) {
        try_join_all(some.iter().map(|case| cured(kafka, case))).await?;
    }
    Ok(())
}

async fn cured(kafka: &SecureKafka, case: &Case<'_>) -> Result<()> {
    let Case(code, way, metadata, known) = case;
    let mut patient = patient(&kafka.address(*way), metadata)?;
    let told = patient.diagnose(&[]).await?.json.to_string();
    for secret in [PASSWORD, "planted and wrong"] {
        ensure!(!told.contains(secret), "a password is in {told}");
    }
    let cured = patient.is_cured_of(code, &[], known).await;
    cured.map_err(|error| format!("{code} at {way:?}: {error}").into())
}

async fn tokens_are_told_apart_from_what_brokers_make_of_them(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.token_kafka().await?;
    let idp = Idp::start(kafka.key.clone()).await?;
    let stranger = Idp::start(Key::new()?).await?;
    let nobody = format!("http://127.0.0.1:{}/token", harness::free_port()?);
    let extensions = ("oidcExtensions", r#"{"logicalCluster":"lkc-1"}"#);
    let by = |endpoint, secret| -> Metadata<'_> {
        vec![
            ("authType", "oidc"),
            TLS_OFF,
            ("oidcTokenEndpoint", endpoint),
            ("oidcClientID", "todo"),
            ("oidcClientSecret", secret),
            extensions,
        ]
    };
    let right = by(idp.url(), SECRET);
    patient(&kafka.address, &right)?.is_healthy(&[]).await?;

    let endpoint = vec![("oidcTokenEndpoint", idp.url())];
    let secret = vec![("oidcClientSecret", SECRET)];
    let password = login("SHA-512", (USER, PASSWORD), TLS_OFF);
    let all = [&endpoint[..], &secret, &[("oidcClientID", "todo")]].concat();
    for (code, metadata, known) in [
        ("RDK-LGN-05", by(idp.url(), "planted and wrong"), secret),
        ("RDK-LGN-05", by(&nobody, SECRET), endpoint.clone()),
        ("RDK-LGN-06", by(stranger.url(), SECRET), endpoint),
        ("RDK-LGN-02", password, all.clone()),
        ("RDK-LGN-01", vec![("authType", "none")], all),
    ] {
        let mut patient = patient(&kafka.address, &metadata)?;
        let diagnosis = patient.diagnose(&[]).await?.json.to_string();
        // A JWT begins so.
        for secret in ["planted and wrong", SECRET, "eyJ"] {
            ensure!(!diagnosis.contains(secret), "{secret} is in {diagnosis}");
        }
        let cured = patient.is_cured_of(code, &[], &known).await;
        cured.map_err(|error| format!("{code} with {metadata:?}: {error}"))?;
    }
    Ok(())
}

async fn what_a_broker_does_not_serve_is_named(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let lacking = |key, versions| -> Result<LabOptions> {
        Ok(LabOptions {
            ranges: Some(Ranges::redpanda()?.with(key, versions)),
            ..LabOptions::default()
        })
    };
    let none = [("authType", "none")];

    // What only the broker's owner can change.
    let refuses = LabOptions {
        rewrite: Some(Arc::new(|key, version, answer| match key {
            18 => edit::<ApiVersionsResponse>(version, answer.clone(), |answer| {
                answer.error_code = 41;
            })
            .unwrap_or(answer),
            _ => answer,
        })),
        ..LabOptions::default()
    };
    let closes = LabOptions::default().behaving(Behaviour::CloseAfterVersions);
    for (code, words, options) in [
        ("RDK-VER-01", "JoinGroup (not at all)", lacking(11, None)?),
        ("RDK-VER-01", "Produce (v0 to v2", lacking(0, Some((0, 2)))?),
        ("RDK-VER-04", "ApiVersions", refuses),
        ("RDK-LGN-07", "the first request after ApiVersions", closes),
    ] {
        let lab = Lab::start(kafka, options).await?;
        let patient = patient(&lab.address, &none)?;
        let diagnosis = patient.diagnose(&[]).await?;
        diagnosis.is_first(code)?;
        let cause = diagnosis.findings()[0]["cause"].to_string();
        ensure!(cause.contains(words), "{words} is not in {cause}");
        lab.change(LabOptions::redpanda()?)?;
        patient.is_healthy(&[]).await?;
    }

    // Only the oldest version of the first request: it is asked again.
    let old = Lab::start(kafka, lacking(18, Some((0, 0)))?).await?;
    patient(&old.address, &none)?.is_healthy(&[]).await?;

    let lab = Lab::start(kafka, lacking(22, None)?).await?;
    let mut patient = patient(&lab.address, &none)?;
    patient.is_cured_of("RDK-VER-02", &[], &[]).await?;
    // It works without compression, so it is a warning.
    lab.change(lacking(1, Some((4, 9)))?)?;
    patient.set("compression", "zstd");
    let diagnosis = patient.diagnose(&[]).await?;
    ensure!(
        diagnosis.codes().iter().all(|code| *code == "RDK-VER-03") && diagnosis.code == 0,
        "{:#}",
        diagnosis.json
    );
    // Fails if there is no finding.
    patient.mend(&diagnosis, &[])?;
    patient.is_healthy(&[]).await
}

async fn the_built_in_is_judged_by_what_was_seen(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let older = Kafka::start_release(Release::Three).await?;
    let lab = Lab::start(kafka, LabOptions::redpanda()?).await?;
    let none = [("authType", "none")];
    for (address, product, cut_off) in [
        (kafka, "Apache Kafka 4.1 or like it", false),
        (&older.address, "Apache Kafka 3.9 or like it", false),
        (lab.address.as_str(), "another kind", true),
    ] {
        let diagnosis = patient(address, &none)?.diagnose(&[]).await?;
        let json = &diagnosis.json;
        let said = json["brokers"][0]["product"].to_string();
        ensure!(said.contains(product), "{json:#}");
        let lines = json["built_in"]["verdicts"].to_string();
        let asks = "2.8.0 and later asks Metadata v10, this broker serves v0 to v8";
        ensure!(lines.contains(asks) == cut_off, "{lines}");
        let default = "can talk to it at `version` 2.0.0";
        ensure!(lines.contains(default), "{lines}");
    }
    Ok(())
}
