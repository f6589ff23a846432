//! A login over a connection.

use std::{fmt::Write as _, time::Instant};

use bytes::Bytes;
use kafka_protocol::{
    messages::{SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest},
    protocol::StrBytes,
};
use openssl::hash::MessageDigest;

use super::scram::{self, Scram};
use crate::{
    doctor::wire::{Answered, Broken, Wire, shown},
    metadata::security::{Mechanism, Password},
    token::Token,
};

/// The version of the handshake whose messages after it are requests too.
const WRAPPED: i16 = 1;

const UNSUPPORTED_MECHANISM: i16 = 33;
const ILLEGAL_STATE: i16 = 34;

/// What is shown to the broker.
pub(super) enum Proof<'a> {
    Password(&'a Password),
    Token(&'a Token),
}

/// Why there is no login.
#[derive(Debug)]
pub(super) enum Failure {
    /// The mechanism is not among these.
    NotOffered(Vec<String>),
    /// There is no login at this listener; how that shows.
    NoLogin(&'static str),
    /// What was shown is refused, with these words.
    Refused(String),
    /// An answer is none.
    Broken(Broken),
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            // Only what was asked here: whether there is a handshake.
            Broken::Unserved { key: 17 } => Self::NoLogin("it does not serve SaslHandshake"),
            broken => Self::Broken(broken),
        }
    }
}

impl Proof<'_> {
    /// SASL's name of the mechanism.
    pub(super) fn mechanism(&self) -> &'static str {
        match self {
            Self::Password(password) => password.mechanism.name(),
            Self::Token(_) => "OAUTHBEARER",
        }
    }
}

/// Logs in; the last answer, and the mechanisms that are offered.
pub(super) async fn log_in(
    wire: &mut Wire,
    proof: &Proof<'_>,
    until: Instant,
) -> Result<(Answered<SaslAuthenticateResponse>, Vec<String>), Failure> {
    let offered = offered(wire, proof.mechanism(), until).await?;
    let answer = match proof {
        Proof::Password(password) => by_password(wire, password, until).await,
        Proof::Token(token) => by_token(wire, token, until).await,
    };
    Ok((answer?, offered))
}

/// Begins a login by this mechanism; what is offered, and this is among it.
pub(super) async fn offered(
    wire: &mut Wire,
    mechanism: &'static str,
    until: Instant,
) -> Result<Vec<String>, Failure> {
    let request =
        SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
    let answer = wire.ask_below(&request, WRAPPED, until).await?;
    let offered = answer.value.mechanisms.iter();
    let offered = offered.map(|name| shown(name.as_str())).take(20).collect();
    match answer.value.error_code {
        0 if answer.version < WRAPPED => Err(Failure::Broken(Broken::Nonsense(
            "it knows only the first version of logins".to_owned(),
        ))),
        0 => Ok(offered),
        UNSUPPORTED_MECHANISM => Err(Failure::NotOffered(offered)),
        ILLEGAL_STATE => Err(Failure::NoLogin("it says that there is no login here")),
        // Nobody has shown a password yet.
        code => Err(Failure::Broken(Broken::Nonsense(format!(
            "it answers SaslHandshake with error {code}"
        )))),
    }
}

async fn by_password(
    wire: &mut Wire,
    password: &Password,
    until: Instant,
) -> Result<Answered<SaslAuthenticateResponse>, Failure> {
    let user = password.username.expose_secret();
    let secret = password.password.expose_secret();
    let digest = match password.mechanism {
        Mechanism::Plain => return show(wire, format!("\0{user}\0{secret}"), until).await,
        Mechanism::ScramSha256 => MessageDigest::sha256(),
        Mechanism::ScramSha512 => MessageDigest::sha512(),
    };
    let wrong = |what: String| Failure::Broken(Broken::Nonsense(what));
    let begun = Scram::new(digest, user, secret);
    let begun = begun.map_err(|error| wrong(error.to_string()))?;
    let first = show(wire, begun.first(), until).await?;
    let (last, proof) = begun.last(&first.value.auth_bytes).map_err(wrong)?;
    let answer = show(wire, last, until).await?;
    if scram::proven(&answer.value.auth_bytes, &proof) {
        Ok(answer)
    } else {
        Err(wrong("it does not know the password itself".to_owned()))
    }
}

async fn by_token(
    wire: &mut Wire,
    token: &Token,
    until: Instant,
) -> Result<Answered<SaslAuthenticateResponse>, Failure> {
    let mut message = format!("n,,\u{1}auth=Bearer {}", token.value.expose_secret());
    for (key, value) in &token.extensions {
        let _ = write!(message, "\u{1}{key}={value}");
    }
    message.push_str("\u{1}\u{1}");
    let answer = show(wire, message, until).await?;
    if answer.value.auth_bytes.is_empty() {
        return Ok(answer);
    }
    // A refusal comes as JSON, and is sealed by an answer to it (RFC 7628, section 3.2.3).
    let said = String::from_utf8_lossy(&answer.value.auth_bytes).into_owned();
    let said = shown(&said);
    Err(Failure::Refused(
        match show(wire, "\u{1}".to_owned(), until).await {
            Err(Failure::Refused(more)) if more != said => format!("{said} {more}"),
            _ => said,
        },
    ))
}

/// Shows the broker a message of the login.
async fn show(
    wire: &mut Wire,
    message: String,
    until: Instant,
) -> Result<Answered<SaslAuthenticateResponse>, Failure> {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(message));
    let answer = wire.ask(&request, until).await?;
    if answer.value.error_code == 0 {
        return Ok(answer);
    }
    let text = answer.value.error_message.as_deref().map(shown);
    let text = text.filter(|text| !text.is_empty());
    Err(Failure::Refused(text.unwrap_or_else(|| {
        format!("error {}", answer.value.error_code)
    })))
}
