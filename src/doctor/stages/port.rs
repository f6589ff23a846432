//! What a port speaks that does not speak what it should.

mod http;
mod identify;

use std::net::SocketAddr;

pub(in crate::doctor) use identify::{Speaks, alert, identify};

use super::{
    names::BROKERS,
    tls::{self, AUTHORITY, CERTIFICATE, KEY},
};
use crate::{
    doctor::{
        Finding, Fix, Row,
        context::{Context, Target},
        rows::port,
        wire::{Broken, Ranges, shown},
    },
    metadata::security::{Login, Tls},
};

/// Notes why the first request to a broker, or the handshake before it, got no answer of a
/// broker: the port is asked once more, in every language that it may speak.
pub(in crate::doctor) async fn explain(
    context: &Context<'_>,
    target: &Target,
    address: SocketAddr,
    broken: &Broken,
) {
    let speaks = identify(context, target, address).await;
    let finding = match (speaks, &context.settings.security.tls) {
        (Speaks::Controller, _) => is_controller(target),
        (Speaks::Kafka, Some(_)) => plaintext(context, target),
        (
            Speaks::Tls(identify::Tls {
                http: Some(server), ..
            }),
            _,
        ) => is_http(target, &server, " by TLS"),
        (
            Speaks::Other(bytes)
            | Speaks::Tls(identify::Tls {
                other: Some(bytes), ..
            }),
            _,
        ) => is_other(target, &bytes),
        (Speaks::Tls(found), None) => speaks_tls(context, target, &found),
        (
            Speaks::Tls(identify::Tls {
                alert: Some(alert), ..
            }),
            Some(settings),
        ) => tls::alerted(settings, alert),
        (Speaks::Http(server), _) => is_http(target, &server, ""),
        // It does what it should now: the first time is all that there is.
        (Speaks::Kafka | Speaks::Tls(_) | Speaks::Closes | Speaks::Silent, _) => by(target, broken),
    };
    context.recorder.found(target.subject(), finding);
}

/// Notes that a broker's answer is that of a controller, if it is; nothing works there.
pub(in crate::doctor) fn is_no_broker(
    context: &Context<'_>,
    target: &Target,
    ranges: &Ranges,
) -> bool {
    let found = identify::is_controller(ranges);
    if found {
        let finding = is_controller(target);
        context.recorder.found(target.subject(), finding);
    }
    found
}

/// What the first request alone tells.
fn by(target: &Target, broken: &Broken) -> Finding {
    let (row, words) = match broken {
        Broken::Garbage(bytes) => return is_other(target, bytes),
        Broken::Silent => (
            &port::SILENT,
            "see whether the broker hangs or is just starting, and whether it is one: a proxy \
             with nothing behind it is silent too",
        ),
        Broken::Closed | Broken::Io(_) => (
            &port::CLOSES,
            "look in the log of what listens there: a proxy whose broker is down does this, and \
             a broker that shuts down or does not let this client in",
        ),
        Broken::Nonsense(_) | Broken::Unserved { .. } => (&port::OTHER, "see what listens there"),
    };
    Finding::new(row, broken.to_string(), elsewhere(target, words))
}

fn speaks_tls(context: &Context<'_>, target: &Target, found: &identify::Tls) -> Finding {
    let signer = found.signer.as_deref();
    let cause = match signer {
        Some(signer) => format!(
            "it answers a TLS handshake, with a certificate signed by \"{signer}\", and no \
             plaintext, which is what these settings speak"
        ),
        None => "it answers a TLS handshake, and no plaintext, which is what these settings speak"
            .into(),
    };
    if target.advertised.is_some() {
        let words = "let the broker advertise its plaintext listener to clients that come by \
                     plaintext, or use TLS for all brokers: authType certificate and caCert, or \
                     with a login no disableTls";
        return Finding::new(&port::TLS, cause, Fix::words(words));
    }
    let authority = tls::placeholder(AUTHORITY, signer);
    let asks = found.signer.is_some() && found.alert.is_some_and(tls::is_about_certificate);
    let fix = match &context.settings.security.login {
        Login::None if asks => Fix::words(
            "turn TLS on; the broker wants a client's certificate, so with authType mtls",
        )
        .set("authType", "mtls")
        .set("caCert", authority)
        .set("clientCert", CERTIFICATE)
        .set("clientKey", KEY),
        Login::None => Fix::words("turn TLS on: authType certificate and caCert")
            .set("authType", "certificate")
            .set("caCert", authority),
        _ if found.trusted => Fix::words("turn TLS on: take disableTls away"),
        _ => Fix::words("turn TLS on: take disableTls away, and give caCert")
            .set("caCert", authority),
    };
    Finding::new(&port::TLS, cause, fix.remove("disableTls"))
}

fn plaintext(context: &Context<'_>, target: &Target) -> Finding {
    let cause = "it answers Kafka's first request in plaintext, and no TLS handshake, which is \
                 how these settings begin";
    let words = "use the broker's TLS listener if it has one; else turn TLS off, and then whoever \
                 stands between can read what is sent";
    let left = context.settings.security.tls.iter().flat_map(of_tls);
    let fix = match (&context.settings.security.login, target.advertised) {
        (_, Some(_)) => Fix::words(
            "let the broker advertise its TLS listener to clients that come by TLS \
             (`advertised.listeners`, in Redpanda `advertised_kafka_api`)",
        ),
        (Login::None, None) => left.fold(Fix::words(words).set("authType", "none"), Fix::remove),
        (_, None) => left.fold(Fix::words(words).set("disableTls", "true"), Fix::remove),
    };
    Finding::new(&port::PLAINTEXT, cause, fix)
}

/// The keys of TLS, which mean nothing without it.
fn of_tls(tls: &Tls) -> impl Iterator<Item = &'static str> {
    let client = tls.client.iter().flat_map(|_| ["clientCert", "clientKey"]);
    let ca = tls.ca.iter().map(|_| "caCert");
    ca.chain(client)
        .chain(tls.skip_verify.then_some("skipVerify"))
}

fn is_http(target: &Target, server: &http::Server, how: &str) -> Finding {
    let cause = format!("it speaks HTTP{how}: {}", server.said);
    let words = "write the address of the brokers' Kafka listener";
    Finding::new(server.row, cause, elsewhere(target, words))
}

fn is_controller(target: &Target) -> Finding {
    let cause = "it serves Vote, which is for controllers among themselves, but neither Metadata \
                 nor Produce";
    let words = "write the address of a broker's listener for clients";
    Finding::new(&port::CONTROLLER, cause, elsewhere(target, words))
}

fn is_other(target: &Target, bytes: &[u8]) -> Finding {
    let cause = format!("its answer begins with \"{}\"", shown(bytes));
    let row: &'static Row = &port::OTHER;
    let words = "write the address of the brokers' Kafka listener";
    Finding::new(row, cause, elsewhere(target, words))
}

/// The fix for a port that is the wrong one.
fn elsewhere(target: &Target, words: &str) -> Fix {
    if target.advertised.is_some() {
        Fix::words(format!(
            "{words}, or correct what the broker advertises (`advertised.listeners`, in Redpanda \
             `advertised_kafka_api`)"
        ))
    } else {
        Fix::words(words).set("brokers", BROKERS)
    }
}
