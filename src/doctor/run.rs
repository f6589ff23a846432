//! All checks, in their order.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    Patience, Recorder, Report, Stage, Token,
    context::{Context, Target},
    stages::{self, Cluster, dapr::Dapr},
    wire::Wire,
};
use crate::metadata::Settings;

/// What the component is to do with brokers, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Topics.
    pub topics: Vec<WantedTopic>,
    /// The consumer group; `None` if it is not known.
    pub group: Option<String>,
}

/// A topic, and what is done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTopic {
    /// Its name.
    pub name: String,
    /// It is published to.
    pub publish: bool,
    /// It is subscribed to.
    pub subscribe: bool,
    /// The topics whose refused records it gets, if it is a dead-letter topic.
    pub dead_letters_of: Vec<String>,
    /// The component itself writes some of those; else daprd does, through Publish.
    pub by_component: bool,
}

/// What is checked beside the brokers.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long each stage may take.
    pub stage: Duration,
    /// Whether a topic is made, a record sent and read, and the topic deleted.
    pub round_trip: bool,
    /// daprd, and what is known of it.
    pub dapr: Dapr,
}

/// Checks everything that can be checked, until `stop`. What a round trip made is taken away
/// all the same.
pub async fn full(
    settings: &Settings,
    wanted: &Wanted,
    options: &Options,
    recorder: &Recorder,
    stop: &CancellationToken,
) -> Report {
    recorder.knows(&settings.brokers);
    let context = Context {
        settings,
        token: Token::fetched(),
        patience: Patience::EachStage(options.stage),
        recorder,
    };
    let without_effects = stop.run_until_cancelled(look(&context, wanted, options));
    if let Some(Some(mut cluster)) = without_effects.await
        && options.round_trip
        && !stop.is_cancelled()
    {
        stages::round_trip::check(&context, &mut cluster, stop).await;
    }
    // Whoever stops has nothing left to be asked.
    let _ = stop
        .run_until_cancelled(stages::dapr::check(&context, &options.dapr))
        .await;
    recorder.report()
}

/// All checks of brokers that change nothing.
async fn look(context: &Context<'_>, wanted: &Wanted, options: &Options) -> Option<Cluster> {
    let Some(mut cluster) = reach(context).await else {
        context.recorder.stopped(options.round_trip);
        return None;
    };
    silent(context, Stage::Cluster, &mut cluster);
    let missing = stages::topics::check(context, &mut cluster, wanted).await;
    silent(context, Stage::Topics, &mut cluster);
    stages::permissions::check(context, &mut cluster, wanted).await;
    silent(context, Stage::Permissions, &mut cluster);
    stages::group::check(context, &mut cluster, wanted).await;
    silent(context, Stage::Group, &mut cluster);
    stages::limits::check(context, &mut cluster, wanted, &missing).await;
    silent(context, Stage::Limits, &mut cluster);
    stages::clock::check(context, &mut cluster).await;
    silent(context, Stage::Clock, &mut cluster);
    Some(cluster)
}

/// Notes which brokers left a stage's questions without an answer. A stage itself may do
/// without it, and the whole is not fine then.
fn silent(context: &Context<'_>, stage: Stage, cluster: &mut Cluster) {
    for (broker, what) in cluster.unanswered() {
        context.recorder.unanswered(stage, broker, what);
    }
}

/// From the bootstrap brokers' names to the cluster.
pub(super) async fn reach(context: &Context<'_>) -> Option<Cluster> {
    let brokers = context.settings.brokers.iter();
    let each = brokers.map(|broker| async {
        let target = Target::bootstrap(broker);
        let wire = examine(context, &target).await;
        wire.map(|wire| (target, wire))
    });
    let reached = futures_util::future::join_all(each).await;
    let reached: Vec<_> = reached.into_iter().flatten().collect();
    if reached.is_empty() {
        return None;
    }
    // One bootstrap broker is enough. What is wrong with the cluster's own brokers stands
    // under the addresses that it advertises.
    for broker in &context.settings.brokers {
        let target = Target::bootstrap(broker);
        if !reached.iter().any(|(there, _)| *there == target) {
            context.recorder.ease(&target.subject());
        }
    }
    stages::cluster::check(context, reached).await
}

/// One broker, from its name to the login; a connection that is logged in if all is well.
pub(super) async fn examine(context: &Context<'_>, target: &Target) -> Option<Wire> {
    let addresses = stages::names::resolve(context, target).await?;
    let connected = stages::tcp::connect(context, target, &addresses).await?;
    let mut wire = stages::tls::secure(context, target, connected).await?;
    if !stages::versions::agree(context, target, &mut wire).await {
        return None;
    }
    let logged_in = stages::sasl::log_in(context, target, &mut wire).await;
    logged_in.then_some(wire)
}
