use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::{Recorder, Row};
use crate::{
    metadata::{Settings, security::Login},
    token::{self, Failed, Source},
};

/// How long checks may take.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    /// Each stage, at each broker.
    EachStage(Duration),
    /// All of them together.
    Until(Instant),
}

/// The token that logs in, if the login needs one.
pub struct Token(OnceCell<Result<token::Token, Failed>>);

impl Token {
    /// Fetches one when it is first needed.
    pub fn fetched() -> Self {
        Self(OnceCell::new())
    }

    /// What was fetched already, or why there is none.
    pub fn known(token: Result<token::Token, Failed>) -> Self {
        Self(OnceCell::new_with(Some(token)))
    }

    /// The token; `None` if this login needs none.
    pub(super) async fn of(&self, login: &Login) -> Option<&Result<token::Token, Failed>> {
        if matches!(login, Login::None | Login::Password(_)) {
            return None;
        }
        let fetched = self.0.get_or_init(|| async {
            match Source::new(login)? {
                Some(source) => source.fetch().await,
                None => unreachable!("logins without tokens have returned"),
            }
        });
        Some(fetched.await)
    }
}

/// The part of the time left that a stage may have, where there is one end for all: what
/// it finds has to be explained in the rest.
const SHARE: f64 = 2.0 / 3.0;

/// What all checks need.
pub(super) struct Context<'a> {
    pub(super) settings: &'a Settings,
    pub(super) token: Token,
    pub(super) patience: Patience,
    pub(super) recorder: &'a Recorder,
}

impl Context<'_> {
    /// When the stage that begins now must have come to its end.
    pub(super) fn until(&self) -> Instant {
        match self.patience {
            Patience::EachStage(each) => Instant::now() + each,
            Patience::Until(end) => {
                let now = Instant::now();
                now + end.saturating_duration_since(now).mul_f64(SHARE)
            }
        }
    }
}

/// How checks call a broker where the cluster says that it is.
const AS_ADVERTISED: &str = ", as advertised)";

/// Whether checks of this subject are of a broker where the cluster says that it is.
pub(super) fn is_advertised(subject: &str) -> bool {
    subject.ends_with(AS_ADVERTISED)
}

/// A broker that is examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `host:port`; an IPv6 address stands in brackets.
    pub(super) address: String,
    /// The node id, if this is where the cluster says that a broker is; `None` for a
    /// bootstrap broker.
    pub(super) advertised: Option<i32>,
}

impl Target {
    /// One of the setting `brokers`.
    pub(super) fn bootstrap(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            advertised: None,
        }
    }

    /// What checks call it.
    pub(super) fn subject(&self) -> String {
        match self.advertised {
            Some(id) => format!("{} (broker {id}{AS_ADVERTISED}", self.address),
            None => self.address.clone(),
        }
    }

    /// The row for the one case or the other: what is advertised is not for the
    /// component's YAML to change.
    pub(super) fn pick(&self, bootstrap: &'static Row, advertised: &'static Row) -> &'static Row {
        if self.advertised.is_some() {
            advertised
        } else {
            bootstrap
        }
    }

    /// Host and port; the host without brackets.
    pub(super) fn parts(&self) -> Option<(&str, u16)> {
        let (host, port) = self.address.rsplit_once(':')?;
        Some((host.trim_matches(['[', ']']), port.parse().ok()?))
    }
}
