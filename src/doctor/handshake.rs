//! What is wrong with a broker's certificate. A handshake is done that goes on whatever
//! it meets, and OpenSSL is asked for each of its objections.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use openssl::{
    error::ErrorStack,
    nid::Nid,
    pkey::PKey,
    ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslVerifyMode},
    x509::{X509, X509NameRef, X509Ref, X509StoreContextRef},
};

use super::authorities;
use crate::metadata::security::{ClientCertificate, Tls};

/// How many objections, and how many names of a certificate, are kept.
const MOST: usize = 10;

/// OpenSSL's `X509_V_ERR_…`, `x509_vfy.h`.
mod number {
    pub(super) const NO_ISSUER_OF_TRUSTED: i32 = 2;
    pub(super) const NOT_YET_VALID: i32 = 9;
    pub(super) const EXPIRED: i32 = 10;
    /// The kinds of "nobody whom we trust signed this".
    pub(super) const UNKNOWN_SIGNER: [i32; 4] = [18, 19, 20, 21];
    pub(super) const OTHER_NAME: i32 = 62;
    pub(super) const OTHER_ADDRESS: i32 = 64;
}

/// What OpenSSL objects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its signer is nobody whom we trust.
    UnknownSigner,
    /// Its signer is unknown, and the certificate itself says where that one's
    /// certificate is to be had: mostly an intermediate stands above it.
    NoIntermediate,
    /// An intermediate is trusted, but not who signed that.
    NoRoot,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is for other hosts.
    OtherName,
    /// Something else, in OpenSSL's words.
    Other(&'static str),
}

/// An objection, and the certificate that it is about.
#[derive(Clone, Debug)]
pub(super) struct Objection {
    pub(super) kind: Kind,
    /// Whose certificate it is.
    pub(super) subject: String,
    /// Who signed it.
    pub(super) signer: String,
    /// The hosts that it is for.
    pub(super) names: Vec<String>,
    /// From when on it is valid, and until when.
    pub(super) from: String,
    pub(super) until: String,
}

/// What a handshake brings to light: whether there was a certificate at all, and each
/// objection to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) certificate: bool,
    pub(super) objections: Vec<Objection>,
}

/// Where a handshake keeps what it sees.
pub(super) type Notes = Arc<Mutex<Seen>>;

/// Why there can be no handshake at all.
#[derive(Debug)]
pub(super) enum Unusable {
    /// There are no authorities to trust, or they can't be read; and why.
    Authorities(String),
    /// Anything else that is said by OpenSSL.
    Other(String),
}

impl From<ErrorStack> for Unusable {
    fn from(error: ErrorStack) -> Self {
        Self::Other(error.to_string())
    }
}

/// What can be said of a handshake so far.
pub(super) fn seen(notes: &Notes) -> Seen {
    let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    notes.clone()
}

/// The host of a broker as its certificate has it: no dot at its end, as `trailing_dot`
/// has it for librdkafka, and no brackets.
pub(super) fn bare(host: &str) -> &str {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.trim_matches(['[', ']'])
}

/// A client that does as these settings say, but trusts everybody, and writes down what
/// speaks against it.
pub(super) fn client(tls: &Tls, host: &str) -> Result<(Ssl, Notes), Unusable> {
    let notes = Notes::default();
    let ssl = noting(&context(tls)?, host, &notes)?;
    Ok((ssl, notes))
}

fn noting(context: &SslContext, host: &str, notes: &Notes) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(context)?;
    if let Ok(address) = host.parse() {
        ssl.param_mut().set_ip(address)?;
    } else {
        // SNI is for names alone (RFC 6066, section 3).
        ssl.set_hostname(host)?;
        ssl.param_mut().set_host(host)?;
    }
    let notes = notes.clone();
    ssl.set_verify_callback(SslVerifyMode::PEER, move |fine, checked| {
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.certificate = true;
        if !fine && notes.objections.len() < MOST {
            let objection = objection(checked);
            let kind = |one: &Objection| (one.kind, one.subject.clone());
            if !notes
                .objections
                .iter()
                .any(|one| kind(one) == kind(&objection))
            {
                notes.objections.push(objection);
            }
        }
        // It goes on, and so finds everything.
        true
    });
    Ok(ssl)
}

/// Trusts whom librdkafka trusts, and shows the client's certificate.
fn context(tls: &Tls) -> Result<SslContext, Unusable> {
    let mut context = SslContextBuilder::new(SslMethod::tls_client())?;
    if let Some(ca) = &tls.ca {
        for certificate in X509::stack_from_pem(ca.as_bytes())? {
            context.cert_store_mut().add_cert(certificate)?;
        }
    } else {
        let place = authorities::system();
        let read = place.and_then(|place| trust(&mut context, &place));
        match read {
            // What is not verified needs nobody to trust.
            Err(why) if !tls.skip_verify => return Err(Unusable::Authorities(why)),
            _ => {}
        }
    }
    if let Some(client) = &tls.client {
        show(&mut context, client)?;
    }
    Ok(context.build())
}

/// Trusts the authorities of a file or folder.
pub(super) fn trust(context: &mut SslContextBuilder, place: &str) -> Result<(), String> {
    let is_folder = Path::new(place).is_dir();
    let (file, folder) = if is_folder {
        (None, Some(place.as_ref()))
    } else {
        (Some(place.as_ref()), None)
    };
    let loaded = context.load_verify_locations(file, folder);
    loaded.map_err(|_| format!("{place} holds no certificates that can be read"))
}

fn show(context: &mut SslContextBuilder, client: &ClientCertificate) -> Result<(), ErrorStack> {
    let mut chain = X509::stack_from_pem(client.certificate.as_bytes())?.into_iter();
    if let Some(own) = chain.next() {
        context.set_certificate(&own)?;
    }
    for above in chain {
        context.add_extra_chain_cert(above)?;
    }
    // No passphrase: without this OpenSSL would ask for one at the terminal.
    let key = client.key.expose_secret().as_bytes();
    let key = PKey::private_key_from_pem_callback(key, |_| Ok(0))?;
    context.set_private_key(&key)
}

fn objection(checked: &X509StoreContextRef) -> Objection {
    let error = checked.error();
    let certificate = checked.current_cert();
    let is_from_elsewhere = |one: &X509Ref| {
        let about = one.authority_info();
        about.is_some_and(|all| {
            let mut methods = all.iter().map(|one| one.method().nid());
            methods.any(|method| method == Nid::AD_CA_ISSUERS)
        })
    };
    let kind = match error.as_raw() {
        number::EXPIRED => Kind::Expired,
        number::NOT_YET_VALID => Kind::NotYetValid,
        number::OTHER_NAME | number::OTHER_ADDRESS => Kind::OtherName,
        number::NO_ISSUER_OF_TRUSTED => Kind::NoRoot,
        // 20 and 21 alone: in what 18 and 19 are about, the root has come too.
        20 | 21 if checked.error_depth() == 0 && certificate.is_some_and(is_from_elsewhere) => {
            Kind::NoIntermediate
        }
        code if number::UNKNOWN_SIGNER.contains(&code) => Kind::UnknownSigner,
        _ => Kind::Other(error.error_string()),
    };
    let said = |of: fn(&X509Ref) -> String| certificate.map(of).unwrap_or_default();
    Objection {
        kind,
        subject: said(|one| name(one.subject_name())),
        signer: said(|one| name(one.issuer_name())),
        names: certificate.map(names).unwrap_or_default(),
        from: said(|one| one.not_before().to_string()),
        until: said(|one| one.not_after().to_string()),
    }
}

/// The common name, or the last part that there is; in one line.
pub(super) fn name(name: &X509NameRef) -> String {
    let common = name.entries_by_nid(Nid::COMMONNAME).next();
    let part = common.or_else(|| name.entries().last());
    let text = part.and_then(|part| part.data().to_string().ok());
    text.map_or_else(|| "(no name)".to_owned(), |text| shown(&text))
}

/// What a stranger wrote, without what moves a cursor, and no longer than needed.
fn shown(text: &str) -> String {
    let plain = text.chars().filter(|one| !one.is_control());
    plain.take(100).collect()
}

/// The first of the hosts that a certificate is for.
fn names(certificate: &X509Ref) -> Vec<String> {
    let names = certificate.subject_alt_names();
    let names = names.iter().flatten().filter_map(|name| {
        let dns = name.dnsname().map(shown);
        dns.or_else(|| name.ipaddress().and_then(address))
    });
    names.take(MOST).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
    address.ok().map(|address| address.to_string())
}
