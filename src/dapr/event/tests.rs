use std::{collections::HashMap, sync::Arc};

use super::{
    metadata::{MOST, MOST_BYTES},
    *,
};
use crate::{
    engine::DeliveryId,
    metadata::{Headers, resolve},
    model::{Header, Offset, Record, TopicPartition},
};

type Given<'a> = (&'a str, Option<&'static [u8]>);

fn header(name: &str, value: Option<Bytes>) -> Header {
    Header {
        name: name.to_owned(),
        value,
    }
}

fn delivery(key: &'static [u8], value: Option<&'static [u8]>, headers: Vec<Header>) -> Delivery {
    let record = Record {
        at: TopicPartition::new("orders", 2),
        offset: Offset(7),
        timestamp: Some(1_700_000_000_000),
        appended: false,
        key: Some(Bytes::from_static(key)),
        value: value.map(Bytes::from_static),
        headers,
    };
    Delivery {
        id: DeliveryId(42),
        record: Arc::new(record),
    }
}

fn style(settings: &[(&str, &str)]) -> Style {
    let required = [("brokers", "a:9092"), ("authType", "none")];
    let pairs = required.iter().chain(settings);
    let properties = pairs.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let resolved = resolve(&properties.collect()).expect("the settings are right");
    Style {
        topic_name: "ns-orders".to_owned(),
        headers: resolved.settings.headers,
        raw: false,
    }
}

/// The metadata of a record with this key and these headers.
fn metadata(
    settings: &[(&str, &str)],
    key: &'static [u8],
    headers: &[Given<'_>],
) -> (HashMap<String, String>, LeftOut) {
    let headers = headers.iter();
    let headers = headers.map(|(name, value)| header(name, value.map(Bytes::from_static)));
    let delivery = delivery(key, Some(b"{}"), headers.collect());
    let (message, left_out) = message(&delivery, &style(settings));
    (message.metadata, left_out)
}

#[test]
fn the_content_type_is_that_of_the_header() {
    let of = |headers: &[(&str, &'static [u8])]| {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| header(name, Some(Bytes::from_static(value))));
        let delivery = delivery(b"k", Some(b"{}"), headers.collect());
        message(&delivery, &style(&[])).0
    };
    let binary = of(&[
        ("content-type", b"application/octet-stream"),
        ("ce_id", b"1"),
    ]);
    assert_eq!(binary.content_type, "application/octet-stream");
    assert_eq!(binary.metadata["content-type"], "application/octet-stream");
    let last = of(&[
        ("content-type", b"text/plain"),
        ("content-type", b"text/html"),
    ]);
    assert_eq!(last.content_type, "text/html");
    // Names of headers are told apart by case, as in the built-in component.
    assert_eq!(of(&[("Content-Type", b"text/plain")]).content_type, "");
    assert_eq!(of(&[("content-type", b"a\0b")]).content_type, "");
    assert_eq!(of(&[]).content_type, "");
}

#[test]
fn a_message_carries_what_the_built_in_gives() {
    let headers = vec![
        header("trace", Some(Bytes::from_static(b"t"))),
        header("empty", None),
    ];
    let (message, left_out) = message(&delivery(b"k", Some(b"{}"), headers), &style(&[]));
    assert_eq!(left_out, LeftOut::default());
    assert_eq!(message.topic_name, "ns-orders");
    assert_eq!(message.id, "42");
    assert_eq!(message.data.as_ref(), b"{}");
    let mut metadata: Vec<_> = message.metadata.into_iter().collect();
    metadata.sort_unstable();
    let expected = [
        ("__key", "k"),
        ("__offset", "7"),
        ("__partition", "2"),
        ("__timestamp", "1700000000000"),
        ("__topic", "orders"),
        ("empty", ""),
        ("trace", "t"),
    ];
    assert_eq!(
        metadata,
        expected.map(|(k, v)| (k.to_owned(), v.to_owned()))
    );
}

#[test]
fn a_tombstone_is_null_and_an_empty_value_is_empty() {
    let data = |value| {
        let (message, _) = message(&delivery(b"k", value, Vec::new()), &style(&[]));
        message.data
    };
    assert_eq!(data(None), NULL);
    assert_eq!(data(Some(b"")), b""[..]);
}

#[test]
fn a_null_carries_no_trace_that_would_end_daprd() {
    let carried = |value: Option<&'static [u8]>, raw| {
        let trace = vec![header("traceid", Some(Bytes::from_static(b"t")))];
        let style = Style { raw, ..style(&[]) };
        let (message, left_out) = message(&delivery(b"k", value, trace), &style);
        (message.metadata.contains_key("traceid"), left_out.count)
    };
    for null in [None, Some(&b"null"[..]), Some(b" null\n")] {
        assert_eq!(carried(null, false), (false, 1), "{null:?}");
        assert_eq!(carried(null, true), (true, 0), "raw {null:?}");
    }
    assert_eq!(carried(Some(b"{}"), false), (true, 0));
}

#[test]
fn headers_win_over_what_is_generated_and_the_last_of_a_name_counts() {
    let headers: [Given<'_>; 4] = [
        ("__key", Some(b"header")),
        ("twice", Some(b"1")),
        ("twice", Some(b"2")),
        ("Twice", Some(b"3")),
    ];
    let (metadata, _) = metadata(&[], b"k", &headers);
    assert_eq!(metadata["__key"], "header");
    assert_eq!(metadata["twice"], "2");
    assert_eq!(metadata["Twice"], "3");
}

#[test]
fn what_no_http_header_can_carry_is_left_out_and_counted() {
    let java_long = b"\0\0\0\0\0\0\0\x07";
    let headers: [Given<'_>; 7] = [
        ("fine", Some(b"tab\tand \xc3\xa9")),
        ("control", Some(b"a\nb")),
        ("delete", Some(b"\x7f")),
        ("binary", Some(b"first")),
        ("binary", Some(b"\xff")),
        ("odd name", Some(b"x")),
        ("", Some(b"x")),
    ];
    let (metadata, left_out) = metadata(&[], java_long, &headers);
    assert_eq!(metadata["fine"], "tab\tand \u{e9}");
    for name in ["control", "delete", "binary", "odd name", "", "__key"] {
        assert!(!metadata.contains_key(name), "{name}");
    }
    assert_eq!(metadata["__key.base64"], "AAAAAAAAAAc=");
    assert_eq!(left_out.count, 5);
    let (first, why) = left_out.first.expect("the first is named");
    assert_eq!(first, "control");
    assert!(why.contains("escapeHeaders"), "{why}");
}

#[test]
fn escaped_everything_passes_but_odd_names() {
    let escape = [("escapeHeaders", "true")];
    let headers: [Given<'_>; 3] = [
        ("binary", Some(b"\xff a+b")),
        ("none", None),
        ("odd name", Some(b"x")),
    ];
    let (metadata, left_out) = metadata(&escape, b"\0k", &headers);
    assert_eq!(metadata["binary"], "%FF+a%2Bb");
    assert_eq!(metadata["none"], "");
    assert_eq!(metadata["__key"], "%00k");
    assert!(!metadata.contains_key("__key.base64"));
    assert_eq!(metadata["__topic"], "orders");
    assert_eq!(left_out.count, 1);
}

#[test]
fn what_is_excluded_is_neither_passed_nor_counted() {
    let exclude = [("excludeHeaderMetaRegex", "^x-|^__")];
    let headers: [Given<'_>; 3] = [
        ("x-a", Some(b"1")),
        ("__key", Some(b"header")),
        ("a", Some(b"2")),
    ];
    let (metadata, left_out) = metadata(&exclude, b"k", &headers);
    assert!(!metadata.contains_key("x-a"));
    // Only headers are excluded: the key itself stays.
    assert_eq!(metadata["__key"], "k");
    assert_eq!(metadata["a"], "2");
    assert_eq!(left_out.count, 0);
}

#[test]
fn headers_are_bounded_in_number_and_bytes() {
    let of = |headers: Vec<Header>| {
        let (message, left_out) = message(&delivery(b"k", Some(b"{}"), headers), &style(&[]));
        (message.metadata.len() - 5, left_out.count)
    };
    let numbered = |n: usize| header(&format!("h{n}"), None);
    assert_eq!(of((0..MOST).map(numbered).collect()), (MOST, 0));
    assert_eq!(
        of((0..10_000).map(numbered).collect()),
        (MOST, 10_000 - MOST)
    );
    let large = Bytes::from(vec![b'x'; MOST_BYTES - 3]);
    let two = vec![header("big", Some(large)), header("more", None)];
    assert_eq!(of(two), (1, 1));
    // Those of one name count once.
    let one_name = (0..10_000).map(|_| header("same", None));
    assert_eq!(of(one_name.collect()), (1, 0));
}

#[test]
fn a_message_over_daprds_limit_does_not_fit() {
    let delivery = delivery(b"k", Some(b"{}"), Vec::new());
    let (mut message, _) = message(&delivery, &style(&[]));
    message.data = vec![0; LARGEST - 1024].into();
    assert!(fits(&message));
    message.data = vec![0; LARGEST].into();
    assert!(!fits(&message));
}

#[test]
fn without_rules_nothing_is_escaped_or_excluded() {
    assert_eq!(style(&[]).headers, Headers::default());
}

proptest::proptest! {
    /// Whatever a record carries, what is passed on can be HTTP headers, and what can't
    /// is counted.
    #[test]
    fn any_headers_become_metadata_or_are_counted(
        key in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..20),
        names in proptest::collection::vec("[a-cX_!-]{1,2}|.{0,3}", 0..12),
        value in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..9),
        escape in proptest::prelude::any::<bool>(),
    ) {
        let rules = style(&[("escapeHeaders", if escape { "true" } else { "false" })]).headers;
        let value = Bytes::from(value);
        let headers: Vec<_> = names.iter().map(|name| header(name, Some(value.clone()))).collect();
        let record = Record {
            at: TopicPartition::new("orders", 2),
            offset: Offset(7),
            timestamp: None,
            appended: false,
            key: Some(key.into()),
            value: None,
            headers,
        };
        let (metadata, left_out) = super::metadata::of(&record, &rules, false);
        for (name, value) in &metadata {
            proptest::prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
            proptest::prop_assert!(value.chars().all(|c| c == '\t' || !c.is_ascii_control()), "{value:?}");
        }
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        // Three names say where the record stands, one is its key.
        proptest::prop_assert_eq!(metadata.len() - 4 + left_out.count, distinct.len());
    }
}
