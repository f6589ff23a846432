//! A client's assertion of who it is, as a signed JWT (RFC 7523).
//!
//! The claims are the built-in's (components-contrib v1.18.4,
//! `common/component/kafka/sasl_oauthbearer_private_key_jwt.go`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use openssl::{
    hash::MessageDigest,
    pkey::{PKey, Private},
    rand,
    sign::Signer,
};
use redact::Secret;
use serde_json::json;

use super::Failed;
use crate::metadata::security;

/// How long an assertion may be used.
const LIVES: Duration = Duration::from_secs(60);

/// What signs assertions.
pub(super) struct Key {
    key: PKey<Private>,
    kid: Option<String>,
}

impl Key {
    /// An RSA key as PEM, PKCS#8 or PKCS#1.
    pub(super) fn new(pem: &Secret<String>, kid: Option<&str>) -> Result<Self, Failed> {
        let key = security::assertion_key(pem)?;
        let kid = kid.map(str::to_owned);
        Ok(Self { key, kid })
    }

    /// An assertion by this client, for this audience.
    pub(super) fn assertion(&self, client: &str, audience: &str) -> Result<Secret<String>, Failed> {
        self.signed(client, audience).map(Secret::new).map_err(|error| {
            Failed::setting(format!(
                "oidcClientAssertionKey can't sign (RS256): {error}; use an RSA key of 2048 bits or more"
            ))
        })
    }

    fn signed(&self, client: &str, audience: &str) -> Result<String, openssl::error::ErrorStack> {
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(kid) = &self.kid {
            header["kid"] = kid.as_str().into();
        }
        let mut id = [0; 16];
        rand::rand_bytes(&mut id)?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let claims = json!({
            "iss": client,
            "sub": client,
            // A text and no list: some providers want that.
            "aud": audience,
            "iat": now.as_secs(),
            "nbf": now.as_secs(),
            "exp": (now + LIVES).as_secs(),
            "jti": BASE64_URL_SAFE_NO_PAD.encode(id),
        });
        let [header, claims] =
            [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let unsigned = format!("{header}.{claims}");
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key)?;
        let signature = signer.sign_oneshot_to_vec(unsigned.as_bytes())?;
        Ok(format!(
            "{unsigned}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(signature)
        ))
    }
}

#[cfg(test)]
mod tests {
    use openssl::{rsa::Rsa, sign::Verifier};
    use serde_json::Value;

    use super::*;

    fn part(text: &str) -> Value {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    fn pem(bytes: Vec<u8>) -> Secret<String> {
        Secret::new(String::from_utf8(bytes).expect("PEM is text"))
    }

    #[test]
    fn an_assertion_is_signed_by_either_form_of_the_key() {
        let rsa = Rsa::generate(2048).expect("a key");
        let public = PKey::from_rsa(rsa.clone()).expect("a key");
        let pkcs1 = pem(rsa.private_key_to_pem().expect("PEM"));
        let pkcs8 = pem(public.private_key_to_pem_pkcs8().expect("PEM"));
        assert!(pkcs1.expose_secret().contains("BEGIN RSA PRIVATE KEY"));
        assert!(pkcs8.expose_secret().contains("BEGIN PRIVATE KEY"));
        for pem in [pkcs1, pkcs8] {
            let key = Key::new(&pem, Some("k1")).expect("a key");
            let made = key
                .assertion("me", "https://idp.test/token")
                .expect("signed");
            let parts: Vec<_> = made.expose_secret().split('.').collect();
            let [header, claims, signature] = parts[..] else {
                panic!("no JWT");
            };
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64");
            let mut verifier = Verifier::new(MessageDigest::sha256(), &public).expect("verifier");
            let signed = format!("{header}.{claims}");
            let holds = verifier.verify_oneshot(&signature, signed.as_bytes());
            assert!(holds.expect("checked"), "the signature");
            assert_eq!(
                part(header),
                json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" })
            );
            let claims = part(claims);
            for (name, value) in [
                ("iss", "me"),
                ("sub", "me"),
                ("aud", "https://idp.test/token"),
            ] {
                assert_eq!(claims[name], value, "{name}");
            }
            let at = |name: &str| claims[name].as_u64().expect("a time");
            assert_eq!((at("nbf"), at("exp")), (at("iat"), at("iat") + 60));
            let again = key.assertion("me", "x").expect("signed");
            let again = part(again.expose_secret().split('.').nth(1).expect("claims"));
            assert_ne!(claims["jti"], again["jti"], "each has an id of its own");
        }
    }
}
