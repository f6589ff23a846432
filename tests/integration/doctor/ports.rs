//! Names, TCP, what a port speaks, TLS.

mod certificates;
mod front;
mod hosts;
mod languages;
mod reach;

use std::sync::Arc;

use harness::{DOTTED, Result, SecureKafka, Way};
use tokio::process::Command;

use self::{
    certificates::certificates_that_are_wrong_are_told_with_their_remedy,
    front::{Does, Front},
    languages::{
        a_listener_of_the_other_kind_is_told_with_its_remedy,
        a_port_that_is_no_broker_is_told_by_what_it_speaks,
    },
    reach::{addresses_that_take_no_connection_are_told, names_that_are_not_known_are_told},
};
use crate::{
    support::{Fixture, Place, doctor::Patient, program},
    tests,
};

tests!(
    "system::doctor::ports",
    a_healthy_kafka_has_no_finding,
    names_that_are_not_known_are_told,
    addresses_that_take_no_connection_are_told,
    a_listener_of_the_other_kind_is_told_with_its_remedy,
    a_port_that_is_no_broker_is_told_by_what_it_speaks,
    certificates_that_are_wrong_are_told_with_their_remedy,
);

pub async fn a_healthy_kafka_has_no_finding(fixture: Arc<Fixture>) -> Result<()> {
    let plain = fixture.kafka().await?;
    let kafka = fixture.secure_kafka().await?;
    let client = kafka.authority.client("app")?;
    let ca = ("caCert", kafka.authority.pem.as_str());
    let own = [
        ("clientCert", client.certificate.as_str()),
        ("clientKey", client.key.as_str()),
    ];
    let front = Front::new(Does::Forward(plain.to_owned())).await?;
    let several = format!("{},{plain}", front.address);
    let tls = kafka.address(Way::Tls);
    let mtls = kafka.address(Way::Mtls);
    let none = ("authType", "none");
    for metadata in [
        vec![("brokers", plain), none],
        vec![("brokers", &several), none],
        vec![("brokers", &tls), ("authType", "certificate"), ca],
        [
            &[("brokers", mtls.as_str()), ("authType", "mtls"), ca][..],
            &own,
        ]
        .concat(),
    ] {
        Patient::new(&metadata)?.is_healthy(&[]).await?;
    }
    // The system's authorities, and a certificate that a listener does not ask for.
    let place = Place::new()?;
    let system = place.sockets().with_extension("pem");
    std::fs::write(&system, &kafka.authority.pem)?;
    let metadata = [&[("brokers", tls.as_str()), ("authType", "mtls")][..], &own].concat();
    let mut command = Command::new(program());
    command.env("SSL_CERT_FILE", &system);
    let patient = Patient::new(&metadata)?;
    let diagnosis = patient.diagnose_by(command, &[]).await?;
    diagnosis.is_clean()?;
    // A dot at the end of the name, where it is advertised and in `brokers`.
    let hosts = place.sockets().with_extension("hosts");
    let names = [DOTTED, DOTTED.trim_end_matches('.')];
    for name in names {
        let command = SecureKafka::with_hosts(program(), &hosts, &names)?;
        let brokers = hosts::at(kafka, name)?;
        let metadata = [
            ("brokers", brokers.as_str()),
            ("authType", "certificate"),
            ca,
        ];
        let patient = Patient::new(&metadata)?;
        patient.diagnose_by(command, &[]).await?.is_clean()?;
    }
    Ok(())
}
