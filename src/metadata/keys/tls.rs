//! How connections are protected.

use redact::Secret;

use super::{Key, access};
use crate::metadata::{parse, security::AuthType};

const WITH_TLS: &[AuthType] = &[
    AuthType::Certificate,
    AuthType::Mtls,
    AuthType::Password,
    AuthType::Oidc,
    AuthType::OidcPrivateKeyJwt,
    AuthType::AwsIam,
];

pub(super) const KEYS: &[Key] = &[
    access(
        "caCert",
        None,
        |text, access| {
            access.ca = Some(parse::pem(text, "CERTIFICATE")?);
            Ok(())
        },
        "Who signs the brokers' certificates, as PEM; several certificates may follow one another. Without it the system's certificate authorities decide. Required with authType certificate.",
    )
    .example("-----BEGIN CERTIFICATE-----")
    .only_for(WITH_TLS),
    access(
        "clientCert",
        None,
        |text, access| {
            access.certificate = Some(parse::pem(text, "CERTIFICATE")?);
            Ok(())
        },
        "The client's certificate as PEM, with intermediate ones behind it. Required with authType mtls.",
    )
    .example("-----BEGIN CERTIFICATE-----")
    .only_for(&[AuthType::Mtls]),
    access(
        "clientKey",
        None,
        |text, access| {
            access.key = Some(Secret::new(parse::pem(text, "PRIVATE KEY")?));
            Ok(())
        },
        "The client certificate's private key, as PEM. Required with authType mtls.",
    )
    .example("-----BEGIN PRIVATE KEY-----")
    .only_for(&[AuthType::Mtls])
    .hidden(),
    access(
        "disableTls",
        Some("false"),
        |text, access| {
            access.disable_tls = parse::flag(text)?;
            Ok(())
        },
        "true: no TLS, whatever the authType. What is sent can then be read on the way, a password of saslMechanism PLAINTEXT too. With authType none TLS is off anyway.",
    )
    .flag()
    .only_for(WITH_TLS),
    access(
        "skipVerify",
        Some("false"),
        |text, access| {
            access.skip_verify = parse::flag(text)?;
            Ok(())
        },
        "true: any certificate of a broker, or of the token endpoint, will do. For tests only: whoever stands between may then read and change everything.",
    )
    .flag()
    .only_for(WITH_TLS),
];
