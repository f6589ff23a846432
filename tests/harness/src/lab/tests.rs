use std::time::Duration;

use kafka_protocol::{
    messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse},
    protocol::{Encodable as _, HeaderVersion as _},
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
                    let broker = kafka_protocol::messages::metadata_response::MetadataResponseBroker::default()
                        .with_host("kafka.test".to_owned().into())
                        .with_port(9);
                    let answer = MetadataResponse::default().with_brokers(vec![broker]);
                    let mut bytes = bytes::BytesMut::new();
                    let header = kafka_protocol::messages::ResponseHeader::default();
                    header.encode(&mut bytes, MetadataResponse::header_version(8)).unwrap();
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
    kafka_protocol::messages::RequestHeader::default()
        .with_request_api_key(18)
        .with_request_api_version(version)
        .encode(
            &mut bytes,
            ApiVersionsRequest::header_version(version.min(4)),
        )?;
    request.encode(&mut bytes, version.min(4))?;
    connection::write(&mut stream, &bytes).await?;
    let mut answer = timeout(LONG, connection::read(&mut stream)).await??;
    kafka_protocol::protocol::Decodable::decode(&mut answer.split_off(4), layout)
        .map_err(Into::into)
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
