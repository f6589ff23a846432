//! What went wrong with a handshake, and what helps.

use openssl::{
    error::ErrorStack,
    ssl::{Error, ErrorCode},
};

use super::alerts::{alerted, is_about_certificate};
use crate::{
    doctor::{
        Finding, Fix,
        context::Target,
        handshake::{Kind, Objection, Unusable},
        rows::tls,
        stages::port,
        wire::Broken,
    },
    metadata::security::Tls,
};

/// Where the placeholder for an authority's certificate begins.
pub(in crate::doctor::stages) const AUTHORITY: &str = "the PEM of the authority";
/// A client's certificate.
pub(in crate::doctor::stages) const CERTIFICATE: &str =
    "<the PEM of a client's certificate that the broker trusts>";
/// Its key.
pub(in crate::doctor::stages) const KEY: &str = "<the PEM of its private key>";

/// Alerts (RFC 8446, section 6.2) that are about versions and ciphers.
const NOTHING_IN_COMMON: [i32; 3] = [40, 70, 71];
/// What stands for something that only the user knows.
pub(in crate::doctor::stages) fn placeholder(what: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("<{what} \"{name}\">"),
        None => format!("<{what} that signed the brokers' certificates>"),
    }
}

/// Findings for all objections; one per row.
pub(super) fn objections(
    settings: &Tls,
    target: &Target,
    host: &str,
    all: &[Objection],
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for found in all {
        let finding = objection(settings, target, host, found);
        if findings.iter().all(|one| one.row.code != finding.row.code) {
            findings.push(finding);
        }
    }
    findings
}

fn objection(settings: &Tls, target: &Target, host: &str, found: &Objection) -> Finding {
    let Objection {
        subject, signer, ..
    } = found;
    let authority = placeholder(AUTHORITY, Some(signer));
    let at_broker = |row, cause, words| Finding::new(row, cause, Fix::words(words));
    match found.kind {
        Kind::UnknownSigner => unknown(settings, subject, signer, authority),
        Kind::NoIntermediate => {
            let cause = format!(
                "the certificate \"{subject}\" is signed by \"{signer}\", whose certificate neither \
                 came with it nor is known here; it says where to get that one, as is usual below \
                 an intermediate authority"
            );
            let words = format!(
                "if \"{signer}\" is an intermediate authority, let the broker send its certificate \
                 behind its own, or write it in caCert with its root behind it; if it is a root, \
                 write it in caCert"
            );
            let value =
                format!("<the PEM of \"{signer}\", and if it is no root, behind it its root's>");
            Finding::new(
                &tls::NO_INTERMEDIATE,
                cause,
                Fix::words(words).set("caCert", value),
            )
        }
        Kind::NoRoot => {
            let cause = format!(
                "\"{subject}\" is trusted, but it is signed by \"{signer}\", whose certificate \
                 is not known here"
            );
            let words = "a chain must end at its root: write that in caCert, behind what is there";
            Finding::new(
                &tls::NO_ROOT,
                cause,
                Fix::words(words).set("caCert", authority),
            )
        }
        Kind::Expired => {
            let cause = format!("the certificate \"{subject}\" expired at {}", found.until);
            at_broker(&tls::EXPIRED, cause, "give the broker a new certificate")
        }
        Kind::NotYetValid => {
            let cause = format!(
                "the certificate \"{subject}\" is valid from {} on",
                found.from
            );
            let words = "set the clocks of both systems right, or give the broker a certificate \
                         that is valid now";
            at_broker(&tls::NOT_YET_VALID, cause, words)
        }
        Kind::OtherName => other_name(target, host, &found.names),
        Kind::Other(words) => {
            let cause = format!("the certificate \"{subject}\": {words}");
            at_broker(&tls::UNFIT, cause, "give the broker another certificate")
        }
    }
}

fn unknown(settings: &Tls, subject: &str, signer: &str, authority: String) -> Finding {
    let cause = format!("the certificate \"{subject}\" is signed by \"{signer}\"");
    if settings.ca.is_some() {
        let cause = format!("{cause}, who is not in caCert");
        let words = "write that authority's certificate in caCert; of several the order is no \
                     matter";
        Finding::new(
            &tls::NOT_IN_CA,
            cause,
            Fix::words(words).set("caCert", authority),
        )
    } else {
        let cause = format!("{cause}, whom this system does not know");
        let words = "give that authority's certificate";
        Finding::new(
            &tls::NOT_IN_SYSTEM,
            cause,
            Fix::words(words).set("caCert", authority),
        )
    }
}

fn other_name(target: &Target, host: &str, names: &[String]) -> Finding {
    let has = match names {
        [] => "no host's name at all".to_owned(),
        names => names.join(", "),
    };
    let cause = format!("the certificate is for {has}, not for {host}");
    let fix = if target.advertised.is_some() {
        Fix::words(
            "let the broker advertise a name that its certificate has (`advertised.listeners`, \
             in Redpanda `advertised_kafka_api`), or give it a certificate with this name",
        )
    } else {
        let value = "<host:port of the brokers, by names that their certificates have>";
        let words = "write a name that the certificate has, or give the broker a certificate \
                     with this name";
        Fix::words(words).set("brokers", value)
    };
    Finding::new(&tls::OTHER_NAME, cause, fix)
}

/// Why a handshake that failed did so; what to explain otherwise if it never was one.
/// `shown` is whether the broker had shown its certificate.
pub(super) fn broken(settings: &Tls, error: &Error, shown: bool) -> Result<Finding, Broken> {
    if let Some(alert) = port::alert(error) {
        return Ok(match (shown, NOTHING_IN_COMMON.contains(&alert)) {
            (false, true) => nothing_in_common(&said(error)),
            (true, _) if is_about_certificate(alert) => alerted(settings, alert),
            _ => failed(&said(error)),
        });
    }
    let reasons = reasons(error);
    let is = |words: &[&str]| reasons.iter().any(|reason| words.contains(reason));
    if is(&[
        "unsupported protocol",
        "wrong ssl version",
        "wrong cipher returned",
    ]) {
        return Ok(nothing_in_common(&said(error)));
    }
    if shown {
        return Ok(failed(&said(error)));
    }
    if error.code() == ErrorCode::SYSCALL || is(&["unexpected eof while reading"]) {
        return Err(Broken::Closed);
    }
    // What can't be read as the beginning of a handshake is something else.
    let is_none = is(&[
        "wrong version number",
        "packet length too long",
        "http request",
        "https proxy request",
        "unexpected message",
        "bad record type",
        "record layer failure",
        "invalid record type",
    ]);
    if is_none {
        Err(Broken::Nonsense(
            "it answers a handshake with something that is no TLS".into(),
        ))
    } else {
        Ok(failed(&said(error)))
    }
}

/// OpenSSL's reasons.
fn reasons(error: &Error) -> Vec<&'static str> {
    let stack = error.ssl_error().map(ErrorStack::errors);
    let all = stack.unwrap_or_default().iter();
    all.filter_map(openssl::error::Error::reason).collect()
}

/// What OpenSSL says, without its codes and files.
fn said(error: &Error) -> String {
    let reasons = reasons(error);
    match (reasons.as_slice(), error.io_error()) {
        ([], Some(io)) => io.to_string(),
        ([], None) => "it ended early".into(),
        (reasons, _) => reasons.join(", "),
    }
}

fn nothing_in_common(said: &str) -> Finding {
    let cause = format!("the handshake ended before a certificate was shown: {said}");
    let words = "let the broker offer TLS 1.2 or 1.3 with usual ciphers";
    Finding::new(&tls::NOTHING_IN_COMMON, cause, Fix::words(words))
}

pub(super) fn failed(said: &str) -> Finding {
    let cause = format!("the handshake failed: {said}");
    let words = "look in the broker's log for what it says of this connection";
    Finding::new(&tls::HANDSHAKE, cause, Fix::words(words))
}

/// There can't even be a handshake.
pub(super) fn unusable(why: Unusable) -> Finding {
    match why {
        Unusable::Authorities(why) => {
            let words = "give the authority that signed the brokers' certificates";
            let fix = Fix::words(words).set("caCert", placeholder(AUTHORITY, None));
            Finding::new(&tls::NO_AUTHORITIES, why, fix)
        }
        Unusable::Other(why) => failed(&why),
    }
}
