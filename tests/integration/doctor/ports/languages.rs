//! Ports that speak something else.

use std::sync::Arc;

use harness::{Authority, Kafka, PASSWORD, Result, USER, Way};

use super::front::{Does, Front, server};
use crate::{
    ensure,
    support::{Fixture, doctor::Patient},
};

pub async fn a_listener_of_the_other_kind_is_told_with_its_remedy(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let plain = fixture.kafka().await?;
    let kafka = fixture.secure_kafka().await?;
    let ca = kafka.authority.pem.as_str();
    let client = kafka.authority.client("app")?;
    let known = [
        ("caCert", ca),
        ("clientCert", client.certificate.as_str()),
        ("clientKey", client.key.as_str()),
    ];
    let (tls, mtls) = (kafka.address(Way::Tls), kafka.address(Way::Mtls));
    let certificate = ("authType", "certificate");
    let off = ("disableTls", "true");
    for (brokers, metadata, code) in [
        (tls.as_str(), vec![("authType", "none")], "RDK-PRT-01"),
        (&tls, vec![certificate, ("caCert", ca), off], "RDK-PRT-01"),
        (&mtls, vec![("authType", "none")], "RDK-PRT-01"),
        (plain, vec![certificate, ("caCert", ca)], "RDK-PRT-02"),
    ] {
        let metadata = [&[("brokers", brokers)][..], &metadata].concat();
        let mut patient = Patient::new(&metadata)?;
        patient.is_cured_of(code, &[], &known).await?;
    }
    // With a login only what is said of TLS changes; the login itself is others' matter.
    let login = [
        ("authType", "password"),
        ("saslUsername", USER),
        ("saslPassword", PASSWORD),
    ];
    let (sasl, sasl_tls) = (kafka.address(Way::Sasl), kafka.address(Way::SaslTls));
    for (brokers, more, code) in [
        (&sasl_tls, &[off][..], "RDK-PRT-01"),
        (&sasl, &[("caCert", ca)][..], "RDK-PRT-02"),
    ] {
        let metadata = [&[("brokers", brokers.as_str())][..], &login, more].concat();
        let mut patient = Patient::new(&metadata)?;
        let diagnosis = patient.diagnose(&[]).await?;
        diagnosis.is_first(code)?;
        patient.mend(&diagnosis, &known)?;
        let diagnosis = patient.diagnose(&[]).await?;
        ensure!(
            !diagnosis.checks("versions").is_empty() && !diagnosis.codes().contains(&code),
            "{:#}",
            diagnosis.json
        );
    }
    Ok(())
}

const HTTP: &[(&str, &str)] = &[];
const ADMIN: &[(&str, &str)] = &[(
    "/v1",
    "HTTP/1.1 200 OK\r\nServer: Seastar httpd\r\n\r\n{\n  \"swagger\": \"2.0\",\n  \"info\": {\n    \
     \"title\": \"Redpanda Admin API\",\n    \"version\": \"1.0.0\"\n  },",
)];
const REGISTRY: &[(&str, &str)] = &[(
    "/v1",
    "HTTP/1.1 200 OK\r\n\r\n{\n  \"swagger\": \"2.0\",\n  \"info\": {\n    \"title\": \
     \"Pandaproxy Schema Registry\",",
)];
const OTHER_REGISTRY: &[(&str, &str)] = &[(
    "/schemas/types",
    "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\n\r\n\
     [\"JSON\",\"PROTOBUF\",\"AVRO\"]",
)];
const PROXY: &[(&str, &str)] = &[(
    "/v1",
    "HTTP/1.1 200 OK\r\n\r\n{\n  \"swagger\": \"2.0\",\n  \"info\": {\n    \"title\": \
     \"Pandaproxy API\",",
)];
const CONNECT: &[(&str, &str)] = &[(
    "/",
    "HTTP/1.1 200 OK\r\nServer: Jetty\r\n\r\n{\"version\":\"4.1.1\",\"commit\":\"be816b82d25370ce\",\
     \"kafka_cluster_id\":\"I4ZmrWqfT2e-upky_4fdPA\"}",
)];

pub async fn a_port_that_is_no_broker_is_told_by_what_it_speaks(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let plain = fixture.kafka().await?;
    for (does, code) in [
        (Does::Nothing, "RDK-PRT-03"),
        (Does::Close, "RDK-PRT-04"),
        (Does::Http(HTTP), "RDK-PRT-05"),
        (Does::Http(ADMIN), "RDK-PRT-06"),
        (Does::Http(REGISTRY), "RDK-PRT-07"),
        (Does::Http(OTHER_REGISTRY), "RDK-PRT-07"),
        (Does::Http(PROXY), "RDK-PRT-08"),
        (Does::Http(CONNECT), "RDK-PRT-09"),
        (Does::Say(b"-ERR unknown command\r\n"), "RDK-PRT-11"),
    ] {
        let front = Front::new(does).await?;
        let metadata = [("brokers", front.address.as_str()), ("authType", "none")];
        let mut patient = Patient::new(&metadata)?;
        let known = [("brokers", plain)];
        let patience = ["--timeout", "2s"];
        patient.is_cured_of(code, &patience, &known).await?;
        // And what is no YAML: the right thing listens there.
        front.mend(Does::Forward(plain.to_owned()));
        Patient::new(&metadata)?.is_healthy(&[]).await?;
    }
    by_tls(&fixture).await?;
    let kafka = Kafka::start().await?;
    let metadata = [("brokers", kafka.controller.as_str()), ("authType", "none")];
    let known = [("brokers", kafka.address.as_str())];
    let mut patient = Patient::new(&metadata)?;
    patient.is_cured_of("RDK-PRT-10", &[], &known).await
}

/// The same by settings with TLS.
async fn by_tls(fixture: &Fixture) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    let tls = kafka.address(Way::Tls);
    let identity = kafka.authority.server(&["localhost"])?;
    let acceptor = server(&identity, &[])?;
    let another = Authority::new("another")?.server(&["localhost"])?;
    let (of_another, of_mail) = (server(&another, &[])?, server(&another, &[])?);
    let certificate = [
        ("authType", "certificate"),
        ("caCert", &kafka.authority.pem),
    ];
    let none = [("authType", "none")];
    for (does, settings, code) in [
        (Does::Nothing, &certificate[..], "RDK-PRT-03"),
        (Does::Close, &certificate, "RDK-PRT-04"),
        (Does::Http(ADMIN), &certificate, "RDK-PRT-06"),
        (Does::Https(acceptor, ADMIN), &certificate, "RDK-PRT-06"),
        (
            Does::Say(b"220 mail.test ESMTP\r\n"),
            &certificate,
            "RDK-PRT-11",
        ),
        (Does::Https(of_another, HTTP), &none, "RDK-PRT-05"),
        (
            Does::SayByTls(of_mail, b"220 mail.test ESMTP\r\n"),
            &none,
            "RDK-PRT-11",
        ),
    ] {
        let front = Front::new(does).await?;
        let metadata = [&[("brokers", front.address.as_str())][..], settings].concat();
        let mut patient = Patient::new(&metadata)?;
        let (plain, patience) = (fixture.kafka().await?, ["--timeout", "2s"]);
        let right = if settings == none { plain } else { &tls };
        let known = [("brokers", right)];
        patient.is_cured_of(code, &patience, &known).await?;
    }
    Ok(())
}
