use std::time::Duration;

use super::*;
use crate::{
    metadata::{Compression, InitialOffset, Isolation},
    model::Ordering,
};

fn resolve_with(pairs: &[(&str, &str)]) -> Result<Resolved, Problems> {
    let mut properties = HashMap::from([
        ("brokers".to_owned(), "a:9092, b:9093".to_owned()),
        ("authType".to_owned(), "none".to_owned()),
    ]);
    for (key, value) in pairs {
        properties.insert((*key).to_owned(), (*value).to_owned());
    }
    resolve(&properties)
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    resolve_with(pairs).expect("the metadata is right").settings
}

fn message(pairs: &[(&str, &str)]) -> String {
    resolve_with(pairs)
        .expect_err("the metadata is wrong")
        .to_string()
}

#[test]
fn defaults_are_the_built_in_components() {
    let settings = settings(&[]);
    assert_eq!(settings.brokers, ["a:9092", "b:9093"]);
    assert_eq!(settings.client_id, "sarama");
    assert_eq!(settings.initial_offset, InitialOffset::Newest);
    assert_eq!(settings.isolation, Isolation::ReadCommitted);
    assert_eq!(settings.max_message_bytes, 1 << 20);
    assert_eq!(settings.compression, Compression::None);
    assert_eq!(settings.ordering, Ordering::Key);
    assert_eq!(settings.publish_timeout, Duration::from_secs(15));
    assert_eq!(settings.consumer_group, None);
    assert!(!settings.start_without_brokers);
}

#[test]
fn names_and_words_are_matched_without_regard_to_case() {
    let settings = settings(&[("InitialOffSet", "Oldest"), ("COMPRESSION", "Zstd")]);
    assert_eq!(settings.initial_offset, InitialOffset::Oldest);
    assert_eq!(settings.compression, Compression::Zstd);
}

#[test]
fn the_consumer_group_wins_over_the_consumer_id() {
    let both = [("consumerID", "app"), ("consumerGroup", "group")];
    assert_eq!(settings(&both).consumer_group.as_deref(), Some("group"));
    let id = [("consumerID", "app"), ("consumerGroup", "")];
    assert_eq!(settings(&id).consumer_group.as_deref(), Some("app"));
}

#[test]
fn every_problem_is_reported_at_once_with_key_value_and_remedy() {
    let message = message(&[
        ("brokers", "kafka"),
        ("authType", "kerberos"),
        ("maxMessageBytes", "12"),
        ("publishTimeout", "15"),
        ("compression", "brotli"),
        ("sessionTimeout", "10s"),
    ]);
    for part in [
        "brokers: \"kafka\": \"kafka\" has no port",
        "authType: \"kerberos\": expected none, certificate, mtls, password",
        "maxMessageBytes: \"12\": expected a whole number from 1000",
        "publishTimeout: \"15\": expected a duration with its unit",
        "compression: \"brotli\": expected none, gzip, snappy, lz4, zstd",
        "sessionTimeout: \"10s\": known from pubsub.kafka, but not honoured",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[test]
fn what_is_required_and_missing_is_named() {
    let error = resolve(&HashMap::new()).expect_err("nothing was given");
    let keys: Vec<_> = error.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["brokers", "authType"]);
}

#[test]
fn a_secret_is_never_shown() {
    let message = message(&[("clientKey", "hunter2")]);
    assert!(message.contains("clientKey"));
    assert!(!message.contains("hunter2"));
}

#[test]
fn a_key_given_twice_is_refused() {
    let message = message(&[("Brokers", "c:9092")]);
    assert!(
        message.contains("given twice, as Brokers and as brokers"),
        "{message}"
    );
}

#[test]
fn unknown_keys_are_noted_with_the_nearest_known_one() {
    let notes = resolve_with(&[("initialOfset", "oldest"), ("zzz", "1")])
        .unwrap()
        .notes;
    assert_eq!(
        notes,
        [
            "initialOfset is no known key and has no effect; did you mean initialOffset?",
            "zzz is no known key and has no effect",
        ]
    );
}

#[test]
fn the_protocol_version_is_accepted_and_explained() {
    let notes = resolve_with(&[("version", "2.0.0")]).unwrap().notes;
    assert!(notes[0].contains("version has no effect"), "{notes:?}");
}

#[test]
fn flags_take_daprs_words_and_nothing_else() {
    for (word, value) in [("true", true), ("ON", true), ("0", false), ("no", false)] {
        let settings = settings(&[("startWithoutBrokers", word)]);
        assert_eq!(settings.start_without_brokers, value, "{word}");
    }
    assert!(message(&[("startWithoutBrokers", "maybe")]).contains("true or false"));
}

/// The list that a drop-in has to know: pubsub/kafka/metadata.yaml at v1.16.5
/// and v1.18.4.
#[test]
fn every_key_of_the_built_in_component_is_known() {
    let known: Vec<_> = keys::all().map(|key| key.name).collect();
    for name in include_str!("builtin-keys.txt").lines() {
        assert!(known.contains(&name), "{name} is not in the table");
    }
}
