//! What a port speaks: it is asked in every language that it may speak, each time on a
//! connection of its own.

use std::{net::SocketAddr, pin::Pin, time::Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use openssl::{
    error::ErrorStack,
    ssl::{Ssl, SslContextBuilder, SslMethod, SslVerifyMode},
    x509::X509VerifyResult,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout_at,
};
use tokio_openssl::SslStream;

use super::http::{self, Server};
use crate::doctor::{
    authorities,
    context::{Context, Target},
    handshake,
    wire::{Ranges, Stream, ranges_of},
};

/// `ApiVersions`, version 0, which every broker answers; without a client's id.
const QUESTION: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0x52, 0x44, 0x4b, 0x70, 0xff, 0xff];

/// How much of an answer is read.
const MOST: usize = 16 * 1024;

/// A request that only controllers serve, to each other.
const VOTE: i16 = 52;
/// `Metadata`, which every broker serves.
const METADATA: i16 = 3;
/// `Produce`, likewise.
const PRODUCE: i16 = 0;

/// What a port speaks.
#[derive(Debug)]
pub(in crate::doctor) enum Speaks {
    /// Kafka, in plaintext.
    Kafka,
    /// Kafka, but for controllers.
    Controller,
    /// TLS.
    Tls(Tls),
    /// HTTP, in plaintext.
    Http(Server),
    /// Something else; its beginning.
    Other(Bytes),
    /// Nothing, and it closes the connection.
    Closes,
    /// Nothing at all.
    Silent,
}

/// A listener with TLS.
#[derive(Debug, Default)]
pub(in crate::doctor) struct Tls {
    /// Who signed its certificate, if it came to that.
    pub(super) signer: Option<String>,
    /// Whether the system trusts that certificate's authority.
    pub(super) trusted: bool,
    /// The alert that it ended the connection with.
    pub(super) alert: Option<i32>,
    /// What is behind the TLS, if it is HTTP.
    pub(super) http: Option<Server>,
    /// What came from behind it, if that is neither; its beginning.
    pub(super) other: Option<Bytes>,
}

/// An answer to the first question.
#[derive(Debug)]
enum Said {
    Kafka(Ranges),
    Bytes(Bytes),
    Alert(i32),
    Closed,
    Nothing,
}

/// Finds out what a port speaks.
pub(in crate::doctor) async fn identify(
    context: &Context<'_>,
    target: &Target,
    address: SocketAddr,
) -> Speaks {
    let until = context.until();
    let host = target.parts().map_or("", |(host, _)| host);
    let pages = http::PATHS.map(async |path| {
        let stream = open(address, until).await?;
        http::get(stream, host, path, until).await
    });
    let (kafka, tls, pages) = tokio::join!(
        async {
            match open(address, until).await {
                Some(mut stream) => ask(&mut stream, until).await,
                None => Said::Closed,
            }
        },
        tls(context, host, address, until),
        join_all(pages),
    );
    match (kafka, tls, http::which(&pages)) {
        (Said::Kafka(ranges), _, _) if is_controller(&ranges) => Speaks::Controller,
        (Said::Kafka(_), _, _) => Speaks::Kafka,
        (_, Some(tls), _) => Speaks::Tls(tls),
        (_, _, Some(server)) => Speaks::Http(server),
        (Said::Bytes(bytes), _, _) => Speaks::Other(bytes),
        (Said::Alert(_) | Said::Closed, _, _) => Speaks::Closes,
        (Said::Nothing, _, _) => Speaks::Silent,
    }
}

/// Whether these are the requests that a controller serves, and a broker for clients
/// does not.
pub(in crate::doctor) fn is_controller(ranges: &Ranges) -> bool {
    let serves = |key| ranges.of(key).is_some();
    serves(VOTE) && !serves(METADATA) && !serves(PRODUCE)
}

async fn open(address: SocketAddr, until: Instant) -> Option<TcpStream> {
    let connected = timeout_at(until.into(), TcpStream::connect(address)).await;
    connected.ok()?.ok()
}

/// Asks the first question.
async fn ask(stream: &mut impl Stream, until: Instant) -> Said {
    let asked = async {
        // If this fails, why can still be read: an alert came before the end.
        let _ = stream.write_all(&QUESTION).await;
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        loop {
            match stream.read(&mut part).await {
                Ok(read) if read > 0 && answer.len() < MOST => {
                    answer.extend(part.iter().take(read));
                    if is_whole(&answer) {
                        return understood(answer.into());
                    }
                }
                Err(error) if answer.is_empty() => {
                    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
                    return inner.and_then(alert).map_or(Said::Closed, Said::Alert);
                }
                _ if answer.is_empty() => return Said::Closed,
                _ => return understood(answer.into()),
            }
        }
    };
    let said = timeout_at(until.into(), asked).await;
    said.unwrap_or(Said::Nothing)
}

/// Whether nothing more is needed to see what an answer is.
fn is_whole(answer: &[u8]) -> bool {
    let (Some(length), Some(id)) = (answer.get(..4), answer.get(4..8)) else {
        return false;
    };
    let length = length
        .iter()
        .fold(0, |sum, one| sum << 8 | usize::from(*one));
    Some(id) != QUESTION.get(8..12) || answer.len() >= length.saturating_add(4)
}

fn understood(answer: Bytes) -> Said {
    if answer.get(4..8) != QUESTION.get(8..12) {
        return Said::Bytes(answer);
    }
    match ranges_of(answer.slice(4..)) {
        Some(ranges) => Said::Kafka(ranges),
        None => Said::Bytes(answer),
    }
}

/// The listener, if it understands a handshake: it goes on with one, or ends it by an alert.
async fn tls(
    context: &Context<'_>,
    host: &str,
    address: SocketAddr,
    until: Instant,
) -> Option<Tls> {
    let mut stream = match handshaken(context, host, address, until).await? {
        Ok(stream) => stream,
        Err(alert) => {
            return Some(Tls {
                alert: Some(alert),
                ..Tls::default()
            });
        }
    };
    let said = ask(&mut stream, until).await;
    let ssl = stream.ssl();
    let signer = ssl.peer_certificate();
    let mut found = Tls {
        signer: signer.map(|one| handshake::name(one.issuer_name())),
        trusted: ssl.verify_result() == X509VerifyResult::OK,
        ..Tls::default()
    };
    match said {
        Said::Kafka(_) => return Some(found),
        Said::Alert(alert) => found.alert = Some(alert),
        Said::Bytes(bytes) => found.other = Some(bytes),
        Said::Closed | Said::Nothing => {}
    }
    if found.alert.is_none() {
        let pages = http::PATHS.map(async |path| {
            let stream = handshaken(context, host, address, until).await?.ok()?;
            http::get(stream, host, path, until).await
        });
        found.http = http::which(&join_all(pages).await);
    }
    Some(found)
}

/// A connection by TLS, or the alert that there came instead; nothing if it is no TLS.
async fn handshaken(
    context: &Context<'_>,
    host: &str,
    address: SocketAddr,
    until: Instant,
) -> Option<Result<SslStream<TcpStream>, i32>> {
    let host = handshake::bare(host);
    let ssl = match &context.settings.security.tls {
        // As the settings have it, with the client's certificate.
        Some(tls) => handshake::client(tls, host).ok()?.0,
        None => anonymous(host).ok()?,
    };
    let mut stream = SslStream::new(ssl, open(address, until).await?).ok()?;
    let shaken = timeout_at(until.into(), Pin::new(&mut stream).connect()).await;
    match shaken.ok()? {
        Ok(()) => Some(Ok(stream)),
        Err(error) => alert(&error).map(Err),
    }
}

/// A client that trusts everybody, but knows whom the system would.
fn anonymous(host: &str) -> Result<Ssl, ErrorStack> {
    let mut context = SslContextBuilder::new(SslMethod::tls_client())?;
    if let Ok(place) = authorities::system() {
        // Without them nobody is trusted, and that is all that it changes.
        let _ = handshake::trust(&mut context, &place);
    }
    context.set_verify(SslVerifyMode::NONE);
    let mut ssl = Ssl::new(&context.build())?;
    if host.parse::<std::net::IpAddr>().is_err() {
        ssl.set_hostname(host)?;
    }
    Ok(ssl)
}

/// The number of the alert (RFC 8446, section 6) that the other end sent.
pub(in crate::doctor) fn alert(error: &openssl::ssl::Error) -> Option<i32> {
    /// `SSL_AD_REASON_OFFSET`, `ssl.h`: reasons from here on are alerts that came.
    const FIRST: i32 = 1000;
    let stack = error.ssl_error()?.errors();
    let mut reasons = stack.iter().map(openssl::error::Error::reason_code);
    reasons.find_map(|reason| {
        (FIRST..FIRST + 256)
            .contains(&reason)
            .then(|| reason - FIRST)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_comes_is_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            // With our own id too, so that what follows is read as an answer.
            let ours = [&[0, 0, 0, 40, 0x52, 0x44, 0x4b, 0x70], &bytes[..]].concat();
            for bytes in [bytes, ours] {
                is_whole(&bytes);
                let said = understood(bytes.into());
                prop_assert!(matches!(said, Said::Kafka(_) | Said::Bytes(_)));
            }
        }
    }

    #[test]
    fn a_controller_is_who_votes_and_has_nothing_for_clients() {
        let controller: Ranges = [(1, 0, 17), (18, 0, 4), (VOTE, 0, 2)].into_iter().collect();
        let broker = [(PRODUCE, 3, 12), (1, 4, 17), (METADATA, 0, 13), (18, 0, 4)];
        let broker: Ranges = broker.into_iter().collect();
        assert!(is_controller(&controller));
        assert!(!is_controller(&broker));
        assert!(!is_controller(&Ranges::default()));
    }
}
