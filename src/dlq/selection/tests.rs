use super::*;
use crate::dlq::tests::letter;

fn reasons(reasons: &[&str]) -> Selection {
    Selection {
        reasons: reasons.iter().map(|&reason| reason.into()).collect(),
        ..Selection::default()
    }
}

#[test]
fn a_reason_is_a_failures_name_or_a_part_of_the_message() {
    let record = letter(&[
        (dead_letter::FAILURE, b"rejected"),
        (dead_letter::MESSAGE, b"HTTP 500: Out of stock"),
    ]);
    for (wanted, holds) in [
        ("rejected", true),
        ("Rejected", true),
        ("reject", false),
        ("out of STOCK", true),
        ("in stock", false),
    ] {
        assert_eq!(reasons(&[wanted]).holds(&record), holds, "{wanted}");
    }
    assert!(reasons(&["no", "rejected"]).holds(&record), "one is enough");
    assert!(!reasons(&["x"]).holds(&letter(&[])));
    assert!(Selection::default().holds(&letter(&[])));
}

#[test]
fn a_key_is_text_or_hex() {
    let with = |key: &str| Selection {
        keys: vec![key.parse().expect("a key")],
        ..Selection::default()
    };
    let mut record = letter(&[]);
    record.key = Some(b"a\x00"[..].into());
    assert!(with("hex:6100").holds(&record));
    assert!(!with("a").holds(&record));
    record.key = None;
    assert!(
        !with("").holds(&record),
        "the null key is not the empty key"
    );
    for wrong in ["hex:0", "hex:zz", "hex:é1", "hex:+1"] {
        assert!(wrong.parse::<Key>().is_err(), "{wrong}");
    }
}

#[test]
fn time_is_that_of_the_last_failure() {
    let at = |text| time(text).expect("a time");
    let mut record = letter(&[(dead_letter::LAST_FAILURE, b"2026-01-31T12:00:00Z")]);
    record.timestamp = Some(0);
    let between = |since, until| Selection {
        since: Some(at(since)),
        until: Some(at(until)),
        ..Selection::default()
    };
    let (noon, later) = ("2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z");
    assert!(between(noon, later).holds(&record));
    assert!(!between(later, later).holds(&record));
    assert!(!between("2026-01-31T11:00:00Z", noon).holds(&record));
    record.headers.clear();
    assert!(between("1970-01-01T00:00:00Z", noon).holds(&record));
    record.timestamp = None;
    assert!(!between("1970-01-01T00:00:00Z", noon).holds(&record));
    assert!(time("yesterday").is_err());
}

#[test]
fn a_time_may_be_how_long_ago_it_was() {
    let now = UNIX_EPOCH + std::time::Duration::from_secs(86_400 * 3);
    assert_eq!(at("2h", now), Some((86_400 * 3 - 7200) * 1000));
    assert_eq!(at("3d", now), Some(0));
    assert_eq!(at("0s", now), Some(86_400 * 3 * 1000));
    assert_eq!(at("1970-01-01T00:00:01Z", now), Some(1000));
    assert_eq!(at("4d", now), None, "before 1970");
    assert_eq!(at("2", now), None, "no unit");
}

#[test]
fn offsets_include_both_ends_and_bound_what_is_read() {
    let parse = |text: &str| text.parse::<Offsets>().map(|o| (o.first, o.last));
    assert_eq!(parse("7"), Ok((7, 7)));
    assert_eq!(parse("7..9"), Ok((7, 9)));
    assert_eq!(parse("7.."), Ok((7, i64::MAX)));
    assert_eq!(parse("..9"), Ok((0, 9)));
    for wrong in ["", "x", "-1", "9..7", "1..2..3", "1-2"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
    let selection = Selection {
        offsets: "7..".parse().ok(),
        partitions: vec![1],
        ..Selection::default()
    };
    let range = |partition| selection.range(partition, Offset(3), Offset(10));
    assert_eq!(range(1), Some((Offset(7), Offset(10))));
    assert_eq!(range(0), None);
    assert_eq!(selection.range(1, Offset(0), Offset(7)), None);
    // The record stands at orders.dlq/0@5.
    let mut record = letter(&[]);
    assert!(!selection.holds(&record));
    record.at.partition = 1;
    assert!(!selection.holds(&record));
    record.offset = Offset(7);
    assert!(selection.holds(&record));
}

#[test]
fn a_source_is_the_topic_that_a_record_names() {
    let from = |source: &str| Selection {
        sources: vec!["tasks".into(), source.into()],
        ..Selection::default()
    };
    let record = letter(&[(dead_letter::TOPIC, b"orders")]);
    assert!(from("orders").holds(&record));
    assert!(!from("order").holds(&record));
    assert!(!from("orders").holds(&letter(&[])), "it names none");
}

proptest::proptest! {
    #[test]
    fn any_key_can_be_written_in_hex_and_text_is_itself(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..20),
        text in ".{0,20}",
    ) {
        let hex = bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        proptest::prop_assert_eq!(format!("hex:{hex}").parse(), Ok(Key(bytes)));
        match text.parse::<Key>() {
            Ok(key) if !text.starts_with("hex:") => proptest::prop_assert_eq!(key.0, text.into_bytes()),
            Ok(_) => {}
            Err(error) => proptest::prop_assert!(text.starts_with("hex:"), "{}", error),
        }
    }

    #[test]
    fn a_range_that_is_taken_has_a_first_and_a_last(text in "-?[0-9]{0,20}(\\.\\.)?-?[0-9]{0,20}.{0,2}") {
        if let Ok(offsets) = text.parse::<Offsets>() {
            proptest::prop_assert!(0 <= offsets.first && offsets.first <= offsets.last);
            let whole = Selection { offsets: Some(offsets), ..Selection::default() };
            if let Some((first, end)) = whole.range(0, Offset(0), Offset(100)) {
                proptest::prop_assert!(first < end && end <= Offset(100));
            }
        }
    }

    #[test]
    fn a_time_that_is_taken_is_after_1970(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,12}Z|.{0,30}") {
        if let Ok(at) = time(&text) {
            proptest::prop_assert!(at >= 0);
        }
    }
}
