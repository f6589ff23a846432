//! The HTTP client for token endpoints.

use std::{error::Error, time::Duration};

use reqwest::{Certificate, ClientBuilder, redirect::Policy, tls::Version};

use super::Failed;

/// How long an endpoint may take to answer. Init waits less than that, see
/// `kafka/oauth.rs`.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client that trusts the system's certificate authorities, and `ca` (PEM) too.
///
/// Its TLS is OpenSSL, as librdkafka's: one TLS in the process, which takes the same
/// certificates everywhere. It follows no redirect: a request's body is a secret, which
/// goes where the metadata says and nowhere else.
pub(super) fn client(ca: Option<&str>, skip_verify: bool) -> Result<ClientBuilder, Failed> {
    let mut builder = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(Policy::none())
        .tls_version_min(Version::TLS_1_2)
        .tls_danger_accept_invalid_certs(skip_verify)
        .tls_danger_accept_invalid_hostnames(skip_verify);
    if let Some(ca) = ca {
        let read = Certificate::from_pem_bundle(ca.as_bytes()).ok();
        let read = read.filter(|certificates| !certificates.is_empty());
        let certificates = read.ok_or_else(|| {
            Failed::setting(
                "caCert holds no certificate; write it as PEM (-----BEGIN CERTIFICATE-----)",
            )
        })?;
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    Ok(builder)
}

/// An error with its causes: reqwest's own text tells only the outermost.
pub(super) fn described(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".into();
    }
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        // Some layers only repeat what is below them.
        if !text.contains(&told) {
            if !text.is_empty() {
                text += ": ";
            }
            text += &told;
        }
        cause = error.source();
    }
    if text.is_empty() {
        return "no answer".into();
    }
    text
}
