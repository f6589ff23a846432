//! Which versions of which requests a broker serves.

use kafka_protocol::{messages::ApiVersionsRequest, protocol::StrBytes};

use crate::doctor::{
    Seen, Stage,
    context::{Context, Target},
    stages::port,
    wire::{Ranges, Wire},
};

/// Asks the broker what it serves, and keeps that with the connection.
pub(in crate::doctor) async fn agree(
    context: &Context<'_>,
    target: &Target,
    wire: &mut Wire,
) -> bool {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("dapr-rdkafka"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
    let answer = match wire.ask_in(&request, 0, context.until()).await {
        Ok(answer) => answer,
        Err(broken) => {
            port::explain(context, target, wire.peer, &broken).await;
            return false;
        }
    };
    wire.ranges = Ranges::from(&answer.value);
    if port::is_no_broker(context, target, &wire.ranges) {
        return false;
    }
    let seen = Seen::by(&answer, format!("{} requests", wire.ranges.iter().count()));
    context
        .recorder
        .fine(Stage::Versions, target.subject(), seen);
    true
}
