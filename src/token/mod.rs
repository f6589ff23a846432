//! Tokens for logins that need one: asked of an identity provider (OIDC), or signed
//! here with AWS keys (MSK).
//!
//! A [`Source`] only fetches. Who keeps a token, and when it is renewed, is told in
//! `kafka/oauth.rs`.

mod answer;
mod assertion;
mod aws;
mod hidden;
mod http;
mod oidc;

use std::{collections::BTreeMap, time::SystemTime};

use redact::Secret;

use crate::metadata::{Problem, security::Login};

/// A token that brokers take for a login (SASL's OAUTHBEARER, RFC 7628).
#[derive(Clone, Debug)]
pub struct Token {
    /// What the broker gets.
    pub value: Secret<String>,
    /// Whom it is for; only librdkafka's log tells it.
    pub principal: String,
    /// When brokers stop taking it.
    pub expires: SystemTime,
    /// SASL extensions that go with it.
    pub extensions: BTreeMap<String, String>,
}

/// Why there is no token. The text names who was asked, what came back and what to
/// change; never a secret, never a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failed {
    /// What kind of failure it is.
    pub kind: Kind,
    /// All of it in words.
    pub text: String,
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The component's metadata is wrong.
    Setting,
    /// Whoever was asked did not answer, or answered nonsense.
    Unreachable,
    /// Whoever was asked said no.
    Refused,
}

impl Failed {
    fn setting(text: impl Into<String>) -> Self {
        Self::new(Kind::Setting, text)
    }

    fn new(kind: Kind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, text }
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::setting(problem.to_string())
    }
}

/// Where a login's tokens come from.
pub enum Source {
    /// An identity provider's token endpoint.
    Oidc(Box<oidc::Client>),
    /// AWS keys.
    Aws(Box<aws::Signer>),
}

impl Source {
    /// The source for a login; `None` for one that needs no token.
    ///
    /// # Errors
    /// When a certificate, a key or a URL of the metadata can't be read.
    pub fn new(login: &Login) -> Result<Option<Self>, Failed> {
        Ok(match login {
            Login::None | Login::Password(_) => None,
            Login::Oidc(login) => Some(Self::Oidc(Box::new(oidc::Client::new(login)?))),
            Login::Aws(login) => Some(Self::Aws(Box::new(aws::Signer::new(login)?))),
        })
    }

    /// A new token; takes up to 10 s when whoever is asked does not answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn fetch(&self) -> Result<Token, Failed> {
        match self {
            Self::Oidc(client) => client.fetch().await,
            Self::Aws(signer) => signer.fetch().await,
        }
    }

    /// What to look at when no token comes in time, and why is not known.
    pub fn check(&self) -> &'static str {
        match self {
            Self::Oidc(_) => "check that it can be reached from here",
            Self::Aws(signer) => signer.check(),
        }
    }

    /// What the user should know of this login.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::Oidc(client) => client.note(),
            Self::Aws(signer) => signer.note(),
        }
    }
}

impl std::fmt::Display for Source {
    /// Who is asked.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Oidc(client) => write!(f, "{}", client.endpoint()),
            Self::Aws(signer) => write!(f, "{}", signer.keys()),
        }
    }
}
