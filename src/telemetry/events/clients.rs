//! What is worth telling about clients of the brokers.

use std::{sync::Arc, time::Duration};

use metrics::counter;
use tracing::{error, info, warn};

use super::{super::metrics as names, FAILED, OK};

/// A client was broken for good, or hung, and was made anew.
#[derive(Debug)]
pub struct MadeAnew<'a> {
    /// The component instance.
    pub instance: &'a Arc<str>,
    /// Which client: `producer` or `consumer`.
    pub client: &'static str,
    /// Why.
    pub reason: &'a str,
}

impl MadeAnew<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        counter!(
            names::CLIENTS_MADE_ANEW,
            "component" => self.instance.clone(),
            "client" => self.client
        )
        .increment(1);
        error!(
            instance = %self.instance,
            "the {} was made anew: {}", self.client, self.reason
        );
    }
}

/// A token for the login was fetched.
#[derive(Debug)]
pub struct TokenRenewed<'a> {
    /// Who gave it. No instance: those that log in alike share it.
    pub from: &'a str,
    /// How long brokers take it.
    pub lives: Duration,
}

impl TokenRenewed<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        token(self.from, OK);
        info!("a token from {} for {} s", self.from, self.lives.as_secs());
    }
}

/// No token for the login could be fetched.
#[derive(Debug)]
pub struct TokenFailed<'a> {
    /// Who was asked.
    pub from: &'a str,
    /// Who was asked, what came back, and the remedy.
    pub reason: &'a str,
    /// When it is tried again.
    pub again: Duration,
}

impl TokenFailed<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        token(self.from, FAILED);
        warn!("login: {}; trying again in {:?}", self.reason, self.again);
    }
}

fn token(from: &str, result: &'static str) {
    counter!(names::TOKENS, "source" => from.to_owned(), "result" => result).increment(1);
}
