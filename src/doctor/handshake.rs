//! Why a broker's certificate is not trusted. librdkafka only says that it is not,
//! so the handshake is done once more, and OpenSSL asked for each of its objections.

use std::{
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use openssl::{
    nid::Nid,
    ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslVerifyMode},
    x509::{X509, X509NameRef, X509Ref, X509StoreContextRef},
};

use super::authorities;
use crate::metadata::security::Tls;

/// The shortest time that is left for an answer.
const LEAST: Duration = Duration::from_millis(300);

/// OpenSSL's `X509_V_ERR_…`, `x509_vfy.h`.
mod objection {
    pub(super) const NOT_YET_VALID: i32 = 9;
    pub(super) const EXPIRED: i32 = 10;
    /// The kinds of "nobody whom we trust signed this".
    pub(super) const UNKNOWN_SIGNER: [i32; 5] = [2, 18, 19, 20, 21];
    pub(super) const OTHER_NAME: i32 = 62;
    pub(super) const OTHER_ADDRESS: i32 = 64;
}

/// What is wrong with the certificate of the broker `host:port`, as far as that can
/// be found out until `end`.
pub fn objections(tls: &Tls, broker: &str, end: Instant) -> Option<String> {
    let (host, _) = broker.rsplit_once(':')?;
    // As `trailing_dot` has it for librdkafka; an IPv6 address is written in brackets.
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = host.trim_matches(['[', ']']);
    let addresses: Vec<_> = broker.to_socket_addrs().ok()?.collect();
    at_any(tls, host, &addresses, end)
}

/// The same of the first of the host's addresses where there is something wrong.
fn at_any(tls: &Tls, host: &str, addresses: &[SocketAddr], end: Instant) -> Option<String> {
    let context = context(tls)?;
    let shares = (1..=u32::try_from(addresses.len()).ok()?).rev();
    addresses.iter().zip(shares).find_map(|(address, share)| {
        let patience = end.saturating_duration_since(Instant::now()) / share;
        let found = at(&context, tls, host, *address, patience.max(LEAST))?;
        (!found.is_empty()).then(|| found.join("; "))
    })
}

/// All that is wrong at one address; `None` if there was no handshake.
fn at(
    context: &SslContext,
    tls: &Tls,
    host: &str,
    address: SocketAddr,
    patience: Duration,
) -> Option<Vec<String>> {
    let mut ssl = Ssl::new(context).ok()?;
    if let Ok(address) = host.parse() {
        ssl.param_mut().set_ip(address).ok()?;
    } else {
        // SNI is for names alone (RFC 6066, section 3).
        ssl.set_hostname(host).ok()?;
        ssl.param_mut().set_host(host).ok()?;
    }
    let found = Arc::new(Mutex::new(Vec::new()));
    let (notes, given, host) = (found.clone(), tls.ca.is_some(), host.to_owned());
    ssl.set_verify_callback(SslVerifyMode::PEER, move |fine, checked| {
        if !fine {
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            let words = words(checked, &host, given);
            if !notes.contains(&words) {
                notes.push(words);
            }
        }
        // It goes on, and so finds everything.
        true
    });
    let stream = TcpStream::connect_timeout(&address, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    stream.set_write_timeout(Some(patience)).ok()?;
    // How it ends is no matter: the certificate comes early.
    drop(ssl.connect(stream));
    let found = found.lock().unwrap_or_else(PoisonError::into_inner);
    Some(found.clone())
}

/// Trusts whom librdkafka trusts.
fn context(tls: &Tls) -> Option<SslContext> {
    let mut context = SslContextBuilder::new(SslMethod::tls_client()).ok()?;
    if let Some(ca) = &tls.ca {
        for certificate in X509::stack_from_pem(ca.as_bytes()).ok()? {
            context.cert_store_mut().add_cert(certificate).ok()?;
        }
    } else {
        let place = authorities::system().ok()?;
        let is_folder = std::path::Path::new(&place).is_dir();
        let (file, folder) = if is_folder {
            (None, Some(place.as_ref()))
        } else {
            (Some(place.as_ref()), None)
        };
        context.load_verify_locations(file, folder).ok()?;
    }
    Some(context.build())
}

/// One objection, and what helps.
fn words(checked: &X509StoreContextRef, host: &str, given: bool) -> String {
    let error = checked.error();
    let Some(certificate) = checked.current_cert() else {
        return error.error_string().to_owned();
    };
    match error.as_raw() {
        objection::EXPIRED => format!(
            "the certificate \"{}\" expired at {}: the broker needs a new one",
            name(certificate.subject_name()),
            certificate.not_after()
        ),
        objection::NOT_YET_VALID => format!(
            "the certificate \"{}\" is valid from {} on: see whether the clocks are right",
            name(certificate.subject_name()),
            certificate.not_before()
        ),
        objection::OTHER_NAME | objection::OTHER_ADDRESS => format!(
            "the certificate is for another name: it has {}, not {host}; write in `brokers` a \
             name that it has, or give the broker a certificate with this one",
            names(certificate)
        ),
        code if objection::UNKNOWN_SIGNER.contains(&code) => {
            let signer = name(certificate.issuer_name());
            let (whom, remedy) = if given {
                (
                    "`caCert` does not hold",
                    "put that authority's certificate there",
                )
            } else {
                (
                    "this system does not know",
                    "give that authority's certificate as `caCert`",
                )
            };
            format!("the certificate is signed by \"{signer}\", whom {whom}: {remedy}")
        }
        _ => error.error_string().to_owned(),
    }
}

/// The common name, or the last part that there is.
fn name(name: &X509NameRef) -> String {
    let common = name.entries_by_nid(Nid::COMMONNAME).next();
    let part = common.or_else(|| name.entries().last());
    let text = part.and_then(|part| part.data().to_string().ok());
    text.map_or_else(|| "(no name)".to_owned(), |text| (*text).to_owned())
}

/// The hosts that a certificate is for.
fn names(certificate: &X509Ref) -> String {
    let names = certificate.subject_alt_names();
    let names: Vec<_> = names
        .iter()
        .flatten()
        .filter_map(|name| {
            let dns = name.dnsname().map(str::to_owned);
            dns.or_else(|| name.ipaddress().and_then(address))
        })
        .collect();
    if names.is_empty() {
        "no host's name".to_owned()
    } else {
        names.join(", ")
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
    address.ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests;
