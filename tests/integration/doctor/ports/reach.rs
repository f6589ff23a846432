//! Names and addresses that keep a broker away; as they are in `brokers`, and as they are
//! advertised.

use std::sync::Arc;

use harness::{DOTTED, Result, Way, free_port};

use super::{
    front::{Does, Front, Full},
    hosts,
};
use crate::{
    ensure,
    support::{Fixture, Place, doctor::Patient},
};

/// Nobody has it: it goes to several.
const NOWHERE: &str = "224.0.0.1";

pub async fn names_that_are_not_known_are_told(fixture: Arc<Fixture>) -> Result<()> {
    let plain = fixture.kafka().await?;
    let place = Place::new()?;
    let brokers = [("brokers", "no-such-broker:9092"), ("authType", "none")];
    let known = [("brokers", plain)];

    // Whatever DNS the machine has: here the hosts file alone is asked.
    let files = [("/etc/nsswitch.conf", "hosts: files\n")];
    let mut patient = Patient::new(&brokers)?;
    let command = hosts::command_with(&place, &files)?;
    let diagnosis = patient.diagnose_by(command, &[]).await?;
    diagnosis.is_first("RDK-NAM-01")?;
    ensure!(
        diagnosis.text().contains("svc.cluster.local"),
        "{:#}",
        diagnosis.json
    );
    patient.mend(&diagnosis, &known)?;
    patient.is_healthy(&[]).await?;

    // A name server that is not there.
    let files = [
        ("/etc/nsswitch.conf", "hosts: files dns\n"),
        ("/etc/resolv.conf", "nameserver 127.255.255.254\n"),
    ];
    let command = hosts::command_with(&place, &files)?;
    let patient = Patient::new(&brokers)?;
    let diagnosis = patient.diagnose_by(command, &[]).await?;
    diagnosis.is_first("RDK-NAM-02")?;
    let answers = hosts::command(&place, &["no-such-broker"])?;
    let diagnosis = patient.diagnose_by(answers, &[]).await?;
    ensure!(
        !diagnosis.codes().contains(&"RDK-NAM-02"),
        "{:#}",
        diagnosis.json
    );
    advertised(&fixture, "", "RDK-CLU-01").await
}

pub async fn addresses_that_take_no_connection_are_told(fixture: Arc<Fixture>) -> Result<()> {
    let plain = fixture.kafka().await?;
    let known = [("brokers", plain)];
    let full = Full::new("127.0.0.1:0").await?;
    let closed = format!("127.0.0.1:{}", free_port()?);
    let nowhere = format!("{NOWHERE}:9092");
    for (brokers, code) in [
        (&closed, "RDK-TCP-01"),
        (&full.address, "RDK-TCP-02"),
        (&nowhere, "RDK-TCP-03"),
    ] {
        let mut patient = Patient::new(&[("brokers", brokers), ("authType", "none")])?;
        patient.is_cured_of(code, &[], &known).await?;
    }
    // The fix that is no YAML: what is there answers again.
    let patient = Patient::new(&[("brokers", &full.address), ("authType", "none")])?;
    let mended = full.mend(plain.to_owned());
    patient.is_healthy(&[]).await?;
    mended.abort();

    // Of two addresses one is closed.
    let place = Place::new()?;
    let front = Front::new(Does::Forward(plain.to_owned())).await?;
    let brokers = front.address.replace("localhost", "two.test");
    let patient = Patient::new(&[("brokers", &brokers), ("authType", "none")])?;
    let command = hosts::command(&place, &["two.test", "\n127.0.0.2 two.test"])?;
    let diagnosis = patient.diagnose_by(command, &["--strict"]).await?;
    ensure!(
        diagnosis.code == 1 && diagnosis.codes() == ["RDK-TCP-04"],
        "{:#}",
        diagnosis.json
    );
    let command = hosts::command(&place, &["two.test"])?;
    patient
        .diagnose_by(command, &["--strict"])
        .await?
        .is_clean()?;

    let kafka = fixture.secure_kafka().await?;
    let port = kafka.port(Way::Dotted).ok_or("no such listener")?;
    advertised(&fixture, "127.0.0.2", "RDK-CLU-02").await?;
    let _full = Full::new(&format!("127.0.0.3:{port}")).await?;
    advertised(&fixture, "127.0.0.3", "RDK-CLU-03").await?;
    advertised(&fixture, NOWHERE, "RDK-CLU-04").await
}

/// A broker whose advertised name is this address, until it is made the right one.
async fn advertised(fixture: &Fixture, address: &str, code: &str) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    let place = Place::new()?;
    let name = DOTTED.trim_end_matches('.');
    let brokers = hosts::at(kafka, name)?;
    let patient = Patient::new(&[
        ("brokers", &brokers),
        ("authType", "certificate"),
        ("caCert", &kafka.authority.pem),
    ])?;
    // No address: the name is not known, whatever DNS says of what is not there.
    let line = format!("\n{address} {DOTTED}");
    let lines: &[&str] = if address.is_empty() {
        &[name]
    } else {
        &[name, &line]
    };
    // Whatever DNS the machine has: the hosts file alone is asked.
    let files = [("/etc/nsswitch.conf", "hosts: files\n")];
    let command = hosts::command_among(&place, lines, &files)?;
    let diagnosis = patient.diagnose_by(command, &[]).await?;
    diagnosis.is_first(code)?;
    let command = hosts::command(&place, &[name, DOTTED])?;
    patient.diagnose_by(command, &[]).await?.is_clean()
}
