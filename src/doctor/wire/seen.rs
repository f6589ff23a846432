use std::net::SocketAddr;

use serde::Serialize;
use tokio::net::TcpStream;

/// What was seen, in words: that something is fine. It takes [`Evidence`] to make one, so
/// no check is fine without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Seen(String);

impl Seen {
    pub(in crate::doctor) fn by(_: &impl Evidence, words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// The words.
    pub fn words(&self) -> &str {
        &self.0
    }
}

/// Something that nobody has unless there was an answer.
pub(in crate::doctor) trait Evidence {}

/// A broker's answer.
#[derive(Debug)]
pub(in crate::doctor) struct Answered<T> {
    /// What it says.
    pub(in crate::doctor) value: T,
    /// In which version.
    pub(in crate::doctor) version: i16,
}

impl<T> Evidence for Answered<T> {}

/// The metadata was read, and all of it can be used.
impl Evidence for crate::metadata::Resolved {}

/// A name was resolved.
impl Evidence for SocketAddr {}

/// A connection was taken.
impl Evidence for TcpStream {}

/// daprd answered.
impl Evidence for reqwest::Response {}

/// Someone listens on a socket.
impl Evidence for tokio::net::UnixStream {}

/// A handshake was done.
impl<S> Evidence for tokio_openssl::SslStream<S> {}
