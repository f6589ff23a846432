//! Who logs in.

use redact::Secret;

use super::{Compare, Key, access};
use crate::metadata::{
    parse,
    security::{AuthType, Mechanism},
};

const PASSWORD: &[AuthType] = &[AuthType::Password];
const OIDC: &[AuthType] = &[AuthType::Oidc, AuthType::OidcPrivateKeyJwt];
const SECRET: &[AuthType] = &[AuthType::Oidc];
const ASSERTION: &[AuthType] = &[AuthType::OidcPrivateKeyJwt];

pub(super) const KEYS: &[Key] = &[
    access(
        "authType",
        None,
        |text, access| {
            access.auth_type = Some(parse::word(text, &AuthType::WORDS)?);
            Ok(())
        },
        "How to log in. Required, as in the built-in component. none: no login and \
         no TLS; certificate: TLS with caCert, no login; mtls: clientCert and \
         clientKey; password: saslUsername and saslPassword; oidc: a token, by \
         oidcClientSecret; oidc_private_key_jwt: a token, by \
         oidcClientAssertionKey; awsiam: a token, by AWS keys.",
    )
    .required()
    .words(&[
        "none",
        "certificate",
        "mtls",
        "password",
        "oidc",
        "oidc_private_key_jwt",
        "awsiam",
    ])
    .example("none"),
    access(
        "authRequired",
        None,
        |text, access| {
            access.auth_required = Some(parse::flag(text)?);
            Ok(())
        },
        "Deprecated, and only read without authType: false is none; true is \
         password if there is a saslPassword, else mtls.",
    )
    .flag()
    .example("false"),
    access(
        "saslMechanism",
        Some("PLAINTEXT"),
        |text, access| {
            let words = [
                ("PLAINTEXT", Mechanism::Plain),
                ("SHA-256", Mechanism::ScramSha256),
                ("SHA-512", Mechanism::ScramSha512),
                ("PLAIN", Mechanism::Plain),
                ("SCRAM-SHA-256", Mechanism::ScramSha256),
                ("SCRAM-SHA-512", Mechanism::ScramSha512),
            ];
            access.mechanism = parse::word(text, &words)?;
            access.is_plain_to_the_built_in =
                access.mechanism != Mechanism::Plain && !["SHA-256", "SHA-512"].contains(&text);
            Ok(())
        },
        "How the password is proven: PLAINTEXT (SASL's PLAIN), SHA-256 or SHA-512 \
         (SCRAM). SASL's own names are taken as well: PLAIN, SCRAM-SHA-256, \
         SCRAM-SHA-512. The built-in takes every other word for PLAINTEXT.",
    )
    .words(&[
        "PLAINTEXT",
        "SHA-256",
        "SHA-512",
        "PLAIN",
        "SCRAM-SHA-256",
        "SCRAM-SHA-512",
    ])
    .compare(Compare::Differs(
        "an unknown word is an error; the built-in takes it for PLAINTEXT, and so it takes \
         SCRAM-SHA-256 and SHA-256 in another case",
    ))
    .only_for(PASSWORD),
    secret!(
        "saslUsername",
        username,
        PASSWORD,
        "The user. Required with authType password. The doctor names it where it says which \
         rights the user needs; nothing else shows it."
    )
    .example("orders"),
    secret!(
        "saslPassword",
        password,
        PASSWORD,
        "The user's password. Required with authType password."
    )
    .example("…"),
    text!(
        "oidcTokenEndpoint",
        endpoint,
        OIDC,
        "The identity provider's token endpoint, a URL. Required with authType \
         oidc and oidc_private_key_jwt."
    )
    .example("https://id.example.com/v1/token"),
    text!(
        "oidcClientID",
        client_id,
        OIDC,
        "The OAuth client. Required with authType oidc and oidc_private_key_jwt."
    )
    .example("orders"),
    secret!(
        "oidcClientSecret",
        client_secret,
        SECRET,
        "The OAuth client's secret. Required with authType oidc."
    )
    .example("…"),
    access(
        "oidcScopes",
        Some("openid"),
        |text, access| {
            access.scopes = text
                .split(',')
                .map(|scope| scope.trim().to_owned())
                .collect();
            Ok(())
        },
        "The scopes to ask for, comma-separated.",
    )
    .only_for(OIDC),
    access(
        "oidcExtensions",
        None,
        |text, access| {
            access.extensions = parse::extensions(text)?;
            Ok(())
        },
        "SASL extensions that brokers get with the token: a JSON object of texts, \
         such as {\"logicalCluster\":\"lkc-1\"}.",
    )
    .example("{\"logicalCluster\":\"lkc-1\"}")
    .only_for(OIDC),
    text!(
        "oidcClientAssertionCert",
        assertion_certificate,
        ASSERTION,
        "Required with authType oidc_private_key_jwt, as in the built-in, and not read: \
         oidcKid names the key to the provider."
    )
    .since("1.18")
    .example("-----BEGIN CERTIFICATE-----"),
    secret!(
        "oidcClientAssertionKey",
        assertion_key,
        ASSERTION,
        "The RSA key that signs the client's assertion, as PEM. Required with \
         authType oidc_private_key_jwt."
    )
    .since("1.18")
    .example("-----BEGIN PRIVATE KEY-----"),
    text!(
        "oidcKid",
        kid,
        ASSERTION,
        "The key's id in the assertion's header (`kid`)."
    )
    .since("1.18")
    .example("key-1"),
    text!(
        "oidcAudience",
        audience,
        ASSERTION,
        "Whom the assertion and the token are for; by default the assertion is for \
         the token endpoint."
    )
    .since("1.18")
    .example("https://id.example.com/realms/local"),
    text!(
        "oidcResource",
        resource,
        ASSERTION,
        "The resource that the token is asked for."
    )
    .since("1.18")
    .example("api://kafka"),
];
