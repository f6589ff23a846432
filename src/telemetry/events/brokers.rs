//! What is worth telling about brokers that were examined.

use std::sync::Arc;

use metrics::gauge;
use tracing::{error, info, warn};

use super::super::metrics as names;

/// Something was found while a component started.
#[derive(Debug)]
pub struct BrokerFound<'a> {
    /// The component instance.
    pub instance: &'a Arc<str>,
    /// Which broker.
    pub broker: &'a str,
    /// The finding's stable code.
    pub code: &'static str,
    /// The cause.
    pub cause: &'a str,
    /// What to do.
    pub fix: &'a str,
    /// The component does not start because of it.
    pub error: bool,
}

impl BrokerFound<'_> {
    /// Logs it.
    pub fn emit(self) {
        let Self {
            instance,
            broker,
            code,
            cause,
            fix,
            error,
        } = self;
        if error {
            error!(%instance, code, broker, "broker {broker}: {code}: {cause}. Fix: {fix}");
        } else {
            warn!(%instance, code, broker, "broker {broker}: {code}: {cause}. Fix: {fix}");
        }
    }
}

/// Why the connection to a broker broke while the component runs.
#[derive(Debug)]
pub struct BrokerProblem<'a> {
    /// The component instance.
    pub instance: &'a Arc<str>,
    /// Which broker.
    pub broker: &'a str,
    /// The finding's stable code.
    pub code: &'static str,
    /// The cause.
    pub cause: &'a str,
    /// What to do.
    pub fix: &'a str,
}

impl BrokerProblem<'_> {
    /// Logs it.
    pub fn emit(self) {
        let Self {
            instance,
            broker,
            code,
            cause,
            fix,
        } = self;
        error!(
            %instance, code, broker,
            "the connection to broker {broker} broke: {code}: {cause}. Fix: {fix}"
        );
    }
}

/// A broker that had a problem is reached again.
#[derive(Debug)]
pub struct BrokerWell<'a> {
    /// The component instance.
    pub instance: &'a Arc<str>,
    /// Which broker.
    pub broker: &'a str,
    /// What it had.
    pub code: &'static str,
}

impl BrokerWell<'_> {
    /// Logs it.
    pub fn emit(self) {
        let Self {
            instance,
            broker,
            code,
        } = self;
        info!(%instance, code, broker, "broker {broker} is reached again: {code} is over");
    }
}

/// How many brokers have this problem now.
pub fn broker_problems(instance: &Arc<str>, code: &'static str, count: u32) {
    gauge!(names::BROKER_PROBLEM, "component" => instance.clone(), "code" => code).set(count);
}
