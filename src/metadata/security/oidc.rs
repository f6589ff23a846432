//! What can be said of an OIDC login without its identity provider. None of the values is
//! in a problem: each may hold a secret.

use std::collections::BTreeMap;

use openssl::pkey::{Id, PKey, Private};
use redact::Secret;
use url::Url;

use super::certificates::{private_key, problem};
use crate::metadata::Problem;

/// `oidcTokenEndpoint` as a URL.
///
/// # Errors
/// When it is none of HTTP or HTTPS.
pub fn endpoint(text: &str) -> Result<Url, Problem> {
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
        .ok_or_else(|| {
            let message = "it is no URL; write it whole, such as https://idp.example/oauth2/token";
            problem("oidcTokenEndpoint", message.into())
        })
}

/// `oidcClientAssertionKey`: an RSA key as PEM, PKCS#8 or PKCS#1.
///
/// # Errors
/// When it can't be read, or is another kind of key.
pub fn assertion_key(pem: &Secret<String>) -> Result<PKey<Private>, Problem> {
    let name = "oidcClientAssertionKey";
    let key = private_key(name, pem.expose_secret())?;
    if key.id() == Id::RSA {
        Ok(key)
    } else {
        let message = "it is no RSA key; the assertion is signed with RS256";
        Err(problem(name, message.into()))
    }
}

/// What librdkafka would refuse of `oidcExtensions` in the middle of a login.
pub(super) fn extensions(extensions: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, value) in extensions {
        let letters = name.bytes().all(|byte| byte.is_ascii_alphabetic());
        let visible = |byte: u8| byte.is_ascii_graphic() || b" \t\r\n".contains(&byte);
        let message = if name.is_empty() || !letters || name == "auth" {
            format!(
                "the name \"{name}\" is not allowed; it takes letters only, and not \"auth\" (RFC \
                 7628, section 3.1)"
            )
        } else if !value.bytes().all(visible) {
            format!(
                "the value of \"{name}\" has characters that are not allowed; it takes visible \
                 ASCII and spaces (RFC 7628, section 3.1)"
            )
        } else {
            continue;
        };
        problems.push(problem("oidcExtensions", message));
    }
    problems
}

#[cfg(test)]
mod tests {
    use openssl::{ec, nid::Nid, rsa::Rsa, symm::Cipher};

    use super::*;

    fn pem(bytes: Vec<u8>) -> Secret<String> {
        Secret::new(String::from_utf8(bytes).expect("PEM is text"))
    }

    #[test]
    fn an_endpoint_is_a_whole_url() {
        assert!(endpoint("https://idp.test/token").is_ok());
        for text in ["idp.test/hunter2", "ftp://idp.test/hunter2", "hunter2"] {
            let refused = endpoint(text).expect_err("no URL").to_string();
            assert!(
                refused.starts_with("oidcTokenEndpoint: it is no URL"),
                "{refused}"
            );
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn extensions_are_what_a_broker_may_get() {
        let told = |name: &str, value: &str| {
            let problems = extensions(&[(name.to_owned(), value.to_owned())].into());
            problems.first().map(ToString::to_string)
        };
        assert_eq!(told("logicalCluster", "lkc-1"), None);
        for name in ["auth", "", "with space", "under_score"] {
            let refused = told(name, "value").expect("a problem");
            assert!(refused.contains(&format!("\"{name}\"")), "{refused}");
        }
        let refused = told("a", "hunter2\u{1}").expect("a problem");
        assert!(
            refused.starts_with("oidcExtensions: the value of"),
            "{refused}"
        );
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn what_is_no_rsa_key_is_refused_and_not_shown() {
        let rsa = Rsa::generate(2048).expect("a key");
        assert!(assertion_key(&pem(rsa.private_key_to_pem().expect("PEM"))).is_ok());
        let group = ec::EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
        let ec = PKey::from_ec_key(ec::EcKey::generate(&group).expect("a key")).expect("a key");
        let locked = rsa.private_key_to_pem_passphrase(Cipher::aes_128_cbc(), b"hunter2");
        for (text, part) in [
            (
                pem(ec.private_key_to_pem_pkcs8().expect("PEM")),
                "no RSA key",
            ),
            (pem(locked.expect("PEM")), "is encrypted"),
            (Secret::new("hunter2".to_owned()), "can't be read"),
        ] {
            let refused = assertion_key(&text).expect_err("no RSA key").to_string();
            assert!(refused.starts_with("oidcClientAssertionKey: "), "{refused}");
            assert!(refused.contains(part), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
