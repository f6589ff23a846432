//! What a port speaks that does not speak what it should.

use std::net::SocketAddr;

use crate::doctor::{
    Finding, Fix,
    context::{Context, Target},
    rows,
    wire::Broken,
};

/// Notes why the first request to a broker got no answer of a broker: the port is asked
/// once more, in every language that it may speak.
pub(in crate::doctor) async fn explain(
    context: &Context<'_>,
    target: &Target,
    _address: SocketAddr,
    broken: &Broken,
) {
    let fix = Fix::words("write the address of a Kafka listener in `brokers`");
    let finding = Finding::new(&rows::port::NOT_KAFKA, broken.to_string(), fix);
    context.recorder.found(target.subject(), finding);
}
