use bytes::{BufMut as _, BytesMut};
use kafka_protocol::{
    messages::{ApiVersionsResponse, api_versions_response::ApiVersion},
    protocol::Encodable as _,
};
use proptest::prelude::*;

use super::*;

/// An answer as a broker writes it.
fn answer(apis: &[(i16, i16, i16)], version: i16) -> Bytes {
    let each = apis.iter().map(|(key, first, last)| {
        ApiVersion::default()
            .with_api_key(*key)
            .with_min_version(*first)
            .with_max_version(*last)
    });
    let mut bytes = BytesMut::new();
    bytes.put_i32(7);
    ApiVersionsResponse::default()
        .with_api_keys(each.collect())
        .encode(&mut bytes, version)
        .unwrap();
    bytes.freeze()
}

#[test]
fn answers_of_both_layouts_are_read() {
    let apis = [(0, 0, 7), (18, 0, 3)];
    for version in [0, 3] {
        let read = read(answer(&apis, version), version).unwrap();
        assert_eq!((read.error, read.ranges), (0, apis.into_iter().collect()));
    }
}

#[test]
fn an_error_is_read_whatever_follows() {
    let bytes = Bytes::from_static(&[0, 0, 0, 7, 0, 35, 0xff, 0xff]);
    assert_eq!(read(bytes, 3).unwrap().error, UNSUPPORTED_VERSION);
}

#[test]
fn more_than_is_there_is_not_believed() {
    // Two thousand million requests are announced, and none is there.
    let bytes = Bytes::from_static(&[0, 0, 0, 7, 0, 0, 0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(read(bytes, 0), None);
    let bytes = Bytes::from_static(&[0, 0, 0, 7, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert_eq!(read(bytes, 3), None);
}

#[test]
fn a_range_that_is_none_is_no_brokers() {
    assert_eq!(read(answer(&[(0, 5, 2)], 0), 0), None);
    assert_eq!(read(answer(&[], 0), 0), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, version in 0..4_i16) {
        let _ = read(Bytes::from(bytes), version);
    }

    #[test]
    fn any_ranges_are_read_as_they_were_written(
        apis in prop::collection::btree_map(0..200_i16, (0..9_i16, 9..20_i16), 1..100),
        flexible: bool,
    ) {
        let version = if flexible { 3 } else { 0 };
        let apis: Vec<_> = apis.into_iter().map(|(key, (first, last))| (key, first, last)).collect();
        let read = read(answer(&apis, version), version).unwrap();
        prop_assert_eq!(read.ranges, apis.into_iter().collect());
    }
}
