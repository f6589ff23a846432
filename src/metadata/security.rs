//! How connections are protected, and who logs in: what many keys say together.

mod access;
mod certificates;
mod oidc;

use std::{collections::BTreeMap, fmt};

pub use access::{Access, AuthType};
pub use oidc::{assertion_key, endpoint};
use redact::Secret;

/// How connections are protected, and who logs in.
#[derive(Clone, Debug, PartialEq)]
pub struct Security {
    /// TLS; `None` is plaintext.
    pub tls: Option<Tls>,
    /// Who logs in.
    pub login: Login,
}

/// TLS, as the client sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// `caCert`: who signs the brokers' certificates, as PEM; `None` is the system's
    /// certificate authorities.
    pub ca: Option<String>,
    /// The client's own certificate.
    pub client: Option<ClientCertificate>,
    /// `skipVerify`: any certificate will do.
    pub skip_verify: bool,
}

/// A certificate with its private key, both as PEM.
#[derive(Clone, PartialEq)]
pub struct ClientCertificate {
    /// `clientCert`.
    pub certificate: String,
    /// `clientKey`.
    pub key: Secret<String>,
}

/// Nothing of it is shown: the key may stand in the certificate's text too.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

/// Who logs in, by SASL.
#[derive(Clone, Debug, PartialEq)]
pub enum Login {
    /// Nobody; the client's certificate may say who it is.
    None,
    /// A user with a password.
    Password(Password),
    /// Whoever a token of an identity provider names.
    Oidc(Box<Oidc>),
    /// An AWS identity, by a token that is signed here.
    Aws(Box<Aws>),
}

/// A user with a password.
#[derive(Clone, Debug, PartialEq)]
pub struct Password {
    /// `saslMechanism`.
    pub mechanism: Mechanism,
    /// `saslUsername`.
    pub username: Secret<String>,
    /// `saslPassword`.
    pub password: Secret<String>,
}

/// How a password is proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mechanism {
    /// It is sent.
    #[default]
    Plain,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// SASL's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// A token from an identity provider's token endpoint, by OAuth 2's client
/// credentials (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq)]
pub struct Oidc {
    /// `oidcTokenEndpoint`.
    pub endpoint: String,
    /// `oidcClientID`.
    pub client_id: String,
    /// How the client proves who it is.
    pub proof: Proof,
    /// `oidcScopes`.
    pub scopes: Vec<String>,
    /// `oidcExtensions`: SASL extensions that the broker gets with the token.
    pub extensions: BTreeMap<String, String>,
    /// `caCert`, which the endpoint's certificate may be signed by too.
    pub ca: Option<String>,
    /// `skipVerify`, which goes for the endpoint too.
    pub skip_verify: bool,
}

/// How an OAuth client proves who it is.
#[derive(Clone, PartialEq)]
pub enum Proof {
    /// By a secret.
    Secret(Secret<String>),
    /// By a signed assertion (RFC 7523).
    PrivateKeyJwt {
        /// `oidcClientAssertionKey`, an RSA key as PEM.
        key: Secret<String>,
        /// `oidcKid`.
        kid: Option<String>,
        /// `oidcAudience`; `None` is the endpoint.
        audience: Option<String>,
        /// `oidcResource`.
        resource: Option<String>,
    },
}

/// Nothing of it is shown: the key may stand in the certificate's text too.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::PrivateKeyJwt { .. } => "PrivateKeyJwt",
        })
    }
}

/// An AWS identity, for MSK.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aws {
    /// `awsRegion`, or `region`.
    pub region: String,
    /// `awsAccessKey` and `awsSecretKey`, and `awsSessionToken` if there is one;
    /// `None` is what the environment offers.
    pub keys: Option<AwsKeys>,
    /// `awsIamRoleArn`: the role to assume.
    pub role: Option<String>,
    /// `awsStsSessionName`.
    pub session_name: String,
}

/// Static AWS keys.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsKeys {
    /// `awsAccessKey`.
    pub access: Secret<String>,
    /// `awsSecretKey`.
    pub secret: Secret<String>,
    /// `awsSessionToken`.
    pub token: Option<Secret<String>>,
}
