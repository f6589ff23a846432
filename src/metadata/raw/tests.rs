use std::time::Duration;

use super::*;
use crate::{
    metadata::{Acks, Compression, InitialOffset, Isolation, Rebalance, security::Login},
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
    assert_eq!(settings.group.session_timeout, Duration::from_secs(10));
    assert_eq!(settings.group.heartbeat_interval, Duration::from_secs(3));
    assert_eq!(settings.group.rebalance, Rebalance::Range);
    assert_eq!(
        (settings.group.fetch_min, settings.group.fetch_default),
        (1, 1 << 17),
        "the second is ours"
    );
    assert_eq!(settings.network.read_timeout, Duration::from_secs(30));
    assert_eq!(settings.network.metadata_refresh, Duration::from_secs(480));
    assert_eq!((settings.acks, settings.max_retries), (Acks::All, None));
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
        ("sessionTimeout", "soon"),
        ("consumerGroupRebalanceStrategy", "sticky"),
        ("producerRequiredAcks", "none"),
    ]);
    for part in [
        "brokers: \"kafka\": \"kafka\" has no port",
        "authType: \"kerberos\": expected none, certificate, mtls, password",
        "maxMessageBytes: \"12\": expected a whole number from 1000",
        "publishTimeout: \"15\": expected a duration with its unit",
        "compression: \"brotli\": expected none, gzip, snappy, lz4, zstd",
        "sessionTimeout: \"soon\": expected a duration",
        "consumerGroupRebalanceStrategy: \"sticky\": Sarama's sticky",
        "producerRequiredAcks: \"none\": with none, Publish would answer OK",
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
    let message = message(&[("authType", "mtls"), ("clientKey", "hunter2")]);
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
    for (word, value) in [
        ("true", true),
        ("ON", true),
        (" on ", true),
        ("0", false),
        ("no", false),
    ] {
        let settings = settings(&[("startWithoutBrokers", word)]);
        assert_eq!(settings.start_without_brokers, value, "{word}");
    }
    assert!(message(&[("startWithoutBrokers", "maybe")]).contains("true or false"));
}

#[test]
fn numbers_and_durations_are_read_as_the_built_in_reads_them() {
    for (key, text, millis) in [
        ("sessionTimeout", "20", 20_000),
        ("sessionTimeout", "1m30s", 90_000),
        ("sessionTimeout", "1.5m", 90_000),
    ] {
        let read = settings(&[(key, text)]).group.session_timeout;
        assert_eq!(read, Duration::from_millis(millis), "{text}");
    }
    let interval = settings(&[("consumeRetryInterval", "200")]).retry.interval;
    assert_eq!(interval, Some(Duration::from_millis(200)));
    let zero = settings(&[("readTimeout", "0"), ("dialTimeout", "-1s")]).network;
    assert_eq!(zero, settings(&[]).network, "zero and less are the default");
    for (text, bytes) in [("0x100000", 1 << 20), ("2_000", 2000), ("-1", 1 << 20)] {
        let read = settings(&[("maxMessageBytes", text)]).max_message_bytes;
        assert_eq!(read, bytes, "{text}");
    }
    for wrong in ["1__0", "_1000", "0x", "9z", "1e4", "0x-1000"] {
        let message = message(&[("maxMessageBytes", wrong)]);
        assert!(
            message.contains("expected a whole number"),
            "{wrong}: {message}"
        );
    }
    let endless = settings(&[("backOffMaxRetries", "-5")]).retry.back_off;
    assert_eq!(endless.max_retries, Some(-1));
}

#[test]
fn bounds_are_named_as_they_may_be_written() {
    for (key, value, part) in [
        (
            "readTimeout",
            "9m",
            "or a number of seconds (500ms, 15s, 1m30s) from 1s to 2m30s",
        ),
        (
            "backOffDuration",
            "25h",
            "or a number of milliseconds (500ms, 15s, 1m30s) from 0s to 24h",
        ),
        (
            "publishTimeout",
            "1ms",
            "with its unit (500ms, 15s, 1m30s) from 100ms to 5m",
        ),
    ] {
        let message = message(&[(key, value)]);
        let part = format!("{key}: \"{value}\": expected a duration {part}");
        assert!(message.contains(&part), "{part:?} is not in {message}");
    }
}

#[test]
fn no_wait_is_a_short_one() {
    for zero in ["0", "0s"] {
        let retry = settings(&[("backOffDuration", zero), ("consumeRetryInterval", zero)]).retry;
        let short = Some(Duration::from_millis(1));
        assert_eq!((retry.back_off.duration, retry.interval), (short, short));
    }
}

#[test]
fn a_comma_too_many_leaves_no_broker() {
    assert_eq!(
        settings(&[("brokers", "a:1,, b:2,")]).brokers,
        ["a:1", "b:2"]
    );
    assert!(message(&[("brokers", " , ")]).contains("has no port"));
    for apart in ["a:1;b:2", "a:1\nb:2\n", "a:1 b:2"] {
        let message = message(&[("brokers", apart)]);
        assert!(message.contains("separate brokers by commas"), "{message}");
    }
    let list = message(&[("brokers", r#"["a:1","b:2"]"#)]);
    assert!(list.contains("it is a list; write one text"), "{list}");
    let url = message(&[("brokers", "SASL_SSL://a:1/,b:2")]);
    assert!(url.contains("is a URL; write a:1"), "{url}");
    let template = message(&[("brokers", "${KAFKA:-kafka:9092}")]);
    assert!(
        template.contains("a placeholder that nobody replaced"),
        "{template}"
    );
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    let late = message(&[("heartbeatInterval", "10s")]);
    assert!(
        late.contains("expected less than sessionTimeout, 10s"),
        "{late}"
    );
    let unread = message(&[("sessionTimeout", "x"), ("heartbeatInterval", "1h")]);
    assert!(!unread.contains("expected less"), "{unread}");
    let never = message(&[("producerRetryMax", "0")]);
    assert!(never.contains("idempotence needs retries"), "{never}");
    let both = [("producerRetryMax", "0"), ("idempotence", "false")];
    assert_eq!(settings(&both).max_retries, Some(0));
}

#[test]
fn a_leaders_acknowledgement_turns_idempotence_off_and_says_so() {
    let notes = resolve_with(&[("producerRequiredAcks", "Local")])
        .unwrap()
        .notes;
    assert!(
        notes[0].starts_with("idempotence has no effect"),
        "{notes:?}"
    );
}

#[test]
fn an_alias_wins_over_the_name_and_an_empty_one_does_not() {
    let pairs = [
        ("authType", "awsiam"),
        ("awsRegion", "eu-west-1"),
        ("Region", "eu-central-1"),
        ("assumeRoleArn", ""),
        ("awsIamRoleArn", "arn:aws:iam::1:role/r"),
    ];
    let resolved = resolve_with(&pairs).expect("it is right");
    let Login::Aws(aws) = &resolved.settings.security.login else {
        panic!("AWS logs in");
    };
    assert_eq!(aws.region, "eu-central-1");
    assert_eq!(aws.role.as_deref(), Some("arn:aws:iam::1:role/r"));
    let note = "awsRegion has no effect: Region is given too, and wins";
    assert_eq!(resolved.notes, [note]);
}

#[test]
fn keys_of_another_auth_type_are_noted_and_never_a_problem() {
    let pairs = [
        ("saslPassword", "hunter2"),
        ("clientCert", "/etc/a/file"),
        ("caCert", ""),
        ("skipVerify", "true"),
        ("trustAnchorArn", "arn"),
        ("authRequired", "false"),
    ];
    let notes = resolve_with(&pairs).expect("it is right").notes;
    let expected = [
        "authRequired has no effect: authType is given",
        "clientCert has no effect: it is for authType mtls",
        "skipVerify has no effect: authType none has no TLS",
        "saslPassword has no effect: it is for authType password",
        "trustAnchorArn has no effect: it is for authType awsiam",
    ];
    assert_eq!(notes, expected);
    let aws = message(&[("authType", "awsiam"), ("trustAnchorArn", "arn")]);
    assert!(
        aws.contains("trustAnchorArn: known from pubsub.kafka and refused"),
        "{aws}"
    );
}

#[test]
fn what_is_for_a_schema_registry_alone_changes_nothing() {
    let pairs = [
        ("schemaRegistryURL", "http://registry:8081"),
        ("schemaRegistryAPISecret", "hunter2"),
        ("useAvroJSON", "false"),
        ("schemaCachingEnabled", "true"),
    ];
    let notes = resolve_with(&pairs).expect("it is right").notes;
    assert!(
        notes.iter().all(|note| note.contains("schemaRegistryURL")),
        "{notes:?}"
    );
    assert_eq!(notes.len(), 4);
    assert!(notes.iter().all(|note| !note.contains("hunter2")));
}

/// The list that a drop-in has to know: pubsub/kafka/metadata.yaml at v1.16.5
/// and v1.18.4, and the keys that components-contrib#4508 added for v1.19.0.
#[test]
fn every_key_of_the_built_in_component_is_known() {
    let known: Vec<_> = keys::all().flat_map(Key::names).collect();
    for name in include_str!("builtin-keys.txt").lines() {
        assert!(known.contains(&name), "{name} is not in the table");
    }
}

#[test]
fn in_the_built_ins_place_the_order_is_its_own_unless_another_is_given() {
    let of = |name: &str, given: Option<(&str, &str)>| {
        let required = [("brokers", "a:9092"), ("authType", "none")];
        let pairs = required.into_iter().chain(given);
        let properties = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let resolved = resolve_for(name, &properties).expect("the metadata is right");
        let told = resolved.notes.iter().any(|note| note.contains("ordering"));
        (resolved.settings.ordering, told)
    };
    assert_eq!(of("kafka", None), (Ordering::Partition, true));
    let empty = Some(("ordering", ""));
    assert_eq!(of("kafka", empty), (Ordering::Partition, true));
    let key = Some(("Ordering", "key"));
    assert_eq!(of("kafka", key), (Ordering::Key, false));
    assert_eq!(of("rdkafka", None), (Ordering::Key, false));
}

#[test]
fn headers_are_escaped_and_excluded_as_told() {
    let given = settings(&[("escapeHeaders", "true"), ("excludeHeaderMetaRegex", "^x-")]);
    assert!(given.headers.escape && given.headers.excludes("x-trace"));
    assert!(!given.headers.excludes("trace"));
    let message = message(&[("excludeHeaderMetaRegex", "a(b")]);
    for part in ["excludeHeaderMetaRegex", "a(b", "unclosed group"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    let default = settings(&[]).headers;
    assert!(!default.escape && !default.excludes("x-trace"));
}

#[test]
fn what_a_login_by_token_needs_is_checked_with_all_the_rest() {
    let wrong = [
        ("authType", "oidc_private_key_jwt"),
        ("compression", "brotli"),
        ("deadLetterTopic", "bad topic!"),
        ("oidcTokenEndpoint", "idp.example/hunter2"),
        (
            "oidcExtensions",
            "{\"a_b\":\"hunter2\",\"auth\":\"hunter2\"}",
        ),
        ("oidcClientAssertionCert", "-----BEGIN CERTIFICATE-----"),
        ("oidcClientAssertionKey", "hunter2"),
    ];
    let refused = message(&wrong);
    for part in [
        "compression: \"brotli\"",
        "deadLetterTopic: \"bad topic!\": \"bad topic!\" can't be a Kafka topic",
        "oidcClientID: required",
        "oidcTokenEndpoint: it is no URL",
        "oidcExtensions: the name \"a_b\" is not allowed",
        "oidcExtensions: the name \"auth\" is not allowed",
        "oidcClientAssertionKey: it can't be read",
    ] {
        assert!(refused.contains(part), "{part:?} is not in {refused}");
    }
    assert!(!refused.contains("hunter2"), "{refused}");
    let template = settings(&[("deadLetterTopic", "{topic}.dlq")]).dead_letter;
    assert_eq!(template.topic.as_deref(), Some("{topic}.dlq"));
    let unused = [
        ("oidcTokenEndpoint", "no URL"),
        ("oidcExtensions", "{\"auth\":\"a\"}"),
    ];
    assert!(resolve_with(&unused).is_ok(), "authType none reads neither");
}

#[test]
fn a_login_that_is_not_known_is_not_judged() {
    let given = [
        ("brokers", "a:9092"),
        ("authRequired", "true"),
        ("clientKey", "no PEM"),
        ("trustAnchorArn", "arn"),
    ];
    let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let found = check("rdkafka", &given.into(), &["authType".to_owned()]);
    assert_eq!(found.problems, []);
    let note = "authRequired has no effect: authType is given";
    assert_eq!(found.notes, [note]);
    let unreadable = message(&[("authType", "kerberos"), ("authRequired", "true")]);
    assert!(!unreadable.contains("required with"), "{unreadable}");
}

#[test]
fn a_login_among_the_brokers_is_refused_and_not_shown() {
    for brokers in [
        "bob:hunter2@kafka:9092",
        "sasl://bob:hunter2@kafka:9092",
        "a:1,bob:hunter2@kafka:9092,b:2",
        "bob:hun,ter2@kafka:9092",
        "bob:hunter2@kafka",
    ] {
        let told = message(&[("brokers", brokers)]);
        assert!(
            told.contains("has a login in it") && told.contains("saslUsername"),
            "{told}"
        );
        assert!(
            !told.contains("hun") && !told.contains("bob") && !told.contains("ter2"),
            "{told}"
        );
    }
}

#[test]
fn the_isolation_level_has_the_built_ins_name_too() {
    for name in ["isolationLevel", "consumerIsolationLevel"] {
        for (word, level) in [
            ("read_committed", Isolation::ReadCommitted),
            ("Read_Uncommitted", Isolation::ReadUncommitted),
        ] {
            assert_eq!(settings(&[(name, word)]).isolation, level, "{name}");
        }
    }
    let agree = [
        ("isolationLevel", "read_uncommitted"),
        ("consumerIsolationLevel", "READ_UNCOMMITTED"),
    ];
    let agreed = resolve_with(&agree).expect("both say the same");
    assert_eq!(agreed.settings.isolation, Isolation::ReadUncommitted);
    assert_eq!(agreed.notes, [""; 0]);
    let one_is_empty = [
        ("isolationLevel", "read_uncommitted"),
        ("consumerIsolationLevel", ""),
    ];
    let isolation = settings(&one_is_empty).isolation;
    assert_eq!(isolation, Isolation::ReadUncommitted);
}

#[test]
fn two_isolation_levels_are_refused_with_both_names() {
    let told = message(&[
        ("isolationLevel", "read_committed"),
        ("consumerIsolationLevel", "read_uncommitted"),
    ]);
    let part = "isolationLevel: \"read_committed\": consumerIsolationLevel is given too, with the \
                value \"read_uncommitted\", and means the same; keep one of both";
    assert!(told.contains(part), "{told}");
    // A value that is not known contradicts nothing.
    let given = [
        ("brokers", "a:9092"),
        ("authType", "none"),
        ("isolationLevel", "read_committed"),
    ];
    let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let found = check(
        "rdkafka",
        &given.into(),
        &["consumerIsolationLevel".to_owned()],
    );
    assert_eq!(found.problems, []);
}

#[test]
fn transactions_are_refused_and_what_turns_them_off_is_not() {
    let told = message(&[
        ("producerTransactionsEnabled", "true"),
        ("ConsumerTransactionsEnabled", "1"),
    ]);
    for part in [
        "producerTransactionsEnabled: \"true\": Publish writes no transactions. Remove the key",
        "ConsumerTransactionsEnabled: \"1\": a delivery runs in no transaction",
        "stay with the built-in component",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    let off = [
        ("producerTransactionsEnabled", "false"),
        ("consumerTransactionsEnabled", "no"),
    ];
    let off = resolve_with(&off).expect("it is the built-in's default");
    assert_eq!(off.notes, [""; 0]);
    let unclear = message(&[("consumerTransactionsEnabled", "maybe")]);
    assert!(unclear.contains("expected true or false"), "{unclear}");
}

#[test]
fn what_is_for_transactions_alone_changes_nothing_and_says_so() {
    let pairs = [
        ("transactionalIdPrefix", "orders"),
        ("transactionTimeout", "60s"),
    ];
    let notes = resolve_with(&pairs).expect("it is right").notes;
    for (note, (key, _)) in notes.iter().zip(pairs) {
        let told = format!("{key} has no effect: It is for producerTransactionsEnabled");
        assert!(note.starts_with(&told), "{note}");
    }
    assert_eq!(notes.len(), 2);
}

#[test]
fn sasls_own_names_are_taken_and_what_the_built_in_would_have_done_is_noted() {
    let login = |mechanism| {
        let pairs = [
            ("authType", "password"),
            ("saslUsername", "u"),
            ("saslPassword", "p"),
            ("saslMechanism", mechanism),
        ];
        let resolved = resolve_with(&pairs).expect("it is right");
        let security = format!("{:?}", resolved.settings.security);
        let notes = resolved.notes.iter();
        (
            security,
            notes
                .filter(|note| note.contains("would have sent PLAIN"))
                .count(),
        )
    };
    for (mechanism, means, notes) in [
        ("PLAIN", "Plain", 0),
        ("plain", "Plain", 0),
        ("PLAINTEXT", "Plain", 0),
        ("SHA-256", "ScramSha256", 0),
        ("sha-256", "ScramSha256", 1),
        ("SCRAM-SHA-256", "ScramSha256", 1),
        ("scram-sha-512", "ScramSha512", 1),
        ("SHA-512 ", "ScramSha512", 0),
    ] {
        let (security, noted) = login(mechanism);
        assert!(security.contains(means), "{mechanism}: {security}");
        assert_eq!(noted, notes, "{mechanism}");
    }
}

#[test]
fn words_of_other_clients_are_refused_with_the_word_to_write() {
    for (key, value, says) in [
        (
            "initialOffset",
            "earliest",
            "expected newest, oldest; write oldest",
        ),
        ("initialOffset", "LATEST", "; write newest"),
        ("producerRequiredAcks", "WaitForAll", "; write all"),
        ("producerRequiredAcks", "1", "; write local"),
    ] {
        let message = message(&[(key, value)]);
        assert!(message.contains(says), "{message}");
    }
}

/// daprd adds its own `consumerID` to what the user wrote in other letters.
#[test]
fn the_users_spelling_of_consumer_id_wins_over_daprds() {
    let group = |more: &[(&str, &str)]| {
        let pairs = [&[("consumerID", "app"), ("consumerId", "checkout")], more].concat();
        settings(&pairs).consumer_group
    };
    assert_eq!(group(&[]).as_deref(), Some("checkout"));
    assert_eq!(group(&[("consumerGroup", "g")]).as_deref(), Some("g"));
    let twice = message(&[("consumerid", "a"), ("consumerId", "b")]);
    assert!(twice.contains("given twice"), "{twice}");
}

#[test]
fn blanks_beside_words_and_numbers_mean_nothing() {
    let resolved = resolve_with(&[
        ("compression", " gzip\n"),
        ("maxMessageBytes", "2000000 "),
        ("publishTimeout", "9s\n"),
    ]);
    let settings = resolved.expect("it is right").settings;
    assert_eq!(settings.compression, Compression::Gzip);
    assert_eq!(settings.max_message_bytes, 2_000_000);
}

#[test]
fn an_init_that_is_longer_than_daprds_says_what_else_to_set() {
    let noted = |value| {
        let notes = resolve_with(&[("initTimeout", value)])
            .expect("it is right")
            .notes;
        notes
            .iter()
            .any(|note| note.contains("needs a longer spec.initTimeout"))
    };
    assert!(noted("5s") && noted("1m"));
    assert!(!noted("4900ms"));
}
