//! Names, TCP, what a port speaks, TLS.

use std::sync::Arc;

use harness::Result;

use crate::{
    support::{Fixture, doctor::Patient},
    tests,
};

tests!("system::doctor::ports", a_healthy_kafka_has_no_finding);

pub async fn a_healthy_kafka_has_no_finding(fixture: Arc<Fixture>) -> Result<()> {
    let patient = Patient::new(&[("brokers", fixture.kafka().await?), ("authType", "none")])?;
    patient.is_healthy(&[]).await
}
