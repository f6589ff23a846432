//! Answers that the crate encodes are whole, and less than that never is.

use bytes::BytesMut;
use kafka_protocol::{
    messages::{
        DescribeConfigsResponse, MetadataResponse, SaslHandshakeResponse,
        describe_configs_response::{
            DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
        },
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
    },
    protocol::{Encodable, Message, StrBytes},
};

use super::*;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

/// It is whole in every version, and in none if its last byte is missing.
fn is_known<T: Encodable + Message>(key: ApiKey, answer: impl Fn(i16) -> T) {
    for version in T::VERSIONS.min..=T::VERSIONS.max {
        let mut bytes = BytesMut::new();
        let encoded = answer(version).encode(&mut bytes, version);
        encoded.unwrap_or_else(|error| panic!("{key:?} v{version}: {error}"));
        let bytes = bytes.freeze();
        let is_whole = |bytes| is_whole(key as i16, version, bytes);
        assert!(is_whole(bytes.clone()), "{key:?} v{version}");
        for length in 0..bytes.len() {
            assert!(!is_whole(bytes.slice(..length)), "{key:?} v{version}");
        }
    }
}

#[test]
fn each_version_of_what_is_asked_at_init_is_known() {
    is_known(ApiKey::SaslHandshake, |_| {
        SaslHandshakeResponse::default().with_mechanisms(vec![text("PLAIN"), text("SCRAM")])
    });
    is_known(ApiKey::Metadata, |version| {
        let partition = MetadataResponsePartition::default()
            .with_replica_nodes(vec![1.into(), 2.into()])
            .with_isr_nodes(vec![1.into()]);
        let topic = MetadataResponseTopic::default()
            .with_name(Some(text("orders").into()))
            .with_partitions(vec![partition.clone(), partition]);
        let broker = MetadataResponseBroker::default().with_host(text("kafka"));
        let answer = MetadataResponse::default()
            .with_brokers(vec![broker.clone(), broker])
            .with_topics(vec![topic.clone(), topic]);
        if version < 2 {
            return answer;
        }
        answer.with_cluster_id(Some(text("cluster")))
    });
    is_known(ApiKey::DescribeConfigs, |_| {
        let synonym = DescribeConfigsSynonym::default().with_name(text("log.retention.ms"));
        let setting = DescribeConfigsResourceResult::default()
            .with_name(text("retention.ms"))
            .with_value(Some(text("1")))
            .with_synonyms(vec![synonym]);
        let result = DescribeConfigsResult::default()
            .with_resource_name(text("orders"))
            .with_configs(vec![setting.clone(), setting]);
        DescribeConfigsResponse::default().with_results(vec![result])
    });
}

#[test]
fn what_announces_more_than_there_is_is_not_whole() {
    // Throttled for no time, and then 2,147,483,647 brokers.
    let hostile = Bytes::from_static(&[0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert!(!is_whole(ApiKey::Metadata as i16, 8, hostile));
    let hostile = Bytes::from_static(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]);
    assert!(!is_whole(ApiKey::Metadata as i16, 12, hostile));
}

proptest::proptest! {
    /// Whatever a stranger writes ends no process: what is taken for whole can be decoded,
    /// or is refused.
    #[test]
    fn whatever_comes_is_decoded_or_refused(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        version in 0..=13_i16,
    ) {
        let bytes = Bytes::from(bytes);
        if is_whole(ApiKey::Metadata as i16, version, bytes.clone()) {
            let _ = <MetadataResponse as kafka_protocol::protocol::Decodable>::decode(&mut bytes.clone(), version);
        }
    }
}
