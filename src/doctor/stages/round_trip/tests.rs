//! What no real broker does on request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kafka_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    FetchRequest, FetchResponse, ProduceRequest, ProduceResponse,
    create_topics_response::CreatableTopicResult,
    delete_topics_response::DeletableTopicResult,
    fetch_response::{FetchableTopicResponse, PartitionData},
    produce_response::{PartitionProduceResponse, TopicProduceResponse},
};

use super::*;
use crate::doctor::{
    Outcome, Patience, Recorder, Token, Verdict, Wanted,
    stages::permissions::fake::{Fake, codes},
};

/// A broker that answers writing and deleting with these errors, and has no records.
/// Deletions are counted.
fn fake(produce: i16, delete: i16, deleted: &Arc<AtomicUsize>) -> Fake {
    let deleted = deleted.clone();
    Fake::default()
        .on((2, 7), |request: CreateTopicsRequest| {
            let topic = CreatableTopicResult::default().with_name(request.topics[0].name.clone());
            CreateTopicsResponse::default().with_topics(vec![topic])
        })
        .on((3, 11), move |request: ProduceRequest| {
            let partition = PartitionProduceResponse::default().with_error_code(produce);
            let topic = TopicProduceResponse::default()
                .with_name(request.topic_data[0].name.clone())
                .with_partition_responses(vec![partition]);
            ProduceResponse::default().with_responses(vec![topic])
        })
        .on((4, 11), |request: FetchRequest| {
            let topic = FetchableTopicResponse::default()
                .with_topic(request.topics[0].topic.clone())
                .with_partitions(vec![PartitionData::default()]);
            FetchResponse::default().with_responses(vec![topic])
        })
        .on((1, 5), move |request: DeleteTopicsRequest| {
            deleted.fetch_add(1, Ordering::Relaxed);
            let topic = DeletableTopicResult::default()
                .with_name(Some(request.topic_names[0].clone()))
                .with_error_code(delete);
            DeleteTopicsResponse::default().with_responses(vec![topic])
        })
}

/// It is not known whether the topic is made, and when it is to be deleted nobody knows it.
#[tokio::test]
async fn a_topic_that_may_still_be_made_is_named() {
    let deleted = Arc::new(AtomicUsize::new(0));
    let fake = fake(0, 3, &deleted).on((2, 7), |request: CreateTopicsRequest| {
        let topic = CreatableTopicResult::default()
            .with_name(request.topics[0].name.clone())
            .with_error_code(7);
        CreateTopicsResponse::default().with_topics(vec![topic])
    });
    let report = fake.diagnose(8, -1, &Wanted::default(), true).await;
    let named = report.checks.iter().any(|check| {
        matches!(&check.outcome, Outcome::Skipped(why) | Outcome::Unanswered(why) if why.contains("dapr-rdkafka-doctor-"))
    });
    assert!(named, "{:?}", report.checks);
}

#[test]
fn brokers_are_waited_for_longer_than_they_wait() {
    for seconds in [1, 40] {
        let left = patience(Instant::now() + Duration::from_secs(seconds));
        let most = i32::try_from(seconds * 750).expect("it is small");
        assert!(left <= most && left > most / 2, "{left}");
    }
    assert_eq!(patience(Instant::now()), 0);
}

#[tokio::test]
async fn the_topic_is_deleted_also_after_a_step_that_fails() {
    for (produce, delete, expected) in [
        // It is written, and does not come back.
        (0, 0, &["RDK-TRIP-04"][..]),
        (19, 0, &["RDK-TRIP-03"]),
        (29, 0, &["RDK-TRIP-01"]),
        (19, 7, &["RDK-TRIP-03", "RDK-TRIP-05"]),
    ] {
        let deleted = Arc::new(AtomicUsize::new(0));
        let fake = fake(produce, delete, &deleted);
        let report = fake.diagnose(8, -1, &Wanted::default(), true).await;
        assert_eq!(codes(&report, "RDK-TRIP"), expected);
        assert_eq!(deleted.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn a_topic_that_nobody_waited_for_is_told() {
    let pairs = [("brokers", "a:1"), ("authType", "none")];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let resolved = crate::metadata::resolve(&pairs.into()).expect("it is right");
    let recorder = Recorder::default();
    recorder.knows(&resolved.settings.brokers);
    let context = Context {
        settings: &resolved.settings,
        token: Token::fetched(),
        patience: Patience::EachStage(Duration::from_secs(1)),
        recorder: &recorder,
    };
    let trip = Trip {
        context: &context,
        name: format!("{PREFIX}1"),
        value: "1".into(),
    };
    Left(Some(&trip)).gone();
    assert!(recorder.report().findings().is_empty());
    drop(Left(Some(&trip)));
    let report = recorder.report();
    assert_eq!(codes(&report, "RDK-TRIP"), ["RDK-TRIP-05"]);
    let fix = &report.findings()[0].finding().expect("it is one").fix;
    let told = "kafka-topics.sh --bootstrap-server a:1 --delete --topic dapr-rdkafka-doctor-1";
    assert_eq!(fix.command.as_deref(), Some(told));
}

#[tokio::test]
async fn what_is_not_answered_is_not_fine() {
    // All is served that is needed, and nothing but Metadata is answered so that it can be read.
    let asked = crate::doctor::stages::permissions::fake::wanted(None);
    for (wanted, verdict) in [
        (&Wanted::default(), Verdict::Fine),
        (&asked, Verdict::Unknown),
    ] {
        let report = Fake::default().diagnose(8, i32::MIN, wanted, false).await;
        assert_eq!(Verdict::of(&report, true), verdict, "{report:#?}");
    }
}
