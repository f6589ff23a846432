//! Certificates that are wrong, the broker's and the client's.

use std::sync::Arc;

use harness::{Authority, DOTTED, Identity, Result, SecureKafka, Way};
use openssl::ssl::{SslAcceptor, SslVersion};
use tokio::process::Command;

use super::{
    front::{Does, Front, mutual_server, old_server, server, strange_server},
    hosts,
};
use crate::{
    ensure,
    support::{Fixture, Place, doctor::Patient, program},
};

pub async fn certificates_that_are_wrong_are_told_with_their_remedy(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    authorities(kafka).await?;
    chains(kafka).await?;
    the_brokers(kafka).await?;
    the_clients(kafka).await?;
    warnings(kafka).await?;
    names(kafka).await
}

const LOCAL: [&str; 1] = ["localhost"];

/// Metadata that trusts this.
fn trusting<'a>(brokers: &'a str, ca: &'a str) -> [(&'a str, &'a str); 3] {
    [
        ("brokers", brokers),
        ("authType", "certificate"),
        ("caCert", ca),
    ]
}

/// A port with this server in front of a listener with TLS.
async fn front(kafka: &SecureKafka, acceptor: SslAcceptor) -> Result<Front> {
    Front::new(Does::Secure(acceptor, kafka.address(Way::Tls))).await
}

/// Nobody whom the settings trust.
async fn authorities(kafka: &SecureKafka) -> Result<()> {
    let ca = kafka.authority.pem.as_str();
    let known = [("caCert", ca)];
    let tls = kafka.address(Way::Tls);
    let other = Authority::new("Another authority")?;
    let mut patient = Patient::new(&trusting(&tls, &other.pem))?;
    patient.is_cured_of("RDK-TLS-01", &[], &known).await?;

    let client = kafka.authority.client("app")?;
    let metadata = [
        ("brokers", tls.as_str()),
        ("authType", "mtls"),
        ("clientCert", &client.certificate),
        ("clientKey", &client.key),
    ];
    let place = Place::new()?;
    let system = place.sockets().with_extension("pem");
    std::fs::write(&system, &other.pem)?;
    for (file, code) in [
        (system.as_path(), "RDK-TLS-02"),
        ("/no/such/file".as_ref(), "RDK-TLS-12"),
    ] {
        let by = || {
            let mut command = Command::new(program());
            command.env("SSL_CERT_FILE", file);
            command
        };
        let mut patient = Patient::new(&metadata)?;
        let diagnosis = patient.diagnose_by(by(), &[]).await?;
        diagnosis.is_first(code)?;
        patient.mend(&diagnosis, &known)?;
        patient.diagnose_by(by(), &[]).await?.is_clean()?;
    }
    Ok(())
}

/// Links that are missing between the broker and the authority.
async fn chains(kafka: &SecureKafka) -> Result<()> {
    let root = &kafka.authority;
    let between = root.intermediate("The intermediate authority")?;
    let both = format!("{}{}", between.pem, root.pem);
    let identity = between.server_of_intermediate(&LOCAL)?;
    let whole = || server(&identity, &[&between.pem]);

    let alone = front(kafka, server(&identity, &[])?).await?;
    let metadata = trusting(&alone.address, &root.pem);
    let known = [("caCert", both.as_str())];
    let mut patient = Patient::new(&metadata)?;
    patient.is_cured_of("RDK-TLS-03", &[], &known).await?;
    // The other half of its fix: the broker sends it.
    alone.mend(Does::Secure(whole()?, kafka.address(Way::Tls)));
    Patient::new(&metadata)?.is_healthy(&[]).await?;

    let mut patient = Patient::new(&trusting(&alone.address, &between.pem))?;
    patient.is_cured_of("RDK-TLS-04", &[], &known).await
}

/// What only a new certificate of the broker cures, or another configuration of it.
async fn the_brokers(kafka: &SecureKafka) -> Result<()> {
    let root = &kafka.authority;
    let good = || server(&root.server(&LOCAL)?, &[]);
    let client = root.client("localhost")?;
    let cases = [
        (server(&root.expired_server(&LOCAL)?, &[])?, "RDK-TLS-06"),
        (
            server(&root.server_in_days(&LOCAL, 2, 30)?, &[])?,
            "RDK-TLS-07",
        ),
        (server(&client, &[])?, "RDK-TLS-08"),
        (old_server(&root.server(&LOCAL)?)?, "RDK-TLS-11"),
        (strange_server(&root.server(&LOCAL)?)?, "RDK-TLS-13"),
    ];
    for (acceptor, code) in cases {
        let front = front(kafka, acceptor).await?;
        let patient = Patient::new(&trusting(&front.address, &root.pem))?;
        patient.diagnose(&[]).await?.is_first(code)?;
        front.mend(Does::Secure(good()?, kafka.address(Way::Tls)));
        patient.is_healthy(&[]).await?;
    }
    Ok(())
}

/// What the broker has against the client.
async fn the_clients(kafka: &SecureKafka) -> Result<()> {
    let root = &kafka.authority;
    let client = root.client("app")?;
    let stranger = Authority::new("Another authority")?.client("app")?;
    let known = [
        ("clientCert", client.certificate.as_str()),
        ("clientKey", client.key.as_str()),
    ];
    let identity = root.server(&LOCAL)?;
    let java = kafka.address(Way::Mtls);
    let mut fronts = Vec::new();
    for newest in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        fronts.push(front(kafka, mutual_server(&identity, &root.pem, newest)?).await?);
    }
    let addresses = fronts.iter().map(|front| front.address.as_str());
    for brokers in addresses.chain([java.as_str()]) {
        let mut patient = Patient::new(&trusting(brokers, &root.pem))?;
        patient.is_cured_of("RDK-TLS-09", &[], &known).await?;
        let mut patient = Patient::new(&mutual(brokers, &root.pem, &stranger))?;
        patient.is_cured_of("RDK-TLS-10", &[], &known).await?;
    }
    Ok(())
}

fn mutual<'a>(brokers: &'a str, ca: &'a str, client: &'a Identity) -> [(&'a str, &'a str); 5] {
    [
        ("brokers", brokers),
        ("authType", "mtls"),
        ("caCert", ca),
        ("clientCert", &client.certificate),
        ("clientKey", &client.key),
    ]
}

/// What works, and may not always.
async fn warnings(kafka: &SecureKafka) -> Result<()> {
    let root = &kafka.authority;
    let soon = server(&root.server_in_days(&LOCAL, -1, 5)?, &[])?;
    let front = front(kafka, soon).await?;
    let patient = Patient::new(&trusting(&front.address, &root.pem))?;
    let diagnosis = patient.diagnose(&["--strict"]).await?;
    ensure!(
        diagnosis.code == 1 && diagnosis.codes() == ["RDK-TLS-14"],
        "{:#}",
        diagnosis.json
    );
    let later = server(&root.server_in_days(&LOCAL, -1, 16)?, &[])?;
    front.mend(Does::Secure(later, kafka.address(Way::Tls)));
    patient.is_healthy(&["--strict"]).await?;

    let other = Authority::new("Another authority")?;
    for ca in [root, &other] {
        let tls = kafka.address(Way::Tls);
        let metadata = trusting(&tls, &ca.pem);
        let metadata = [&metadata[..], &[("skipVerify", "true")]].concat();
        let mut patient = Patient::new(&metadata)?;
        let diagnosis = patient.diagnose(&["--strict"]).await?;
        ensure!(
            diagnosis.code == 1 && diagnosis.codes() == ["RDK-TLS-15"],
            "{:#}",
            diagnosis.json
        );
        patient.mend(&diagnosis, &[("caCert", &root.pem)])?;
        if ca.pem == root.pem {
            patient.is_healthy(&[]).await?;
        } else {
            patient
                .is_cured_of("RDK-TLS-01", &[], &[("caCert", &root.pem)])
                .await?;
        }
    }
    Ok(())
}

/// A name that the certificate does not have.
async fn names(kafka: &SecureKafka) -> Result<()> {
    let place = Place::new()?;
    let name = DOTTED.trim_end_matches('.');
    let by = || hosts::command(&place, &[name, DOTTED]);
    let (wrong, right) = (hosts::at(kafka, "127.0.0.1")?, hosts::at(kafka, name)?);
    let mut patient = Patient::new(&trusting(&wrong, &kafka.authority.pem))?;
    let diagnosis = patient.diagnose_by(by()?, &[]).await?;
    diagnosis.is_first("RDK-TLS-05")?;
    patient.mend(&diagnosis, &[("brokers", &right)])?;
    patient.diagnose_by(by()?, &[]).await?.is_clean()?;
    // Where it is advertised: there the certificate is for another name.
    let brokers = kafka.address(Way::OtherName);
    let patient = Patient::new(&trusting(&brokers, &kafka.authority.pem))?;
    patient.diagnose(&[]).await?.is_first("RDK-TLS-05")
}
