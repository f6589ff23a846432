//! The topics: are they there, led, replicated, and kept as they are used.

pub(super) mod configs;
mod kept;
mod missing;
mod partitions;
#[cfg(test)]
mod tests;
pub(super) mod wishes;

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        MetadataRequest, MetadataResponse, TopicName,
        metadata_request::MetadataRequestTopic,
        metadata_response::{MetadataResponsePartition, MetadataResponseTopic},
    },
    protocol::{Request as _, StrBytes},
};

use self::{
    configs::Kind,
    partitions::Around,
    wishes::{Wish, Wishes, wishes},
};
use crate::{
    doctor::{
        Finding, Fix, Seen, Stage,
        context::Context,
        rows,
        run::Wanted,
        stages::{Cluster, cluster::shown, permissions::error},
        wire::Answered,
    },
    metadata::Acks,
};

/// From this version on a broker can be asked for a topic without making it.
const WITHOUT_MAKING: i16 = 4;

/// What is asked of each topic.
const KEYS: [&str; 3] = ["cleanup.policy", "min.insync.replicas", "retention.ms"];

/// A topic that exists.
#[derive(Clone, Debug)]
struct Topic {
    name: String,
    wish: Wish,
    partitions: Vec<MetadataResponsePartition>,
    /// What it is set to, as far as that is known.
    config: BTreeMap<String, String>,
}

impl Topic {
    fn config(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str)
    }
}

/// Checks each topic that is wanted; those that do not exist come back.
pub(in crate::doctor) async fn check(
    context: &Context<'_>,
    cluster: &mut Cluster,
    wanted: &Wanted,
) -> BTreeSet<String> {
    let (wishes, refused) = wishes(wanted);
    for (topic, finding) in refused {
        context.recorder.found(subject(&topic), finding);
    }
    if wanted.topics.is_empty() {
        let why = "no topic is known: name them with --topic, or have the app's Subscriptions in \
                   the Component's file";
        context.recorder.skipped(Stage::Topics, "topics", why);
    }
    if wishes.is_empty() {
        return BTreeSet::new();
    }
    let Some(answer) = metadata(context, cluster, &wishes).await else {
        return BTreeSet::new();
    };
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for (name, wish) in wishes {
        let mut topics = answer.value.topics.iter();
        let named = |topic: &&MetadataResponseTopic| {
            topic
                .name
                .as_ref()
                .is_some_and(|known| known.as_str() == name)
        };
        let Some(found) = topics.find(named) else {
            let why = "the broker does not answer for it";
            context.recorder.skipped(Stage::Topics, subject(&name), why);
            continue;
        };
        match sort(context, &name, found.error_code) {
            Some(true) => there.push(Topic {
                name,
                wish,
                partitions: found.partitions.clone(),
                config: BTreeMap::new(),
            }),
            Some(false) => missing.push((name, wish)),
            None => {}
        }
    }
    configure(context, cluster, &mut there).await;
    missing::judge(context, cluster, &missing, &there).await;
    judge(context, cluster, &answer, &there);
    missing.into_iter().map(|(name, _)| name).collect()
}

/// Asks for the topics, and makes none.
async fn metadata(
    context: &Context<'_>,
    cluster: &mut Cluster,
    wishes: &Wishes,
) -> Option<Answered<MetadataResponse>> {
    let topics = wishes.keys().map(|name| {
        let name = TopicName(StrBytes::from_string(name.clone()));
        MetadataRequestTopic::default().with_name(Some(name))
    });
    let request = MetadataRequest::default()
        .with_topics(Some(topics.collect()))
        .with_allow_auto_topic_creation(false);
    let wire = cluster.any();
    let newest = wire.ranges.of(MetadataRequest::KEY).map(|(_, last)| last);
    if newest.is_none_or(|newest| newest < WITHOUT_MAKING) {
        let why = "the broker is so old that asking for a topic may make it";
        context.recorder.skipped(Stage::Topics, "topics", why);
        return None;
    }
    match wire.ask(&request, context.until()).await {
        Ok(answer) => Some(answer),
        Err(broken) => {
            unreadable(context, "topics", &broken.to_string());
            None
        }
    }
}

/// Whether a topic exists, by the error of its answer; `None` if that is not known.
fn sort(context: &Context<'_>, name: &str, code: i16) -> Option<bool> {
    match ResponseError::try_from_code(code) {
        // Its partitions tell more.
        None | Some(ResponseError::LeaderNotAvailable) => Some(true),
        Some(ResponseError::UnknownTopicOrPartition) => Some(false),
        Some(ResponseError::TopicAuthorizationFailed) => {
            let why = "this user may not describe it: see the permissions";
            context.recorder.skipped(Stage::Topics, subject(name), why);
            None
        }
        Some(_) => {
            let why = format!("it answers {}", error(code));
            unreadable(context, &subject(name), &why);
            None
        }
    }
}

fn unreadable(context: &Context<'_>, subject: &str, why: &str) {
    let fix = Fix::words("look into the broker's log at the time of this check");
    let cause = format!("asked for the topics: {}", shown(why));
    let finding = Finding::new(&rows::topics::UNREADABLE, cause, fix);
    context.recorder.found(subject, finding);
}

/// Asks what the topics are set to.
async fn configure(context: &Context<'_>, cluster: &mut Cluster, topics: &mut [Topic]) {
    let names: Vec<_> = topics.iter().map(|topic| topic.name.as_str()).collect();
    if names.is_empty() {
        return;
    }
    let wire = cluster.any();
    let mut told = configs::ask(wire, Kind::Topic, &names, &KEYS, context).await;
    for topic in topics {
        match told.remove(&topic.name) {
            Some(Ok(known)) => topic.config = known.value,
            Some(Err(why)) => {
                let subject = subject(&topic.name);
                context.recorder.skipped(Stage::Topics, subject, why);
            }
            None => {}
        }
    }
}

fn judge(
    context: &Context<'_>,
    cluster: &mut Cluster,
    answer: &Answered<MetadataResponse>,
    topics: &[Topic],
) {
    // Those of the same answer: since the cluster was examined some may have gone.
    let brokers = answer.value.brokers.iter();
    let around = Around {
        brokers: brokers.map(|broker| broker.node_id.0).collect(),
        acks_all: context.settings.acks == Acks::All,
    };
    for topic in topics {
        if topic.partitions.is_empty() {
            let why = "the broker tells no partition of it: it is just being made";
            let subject = subject(&topic.name);
            context.recorder.unanswered(Stage::Topics, subject, why);
            continue;
        }
        let sources = topics
            .iter()
            .filter(|one| topic.wish.sources.contains(&one.name));
        let mut found = partitions::judge(topic, &around);
        found.extend(kept::judge(topic, sources));
        let subject = subject(&topic.name);
        if found.is_empty() {
            let words = format!(
                "partitions: {}, replicas: {}",
                topic.partitions.len(),
                topic.replicas()
            );
            let seen = Seen::by(answer, words);
            context.recorder.fine(Stage::Topics, subject.clone(), seen);
        }
        for finding in found {
            context.recorder.found(subject.clone(), finding);
        }
        unreached(context, cluster, topic);
    }
}

/// Names what can't be used because its leader can't be reached: that was found before.
fn unreached(context: &Context<'_>, cluster: &mut Cluster, topic: &Topic) {
    let mut leaders: BTreeMap<i32, usize> = BTreeMap::new();
    for partition in topic.partitions.iter().filter(|one| one.leader_id.0 >= 0) {
        *leaders.entry(partition.leader_id.0).or_default() += 1;
    }
    for (leader, count) in leaders {
        if cluster.at(leader).is_none() {
            let why = format!(
                "{count} of its partitions are led by broker {leader}, which was not reached"
            );
            context
                .recorder
                .skipped(Stage::Topics, subject(&topic.name), why);
        }
    }
}

/// What checks call a topic.
pub(in crate::doctor) fn subject(topic: &str) -> String {
    format!("topic {}", shown(topic))
}

/// The command that sets something of a topic.
pub(super) fn alter(topic: &str, config: &str) -> String {
    format!(
        "kafka-configs.sh --bootstrap-server <bootstrap> --alter --entity-type topics \
         --entity-name {topic} --add-config {config}"
    )
}
