//! TLS and certificates.

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::doctor::{
    Seen, Stage,
    context::{Context, Target},
    wire::Wire,
};

/// A connection that is as the settings want it: in plaintext, or by TLS.
pub(in crate::doctor) async fn secure(
    context: &Context<'_>,
    target: &Target,
    stream: TcpStream,
) -> Option<Wire> {
    let peer = stream.peer_addr().ok()?;
    let client_id = &context.settings.client_id;
    let Some(tls) = &context.settings.security.tls else {
        return Some(Wire::new(stream, peer, client_id));
    };
    let (host, _) = target.parts()?;
    let mut connector = SslConnector::builder(SslMethod::tls_client()).ok()?;
    if tls.skip_verify {
        connector.set_verify(SslVerifyMode::NONE);
    }
    let ssl = connector.build().configure().ok()?.into_ssl(host).ok()?;
    let mut stream = SslStream::new(ssl, stream).ok()?;
    std::pin::Pin::new(&mut stream).connect().await.ok()?;
    let seen = Seen::by(&stream, stream.ssl().version_str());
    context.recorder.fine(Stage::Tls, target.subject(), seen);
    Some(Wire::new(stream, peer, client_id))
}
