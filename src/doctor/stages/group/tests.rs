//! Groups that can't be had with the tests' brokers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use kafka_protocol::{
    messages::{
        BrokerId, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
        DescribeGroupsRequest, DescribeGroupsResponse, FindCoordinatorRequest,
        FindCoordinatorResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
        LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
        consumer_group_describe_response,
        describe_groups_response::{DescribedGroup, DescribedGroupMember},
        list_groups_response::ListedGroup,
    },
    protocol::StrBytes,
};

use crate::doctor::{
    Outcome, Report, Stage,
    stages::permissions::fake::{Fake, codes, wanted},
};

fn fake(coordinator: i16) -> Fake {
    Fake::default().on((0, 3), move |_: FindCoordinatorRequest| {
        FindCoordinatorResponse::default()
            .with_node_id(BrokerId(1))
            .with_error_code(coordinator)
    })
}

/// A group whose members agreed on what this component does not offer, and what a
/// `JoinGroup` of nobody is answered.
async fn sticky(state: &'static str, join: i16) -> (Report, usize) {
    let left = Arc::new(AtomicUsize::new(0));
    let leaves = left.clone();
    let text = StrBytes::from_static_str;
    let fake = fake(0)
        .on((0, 5), move |request: DescribeGroupsRequest| {
            let group = DescribedGroup::default()
                .with_group_id(request.groups[0].clone())
                .with_group_state(text(state))
                .with_protocol_type(text("consumer"))
                .with_protocol_data(text("cooperative-sticky"))
                .with_members(vec![DescribedGroupMember::default()]);
            DescribeGroupsResponse::default().with_groups(vec![group])
        })
        .on((0, 5), move |request: JoinGroupRequest| {
            assert_eq!(&*request.member_id, "dapr-rdkafka-doctor");
            assert_eq!(state, "Stable");
            JoinGroupResponse::default().with_error_code(join)
        })
        .on((0, 1), move |request: LeaveGroupRequest| {
            assert_eq!(&*request.member_id, "dapr-rdkafka-doctor");
            leaves.fetch_add(1, Ordering::Relaxed);
            LeaveGroupResponse::default()
        });
    let report = fake.diagnose(8, -1, &wanted(None), false).await;
    (report, left.load(Ordering::Relaxed))
}

/// How the check of the group itself ended.
fn outcome(report: &Report) -> String {
    let mut checks = report.checks.iter();
    let check = checks.find(|check| check.stage == Stage::Group && check.subject == "group g");
    match &check.expect("it is checked").outcome {
        Outcome::Fine(seen) => format!("fine: {}", seen.words()),
        Outcome::Found(finding) => finding.row.code.to_owned(),
        Outcome::Skipped(why) | Outcome::Unanswered(why) => format!("skipped: {why}"),
    }
}

#[tokio::test]
async fn another_strategy_is_a_problem_only_if_it_is_refused() {
    for (state, join, left, expected) in [
        ("Stable", 23, 0, "RDK-GROUP-04"),
        ("Stable", 25, 0, "fine: "),
        ("Stable", 0, 1, "skipped: "),
        ("Stable", 26, 0, "skipped: "),
        ("CompletingRebalance", 23, 0, "skipped: "),
    ] {
        let (report, leaves) = sticky(state, join).await;
        let outcome = outcome(&report);
        assert!(outcome.starts_with(expected), "{state} {join}: {outcome}");
        assert_eq!(leaves, left, "{state} {join}");
    }
}

#[tokio::test]
async fn a_group_that_may_not_be_described_is_not_taken_for_unused() {
    for (described, listing, expected) in [
        (
            69,
            0,
            "fine: broker 1 coordinates it; nobody has used it yet",
        ),
        (
            35,
            0,
            "fine: broker 1 coordinates it; nobody has used it yet",
        ),
        (29, 0, "skipped: TOPIC_AUTHORIZATION_FAILED"),
        (
            69,
            31,
            "skipped: asked for all groups, its coordinator answers CLUSTER_AUTHORIZATION_FAILED",
        ),
    ] {
        let fake = fake(0)
            .on((0, 6), |request: DescribeGroupsRequest| {
                let group = DescribedGroup::default()
                    .with_group_id(request.groups[0].clone())
                    .with_error_code(69);
                DescribeGroupsResponse::default().with_groups(vec![group])
            })
            .on((0, 0), move |request: ConsumerGroupDescribeRequest| {
                let group = consumer_group_describe_response::DescribedGroup::default()
                    .with_group_id(request.group_ids[0].clone())
                    .with_error_code(described);
                ConsumerGroupDescribeResponse::default().with_groups(vec![group])
            })
            .on((0, 5), move |_: ListGroupsRequest| {
                ListGroupsResponse::default().with_error_code(listing)
            });
        let report = fake.diagnose(8, -1, &wanted(None), false).await;
        assert_eq!(outcome(&report), expected);
    }
}

#[tokio::test]
async fn a_coordinator_that_comes_late_is_waited_for() {
    let asked = AtomicUsize::new(0);
    let fake = Fake::default().on((0, 3), move |_: FindCoordinatorRequest| {
        let late = asked.fetch_add(1, Ordering::Relaxed) < 2;
        FindCoordinatorResponse::default()
            .with_node_id(BrokerId(1))
            .with_error_code(if late { 15 } else { 0 })
    });
    let report = fake.diagnose(8, -1, &wanted(None), false).await;
    assert_eq!(codes(&report, "RDK-GROUP"), [""; 0]);
}

#[tokio::test]
async fn a_group_without_a_coordinator_is_found() {
    let report = fake(15).diagnose(8, -1, &wanted(None), false).await;
    assert_eq!(codes(&report, "RDK-GROUP"), ["RDK-GROUP-02"]);
    // It is still being loaded: nobody knows.
    let report = fake(14).diagnose(8, -1, &wanted(None), false).await;
    assert_eq!(codes(&report, "RDK-GROUP"), [""; 0]);
}

#[tokio::test]
async fn a_group_that_is_none_of_consumers_is_found() {
    let listed = |kind: &'static str| {
        let group = move |request: DescribeGroupsRequest| {
            let group = DescribedGroup::default()
                .with_group_id(request.groups[0].clone())
                .with_error_code(69);
            DescribeGroupsResponse::default().with_groups(vec![group])
        };
        let groups = move |_: ListGroupsRequest| {
            let group = ListedGroup::default()
                .with_group_id(StrBytes::from_static_str("g").into())
                .with_group_type(StrBytes::from_static_str(kind));
            ListGroupsResponse::default().with_groups(vec![group])
        };
        fake(0).on((0, 6), group).on((0, 5), groups)
    };
    let report = listed("share").diagnose(8, -1, &wanted(None), false).await;
    assert_eq!(codes(&report, "RDK-GROUP"), ["RDK-GROUP-03"]);
    for kind in ["classic", "Consumer", ""] {
        let report = listed(kind).diagnose(8, -1, &wanted(None), false).await;
        assert_eq!(codes(&report, "RDK-GROUP"), [""; 0], "{kind}");
    }
}
