//! Groups that can't be had with the tests' brokers.

use kafka_protocol::{
    messages::{
        BrokerId, DescribeGroupsRequest, DescribeGroupsResponse, FindCoordinatorRequest,
        FindCoordinatorResponse, ListGroupsRequest, ListGroupsResponse,
        describe_groups_response::DescribedGroup, list_groups_response::ListedGroup,
    },
    protocol::StrBytes,
};

use crate::doctor::stages::permissions::fake::{Fake, codes, wanted};

fn fake(coordinator: i16) -> Fake {
    Fake::default().on((0, 3), move |_: FindCoordinatorRequest| {
        FindCoordinatorResponse::default()
            .with_node_id(BrokerId(1))
            .with_error_code(coordinator)
    })
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
