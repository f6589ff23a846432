//! Which broker coordinates a group.

use std::time::{Duration, Instant};

use kafka_protocol::{
    ResponseError,
    messages::{
        DescribeConfigsRequest, DescribeGroupsRequest, FindCoordinatorRequest, MetadataRequest,
        TopicName, describe_configs_request::DescribeConfigsResource,
        metadata_request::MetadataRequestTopic,
    },
    protocol::StrBytes,
};

use crate::doctor::{
    Finding, Fix,
    context::Context,
    rows::group as rows,
    stages::{
        Cluster,
        permissions::{error, told},
    },
};

/// Where groups' offsets are.
const OFFSETS: &str = "__consumer_offsets";

/// The settings of brokers by which they make that topic.
const REPLICAS: &str = "offsets.topic.replication.factor";
const PARTITIONS: &str = "offsets.topic.num.partitions";

/// The newest version that asks for one group, not for a list.
const SINGLE: i16 = 3;

/// Kafka's number for brokers among what has settings.
const BROKER: i8 = 4;

/// How long it waits before it asks once more.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether the topic of groups' offsets is there.
enum Offsets {
    There,
    Missing,
    /// This user may not see it.
    Hidden,
}

/// What is known of a group's coordinator.
pub(in crate::doctor::stages) enum Coordinator {
    /// This broker.
    At(i32),
    /// The group may not be looked at.
    Forbidden,
    /// The topic of groups' offsets is not there and can't be made.
    Unmade(Box<Finding>),
    /// There is none, and what was said.
    Missing(String),
    /// Why nothing is known.
    Unknown(String),
}

/// Asks for it; but not as long as the answer would have to make the topic of groups'
/// offsets, since nothing is to change by being looked at.
pub(in crate::doctor::stages) async fn find(
    context: &Context<'_>,
    cluster: &mut Cluster,
    group: &str,
) -> Coordinator {
    match offsets_topic(context, cluster).await {
        Ok(Offsets::There) => {}
        Ok(Offsets::Missing) => return could_be_made(context, cluster).await,
        Ok(Offsets::Hidden) => return by_asking_all(context, cluster, group).await,
        Err(why) => return Coordinator::Unknown(why),
    }
    let until = context.until();
    let request =
        FindCoordinatorRequest::default().with_key(StrBytes::from_string(group.to_owned()));
    let wire = cluster.any();
    let unavailable = ResponseError::CoordinatorNotAvailable.code();
    let answer = loop {
        match wire.ask_below(&request, SINGLE, until).await {
            // So it is for a while after brokers have started.
            Ok(answer) if answer.value.error_code == unavailable && is_time(until) => {
                tokio::time::sleep(PAUSE).await;
            }
            Ok(answer) => break answer.value,
            Err(broken) => return Coordinator::Unknown(broken.to_string()),
        }
    };
    match ResponseError::try_from_code(answer.error_code) {
        None => Coordinator::At(answer.node_id.0),
        Some(ResponseError::GroupAuthorizationFailed) => Coordinator::Forbidden,
        Some(ResponseError::CoordinatorNotAvailable) => {
            let said = told(answer.error_code, answer.error_message.as_deref());
            Coordinator::Missing(format!(
                "asked which broker coordinates the group, a broker answers {said}"
            ))
        }
        Some(_) => Coordinator::Unknown(format!(
            "asked for its coordinator, the broker answers {}",
            error(answer.error_code)
        )),
    }
}

/// Whether there is time to ask once more.
fn is_time(until: Instant) -> bool {
    until.saturating_duration_since(Instant::now()) > 2 * PAUSE
}

async fn offsets_topic(context: &Context<'_>, cluster: &mut Cluster) -> Result<Offsets, String> {
    let topic = TopicName(StrBytes::from_static_str(OFFSETS));
    let topic = MetadataRequestTopic::default().with_name(Some(topic));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(false);
    let answer = cluster.any().ask(&request, context.until()).await;
    let answer = answer.map_err(|broken| broken.to_string())?.value;
    let code = answer.topics.first().map_or(0, |topic| topic.error_code);
    Ok(match ResponseError::try_from_code(code) {
        Some(ResponseError::UnknownTopicOrPartition) => Offsets::Missing,
        Some(ResponseError::TopicAuthorizationFailed) => Offsets::Hidden,
        _ => Offsets::There,
    })
}

/// Looks for the broker that knows of the group. To ask one which broker that is would make
/// the topic of groups' offsets if it is not there; to ask each for the group does not.
async fn by_asking_all(context: &Context<'_>, cluster: &mut Cluster, group: &str) -> Coordinator {
    let request = DescribeGroupsRequest::default()
        .with_groups(vec![StrBytes::from_string(group.to_owned()).into()]);
    let until = context.until();
    let ids: Vec<_> = cluster.brokers.keys().copied().collect();
    for id in ids {
        let Some(wire) = cluster.at(id) else {
            continue;
        };
        let Ok(answer) = wire.ask(&request, until).await else {
            continue;
        };
        let code = answer.value.groups.first().map(|found| found.error_code);
        match code.map(ResponseError::try_from_code) {
            Some(None | Some(ResponseError::GroupIdNotFound)) => return Coordinator::At(id),
            Some(Some(ResponseError::GroupAuthorizationFailed)) => return Coordinator::Forbidden,
            _ => {}
        }
    }
    Coordinator::Unknown(format!(
        "no broker that was asked coordinates it yet, and whether {OFFSETS} is there this user \
         may not see; to ask for a coordinator might make it"
    ))
}

/// What will come of it when the topic is to be made, by a broker's settings.
async fn could_be_made(context: &Context<'_>, cluster: &mut Cluster) -> Coordinator {
    let unused = "no group was used on this cluster yet";
    let brokers = cluster.brokers.len();
    let Some((id, wire)) = cluster.known() else {
        return Coordinator::Unknown(unused.into());
    };
    let keys = [REPLICAS, PARTITIONS].map(StrBytes::from_static_str);
    let resource = DescribeConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(StrBytes::from_string(id.to_string()))
        .with_configuration_keys(Some(keys.to_vec()));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer = match wire.ask(&request, context.until()).await {
        Ok(answer) => answer.value,
        Err(broken) => return Coordinator::Unknown(format!("{unused}, and {broken}")),
    };
    let settings = answer.results.iter().flat_map(|result| &result.configs);
    let number = |name: &str| {
        let mut settings = settings.clone();
        let found = settings.find(|setting| &*setting.name == name)?;
        found.value.as_ref()?.parse::<usize>().ok()
    };
    match number(REPLICAS) {
        None => Coordinator::Unknown(format!("{unused}, and brokers do not tell {REPLICAS}")),
        Some(replicas) if replicas <= brokers => Coordinator::Unknown(format!(
            "{unused}: brokers make {OFFSETS} when the first one is"
        )),
        Some(replicas) => {
            let partitions = number(PARTITIONS).unwrap_or(50);
            Coordinator::Unmade(Box::new(unmade(replicas, brokers, partitions)))
        }
    }
}

fn unmade(replicas: usize, brokers: usize, partitions: usize) -> Finding {
    let cause = format!(
        "{OFFSETS} is not there, and brokers make it with {REPLICAS}={replicas}, but there are \
         {brokers} of them"
    );
    let words = format!(
        "Start more brokers, or lower {REPLICAS} on all of them to {brokers}, or make the topic \
         by hand"
    );
    // The settings with which brokers make it themselves.
    let command = format!(
        "kafka-topics.sh --bootstrap-server <bootstrap> --create --topic {OFFSETS} --partitions \
         {partitions} --replication-factor {brokers} --config cleanup.policy=compact --config \
         compression.type=producer --config segment.bytes=104857600"
    );
    Finding::new(&rows::OFFSETS_TOPIC, cause, Fix::words(words).run(command))
}
