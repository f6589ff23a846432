//! What to change for a login, from what a broker offers.

use crate::{
    doctor::Fix,
    metadata::{Settings, security::Login},
};

/// SASL's names of the mechanisms by a password, and the component's; the best first.
const BY_PASSWORD: [(&str, &str); 3] = [
    ("SCRAM-SHA-512", "SHA-512"),
    ("SCRAM-SHA-256", "SHA-256"),
    ("PLAIN", "PLAINTEXT"),
];

/// The best mechanism by a password that is offered, in the component's words.
pub(super) fn by_password(offered: &[String]) -> Option<&'static str> {
    let best = BY_PASSWORD.iter();
    let mut best = best.filter(|(name, _)| offers(offered, name));
    best.next().map(|(_, word)| *word)
}

fn offers(offered: &[String], name: &str) -> bool {
    offered.iter().any(|offered| offered == name)
}

/// A login that the broker offers, instead of what the settings have.
pub(super) fn log_in(settings: &Settings, offered: &[String]) -> Fix {
    let fix = if let Some(word) = by_password(offered) {
        let fix = Fix::words("log in by a mechanism that is offered");
        if matches!(settings.security.login, Login::Password(_)) {
            return fix.set("saslMechanism", word);
        }
        fix.set("authType", "password")
            .set("saslMechanism", word)
            .set("saslUsername", "<the user>")
            .set("saslPassword", "<the user's password>")
    } else if offers(offered, "AWS_MSK_IAM") {
        Fix::words("log in by AWS keys")
            .set("authType", "awsiam")
            .set("awsRegion", "<the cluster's region>")
    } else if offers(offered, "OAUTHBEARER") {
        Fix::words("log in by a token of the identity provider that the broker trusts")
            .set("authType", "oidc")
            .set("oidcTokenEndpoint", "<the URL of the token endpoint>")
            .set("oidcClientID", "<the OAuth client>")
            .set("oidcClientSecret", "<the OAuth client's secret>")
    } else {
        return Fix::words(
            "have the broker offer one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER: \
             the component has no other",
        );
    };
    // With authType none there was no TLS either, and any other has it unless it is told.
    if settings.security.tls.is_none() {
        fix.set("disableTls", "true")
    } else {
        fix
    }
}

/// No login, and the rest as it is.
pub(super) fn no_login(settings: &Settings) -> Fix {
    let words = "connect without a login, or write the address of the listener that has one in \
                 `brokers`";
    let fix = match &settings.security.tls {
        None => Fix::words(words)
            .set("authType", "none")
            .remove("disableTls"),
        Some(tls) if tls.ca.is_some() => Fix::words(words).set("authType", "certificate"),
        Some(_) => Fix::words(words).set("authType", "certificate").set(
            "caCert",
            "<the PEM of the authority that signed the broker's certificate>",
        ),
    };
    let keys: &[&str] = match &settings.security.login {
        Login::None => &[],
        Login::Password(_) => &["saslMechanism", "saslUsername", "saslPassword"],
        Login::Oidc(_) => &["oidcTokenEndpoint", "oidcClientID", "oidcClientSecret"],
        Login::Aws(_) => &["awsRegion", "awsAccessKey", "awsSecretKey"],
    };
    keys.iter().fold(fix, |fix, key| fix.remove(*key))
}
