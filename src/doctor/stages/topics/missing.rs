//! Topics that do not exist, and whether they will.

use super::{
    Topic,
    configs::{self, Kind},
    subject,
    wishes::Wish,
};
use crate::{
    doctor::{Finding, Fix, Severity, Stage, context::Context, rows, stages::Cluster},
    metadata::TopicCreation,
};

/// Kafka's key for whether a first Publish makes its topic.
const AUTO_CREATE: &str = "auto.create.topics.enable";

/// How long dead letters are kept if nothing asks for longer, in milliseconds: 14 days,
/// as where the component makes the topic.
const KEPT: i64 = 14 * 24 * 3600 * 1000;

/// Tells of each what it means that it is not there.
pub(super) async fn judge(
    context: &Context<'_>,
    cluster: &mut Cluster,
    missing: &[(String, Wish)],
    there: &[Topic],
) {
    let creation = context.settings.topic_creation;
    let made = |wish: &Wish| is_made(creation, wish);
    let (made, missing): (Vec<_>, Vec<_>) = missing.iter().partition(|(_, wish)| made(wish));
    for (name, _) in made {
        let why = "it does not exist; the subscription makes it, by `topicCreation`";
        context.recorder.skipped(Stage::Topics, subject(name), why);
    }
    if missing.is_empty() {
        return;
    }
    let automatic = automatic(context, cluster).await;
    if let Err(why) = &automatic {
        let why = format!("whether brokers make topics by themselves: {why}");
        context.recorder.skipped(Stage::Topics, "topics", why);
    }
    for (name, wish) in missing {
        let finding = finding(name, wish, &automatic, there);
        context.recorder.found(subject(name), finding);
    }
}

/// Whether the component makes a topic with the first subscription. Dead-letter topics of
/// Subscriptions are daprd's, which only publishes to them.
pub(super) fn is_made(creation: TopicCreation, wish: &Wish) -> bool {
    (wish.by_component && creation.dead_letters()) || (wish.subscribe && creation.subscribed())
}

/// Whether brokers make topics that somebody publishes to.
async fn automatic(context: &Context<'_>, cluster: &mut Cluster) -> Result<bool, String> {
    let Some((id, wire)) = cluster.known() else {
        return Err("no broker was reached as advertised".into());
    };
    let id = id.to_string();
    let keys = [AUTO_CREATE];
    let mut told = configs::ask(wire, Kind::Broker, &[&id], &keys, context).await;
    let known = told
        .remove(&id)
        .unwrap_or_else(|| Err("no answer".into()))?;
    match known.value.get(AUTO_CREATE).map(String::as_str) {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        _ => Err(format!("the broker does not tell its {AUTO_CREATE}")),
    }
}

pub(super) fn finding(
    name: &str,
    wish: &Wish,
    automatic: &Result<bool, String>,
    there: &[Topic],
) -> Finding {
    let by_itself = match automatic {
        Ok(true) => {
            let cause =
                format!("the brokers do not know {name}, and make it when something is published");
            let fix = Fix::words("make it as it is to be").run(create(name));
            return Finding::new(&rows::topics::NOT_YET, cause, fix);
        }
        Ok(false) => "they make no topic by themselves",
        Err(_) => "whether they make topics by themselves is not known",
    };
    let source = wish.sources.first().filter(|_| wish.by_component);
    let finding = if let Some(source) = source {
        let cause = format!(
            "the brokers do not know {name}, which is for the dead letters of {source}, and \
             {by_itself}"
        );
        let fix = Fix::words("let the component make it, or create it")
            .set("topicCreation", "dlq")
            .run(create_for(name, wish, there));
        Finding::new(&rows::topics::DEAD_LETTER_MISSING, cause, fix)
    } else {
        let cause = format!("the brokers do not know {name}, and {by_itself}");
        let fix = Fix::words("create it, or mend its name").run(create(name));
        Finding::new(&rows::topics::MISSING, cause, fix)
    };
    if automatic.is_err() {
        return finding.as_bad_as(Severity::Warning);
    }
    finding
}

fn create(name: &str) -> String {
    format!("kafka-topics.sh --bootstrap-server <bootstrap> --create --topic {name} --partitions 3")
}

/// The same of a dead-letter topic, as its source is.
fn create_for(name: &str, wish: &Wish, there: &[Topic]) -> String {
    let sources = there
        .iter()
        .filter(|topic| wish.sources.contains(&topic.name));
    let sources: Vec<_> = sources.collect();
    let partitions = sources.iter().map(|topic| topic.partitions.len()).max();
    let replicas = sources.iter().map(|topic| topic.replicas()).max();
    let kept = sources.iter().filter_map(|topic| topic.retention()).max();
    let kept = match kept.unwrap_or(KEPT).max(KEPT) {
        i64::MAX => -1,
        kept => kept,
    };
    let replicas = replicas.filter(|count| *count > 0);
    let replicas = replicas.map_or_else(String::new, |count| {
        format!(" --replication-factor {count}")
    });
    format!(
        "kafka-topics.sh --bootstrap-server <bootstrap> --create --topic {name} --partitions {}\
         {replicas} --config retention.ms={kept} --config message.timestamp.type=LogAppendTime",
        partitions.unwrap_or(3).max(1)
    )
}
