use super::*;

fn metadata(text: &str) -> Metadata {
    serde_json::from_str(text).expect("daprd's")
}

/// As daprd 1.16.5 writes it.
const ANSWER: &str = r#"{"id":"x","runtimeVersion":"1.16.5","enabledFeatures":["SchedulerReminders"],
    "components":[
      {"name":"todo-pubsub","type":"pubsub.kafka","version":"v1","capabilities":["BULK_PUBSUB","DAPR_RDKAFKA/0.1.0"]},
      {"name":"other","type":"pubsub.kafka","version":"v1"}],
    "subscriptions":[
      {"pubsubname":"todo-pubsub","topic":"a","rules":[{"path":"/a"}],"deadLetterTopic":"","type":"DECLARATIVE"},
      {"pubsubname":"todo-pubsub","topic":"a#1","deadLetterTopic":"","type":"DECLARATIVE"},
      {"pubsubname":"todo-pubsub","topic":"a~1","deadLetterTopic":"","type":"DECLARATIVE"},
      {"pubsubname":"other","topic":"b","deadLetterTopic":"","type":"DECLARATIVE"}]}"#;

#[test]
fn what_daprd_tells_is_read() {
    let metadata = metadata(ANSWER);
    let [ours, other] = &metadata.components[..] else {
        panic!("{metadata:?}");
    };
    assert_eq!((ours.version(), ours.is_built_in()), (Some("0.1.0"), false));
    assert_eq!((other.version(), other.is_built_in()), (None, true));
    assert_eq!(metadata.streams("todo-pubsub"), [("a", 3)].into());
    let words = subscriptions(&metadata, "todo-pubsub");
    assert!(
        words.contains("a (3)") && words.contains("docs/lanes.md"),
        "{words}"
    );
    assert!(!words.contains("b ("), "{words}");
}

#[test]
fn what_kept_the_brokers_away_is_why_daprd_left_the_component_out() {
    let recorder = crate::doctor::Recorder::default();
    assert_eq!(unreachable(&recorder.report()), None);
    let finding = |row| Finding::new(row, "seen", Fix::default());
    recorder.found("t", finding(&crate::doctor::rows::permissions::IDEMPOTENT));
    assert_eq!(unreachable(&recorder.report()), None);
    recorder.found("a:1", finding(&crate::doctor::rows::tcp::REFUSED));
    assert_eq!(unreachable(&recorder.report()), Some("RDK-TCP-01"));
}

#[test]
fn an_app_that_only_publishes_has_nothing_wrong() {
    let metadata = metadata(r#"{"runtimeVersion":"1.16.5"}"#);
    let words = subscriptions(&metadata, "todo-pubsub");
    assert_eq!(words, "the app has no subscription to it");
}

#[test]
fn a_serial_daprd_is_told_to_be_upgraded_and_another_is_not() {
    let words = |version: &str| {
        let metadata = metadata(&ANSWER.replace("1.16.5", version));
        subscriptions(&metadata, "todo-pubsub")
    };
    let serial = words("1.18.3");
    for part in [
        "Dapr 1.18.3 hands the app one message of each lane at a time",
        "Upgrade to 1.17.14, 1.18.4, 1.19 or a later release",
        "open more lanes (docs/lanes.md)",
    ] {
        assert!(serial.contains(part), "{part:?} is not in {serial}");
    }
    let concurrent = words("1.18.4");
    assert_eq!(concurrent, "the app's topics and their lanes: a (3)");
}

#[test]
fn serial_versions_are_those_of_the_release_notes() {
    for (version, expected) in [
        ("1.13.6", Some(false)),
        ("1.15.14", Some(false)),
        ("v1.16.0-rc.1", Some(true)),
        ("1.16.0", Some(true)),
        ("1.16.5", Some(true)),
        ("1.16.20", Some(true)),
        ("1.16.20-rc.2", Some(true)),
        ("1.17.0", Some(true)),
        ("1.17.13", Some(true)),
        ("1.17.14", Some(false)),
        ("1.17.16", Some(false)),
        ("1.18.0", Some(true)),
        ("1.18.3", Some(true)),
        ("1.18.3-rc.2", Some(true)),
        ("1.18.4", Some(false)),
        // The daprd that the tests build from 1.18.3 and the description of 1.18.4's change.
        ("1.18.4+reconstruction", Some(false)),
        ("1.18.10", Some(false)),
        ("1.19.0", Some(false)),
        ("1.19.0-rc.2", Some(false)),
        ("1.20.0", Some(false)),
        ("2.0.0", Some(false)),
        ("2.16.0", Some(false)),
        ("0.16.0", Some(false)),
        ("edge", None),
        ("nightly-2026-11-30", None),
        ("", None),
        ("1.16", None),
        ("1.16.x", None),
    ] {
        let runtime_version = version.to_owned();
        let metadata = Metadata {
            runtime_version,
            ..Metadata::default()
        };
        assert_eq!(metadata.is_serial(), expected, "{version}");
    }
}

#[test]
fn others_words_are_cut_and_steer_nothing() {
    let text = shown(&format!("\u{1b}[2J\n{}", "ä".repeat(500)));
    assert!(
        text.len() <= SHOWN && !text.contains(['\u{1b}', '\n']),
        "{text}"
    );
}

proptest::proptest! {
    #[test]
    fn whatever_is_answered_is_read_or_not(
        version in ".{0,20}",
        kind in ".{0,20}",
        capability in "(DAPR_RDKAFKA/)?.{0,10}",
        topic in ".{0,8}[#~]?.{0,8}",
    ) {
        let answer = serde_json::json!({
            "runtimeVersion": version,
            "components": [{ "name": "a", "type": kind, "capabilities": [capability] }],
            "subscriptions": [{ "pubsubname": "a", "topic": topic }],
        });
        let metadata: Metadata = serde_json::from_value(answer).expect("its form is right");
        let words = subscriptions(&metadata, "a") + &not_loaded("b", &metadata).cause;
        proptest::prop_assert!(!words.contains(char::is_control), "{}", words);
        let listed = &metadata.components[0];
        proptest::prop_assert!(!(listed.is_built_in() && listed.version().is_some()));
    }
}
