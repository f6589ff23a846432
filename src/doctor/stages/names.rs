//! Names become addresses.

use std::net::SocketAddr;

use crate::doctor::{
    Seen, Stage,
    context::{Context, Target},
};

/// The addresses of a broker's name.
pub(in crate::doctor) async fn resolve(
    context: &Context<'_>,
    target: &Target,
) -> Option<Vec<SocketAddr>> {
    let (host, port) = target.parts()?;
    let found = tokio::net::lookup_host((host, port)).await.ok()?;
    let found: Vec<_> = found.collect();
    let first = found.first()?;
    let seen = Seen::by(first, format!("{host} is {}", first.ip()));
    context.recorder.fine(Stage::Names, target.subject(), seen);
    Some(found)
}
