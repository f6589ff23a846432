//! Whether topics may be written and read.

use kafka_protocol::{
    ResponseError,
    messages::{
        FetchRequest, MetadataRequest, MetadataResponse, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
        metadata_request::MetadataRequestTopic,
        metadata_response::MetadataResponseTopic,
    },
    protocol::{Request as _, StrBytes},
};

use super::{allow, error, operation};
use crate::doctor::{
    Finding, Fix, Seen, Stage, context::Context, rows::permissions as rows, run::WantedTopic,
    stages::Cluster, wire::Answered,
};

/// From here on a question for topics can leave missing ones missing.
const HARMLESS: i16 = 4;

/// From here on the answer may say which operations are allowed.
const TELLS: i16 = 8;

/// The newest Fetch that calls topics by their names.
const BY_NAME: i16 = 12;

/// Whether anything may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    /// It is not known that anything is to be written.
    None,
    /// Nothing of what is to be written.
    Forbidden,
    /// At least one topic may be written, or it is not known that it may not.
    Some,
}

/// What is known of one operation on a topic.
enum May {
    Yes,
    No,
    /// Why nothing is known.
    Unknown(String),
}

/// Asks for all topics at once.
pub(super) async fn check(
    context: &Context<'_>,
    cluster: &mut Cluster,
    topics: &[WantedTopic],
) -> Writes {
    if topics.is_empty() {
        return Writes::None;
    }
    let answer = match asked(context, cluster, topics).await {
        Ok(answer) => answer,
        Err(why) => {
            for topic in topics {
                let subject = subject(topic);
                context.recorder.skipped(Stage::Permissions, subject, &*why);
            }
            return Writes::Some;
        }
    };
    let mut writes = Writes::None;
    for topic in topics {
        let may_write = one(context, cluster, topic, &answer).await;
        if topic.publish && (may_write || writes == Writes::None) {
            writes = if may_write {
                Writes::Some
            } else {
                Writes::Forbidden
            };
        }
    }
    writes
}

/// What brokers say of the topics. None is made by asking.
async fn asked(
    context: &Context<'_>,
    cluster: &mut Cluster,
    topics: &[WantedTopic],
) -> Result<Answered<MetadataResponse>, String> {
    let wire = cluster.any();
    let newest = wire
        .ranges
        .of(MetadataRequest::KEY)
        .map_or(0, |(_, newest)| newest);
    if newest < HARMLESS {
        return Err("this broker is so old that asking for a topic may make it".into());
    }
    let names = topics.iter().map(|topic| name(&topic.name));
    let names = names.map(|name| MetadataRequestTopic::default().with_name(Some(name)));
    let request = MetadataRequest::default()
        .with_topics(Some(names.collect()))
        .with_allow_auto_topic_creation(false)
        .with_include_topic_authorized_operations(newest >= TELLS);
    let answer = wire.ask(&request, context.until()).await;
    answer.map_err(|broken| broken.to_string())
}

/// Judges one topic; true unless it may not be written.
async fn one(
    context: &Context<'_>,
    cluster: &mut Cluster,
    topic: &WantedTopic,
    answer: &Answered<MetadataResponse>,
) -> bool {
    let subject = subject(topic);
    let skipped = |why: String| context.recorder.skipped(Stage::Permissions, &*subject, why);
    let same = |found: &&MetadataResponseTopic| {
        found
            .name
            .as_ref()
            .is_some_and(|name| ***name == *topic.name)
    };
    let Some(found) = answer.value.topics.iter().find(same) else {
        skipped("the broker says nothing of it".into());
        return true;
    };
    match ResponseError::try_from_code(found.error_code) {
        Some(ResponseError::TopicAuthorizationFailed) => {
            let cause = format!(
                "asked for the topic {}, the broker answers TOPIC_AUTHORIZATION_FAILED: this \
                 client may not see whether it exists",
                topic.name
            );
            let (write, read) = (topic.publish, topic.subscribe);
            let finding = Finding::new(&rows::HIDDEN, cause, fix(context, topic, write, read));
            context.recorder.found(subject, finding);
            return false;
        }
        Some(ResponseError::UnknownTopicOrPartition) => {
            skipped("it does not exist: see the topics".into());
            return true;
        }
        _ => {}
    }
    let operations = found.topic_authorized_operations;
    // Who may see a topic has at least that operation: a broker that tells none at all
    // does not know.
    let told = operations != operation::UNTOLD && operations != 0;
    let may = |bit| {
        if operations & bit == 0 {
            May::No
        } else {
            May::Yes
        }
    };
    let write = match topic.publish {
        false => None,
        true if told => Some(may(operation::WRITE)),
        true => Some(May::Unknown(
            "the broker does not tell whether it may write, and to try would write".into(),
        )),
    };
    let read = match topic.subscribe {
        false => None,
        true if told => Some(may(operation::READ)),
        true => Some(read(context, cluster, found, &topic.name).await),
    };
    judge(context, topic, answer, write.as_ref(), read.as_ref());
    !matches!(write, Some(May::No))
}

/// Notes what may be done and what may not: one finding, with all that is missing.
fn judge(
    context: &Context<'_>,
    topic: &WantedTopic,
    answer: &Answered<MetadataResponse>,
    write: Option<&May>,
    read: Option<&May>,
) {
    let subject = subject(topic);
    let (no_write, no_read) = (
        matches!(write, Some(May::No)),
        matches!(read, Some(May::No)),
    );
    if no_write || no_read {
        let row = match (no_write, topic.dead_letters_of.is_empty()) {
            (true, false) => &rows::LETTERS,
            (true, true) => &rows::WRITE,
            (false, _) => &rows::READ,
        };
        let what = match (no_write, no_read) {
            (true, true) => "neither write to nor read",
            (true, false) => "not write to",
            _ => "not read",
        };
        let letters = match topic.dead_letters_of.first() {
            Some(source) => format!(", which gets the dead letters of {source}"),
            None => String::new(),
        };
        let cause = format!("this client may {what} the topic {}{letters}", topic.name);
        let finding = Finding::new(row, cause, fix(context, topic, no_write, no_read));
        context.recorder.found(&*subject, finding);
    }
    for may in [write, read].into_iter().flatten() {
        if let May::Unknown(why) = may {
            context
                .recorder
                .skipped(Stage::Permissions, &*subject, &**why);
        }
    }
    let allowed = [(write, "write"), (read, "read")];
    let allowed: Vec<_> = allowed
        .into_iter()
        .filter(|(may, _)| matches!(may, Some(May::Yes)))
        .map(|(_, operation)| operation)
        .collect();
    if !allowed.is_empty() && !no_write && !no_read {
        let seen = Seen::by(answer, format!("may {}", allowed.join(" and ")));
        context.recorder.fine(Stage::Permissions, subject, seen);
    }
}

/// Asks a partition's leader for no records at all: whether it is allowed is looked at
/// before anything else.
async fn read(
    context: &Context<'_>,
    cluster: &mut Cluster,
    topic: &MetadataResponseTopic,
    called: &str,
) -> May {
    let Some(partition) = topic.partitions.iter().find(|found| found.leader_id.0 >= 0) else {
        return May::Unknown("no partition has a leader to ask: see the topics".into());
    };
    let Some(wire) = cluster.at(partition.leader_id.0) else {
        return May::Unknown("the leader of a partition is not reached".into());
    };
    let index = partition.partition_index;
    let wanted = FetchPartition::default()
        .with_partition(index)
        .with_partition_max_bytes(1);
    let wanted = FetchTopic::default()
        .with_topic(name(called))
        .with_partitions(vec![wanted]);
    let request = FetchRequest::default()
        .with_max_wait_ms(0)
        .with_max_bytes(1)
        .with_session_epoch(-1)
        .with_topics(vec![wanted]);
    let answer = match wire.ask_below(&request, BY_NAME, context.until()).await {
        Ok(answer) => answer.value,
        Err(broken) => return May::Unknown(broken.to_string()),
    };
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    let code = partitions
        .map(|partition| partition.error_code)
        .next()
        .unwrap_or(answer.error_code);
    match ResponseError::try_from_code(code) {
        // The oldest records may be gone; that is no matter of rights.
        None | Some(ResponseError::OffsetOutOfRange) => May::Yes,
        Some(ResponseError::TopicAuthorizationFailed) => May::No,
        Some(_) => May::Unknown(format!("the broker answers {}", error(code))),
    }
}

/// Allows this client what it misses.
fn fix(context: &Context<'_>, topic: &WantedTopic, write: bool, read: bool) -> Fix {
    let (on, words) = match (write, read) {
        (true, true) => ("--operation Write --operation Read", "Write and Read"),
        (true, false) => ("--operation Write", "Write"),
        _ => ("--operation Read", "Read"),
    };
    let on = format!("{on} --topic {}", topic.name);
    let words = format!("Allow {words} on the topic to this client's principal");
    Fix::words(words).run(allow(&context.settings.security, &on))
}

fn subject(topic: &WantedTopic) -> String {
    format!("topic {}", topic.name)
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}
