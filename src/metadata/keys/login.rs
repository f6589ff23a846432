//! Who logs in.

use redact::Secret;

use super::{Key, access, hidden};
use crate::metadata::{
    parse,
    security::{AuthType, Mechanism},
};

/// A row that keeps its value as text.
macro_rules! text {
    ($name:literal, $field:ident, $doc:literal) => {
        access(
            $name,
            None,
            |text, access| {
                access.$field = Some(text.to_owned());
                Ok(())
            },
            $doc,
        )
    };
}

/// A row whose value nobody may see.
macro_rules! secret {
    ($name:literal, $field:ident, $doc:literal) => {
        hidden(access(
            $name,
            None,
            |text, access| {
                access.$field = Some(Secret::new(text.to_owned()));
                Ok(())
            },
            $doc,
        ))
    };
}

pub(super) const KEYS: &[Key] = &[
    access(
        "authType",
        None,
        |text, access| {
            access.auth_type = Some(parse::word(text, &AuthType::WORDS)?);
            Ok(())
        },
        "How to log in. Required, as in the built-in component. none: no login and no TLS; certificate: TLS with caCert, no login; mtls: clientCert and clientKey; password: saslUsername and saslPassword; oidc: a token, by oidcClientSecret; oidc_private_key_jwt: a token, by oidcClientAssertionKey; awsiam: a token, by AWS keys.",
    ),
    access(
        "authRequired",
        None,
        |text, access| {
            access.auth_required = Some(parse::flag(text)?);
            Ok(())
        },
        "Deprecated, and only read without authType: false is none; true is password if there is a saslPassword, else mtls.",
    ),
    access(
        "saslMechanism",
        Some("PLAINTEXT"),
        |text, access| {
            let words = [
                ("PLAINTEXT", Mechanism::Plain),
                ("SHA-256", Mechanism::ScramSha256),
                ("SHA-512", Mechanism::ScramSha512),
            ];
            access.mechanism = parse::word(text, &words)?;
            Ok(())
        },
        "How the password is proven: PLAINTEXT (SASL's PLAIN), SHA-256 or SHA-512 (SCRAM). The built-in takes any other word for PLAINTEXT.",
    ),
    secret!(
        "saslUsername",
        username,
        "The user. Required with authType password."
    ),
    secret!(
        "saslPassword",
        password,
        "The user's password. Required with authType password."
    ),
    text!(
        "oidcTokenEndpoint",
        endpoint,
        "The identity provider's token endpoint, a URL. Required with authType oidc and oidc_private_key_jwt."
    ),
    text!(
        "oidcClientID",
        client_id,
        "The OAuth client. Required with authType oidc and oidc_private_key_jwt."
    ),
    secret!(
        "oidcClientSecret",
        client_secret,
        "The OAuth client's secret. Required with authType oidc."
    ),
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
    ),
    access(
        "oidcExtensions",
        None,
        |text, access| {
            access.extensions = parse::extensions(text)?;
            Ok(())
        },
        "SASL extensions that brokers get with the token: a JSON object of texts, such as {\"logicalCluster\":\"lkc-1\"}.",
    ),
    text!(
        "oidcClientAssertionCert",
        assertion_certificate,
        "The certificate whose key signs the client's assertion, as PEM. Required with authType oidc_private_key_jwt."
    ),
    secret!(
        "oidcClientAssertionKey",
        assertion_key,
        "The RSA key that signs the client's assertion, as PEM. Required with authType oidc_private_key_jwt."
    ),
    text!(
        "oidcKid",
        kid,
        "The key's id in the assertion's header (`kid`)."
    ),
    text!(
        "oidcAudience",
        audience,
        "Whom the assertion and the token are for; by default the assertion is for the token endpoint."
    ),
    text!(
        "oidcResource",
        resource,
        "The resource that the token is asked for."
    ),
    text!(
        "awsRegion",
        aws_region,
        "The cluster's AWS region. Required with authType awsiam."
    ),
    secret!(
        "awsAccessKey",
        aws_access_key,
        "The AWS access key; without keys the environment, the profile and the machine's own role are asked, in the AWS SDK's order."
    ),
    secret!("awsSecretKey", aws_secret_key, "The access key's secret."),
    secret!(
        "awsSessionToken",
        aws_session_token,
        "The token of temporary keys."
    ),
    text!("awsIamRoleArn", aws_role, "The role to assume."),
    access(
        "awsStsSessionName",
        Some("DaprDefaultSession"),
        |text, access| {
            text.clone_into(&mut access.aws_session_name);
            Ok(())
        },
        "The session's name when a role is assumed.",
    ),
];
