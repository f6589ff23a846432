//! What real brokers of the tests do not answer: those that tell no operations, and those
//! that want a right of its own for idempotence.

use std::sync::atomic::{AtomicUsize, Ordering};

use kafka_protocol::messages::{
    BrokerId, DescribeGroupsRequest, DescribeGroupsResponse, FetchRequest, FetchResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse,
    InitProducerIdRequest, InitProducerIdResponse,
    describe_groups_response::DescribedGroup,
    fetch_response::{FetchableTopicResponse, PartitionData},
};

use super::{
    fake::{Fake, codes, wanted},
    operation,
};
use crate::doctor::{Outcome, Report, Stage};

/// May be seen, written and read.
const ALL: i32 = 1 << 8 | operation::READ | operation::WRITE;

/// A broker that answers a question for a producer id with this error, a heartbeat and a
/// Fetch with those, and tells nothing of operations on groups.
fn fake(init: i16, heartbeat: i16, fetch: i16) -> Fake {
    let coordinator =
        |_: FindCoordinatorRequest| FindCoordinatorResponse::default().with_node_id(BrokerId(1));
    let described = |request: DescribeGroupsRequest| {
        let group = DescribedGroup::default().with_group_id(request.groups[0].clone());
        DescribeGroupsResponse::default().with_groups(vec![group])
    };
    Fake::default()
        .on((0, 3), coordinator)
        .on((0, 2), described)
        .on((0, 1), move |request: InitProducerIdRequest| {
            assert_eq!(request.transactional_id, None);
            InitProducerIdResponse::default().with_error_code(init)
        })
        .on((0, 2), move |_: HeartbeatRequest| {
            HeartbeatResponse::default().with_error_code(heartbeat)
        })
        .on((4, 11), move |request: FetchRequest| {
            let partition = PartitionData::default().with_error_code(fetch);
            let topic = FetchableTopicResponse::default()
                .with_topic(request.topics[0].topic.clone())
                .with_partitions(vec![partition]);
            FetchResponse::default().with_responses(vec![topic])
        })
}

/// How checks of permissions of this subject ended.
fn outcomes(report: &Report, subject: &str) -> Vec<String> {
    let checks = report.checks.iter();
    let checks = checks.filter(|check| check.stage == Stage::Permissions);
    checks
        .filter(|check| check.subject == subject)
        .map(|check| match &check.outcome {
            Outcome::Fine(seen) => format!("fine: {}", seen.words()),
            Outcome::Found(finding) => finding.row.code.to_owned(),
            Outcome::Skipped(why) | Outcome::Unanswered(why) => format!("skipped: {why}"),
        })
        .collect()
}

#[tokio::test]
async fn a_right_of_its_own_for_idempotence_is_missed() {
    let report = fake(31, 25, 0).diagnose(8, ALL, &wanted(None), false).await;
    assert_eq!(codes(&report, "RDK-PERM"), ["RDK-PERM-06"]);
    let fix = &report.findings()[0].finding().expect("it is one").fix;
    assert_eq!(fix.set, [("idempotence".into(), "false".to_owned())]);
    let report = fake(15, 25, 0).diagnose(8, ALL, &wanted(None), false).await;
    assert_eq!(codes(&report, "RDK-PERM"), [""; 0]);
}

#[tokio::test]
async fn a_broker_that_has_just_started_is_asked_for_a_producer_id_again() {
    let asked = AtomicUsize::new(0);
    let fresh = fake(0, 25, 0).on((0, 1), move |_: InitProducerIdRequest| {
        let is_early = asked.fetch_add(1, Ordering::Relaxed) < 2;
        // COORDINATOR_LOAD_IN_PROGRESS.
        InitProducerIdResponse::default().with_error_code(if is_early { 14 } else { 0 })
    });
    let report = fresh.diagnose(8, ALL, &wanted(None), false).await;
    let expected = ["fine: it got a producer id"];
    assert_eq!(outcomes(&report, "idempotent writes"), expected);
}

#[tokio::test]
async fn without_the_right_to_write_idempotence_is_no_finding_of_its_own() {
    let operations = ALL & !operation::WRITE;
    let report = fake(31, 25, 0)
        .diagnose(8, operations, &wanted(None), false)
        .await;
    assert_eq!(codes(&report, "RDK-PERM"), ["RDK-PERM-01"]);
    let letters = wanted(Some("orders"));
    let report = fake(31, 25, 0)
        .diagnose(8, operations, &letters, false)
        .await;
    assert_eq!(codes(&report, "RDK-PERM"), ["RDK-PERM-04"]);
}

#[tokio::test]
async fn a_broker_that_tells_no_operations_is_tried_without_effects() {
    let cannot = "skipped: the broker does not tell whether it may write, and to try would write";
    for (newest, operations) in [(8, operation::UNTOLD), (8, 0), (7, operation::UNTOLD)] {
        for offset_error in [0, 1] {
            let fake = fake(0, 25, offset_error);
            let report = fake
                .diagnose(newest, operations, &wanted(None), false)
                .await;
            assert_eq!(codes(&report, "RDK-PERM"), [""; 0]);
            assert_eq!(outcomes(&report, "topic t"), [cannot, "fine: may read"]);
            let group = ["fine: may read: a heartbeat is looked at"];
            assert_eq!(outcomes(&report, "group g"), group);
        }
        let report = fake(0, 30, 29)
            .diagnose(newest, operations, &wanted(None), false)
            .await;
        assert_eq!(codes(&report, "RDK-PERM"), ["RDK-PERM-02", "RDK-PERM-05"]);
    }
}

#[tokio::test]
async fn what_nothing_is_known_of_is_never_fine() {
    let unknown = fake(0, 16, 6).diagnose(7, 0, &wanted(None), false).await;
    for subject in ["topic t", "group g"] {
        let all = outcomes(&unknown, subject);
        assert!(
            all.iter().all(|outcome| outcome.starts_with("skipped: ")),
            "{all:?}"
        );
        assert!(!all.is_empty());
    }
    // Asking such a broker for a topic would make it.
    let old = Fake::default().diagnose(3, 0, &wanted(None), false).await;
    let why = "skipped: this broker is so old that asking for a topic may make it";
    assert_eq!(outcomes(&old, "topic t"), [why]);
}
