//! The checks that Init has time for, and those of one broker whose connection broke.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::timeout_at;

use super::{
    Check, Finding, Fix, Outcome, Patience, Recorder, Severity, Stage, Token,
    context::{Context, Target},
    rows, run,
    stages::cluster,
    wire::Wire,
};
use crate::{
    metadata::Settings,
    model::text::{beginning, on_one_line},
};

/// How long bootstrap brokers are waited for once one was reached: what they say is told
/// together, and a silent one holds up nobody.
const TOGETHER: Duration = Duration::from_millis(50);

/// How much longer a check is waited for that should have ended by itself.
const GRACE: Duration = Duration::from_millis(200);

/// The most of librdkafka's words that is shown, in bytes.
const SHOWN: usize = 200;

/// How far the checks came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Came {
    /// To no bootstrap broker.
    Nowhere,
    /// To a bootstrap broker, and to none where the cluster says that its brokers are.
    ToBootstrap,
    /// To a broker as it is advertised: clients can work.
    ToBroker,
}

/// What came of examining one broker.
#[derive(Clone, Debug)]
pub enum Condition {
    /// It takes connections and the login.
    Reached,
    /// This is wrong.
    Wrong(Box<Check>),
    /// Neither was seen.
    Unknown,
}

/// All that is checked up to the stage `cluster`, of all brokers side by side, until
/// `until`. It is told to the recorder.
pub async fn quick(settings: &Settings, token: Token, until: Instant, recorder: &Recorder) -> Came {
    recorder.knows(&settings.brokers);
    let context = Context {
        settings,
        token,
        patience: Patience::Until(until),
        recorder,
    };
    let checked = timeout_at((until + GRACE).into(), check(&context));
    checked.await.unwrap_or(Came::Nowhere)
}

async fn check(context: &Context<'_>) -> Came {
    let brokers = context.settings.brokers.iter();
    let mut each: FuturesUnordered<_> = brokers.map(|broker| bootstrap(context, broker)).collect();
    let mut reached = Vec::new();
    let mut until = None;
    loop {
        let next = match until {
            None => each.next().await,
            Some(until) => timeout_at(until, each.next()).await.unwrap_or(None),
        };
        let Some(one) = next else { break };
        reached.extend(one);
        if until.is_none() && !reached.is_empty() {
            until = Some((Instant::now() + TOGETHER).into());
        }
    }
    if reached.is_empty() {
        return Came::Nowhere;
    }
    let reached_are: Vec<_> = reached.iter().map(|(target, _)| target.clone()).collect();
    let others = each.collect::<Vec<_>>();
    let (cluster, others) = tokio::join!(cluster::check(context, reached), others);
    // One bootstrap broker is enough.
    let late = others.iter().flatten().map(|(target, _)| target);
    let reached: Vec<_> = reached_are.iter().chain(late).collect();
    for broker in &context.settings.brokers {
        let target = Target::bootstrap(broker);
        if !reached.contains(&&target) {
            context.recorder.ease(&target.subject());
        }
    }
    let Some(mut cluster) = cluster else {
        return Came::Nowhere;
    };
    let ids: Vec<_> = cluster.brokers.keys().copied().collect();
    if ids.into_iter().any(|id| cluster.at(id).is_some()) {
        Came::ToBroker
    } else {
        Came::ToBootstrap
    }
}

async fn bootstrap(context: &Context<'_>, broker: &str) -> Option<(Target, Wire)> {
    let target = Target::bootstrap(broker);
    let wire = run::examine(context, &target).await?;
    Some((target, wire))
}

/// Examines the broker at this address until `until`; `node` is its node id, if it is
/// advertised there.
pub async fn one(
    settings: &Settings,
    token: Token,
    address: &str,
    node: Option<i32>,
    until: Instant,
) -> Condition {
    let recorder = Recorder::default();
    recorder.knows(&settings.brokers);
    let context = Context {
        settings,
        token,
        patience: Patience::Until(until),
        recorder: &recorder,
    };
    let target = Target {
        address: address.to_owned(),
        advertised: node,
    };
    let examined = timeout_at((until + GRACE).into(), run::examine(&context, &target)).await;
    if let Ok(Some(_)) = examined {
        return Condition::Reached;
    }
    let report = recorder.report();
    let first = report.findings().into_iter().next();
    match first.filter(|check| check.severity() == Some(Severity::Problem)) {
        Some(check) => Condition::Wrong(Box::new(check.clone())),
        None => Condition::Unknown,
    }
}

/// The code of metadata that can't be used.
pub fn metadata_code() -> &'static str {
    rows::settings::METADATA.code
}

/// The code of a login that has no token.
pub fn token_code() -> &'static str {
    rows::sasl::NO_TOKEN.code
}

/// The client that is to work gets no answer, although the checks do.
pub fn unanswered(settings: &Settings, said: Option<String>) -> Check {
    let said = said.map_or_else(
        || "it says nothing of a failure".to_owned(),
        |said| format!("it says: {}", beginning(&on_one_line(&said), SHOWN)),
    );
    let finding = Finding::new(
        &rows::cluster::CLIENT_UNANSWERED,
        format!("the checks reached a broker, but the client (librdkafka) got no answer; {said}"),
        Fix::words(
            "see the brokers' logs and their load; if it stays so, report it with the component's \
             log at the level `debug`",
        ),
    );
    Check {
        stage: Stage::Cluster,
        subject: settings.brokers.join(","),
        outcome: Outcome::Found(finding),
    }
}
