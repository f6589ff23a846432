use std::time::Duration;

use kafka_protocol::{
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse, RequestHeader,
        ResponseHeader, metadata_response::MetadataResponseBroker,
    },
    protocol::{Decodable as _, Encodable as _, HeaderVersion, StrBytes},
};
use tokio::time::timeout;

use super::*;

const LONG: Duration = Duration::from_secs(30);

/// A broker that answers every request with metadata in version 8: one broker, elsewhere.
async fn kafka() -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            connections.spawn(async move {
                while let Ok(_request) = connection::read(&mut client).await {
                    let broker = MetadataResponseBroker::default()
                        .with_host(StrBytes::from_static_str("kafka.test"))
                        .with_port(9);
                    let answer = MetadataResponse::default().with_brokers(vec![broker]);
                    let mut bytes = bytes::BytesMut::new();
                    let header = ResponseHeader::default();
                    header
                        .encode(&mut bytes, MetadataResponse::header_version(8))
                        .unwrap();
                    answer.encode(&mut bytes, 8).unwrap();
                    connection::write(&mut client, &bytes).await.unwrap();
                }
            });
        }
    });
    (address, task)
}

async fn metadata(lab: &Lab, version: i16) -> Result<MetadataResponse> {
    timeout(
        LONG,
        ask(&lab.address, &MetadataRequest::default(), version),
    )
    .await?
}

async fn versions(lab: &Lab, version: i16, layout: i16) -> Result<ApiVersionsResponse> {
    let mut stream = tokio::net::TcpStream::connect(&lab.address).await?;
    let request = ApiVersionsRequest::default();
    let mut bytes = bytes::BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(18)
        .with_request_api_version(version)
        .encode(
            &mut bytes,
            ApiVersionsRequest::header_version(version.min(4)),
        )?;
    request.encode(&mut bytes, version.min(4))?;
    connection::write(&mut stream, &bytes).await?;
    let mut answer = timeout(LONG, connection::read(&mut stream)).await??;
    Ok(ApiVersionsResponse::decode(
        &mut answer.split_off(4),
        layout,
    )?)
}

#[tokio::test]
async fn a_request_outside_its_ranges_is_cut_off() {
    let (kafka, task) = kafka().await;
    let lab = Lab::start(&kafka, LabOptions::redpanda().unwrap())
        .await
        .unwrap();
    let answer = metadata(&lab, 8).await.unwrap();
    let broker = &answer.brokers[0];
    assert_eq!(format!("{}:{}", &*broker.host, broker.port), lab.address);
    let error = metadata(&lab, 9).await.unwrap_err().to_string();
    assert!(error.contains("end of file"), "{error}");
    let (key, version) = (3, 9);
    assert_eq!(lab.cut_off(), [Asked { key, version }]);
    task.abort();
}

#[tokio::test]
async fn versions_are_told_in_a_layout_that_the_client_knows() {
    let (kafka, task) = kafka().await;
    let lab = Lab::start(&kafka, LabOptions::redpanda().unwrap())
        .await
        .unwrap();
    for version in [0, 3] {
        let answer = versions(&lab, version, version).await.unwrap();
        let metadata = answer.api_keys.iter().find(|row| row.api_key == 3).unwrap();
        assert_eq!((metadata.min_version, metadata.max_version), (0, 8));
    }
    let answer = versions(&lab, 4, 0).await.unwrap();
    assert_eq!((answer.error_code, answer.api_keys.len()), (35, 0));
    task.abort();
}

#[tokio::test]
async fn it_can_be_changed_while_it_runs() {
    let (kafka, task) = kafka().await;
    let lab = Lab::start(&kafka, LabOptions::default()).await.unwrap();
    assert!(metadata(&lab, 8).await.is_ok());
    let elsewhere = Advertise::At("nowhere.invalid".to_owned(), 7);
    lab.change(LabOptions::default().advertising(elsewhere))
        .unwrap();
    let advertised = metadata(&lab, 8).await.unwrap().brokers[0].host.clone();
    assert_eq!(&*advertised, "nowhere.invalid");
    lab.change(LabOptions::default().behaving(Behaviour::Hangup))
        .unwrap();
    assert!(metadata(&lab, 8).await.is_err());
    task.abort();
}

/// In every version that there is.
#[test]
fn addresses_are_replaced_in_every_version() {
    use kafka_protocol::{
        messages::{
            DescribeClusterResponse, FindCoordinatorResponse,
            describe_cluster_response::DescribeClusterBroker,
            find_coordinator_response::Coordinator,
        },
        protocol::Message,
    };

    let all = |range: kafka_protocol::protocol::VersionRange| range.min..=range.max;
    let shape = shape(Advertise::Host("rp-0.test.".to_owned()), 0);
    for version in all(MetadataResponse::VERSIONS) {
        let broker = MetadataResponseBroker::default()
            .with_host(StrBytes::from_static_str("kafka.test"))
            .with_port(9);
        let answer = MetadataResponse::default().with_brokers(vec![broker]);
        let got = rewritten(&shape, 3, version, &answer);
        let broker = &got.brokers[0];
        assert_eq!(
            (&*broker.host, broker.port),
            ("rp-0.test.", 7),
            "Metadata {version}"
        );
    }
    for version in all(FindCoordinatorResponse::VERSIONS) {
        let answer = FindCoordinatorResponse::default();
        let answer = if version < 4 {
            answer
                .with_host(StrBytes::from_static_str("kafka.test"))
                .with_port(9)
        } else {
            let one = Coordinator::default()
                .with_host(StrBytes::from_static_str("kafka.test"))
                .with_port(9);
            answer.with_coordinators(vec![one])
        };
        let got = rewritten(&shape, 10, version, &answer);
        let several = got.coordinators.first();
        let at = several.map_or((&*got.host, got.port), |one| (&*one.host, one.port));
        assert_eq!(at, ("rp-0.test.", 7), "FindCoordinator {version}");
    }
    for version in all(DescribeClusterResponse::VERSIONS) {
        let broker =
            DescribeClusterBroker::default().with_host(StrBytes::from_static_str("kafka.test"));
        let answer = DescribeClusterResponse::default().with_brokers(vec![broker]);
        let got = rewritten(&shape, 60, version, &answer);
        let broker = &got.brokers[0];
        assert_eq!(
            (&*broker.host, broker.port),
            ("rp-0.test.", 7),
            "DescribeCluster {version}"
        );
    }
}

#[test]
fn clocks_are_shifted_and_unknown_times_stay() {
    use kafka_protocol::messages::{
        DescribeQuorumResponse,
        describe_quorum_response::{PartitionData, ReplicaState, TopicData},
    };

    let replica = ReplicaState::default()
        .with_last_fetch_timestamp(1000)
        .with_last_caught_up_timestamp(-1);
    let partition = PartitionData::default().with_current_voters(vec![replica]);
    let topic = TopicData::default().with_partitions(vec![partition]);
    let answer = DescribeQuorumResponse::default().with_topics(vec![topic]);
    let shape = shape(Advertise::Itself, -600);
    for version in 1..=2 {
        let got = rewritten(&shape, 55, version, &answer);
        let voter = &got.topics[0].partitions[0].current_voters[0];
        let times = (voter.last_fetch_timestamp, voter.last_caught_up_timestamp);
        assert_eq!(times, (400, -1));
    }
}

/// On port 7.
fn shape(advertise: Advertise, clock: i64) -> Shape {
    let options = LabOptions {
        advertise,
        clock,
        ..LabOptions::default()
    };
    Shape::new(options, "kafka.test:9", 7, &Arc::default()).unwrap()
}

/// An answer as a client of the lab reads it.
fn rewritten<T>(shape: &Shape, key: i16, version: i16, answer: &T) -> T
where
    T: HeaderVersion + kafka_protocol::protocol::Encodable + kafka_protocol::protocol::Decodable,
{
    let mut bytes = bytes::BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(5);
    header
        .encode(&mut bytes, T::header_version(version))
        .unwrap();
    answer.encode(&mut bytes, version).unwrap();
    let mut got = rewrite::answer(shape, key, version, bytes.freeze()).unwrap();
    let header = ResponseHeader::decode(&mut got, T::header_version(version)).unwrap();
    assert_eq!(header.correlation_id, 5);
    T::decode(&mut got, version).unwrap()
}
