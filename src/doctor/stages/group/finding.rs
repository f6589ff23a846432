//! Which broker coordinates a group.

use kafka_protocol::{
    ResponseError,
    messages::{
        DescribeConfigsRequest, FindCoordinatorRequest, MetadataRequest, TopicName,
        describe_configs_request::DescribeConfigsResource, metadata_request::MetadataRequestTopic,
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
    match offsets_topic_is_missing(context, cluster).await {
        Ok(false) => {}
        Ok(true) => return could_be_made(context, cluster).await,
        Err(why) => return Coordinator::Unknown(why),
    }
    let request =
        FindCoordinatorRequest::default().with_key(StrBytes::from_string(group.to_owned()));
    let wire = cluster.any();
    let answer = match wire.ask_below(&request, SINGLE, context.until()).await {
        Ok(answer) => answer.value,
        Err(broken) => return Coordinator::Unknown(broken.to_string()),
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

async fn offsets_topic_is_missing(
    context: &Context<'_>,
    cluster: &mut Cluster,
) -> Result<bool, String> {
    let topic = TopicName(StrBytes::from_static_str(OFFSETS));
    let topic = MetadataRequestTopic::default().with_name(Some(topic));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(false);
    let answer = cluster.any().ask(&request, context.until()).await;
    let answer = answer.map_err(|broken| broken.to_string())?.value;
    let missing = ResponseError::UnknownTopicOrPartition.code();
    Ok(answer
        .topics
        .iter()
        .any(|topic| topic.error_code == missing))
}

/// What will come of it when the topic is to be made, by a broker's settings.
async fn could_be_made(context: &Context<'_>, cluster: &mut Cluster) -> Coordinator {
    let unused = "no group was used on this cluster yet";
    let brokers = cluster.brokers.len();
    let reached = cluster.brokers.iter_mut();
    let mut reached = reached.filter_map(|(id, member)| Some((id, member.wire.as_mut()?)));
    let Some((id, wire)) = reached.next() else {
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
