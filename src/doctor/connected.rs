//! Connections for a command that asks brokers for something in Kafka's own protocol.

use std::time::{Duration, Instant};

use kafka_protocol::protocol::Request;

use super::{
    Patience, Recorder, Token, context::Context, run, stages, stages::Cluster, wire::name,
};
use crate::metadata::Settings;

/// The most that is said of why no broker is reached, in characters.
const LONGEST: usize = 1000;

/// Brokers that were reached, by way of all checks up to the cluster's.
pub struct Connected {
    cluster: Cluster,
    /// How long an answer may take.
    patience: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Connected {
    /// Goes from the bootstrap brokers' names to the cluster; each step at each broker, and
    /// later each answer, may take as long as `patience`.
    ///
    /// # Errors
    /// When no broker can be used: the doctor's first finding and its fix.
    pub async fn open(settings: &Settings, patience: Duration) -> Result<Self, Refused> {
        let recorder = Recorder::default();
        recorder.knows(&settings.brokers);
        let context = Context {
            settings,
            token: Token::fetched(),
            patience: Patience::EachStage(patience),
            recorder: &recorder,
        };
        let Some(cluster) = run::reach(&context).await else {
            let found = recorder.report().brief(LONGEST);
            return Err(Refused(found.unwrap_or_else(|| "no broker answers".into())));
        };
        Ok(Self { cluster, patience })
    }

    /// Asks any broker, in the newest version that it serves.
    ///
    /// # Errors
    /// When there is no answer, or the broker serves no such request.
    pub async fn ask<R: Request>(&mut self, request: &R) -> Result<R::Response, Refused> {
        let until = Instant::now() + self.patience;
        answer(self.cluster.any().ask(request, until).await, R::KEY)
    }

    /// Asks the controller, as far as brokers tell who that is; any other hands it on, in
    /// clusters that hide theirs (`KRaft`, Redpanda).
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_controller<R: Request>(
        &mut self,
        request: &R,
    ) -> Result<R::Response, Refused> {
        let until = Instant::now() + self.patience;
        let id = self.cluster.controller;
        let known = id.filter(|id| self.cluster.at(*id).is_some());
        let wire = match known.and_then(|id| self.cluster.at(id)) {
            Some(wire) => wire,
            None => self.cluster.any(),
        };
        answer(wire.ask(request, until).await, R::KEY)
    }

    /// The newest version of a request that a broker serves; `None` if it serves none.
    pub fn newest<R: Request>(&mut self) -> Option<i16> {
        self.cluster.any().ranges.of(R::KEY).map(|(_, last)| last)
    }
}

fn answer<T>(
    answer: Result<super::wire::Answered<T>, super::wire::Broken>,
    key: i16,
) -> Result<T, Refused> {
    answer
        .map(|answered| answered.value)
        .map_err(|broken| Refused(format!("a broker was asked {}: {broken}", name(key))))
}

/// The command that allows this client what `on` says, such as
/// `--operation Read --topic orders`.
pub fn allow(settings: &Settings, on: &str) -> String {
    let command = stages::allow(&settings.security, on);
    command.replace("<bootstrap>", &settings.brokers.join(","))
}

/// A broker's error code by its name, and what the broker says of it.
pub fn told(code: i16, message: Option<&str>) -> String {
    stages::told(code, message)
}
