//! What is worth telling about clients of the brokers.

use std::sync::Arc;

use metrics::counter;
use tracing::error;

use super::super::metrics as names;

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
