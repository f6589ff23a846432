//! No secret is in anything that is printed.

use std::collections::HashMap;

use redact::Secret;

use super::*;
use crate::metadata::{
    keys::Kind,
    security::{AuthType, ClientCertificate, Proof},
};

const PLANTED: &str = "hunter2";

/// PEM with the secret in it, as every key takes it that wants PEM.
fn pem(kind: &str) -> String {
    format!("-----BEGIN {kind}-----\n{PLANTED}\n-----END {kind}-----\n")
}

/// Every secret key, with a value that holds the secret, and keys that nobody knows.
fn planted(auth_type: &str) -> HashMap<String, String> {
    let private = pem("PRIVATE KEY");
    let both = pem("CERTIFICATE") + &private;
    let mut properties = HashMap::from([
        ("brokers".to_owned(), "a:9092".to_owned()),
        ("authType".to_owned(), auth_type.to_owned()),
        ("awsRegion".to_owned(), "eu-central-1".to_owned()),
        ("oidcTokenEndpoint".to_owned(), "https://a/".to_owned()),
        ("oidcClientID".to_owned(), "client".to_owned()),
        // The certificate's text may hold the key too.
        ("clientCert".to_owned(), both.clone()),
        ("saslPasword".to_owned(), PLANTED.to_owned()),
        ("password".to_owned(), PLANTED.to_owned()),
    ]);
    for key in keys::all().filter(|key| key.secret) {
        let refused = matches!(key.support, Support::Refused(_));
        let value = if key.name == "clientKey" {
            private.clone()
        } else {
            PLANTED.to_owned()
        };
        if !refused {
            properties.insert(key.name.to_owned(), value);
        }
    }
    properties.insert("oidcClientAssertionCert".to_owned(), both);
    properties
}

fn nothing_in(what: &str, text: &str) {
    assert!(!text.contains(PLANTED), "{what} shows a secret: {text}");
}

#[test]
fn what_is_resolved_shows_no_secret() {
    for (auth_type, _) in AuthType::WORDS {
        let properties = planted(auth_type);
        let expected = ["certificate", "mtls", "oidc_private_key_jwt"];
        match resolve(&properties) {
            Ok(resolved) => {
                nothing_in("a note", &resolved.notes.join("\n"));
                nothing_in("Debug", &format!("{resolved:?} {resolved:#?}"));
            }
            // What was planted is no real certificate.
            Err(problems) if expected.contains(&auth_type) => {
                nothing_in("a problem", &format!("{problems} {problems:?}"));
            }
            Err(problems) => panic!("{auth_type}: {problems}"),
        }
    }
}

/// What only real certificates get as far as.
#[test]
fn certificates_and_assertions_show_no_secret() {
    let key = || Secret::new(pem("PRIVATE KEY"));
    let certificate = pem("CERTIFICATE") + &pem("PRIVATE KEY");
    let proof = Proof::PrivateKeyJwt {
        key: key(),
        kid: None,
        audience: None,
        resource: None,
    };
    nothing_in("Proof", &format!("{proof:?} {proof:#?}"));
    let client = ClientCertificate {
        certificate,
        key: key(),
    };
    nothing_in("ClientCertificate", &format!("{client:?} {client:#?}"));
}

#[test]
fn what_was_read_shows_no_secret() {
    let properties = planted("mtls");
    let mut reading = Reading::new(&properties, &[]);
    for key in keys::all() {
        reading.read(key);
    }
    assert_ne!(reading.access, Access::default(), "something was read");
    nothing_in(
        "Access",
        &format!("{:?} {:#?}", reading.access, reading.access),
    );
}

#[test]
fn no_problem_shows_a_secret_whatever_is_wrong_with_it() {
    for key in keys::all().filter(|key| key.secret) {
        for name in key.names() {
            for auth_type in AuthType::WORDS.map(|(word, _)| word) {
                let mut properties = HashMap::from([
                    (name.to_owned(), PLANTED.to_owned()),
                    (name.to_uppercase(), format!("{PLANTED}\u{0}")),
                    ("authType".to_owned(), auth_type.to_owned()),
                ]);
                let twice = resolve(&properties).expect_err("it is given twice");
                nothing_in(name, &format!("{twice} {twice:?}"));
                properties.remove(&name.to_uppercase());
                let missing = resolve(&properties).expect_err("brokers are missing");
                nothing_in(name, &format!("{missing} {missing:?}"));
            }
        }
    }
}

#[test]
fn a_private_key_is_not_shown_wherever_it_was_put() {
    for key in keys::all().filter(|key| key.kind != Kind::Text || key.name.ends_with("Cert")) {
        let properties = HashMap::from([
            ("authType".to_owned(), "mtls".to_owned()),
            (key.name.to_owned(), pem("PRIVATE KEY")),
        ]);
        let problems = resolve(&properties).expect_err("brokers are missing");
        nothing_in(key.name, &format!("{problems} {problems:?}"));
    }
}
