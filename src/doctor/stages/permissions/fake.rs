//! A broker that answers as a test wants it.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsResponse, BrokerId, MetadataRequest, MetadataResponse, RequestHeader,
        ResponseHeader,
        api_versions_response::ApiVersion,
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
    },
    protocol::{Decodable as _, Encodable, Request, StrBytes},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use tokio_util::sync::CancellationToken;

use crate::{
    doctor::{Dapr, Options, Recorder, Report, Wanted, WantedTopic, full},
    metadata,
};

/// Answers one kind of request: its version and body to the answer's header and body.
type Answer = Box<dyn Fn(i16, Bytes) -> BytesMut + Send + Sync>;

/// What no broker may lack, and what idempotence takes.
const NEEDED: [(ApiKey, i16, i16); 12] = [
    (ApiKey::Produce, 3, 7),
    (ApiKey::Fetch, 4, 11),
    (ApiKey::ListOffsets, 1, 4),
    (ApiKey::Metadata, 0, 8),
    (ApiKey::OffsetCommit, 1, 8),
    (ApiKey::OffsetFetch, 1, 7),
    (ApiKey::FindCoordinator, 0, 2),
    (ApiKey::JoinGroup, 0, 5),
    (ApiKey::Heartbeat, 0, 3),
    (ApiKey::LeaveGroup, 0, 1),
    (ApiKey::SyncGroup, 0, 3),
    (ApiKey::InitProducerId, 0, 3),
];

/// A broker; what it was not told the answers to it answers with nothing.
#[derive(Default)]
pub(in crate::doctor::stages) struct Fake {
    served: BTreeMap<i16, (i16, i16, Answer)>,
}

impl Fake {
    /// Answers this request, in these versions, so.
    pub(in crate::doctor::stages) fn on<R: Request + 'static>(
        mut self,
        (first, last): (i16, i16),
        answer: impl Fn(R) -> R::Response + Send + Sync + 'static,
    ) -> Self {
        let answer = move |version, mut body: Bytes| {
            let request = R::decode(&mut body, version).expect("a request");
            encoded(&answer(request), version)
        };
        self.served.insert(R::KEY, (first, last, Box::new(answer)));
        self
    }

    /// Diagnoses a component of this group with it. All topics that are asked for are
    /// there, with these operations, if it serves that.
    pub(in crate::doctor::stages) async fn diagnose(
        self,
        newest_metadata: i16,
        operations: i32,
        wanted: &Wanted,
        round_trip: bool,
    ) -> Report {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        // Older answers have no room for them.
        let operations = if newest_metadata < 8 {
            i32::MIN
        } else {
            operations
        };
        let fake = self.on((0, newest_metadata), move |request: MetadataRequest| {
            cluster(&request, port, operations)
        });
        let serves = tokio::spawn(async move {
            let fake = std::sync::Arc::new(fake);
            while let Ok((mut stream, _)) = listener.accept().await {
                let fake = fake.clone();
                tokio::spawn(async move { while fake.serve(&mut stream).await.is_some() {} });
            }
        });
        let pairs = [
            ("brokers".to_owned(), format!("127.0.0.1:{port}")),
            ("authType".to_owned(), "none".to_owned()),
        ];
        let resolved = metadata::resolve(&pairs.into()).expect("it is right");
        let options = Options {
            stage: std::time::Duration::from_secs(2),
            round_trip,
            dapr: Dapr::default(),
        };
        let recorder = Recorder::default();
        let report = full(
            &resolved.settings,
            wanted,
            &options,
            &recorder,
            &CancellationToken::new(),
        )
        .await;
        serves.abort();
        report
    }

    /// The requests that it says it serves.
    fn claimed(&self) -> BTreeMap<i16, (i16, i16)> {
        let needed = NEEDED.map(|(key, first, last)| (key as i16, (first, last)));
        let told = self.served.iter();
        let told = told.map(|(key, (first, last, _))| (*key, (*first, *last)));
        needed.into_iter().chain(told).collect()
    }

    /// One request and its answer; `None` at the end.
    async fn serve(&self, stream: &mut TcpStream) -> Option<()> {
        let length = stream.read_u32().await.ok()?;
        let mut request = vec![0; length as usize];
        stream.read_exact(&mut request).await.ok()?;
        let mut request = Bytes::from(request);
        let key = i16::from_be_bytes([request[0], request[1]]);
        let version = i16::from_be_bytes([request[2], request[3]]);
        let api = ApiKey::try_from(key).expect("a known request");
        let header = api.request_header_version(version);
        let header = RequestHeader::decode(&mut request, header).expect("a header");
        let body = if api == ApiKey::ApiVersions {
            let each = self.claimed().into_iter().map(|(key, (first, last))| {
                ApiVersion::default()
                    .with_api_key(key)
                    .with_min_version(first)
                    .with_max_version(last)
            });
            encoded(
                &ApiVersionsResponse::default().with_api_keys(each.collect()),
                version,
            )
        } else {
            match self.served.get(&key) {
                Some((_, _, answer)) => answer(version, request),
                // Nothing that can be read.
                None => BytesMut::new(),
            }
        };
        let mut answer = BytesMut::new();
        ResponseHeader::default()
            .with_correlation_id(header.correlation_id)
            .encode(&mut answer, api.response_header_version(version))
            .expect("a header");
        answer.extend_from_slice(&body);
        stream
            .write_u32(u32::try_from(answer.len()).ok()?)
            .await
            .ok()?;
        stream.write_all(&answer).await.ok()
    }
}

/// The codes of what was found in these stages, which begin so.
pub(in crate::doctor::stages) fn codes(report: &Report, prefix: &str) -> Vec<&'static str> {
    let found = report.findings().into_iter();
    found
        .filter_map(|check| Some(check.finding()?.row.code))
        .filter(|code| code.starts_with(prefix))
        .collect()
}

/// A group, and a topic that is published to and subscribed to; perhaps it gets the dead
/// letters of another.
pub(in crate::doctor::stages) fn wanted(dead_letters_of: Option<&str>) -> Wanted {
    let topic = WantedTopic {
        name: "t".into(),
        publish: true,
        subscribe: dead_letters_of.is_none(),
        dead_letters_of: dead_letters_of.map(Into::into).into_iter().collect(),
        by_component: dead_letters_of.is_some(),
    };
    Wanted {
        topics: vec![topic],
        group: Some("g".into()),
    }
}

fn cluster(request: &MetadataRequest, port: u16, operations: i32) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(1))
        .with_host(StrBytes::from_static_str("127.0.0.1"))
        .with_port(port.into());
    let topics = request.topics.iter().flatten().map(|topic| {
        let partition = MetadataResponsePartition::default()
            .with_leader_id(BrokerId(1))
            .with_replica_nodes(vec![BrokerId(1)])
            .with_isr_nodes(vec![BrokerId(1)]);
        MetadataResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(vec![partition])
            .with_topic_authorized_operations(operations)
    });
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_controller_id(BrokerId(1))
        .with_topics(topics.collect())
}

fn encoded(answer: &impl Encodable, version: i16) -> BytesMut {
    let mut bytes = BytesMut::new();
    answer.encode(&mut bytes, version).expect("an answer");
    bytes
}
