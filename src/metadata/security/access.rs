//! The keys of TLS and login as they were given, and what they mean together.

use std::{collections::BTreeMap, fmt};

use redact::Secret;

use super::{
    Aws, AwsKeys, ClientCertificate, Login, Mechanism, Oidc, Password, Proof, Security, Tls,
    certificates, oidc,
};
use crate::metadata::{
    Problem,
    keys::{self, Key},
};

/// The keys that say how TLS is done.
const TLS_KEYS: [&str; 3] = ["caCert", "disableTls", "skipVerify"];

/// `authType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// No login and no TLS.
    None,
    /// TLS with `caCert`, no login.
    Certificate,
    /// A client certificate.
    Mtls,
    /// `saslUsername` and `saslPassword`.
    Password,
    /// A token, by a client secret.
    Oidc,
    /// A token, by a signed assertion.
    OidcPrivateKeyJwt,
    /// A token, by AWS keys.
    AwsIam,
}

/// What was given of TLS and login.
#[derive(Clone, Default, PartialEq)]
pub struct Access {
    /// `authType`.
    pub(in crate::metadata) auth_type: Option<AuthType>,
    /// `authRequired`.
    pub(in crate::metadata) auth_required: Option<bool>,
    /// `disableTls`.
    pub(in crate::metadata) disable_tls: bool,
    /// `skipVerify`.
    pub(in crate::metadata) skip_verify: bool,
    /// `caCert`.
    pub(in crate::metadata) ca: Option<String>,
    /// `clientCert`.
    pub(in crate::metadata) certificate: Option<String>,
    /// `clientKey`.
    pub(in crate::metadata) key: Option<Secret<String>>,
    /// `saslMechanism`.
    pub(in crate::metadata) mechanism: Mechanism,
    /// The mechanism is written so that the built-in component takes it for PLAIN.
    pub(in crate::metadata) is_plain_to_the_built_in: bool,
    /// `saslUsername`.
    pub(in crate::metadata) username: Option<Secret<String>>,
    /// `saslPassword`.
    pub(in crate::metadata) password: Option<Secret<String>>,
    /// `oidcTokenEndpoint`.
    pub(in crate::metadata) endpoint: Option<String>,
    /// `oidcClientID`.
    pub(in crate::metadata) client_id: Option<String>,
    /// `oidcClientSecret`.
    pub(in crate::metadata) client_secret: Option<Secret<String>>,
    /// `oidcScopes`.
    pub(in crate::metadata) scopes: Vec<String>,
    /// `oidcExtensions`.
    pub(in crate::metadata) extensions: BTreeMap<String, String>,
    /// `oidcClientAssertionCert`.
    pub(in crate::metadata) assertion_certificate: Option<String>,
    /// `oidcClientAssertionKey`.
    pub(in crate::metadata) assertion_key: Option<Secret<String>>,
    /// `oidcKid`.
    pub(in crate::metadata) kid: Option<String>,
    /// `oidcAudience`.
    pub(in crate::metadata) audience: Option<String>,
    /// `oidcResource`.
    pub(in crate::metadata) resource: Option<String>,
    /// `awsRegion`.
    pub(in crate::metadata) aws_region: Option<String>,
    /// `awsAccessKey`.
    pub(in crate::metadata) aws_access_key: Option<Secret<String>>,
    /// `awsSecretKey`.
    pub(in crate::metadata) aws_secret_key: Option<Secret<String>>,
    /// `awsSessionToken`.
    pub(in crate::metadata) aws_session_token: Option<Secret<String>>,
    /// `awsIamRoleArn`.
    pub(in crate::metadata) aws_role: Option<String>,
    /// `awsStsSessionName`.
    pub(in crate::metadata) aws_session_name: String,
}

/// Only the way to log in is shown: a text with a certificate may hold a key too.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("auth_type", &self.auth_type)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// What the keys mean together, or everything that is missing.
    pub(in crate::metadata) fn resolve(&self) -> Result<Security, Vec<Problem>> {
        let Some(auth_type) = self.auth_type() else {
            return Err(vec![missing(
                "authType",
                "required, but missing or empty; for example \"none\"",
            )]);
        };
        let mut missing = Missing::new(auth_type);
        let login = self.login(auth_type, &mut missing);
        let client = (auth_type == AuthType::Mtls).then(|| ClientCertificate {
            certificate: missing.of("clientCert", self.certificate.as_ref()),
            key: missing.of("clientKey", self.key.as_ref()),
        });
        if auth_type == AuthType::Certificate {
            missing.of("caCert", self.ca.as_ref());
        }
        if auth_type == AuthType::Mtls && self.disable_tls {
            missing.0.push(Problem {
                key: "disableTls".into(),
                value: Some("true".into()),
                message: "a client certificate needs TLS; remove it, or use another authType"
                    .into(),
            });
        }
        let tls = (auth_type != AuthType::None && !self.disable_tls).then(|| Tls {
            ca: self.ca.clone(),
            client,
            skip_verify: self.skip_verify,
        });
        let mut problems = missing.0;
        let complete = problems.is_empty();
        if matches!(login, Login::Oidc(_)) {
            problems.extend(self.of_oidc(auth_type));
        }
        if complete && let Some(tls) = &tls {
            let wrong = if tls.skip_verify {
                certificates::unreadable
            } else {
                certificates::authorities
            };
            problems.extend(tls.ca.as_deref().and_then(wrong));
            problems.extend(tls.client.iter().flat_map(certificates::client));
        }
        if problems.is_empty() {
            Ok(Security { tls, login })
        } else {
            Err(problems)
        }
    }

    /// What was given and changes nothing, or should be written otherwise; `given` tells
    /// how a key of the table was written, if it was.
    pub(in crate::metadata) fn notes<'a>(
        &self,
        given: impl Fn(&str) -> Option<&'a str>,
    ) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(written) = given("authRequired") {
            notes.push(match (self.auth_type, self.auth_type()) {
                (None, Some(meant)) => {
                    let name = meant.name();
                    format!("{written} is deprecated; write authType \"{name}\" instead")
                }
                _ => format!("{written} has no effect: authType is given"),
            });
        }
        if let Some(written) = given("saslMechanism")
            && self.is_plain_to_the_built_in
            && self.auth_type() == Some(AuthType::Password)
        {
            let name = self.mechanism.name();
            notes.push(format!(
                "{written} means {name} here; Dapr's built-in component would have sent PLAIN"
            ));
        }
        let unverified = self.skip_verify && !self.disable_tls;
        if let (true, Some(written), Some(ca)) = (unverified, given("caCert"), &self.ca)
            && self.auth_type() != Some(AuthType::None)
            && let Some(Problem { message, .. }) = certificates::authorities(ca)
        {
            notes.push(format!(
                "{written}: {message}, unless skipVerify stays true"
            ));
        }
        for key in keys::all() {
            if let (Some(written), Some(reason)) = (given(key.name), self.unused(key)) {
                notes.push(format!("{written} has no effect: {reason}"));
            }
        }
        notes
    }

    /// Why a key changes nothing with this `authType`; `None` if it may.
    pub(in crate::metadata) fn unused(&self, key: &Key) -> Option<String> {
        let auth_type = self.auth_type()?;
        let of_tls = TLS_KEYS.contains(&key.name);
        if of_tls && auth_type == AuthType::None {
            return Some("authType none has no TLS".into());
        }
        if !key.auth_types.is_empty() && !key.auth_types.contains(&auth_type) {
            let names: Vec<_> = key.auth_types.iter().map(|auth| auth.name()).collect();
            return Some(format!("it is for authType {}", names.join(" and ")));
        }
        let of_endpoint = matches!(auth_type, AuthType::Oidc | AuthType::OidcPrivateKeyJwt);
        let disables = key.name == "disableTls";
        (of_tls && self.disable_tls && !of_endpoint && !disables)
            .then(|| "disableTls is true".into())
    }

    /// `authType`, or what `authRequired` meant before there was one.
    fn auth_type(&self) -> Option<AuthType> {
        self.auth_type.or_else(|| {
            self.auth_required
                .map(|required| match (required, &self.password) {
                    (false, _) => AuthType::None,
                    (true, Some(_)) => AuthType::Password,
                    (true, None) => AuthType::Mtls,
                })
        })
    }

    fn login(&self, auth_type: AuthType, missing: &mut Missing) -> Login {
        match auth_type {
            AuthType::None | AuthType::Certificate | AuthType::Mtls => Login::None,
            AuthType::Password => Login::Password(Password {
                mechanism: self.mechanism,
                username: missing.of("saslUsername", self.username.as_ref()),
                password: missing.of("saslPassword", self.password.as_ref()),
            }),
            AuthType::Oidc => {
                let secret = missing.of("oidcClientSecret", self.client_secret.as_ref());
                self.oidc(Proof::Secret(secret), missing)
            }
            AuthType::OidcPrivateKeyJwt => {
                // The built-in wants it too, and does not read it either.
                missing.of(
                    "oidcClientAssertionCert",
                    self.assertion_certificate.as_ref(),
                );
                let proof = Proof::PrivateKeyJwt {
                    key: missing.of("oidcClientAssertionKey", self.assertion_key.as_ref()),
                    kid: self.kid.clone(),
                    audience: self.audience.clone(),
                    resource: self.resource.clone(),
                };
                self.oidc(proof, missing)
            }
            AuthType::AwsIam => self.aws(missing),
        }
    }

    fn oidc(&self, proof: Proof, missing: &mut Missing) -> Login {
        Login::Oidc(Box::new(Oidc {
            endpoint: missing.of("oidcTokenEndpoint", self.endpoint.as_ref()),
            client_id: missing.of("oidcClientID", self.client_id.as_ref()),
            proof,
            scopes: self.scopes.clone(),
            extensions: self.extensions.clone(),
            ca: self.ca.clone(),
            skip_verify: self.skip_verify,
        }))
    }

    /// What is wrong with what was given for a token.
    fn of_oidc(&self, auth_type: AuthType) -> Vec<Problem> {
        let mut problems = oidc::extensions(&self.extensions);
        let endpoint = self.endpoint.as_deref().map(oidc::endpoint);
        problems.extend(endpoint.and_then(Result::err));
        let signs = auth_type == AuthType::OidcPrivateKeyJwt;
        let key = self.assertion_key.as_ref().filter(|_| signs);
        problems.extend(key.map(oidc::assertion_key).and_then(Result::err));
        problems
    }

    fn aws(&self, missing: &mut Missing) -> Login {
        let keys = match (&self.aws_access_key, &self.aws_secret_key) {
            (None, None) => None,
            (access, secret) => Some(AwsKeys {
                access: missing.of("awsAccessKey", access.as_ref()),
                secret: missing.of("awsSecretKey", secret.as_ref()),
                token: self.aws_session_token.clone(),
            }),
        };
        Login::Aws(Box::new(Aws {
            region: missing.of("awsRegion", self.aws_region.as_ref()),
            keys,
            role: self.aws_role.clone(),
            session_name: self.aws_session_name.clone(),
        }))
    }
}

/// What an `authType` needs and was not given.
struct Missing(Vec<Problem>, AuthType);

impl Missing {
    fn new(auth_type: AuthType) -> Self {
        Self(Vec::new(), auth_type)
    }

    /// The value, or a blank one and a problem.
    fn of<T: Clone + Blank>(&mut self, key: &str, value: Option<&T>) -> T {
        value.cloned().unwrap_or_else(|| {
            let message = format!("required with authType {}", self.1.name());
            self.0.push(missing(key, &message));
            T::blank()
        })
    }
}

/// A value that stands for a missing one until that is reported.
trait Blank {
    fn blank() -> Self;
}

impl Blank for String {
    fn blank() -> Self {
        Self::new()
    }
}

impl Blank for Secret<String> {
    fn blank() -> Self {
        Self::new(String::new())
    }
}

fn missing(key: &str, message: &str) -> Problem {
    Problem {
        key: key.into(),
        value: None,
        message: message.into(),
    }
}

impl AuthType {
    /// The words of `authType`.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("none", Self::None),
        ("certificate", Self::Certificate),
        ("mtls", Self::Mtls),
        ("password", Self::Password),
        ("oidc", Self::Oidc),
        ("oidc_private_key_jwt", Self::OidcPrivateKeyJwt),
        ("awsiam", Self::AwsIam),
    ];

    /// What it means, in a sentence.
    pub fn description(self) -> &'static str {
        match self {
            Self::None => "No login, and no TLS.",
            Self::Certificate => "TLS with a certificate authority of one's own, and no login.",
            Self::Mtls => "TLS with a client certificate.",
            Self::Password => "A user with a password, by SASL.",
            Self::Oidc => "A token of an identity provider, by a client secret.",
            Self::OidcPrivateKeyJwt => "A token of an identity provider, by a signed assertion.",
            Self::AwsIam => "An AWS identity, for Amazon MSK.",
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, word)| *word == self);
        found.map_or("", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests;
