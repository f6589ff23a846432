//! TLS and certificates.

mod alerts;
mod words;

use std::{net::SocketAddr, pin::Pin};

use openssl::asn1::Asn1Time;
use tokio::{net::TcpStream, time::timeout_at};
use tokio_openssl::SslStream;

use crate::{
    doctor::{
        Finding, Fix, Seen, Stage,
        context::{Context, Target},
        handshake::{self, Unusable},
        rows::tls,
        stages::port,
        wire::{Broken, Wire},
    },
    metadata::security::Tls,
};

pub(super) use alerts::{alerted, is_about_certificate};
pub(super) use words::{AUTHORITY, CERTIFICATE, KEY, placeholder};

/// A certificate that ends within so many days is told of.
const SOON: u32 = 14;

/// A connection that is as the settings want it: in plaintext, or by TLS. Whom it goes to
/// is told, since the system no longer says so of one that was reset.
pub(in crate::doctor) async fn secure(
    context: &Context<'_>,
    target: &Target,
    (stream, peer): (TcpStream, SocketAddr),
) -> Option<Wire> {
    let client_id = &context.settings.client_id;
    let Some(settings) = &context.settings.security.tls else {
        return Some(Wire::new(stream, peer, client_id));
    };
    let stream = shake(context, target, settings, stream, peer).await?;
    Some(Wire::new(stream, peer, client_id))
}

/// Does the handshake, and notes everything that is wrong with it.
async fn shake(
    context: &Context<'_>,
    target: &Target,
    settings: &Tls,
    stream: TcpStream,
    peer: SocketAddr,
) -> Option<SslStream<TcpStream>> {
    let note = |finding| context.recorder.found(target.subject(), finding);
    let (written, _) = target.parts()?;
    let host = handshake::bare(written);
    let (ssl, notes) = match handshake::client(settings, host) {
        Ok(made) => made,
        Err(unusable) => {
            note(words::unusable(unusable));
            return None;
        }
    };
    let mut stream = match SslStream::new(ssl, stream) {
        Ok(stream) => stream,
        Err(error) => {
            note(words::unusable(Unusable::from(error)));
            return None;
        }
    };
    let shaken = timeout_at(context.until().into(), Pin::new(&mut stream).connect()).await;
    let seen = handshake::seen(&notes);
    if !settings.skip_verify && !seen.objections.is_empty() {
        for finding in words::objections(settings, target, host, &seen.objections) {
            note(finding);
        }
        return None;
    }
    match shaken {
        Err(_) => {
            port::explain(context, target, peer, &Broken::Silent).await;
            return None;
        }
        Ok(Err(error)) => {
            match words::broken(settings, &error, seen.certificate) {
                Ok(finding) => note(finding),
                Err(broken) => port::explain(context, target, peer, &broken).await,
            }
            return None;
        }
        Ok(Ok(())) => {}
    }
    fine(context, target, settings, written, &stream);
    Some(stream)
}

/// Notes what was seen of a handshake that is done.
fn fine(
    context: &Context<'_>,
    target: &Target,
    settings: &Tls,
    written: &str,
    stream: &SslStream<TcpStream>,
) {
    let certificate = stream.ssl().peer_certificate();
    let mut said = vec![stream.ssl().version_str().to_owned()];
    if let Some(certificate) = &certificate {
        let signer = handshake::name(certificate.issuer_name());
        said.push(format!("certificate signed by \"{signer}\""));
        said.push(format!("valid until {}", certificate.not_after()));
    }
    if written.ends_with('.') {
        said.push("compared without the dot at the name's end".into());
    }
    let said = said.join(", ");
    let seen = Seen::by(stream, said);
    context.recorder.fine(Stage::Tls, target.subject(), seen);
    if settings.skip_verify {
        note_unverified(context, settings, certificate.as_deref());
        return;
    }
    let soon = Asn1Time::days_from_now(SOON).ok();
    let end = certificate.as_ref().map(|one| one.not_after());
    if let (Some(soon), Some(end)) = (soon, end)
        && end < soon
    {
        let cause = format!("the certificate ends at {end}");
        let fix = Fix::words("renew the broker's certificate");
        let finding = Finding::new(&tls::ENDS_SOON, cause, fix);
        context.recorder.found(target.subject(), finding);
    }
}

fn note_unverified(
    context: &Context<'_>,
    settings: &Tls,
    certificate: Option<&openssl::x509::X509Ref>,
) {
    let cause = "skipVerify is true, so nobody knows who the brokers are";
    let mut fix = Fix::words("verify the brokers' certificates").remove("skipVerify");
    if settings.ca.is_none() {
        let signer = certificate.map(|one| handshake::name(one.issuer_name()));
        fix = fix.set("caCert", placeholder(AUTHORITY, signer.as_deref()));
    }
    let finding = Finding::new(&tls::SKIP_VERIFY, cause, fix);
    // It is one setting, however many brokers there are.
    context.recorder.found_once("skipVerify", finding);
}
