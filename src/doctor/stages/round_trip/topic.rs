//! The topic of a round trip.

use kafka_protocol::{
    ResponseError,
    messages::{
        CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
        MetadataRequest, TopicName, create_topics_request::CreatableTopic,
        metadata_request::MetadataRequestTopic,
    },
    protocol::{Request as _, StrBytes},
};

use super::{Failed, PAUSE, Trip, patience};
use crate::doctor::{
    Finding, Fix, Recorder, Token,
    context::{Context, Target},
    rows::round_trip as rows,
    run::examine,
    stages::{
        Cluster,
        permissions::{error, told},
    },
    wire::{Answered, Broken, Wire},
};

/// From here on brokers take -1 for their own number of replicas.
const DEFAULTS: i16 = 4;

/// The newest version that deletes by names.
const BY_NAME: i16 = 5;

/// Makes it.
pub(super) async fn make(
    trip: &Trip<'_>,
    cluster: &mut Cluster,
) -> Result<Answered<CreateTopicsResponse>, Failed> {
    let until = trip.context.until();
    let wire = controller(cluster);
    let newest = wire.ranges.of(CreateTopicsRequest::KEY);
    if newest.is_none_or(|(_, newest)| newest < DEFAULTS) {
        return Err(not_made(
            trip,
            "this broker makes no topics with its own defaults",
        ));
    }
    let topic = CreatableTopic::default()
        .with_name(name(trip))
        .with_num_partitions(1)
        .with_replication_factor(-1);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(patience(until));
    let answer = wire.ask(&request, until).await?;
    let Some(topic) = answer.value.topics.first() else {
        return Err(Failed::Unknown("the broker says nothing of it".into()));
    };
    match ResponseError::try_from_code(topic.error_code) {
        None => Ok(answer),
        Some(
            ResponseError::TopicAuthorizationFailed | ResponseError::ClusterAuthorizationFailed,
        ) => Err(trip.forbidden("made", &error(topic.error_code))),
        // It may still be made.
        Some(ResponseError::RequestTimedOut) => Err(Failed::Unknown(error(topic.error_code))),
        Some(_) => {
            let said = told(topic.error_code, topic.error_message.as_deref());
            Err(not_made(trip, &said))
        }
    }
}

fn not_made(trip: &Trip<'_>, why: &str) -> Failed {
    let cause = format!("the topic {} can't be made: {why}", trip.name);
    let words = "Do what the broker's words say; if there are fewer brokers than replicas, lower \
                 default.replication.factor on the brokers or start more of them";
    Failed::Found(Box::new(Finding::new(
        &rows::NOT_MADE,
        cause,
        Fix::words(words),
    )))
}

/// The broker that leads it, once all is ready.
pub(super) async fn leader(trip: &Trip<'_>, cluster: &mut Cluster) -> Result<i32, Failed> {
    let until = trip.context.until();
    let wanted = MetadataRequestTopic::default().with_name(Some(name(trip)));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![wanted]))
        .with_allow_auto_topic_creation(false);
    loop {
        let answer = cluster.any().ask(&request, until).await?.value;
        let topic = answer.topics.first();
        let code = topic.map_or(0, |topic| topic.error_code);
        if code == ResponseError::TopicAuthorizationFailed.code() {
            return Err(trip.forbidden("seen", &error(code)));
        }
        let partition = topic.and_then(|topic| topic.partitions.first());
        let leader = partition.map_or(-1, |partition| partition.leader_id.0);
        if leader >= 0 {
            return Ok(leader);
        }
        if until.saturating_duration_since(std::time::Instant::now()) < PAUSE {
            return Err(not_made(
                trip,
                &format!("it gets no leader ({})", error(code)),
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Deletes it.
pub(super) async fn delete(
    trip: &Trip<'_>,
    cluster: &mut Cluster,
    made: bool,
) -> Result<Answered<DeleteTopicsResponse>, Failed> {
    let until = trip.context.until();
    let request = DeleteTopicsRequest::default()
        .with_topic_names(vec![name(trip)])
        .with_timeout_ms(patience(until));
    let answer = controller(cluster)
        .ask_below(&request, BY_NAME, until)
        .await;
    let answer = match answer {
        // An answer that is still awaited may be in the way.
        Err(broken) if !matches!(broken, Broken::Unserved { .. }) => {
            match anew(trip, cluster).await {
                Some(mut wire) => {
                    let until = trip.context.until();
                    wire.ask_below(&request, BY_NAME, until).await
                }
                None => Err(broken),
            }
        }
        answer => answer,
    };
    let answer = answer.map_err(|broken| not_deleted(trip, &broken.to_string()))?;
    let Some(topic) = answer.value.responses.first() else {
        return Err(not_deleted(trip, "the broker says nothing of it"));
    };
    match ResponseError::try_from_code(topic.error_code) {
        None => Ok(answer),
        Some(ResponseError::UnknownTopicOrPartition) if !made => Err(Failed::Unknown(format!(
            "the brokers do not know {}, and may still make it",
            trip.name
        ))),
        Some(_) => {
            let said = told(topic.error_code, topic.error_message.as_deref());
            Err(not_deleted(trip, &said))
        }
    }
}

pub(super) fn not_deleted(trip: &Trip<'_>, why: &str) -> Failed {
    let cause = format!("the topic {} could not be deleted: {why}", trip.name);
    let command = format!(
        "kafka-topics.sh --bootstrap-server <bootstrap> --delete --topic {}",
        trip.name
    );
    let fix = Fix::words("Delete the topic").run(command);
    Failed::Found(Box::new(Finding::new(&rows::NOT_DELETED, cause, fix)))
}

/// Another connection to the controller, or to a bootstrap broker. How it came to be was
/// told of the first.
async fn anew(trip: &Trip<'_>, cluster: &Cluster) -> Option<Wire> {
    let controller = cluster.controller.and_then(|id| cluster.brokers.get(&id));
    let bootstrap = || trip.context.settings.brokers.first();
    let target = match controller {
        Some(member) => member.target.clone(),
        None => Target::bootstrap(bootstrap()?),
    };
    let recorder = Recorder::default();
    let context = Context {
        settings: trip.context.settings,
        token: Token::fetched(),
        patience: trip.context.patience,
        recorder: &recorder,
    };
    examine(&context, &target).await
}

/// A connection to the controller if there is one: brokers of old pass nothing on to it.
fn controller(cluster: &mut Cluster) -> &mut Wire {
    let id = cluster.controller.unwrap_or(-1);
    if cluster.at(id).is_none() {
        return cluster.any();
    }
    cluster
        .at(id)
        .unwrap_or_else(|| unreachable!("it was just there"))
}

pub(super) fn name(trip: &Trip<'_>) -> TopicName {
    TopicName(StrBytes::from_string(trip.name.clone()))
}
