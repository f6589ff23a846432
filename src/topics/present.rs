//! What is there: asks, and makes nothing by asking.

use std::collections::BTreeMap;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        CreateTopicsRequest, DescribeConfigsRequest, ListPartitionReassignmentsRequest,
        MetadataRequest, MetadataResponse, TopicName,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::DescribeConfigsResourceResult,
        list_partition_reassignments_request::ListPartitionReassignmentsTopics,
        metadata_request::MetadataRequestTopic, metadata_response::MetadataResponseTopic,
    },
    protocol::StrBytes,
};

use super::{
    apply::{PATIENCE, creatable},
    plan::{Known, Present},
    refused::refused,
    wanted::{MIN_IN_SYNC, Wanted},
};
use crate::{
    doctor::{Connected, Refused, told},
    metadata::Settings,
};

/// Kafka's number of topics among what has configs.
pub(super) const TOPIC: i8 = 2;

/// From this version on a broker can be asked for a topic without making it.
const WITHOUT_MAKING: i16 = 4;

/// What is known of topics, and how many brokers there are.
pub(super) struct Seen {
    pub(super) topics: BTreeMap<String, Known>,
    pub(super) brokers: usize,
}

/// A name as requests have it.
pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// Asks for topics by their names, and makes none.
///
/// # Errors
/// When there is no answer, or asking might make one.
pub(super) async fn metadata(
    brokers: &mut Connected,
    names: impl Iterator<Item = &str>,
) -> Result<MetadataResponse, Refused> {
    let newest = brokers.newest::<MetadataRequest>();
    if newest.is_none_or(|newest| newest < WITHOUT_MAKING) {
        let text = "these brokers are so old that asking for a topic may make it";
        return Err(Refused(text.into()));
    }
    let topics =
        names.map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))));
    let request = MetadataRequest::default()
        .with_topics(Some(topics.collect()))
        .with_allow_auto_topic_creation(false);
    brokers.ask(&request).await
}

/// Looks at each of these topics.
///
/// # Errors
/// When there is no answer at all.
pub(super) async fn look(
    brokers: &mut Connected,
    settings: &Settings,
    wanted: &[Wanted],
) -> Result<Seen, Refused> {
    let names = wanted.iter().map(|wanted| wanted.name.as_str());
    let answer = metadata(brokers, names).await?;
    let mut topics = BTreeMap::new();
    for found in &answer.topics {
        let Some(name) = &found.name else { continue };
        topics.insert(name.to_string(), sort(settings, name, found));
    }
    moving(brokers, wanted, &mut topics).await?;
    configure(brokers, settings, &mut topics).await?;
    floors(brokers, wanted, &mut topics).await?;
    Ok(Seen {
        topics,
        brokers: answer.brokers.len(),
    })
}

fn sort(settings: &Settings, name: &str, found: &MetadataResponseTopic) -> Known {
    match ResponseError::try_from_code(found.error_code) {
        // Partitions without a leader are there all the same.
        None | Some(ResponseError::LeaderNotAvailable) => Known::There(Present {
            replicas: replicas(found),
            ..Present::default()
        }),
        Some(ResponseError::UnknownTopicOrPartition) => Known::Missing(None),
        Some(_) => {
            let on = format!("--operation Describe --topic {name}");
            let why = refused(settings, found.error_code, None, &on);
            Known::Not(format!(
                "asked whether it is there, the brokers answer {why}"
            ))
        }
    }
}

/// Each partition's replicas, by the partitions' numbers.
pub(super) fn replicas(topic: &MetadataResponseTopic) -> Vec<Vec<i32>> {
    let each = topic.partitions.iter().map(|partition| {
        let nodes = partition.replica_nodes.iter().map(|node| node.0);
        (partition.partition_index, nodes.collect::<Vec<_>>())
    });
    let by_number: BTreeMap<_, _> = each.collect();
    by_number.into_values().collect()
}

/// Looks whether replicas that are not as many as wanted are on their way already.
async fn moving(
    brokers: &mut Connected,
    wanted: &[Wanted],
    topics: &mut BTreeMap<String, Known>,
) -> Result<(), Refused> {
    let differing = wanted.iter().filter(|wanted| {
        let Some(Known::There(present)) = topics.get(&wanted.name) else {
            return false;
        };
        let count = wanted.replication.and_then(|it| usize::try_from(it).ok());
        count.is_some_and(|count| present.replicas.iter().any(|one| one.len() != count))
    });
    let differing: BTreeMap<_, _> = differing
        .filter_map(|wanted| match topics.get(&wanted.name) {
            Some(Known::There(present)) => Some((wanted.name.clone(), present.replicas.len())),
            _ => None,
        })
        .collect();
    for (name, partition, left) in under_way(brokers, &differing).await? {
        if let Some(Known::There(present)) = topics.get_mut(&name)
            && let Some(replicas) = usize::try_from(partition)
                .ok()
                .and_then(|at| present.replicas.get_mut(at))
        {
            *replicas = left;
            present.moving = true;
        }
    }
    Ok(())
}

/// Partitions of these topics, given with their numbers of partitions, whose replicas are
/// being moved, and those that they will have. Brokers that do not tell have none: what is
/// moved a second time is refused, and said then.
///
/// # Errors
/// When there is no answer.
pub(super) async fn under_way(
    brokers: &mut Connected,
    topics: &BTreeMap<String, usize>,
) -> Result<Vec<(String, i32, Vec<i32>)>, Refused> {
    let serves = brokers.newest::<ListPartitionReassignmentsRequest>();
    if topics.is_empty() || serves.is_none() {
        return Ok(Vec::new());
    }
    let each = topics.iter().map(|(name, count)| {
        let count = i32::try_from(*count).unwrap_or(i32::MAX);
        ListPartitionReassignmentsTopics::default()
            .with_name(topic_name(name))
            .with_partition_indexes((0..count).collect())
    });
    let request = ListPartitionReassignmentsRequest::default()
        .with_timeout_ms(10_000)
        .with_topics(Some(each.collect()));
    let answer = brokers.ask_controller(&request).await?;
    if answer.error_code != 0 {
        let words = told(answer.error_code, answer.error_message.as_deref());
        tracing::info!("which replicas are being moved is not known: {words}");
        return Ok(Vec::new());
    }
    let mut moving = Vec::new();
    for topic in answer.topics {
        for partition in topic.partitions {
            let removed = &partition.removing_replicas;
            let left = partition
                .replicas
                .iter()
                .filter(|one| !removed.contains(one));
            let left = left.map(|node| node.0).collect();
            moving.push((topic.name.to_string(), partition.partition_index, left));
        }
    }
    Ok(moving)
}

/// Kafka's number for a config that is set on the topic itself.
const ON_TOPIC: i8 = 1;

/// Whether a config is set on the topic itself.
fn is_own(config: &DescribeConfigsResourceResult) -> bool {
    config.config_source == ON_TOPIC
}

/// The first version in which brokers tell a new topic's configs (KIP-525).
const WITH_CONFIGS: i16 = 5;

/// Asks which `min.insync.replicas` the brokers would give to the topics that are missing, by
/// having them check what creating these would come to. Brokers that refuse to tell refuse the
/// creation too, or take it: then nothing is lost but the warning.
async fn floors(
    brokers: &mut Connected,
    wanted: &[Wanted],
    topics: &mut BTreeMap<String, Known>,
) -> Result<(), Refused> {
    let asked = wanted.iter().filter(|one| {
        let missing = matches!(topics.get(&one.name), Some(Known::Missing(_)));
        missing && one.replication.is_some() && one.min_in_sync().is_none()
    });
    let asked: Vec<_> = asked.map(creatable).collect();
    let newest = brokers.newest::<CreateTopicsRequest>();
    if asked.is_empty() || newest.is_none_or(|newest| newest < WITH_CONFIGS) {
        return Ok(());
    }
    let request = CreateTopicsRequest::default()
        .with_topics(asked)
        .with_timeout_ms(PATIENCE)
        .with_validate_only(true);
    for result in brokers.ask_controller(&request).await?.topics {
        let mut configs = result.configs.into_iter().flatten();
        let least = configs.find(|one| one.name.as_str() == MIN_IN_SYNC);
        let least = least.and_then(|one| one.value?.parse().ok());
        if let Some(known @ Known::Missing(_)) = topics.get_mut(result.name.as_str()) {
            *known = Known::Missing(least);
        }
    }
    Ok(())
}

/// Asks what the topics that are there are set to.
async fn configure(
    brokers: &mut Connected,
    settings: &Settings,
    topics: &mut BTreeMap<String, Known>,
) -> Result<(), Refused> {
    let there = topics
        .iter()
        .filter(|(_, known)| matches!(known, Known::There(_)));
    let resources: Vec<_> = there
        .map(|(name, _)| {
            DescribeConfigsResource::default()
                .with_resource_type(TOPIC)
                .with_resource_name(StrBytes::from_string(name.clone()))
                .with_configuration_keys(None)
        })
        .collect();
    if resources.is_empty() {
        return Ok(());
    }
    let request = DescribeConfigsRequest::default().with_resources(resources);
    for result in brokers.ask(&request).await?.results {
        let name = result.resource_name.to_string();
        let Some(known) = topics.get_mut(&name) else {
            continue;
        };
        if result.error_code != 0 {
            let on = format!("--operation DescribeConfigs --topic {name}");
            let message = result.error_message.as_deref();
            let why = refused(settings, result.error_code, message, &on);
            *known = Known::Not(format!("asked for its configs, the brokers answer {why}"));
        } else if let Known::There(present) = known {
            let each = result.configs.into_iter();
            for one in each {
                if is_own(&one) {
                    present.own.insert(one.name.to_string());
                }
                if let Some(value) = one.value {
                    present
                        .config
                        .insert(one.name.to_string(), value.to_string());
                }
            }
        }
    }
    for known in topics.values_mut() {
        if let Known::There(present) = known
            && present.config.is_empty()
        {
            *known = Known::Not("the brokers tell nothing of its configs".into());
        }
    }
    Ok(())
}
