//! Addresses take connections.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::doctor::{
    Seen, Stage,
    context::{Context, Target},
};

/// A connection to the first of the addresses that takes one.
pub(in crate::doctor) async fn connect(
    context: &Context<'_>,
    target: &Target,
    addresses: &[SocketAddr],
) -> Option<TcpStream> {
    let stream = TcpStream::connect(addresses).await.ok()?;
    let seen = Seen::by(&stream, "connected");
    context.recorder.fine(Stage::Tcp, target.subject(), seen);
    Some(stream)
}
