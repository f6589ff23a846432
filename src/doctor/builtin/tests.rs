use super::*;

/// What Redpanda serves: design and lab have all of it.
const REDPANDA: [(i16, i16, i16); 14] = [
    (0, 0, 7),
    (1, 4, 11),
    (2, 0, 4),
    (3, 0, 8),
    (8, 1, 8),
    (9, 1, 7),
    (10, 0, 3),
    (11, 0, 6),
    (12, 0, 4),
    (13, 0, 4),
    (14, 0, 4),
    (17, 0, 1),
    (18, 0, 3),
    (36, 0, 2),
];

/// What Apache Kafka 4.1.1 serves.
const KAFKA: [(i16, i16, i16); 13] = [
    (0, 0, 13),
    (1, 4, 18),
    (2, 1, 11),
    (3, 0, 13),
    (8, 2, 10),
    (9, 1, 10),
    (10, 0, 6),
    (11, 0, 9),
    (12, 0, 4),
    (13, 0, 5),
    (14, 0, 5),
    (17, 0, 1),
    (36, 0, 2),
];

fn report(ranges: &[(i16, i16, i16)], login: bool) -> Report {
    let broker = BrokerSeen {
        subject: "kafka:9092".into(),
        product: String::new(),
        tls: false,
        login,
        ranges: ranges.iter().copied().collect(),
    };
    Report {
        brokers: vec![broker],
        ..Report::default()
    }
}

/// Whether it works, and else the request and version that are cut off.
fn at(ranges: &[(i16, i16, i16)], version: &str, dapr: &str) -> Result<(), (String, i16)> {
    let verdicts = section(&report(ranges, true), Some(version), Some(dapr));
    let [verdict] = &*verdicts else {
        panic!("{verdicts:?}");
    };
    let parsed = Version::parse(version).unwrap();
    let spans = verdict.versions.iter().rev();
    let span = spans.into_iter().find(|span| span.first <= parsed).unwrap();
    assert_eq!(verdict.works, span.cut_off.is_none());
    match &span.cut_off {
        None => Ok(()),
        Some(cut_off) => Err((cut_off.request.clone(), cut_off.asked)),
    }
}

#[test]
fn what_was_measured_comes_out() {
    for version in ["2.0.0", "2.3.0"] {
        assert_eq!(at(&REDPANDA, version, "1.16.5"), Ok(()), "{version}");
    }
    let metadata = |version| Err(("Metadata".to_owned(), version));
    for version in ["2.4.0", "2.6.0", "2.7.9"] {
        assert_eq!(at(&REDPANDA, version, "1.16.5"), metadata(9), "{version}");
    }
    for version in ["2.8.0", "3.6.0", "4.0.0"] {
        assert_eq!(at(&REDPANDA, version, "1.16.5"), metadata(10), "{version}");
    }
    for version in ["2.0.0", "2.8.0", "3.6.0", "3.9.0", "4.0.0"] {
        assert_eq!(at(&KAFKA, version, "1.16.5"), Ok(()), "{version}");
    }
}

#[test]
fn one_that_negotiates_takes_what_is_served() {
    for version in ["2.0.0", "2.4.0", "4.0.0"] {
        for dapr in ["1.18.1", "1.19.0"] {
            assert_eq!(at(&REDPANDA, version, dapr), Ok(()), "{dapr}, {version}");
        }
    }
    // The login too: with 2.2.0 and later SaslAuthenticate v1 is asked of those that serve it.
    let mut old_login = REDPANDA;
    let login = old_login.iter_mut().find(|(key, ..)| *key == 36);
    *login.expect("it serves SaslAuthenticate") = (36, 0, 0);
    let authenticate = Err(("SaslAuthenticate".to_owned(), 1));
    assert_eq!(at(&old_login, "2.2.0", "1.17.14"), authenticate);
    assert_eq!(at(&old_login, "2.2.0", "1.18.1"), Ok(()));
    // Even it asks nothing newer than what is configured.
    let fetch = Err(("Fetch".to_owned(), 3));
    assert_eq!(at(&KAFKA, "0.10.2.0", "1.18.1"), fetch);
    assert_eq!(at(&REDPANDA, "0.10.2.0", "1.18.1"), fetch);
}

#[test]
fn the_words_have_the_request_and_what_is_served() {
    let lines = lines(&report(&REDPANDA, false), Some("2.8.0"), Some("1.16.5"));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("fails: kafka:9092: "), "{lines:?}");
    for words in [
        "Dapr 1.16's built-in (Sarama 1.45.2) asks Metadata v10 at `version` 2.8.0",
        "this broker serves v0 to v8",
        "EOF",
        "; 0.11.0.0 to below 2.4.0 works; 2.4.0 to below 2.8.0 asks Metadata v9",
    ] {
        assert!(lines[0].contains(words), "{words:?} is not in {lines:?}");
    }
}

#[test]
fn where_it_works_no_other_version_is_told() {
    let report = report(&REDPANDA, false);
    let told = "works: kafka:9092: Dapr 1.16's built-in (Sarama 1.45.2) can talk to it at `version` \
                2.0.0";
    assert_eq!(lines(&report, None, Some("1.16.5")), [told]);
    let verdict = &section(&report, None, Some("1.16.5"))[0];
    assert!(verdict.text.contains("2.8.0 and later asks"), "{verdict:?}");
}

#[test]
fn releases_that_behave_alike_are_told_together() {
    let verdicts = section(&report(&REDPANDA, false), None, None);
    let told: Vec<_> = verdicts
        .iter()
        .map(|one| (one.dapr.as_str(), one.works))
        .collect();
    assert_eq!(told, [("1.14 to 1.17", true), ("1.18 to 1.19", true)]);
    let sarama = "(Sarama 1.48.1 to 1.60.0 or newer)";
    assert!(verdicts[1].text.contains(sarama), "{verdicts:?}");
    assert!(section(&report(&REDPANDA, false), None, Some("1.1")).is_empty());
    assert_eq!(
        lines(&report(&REDPANDA, false), None, Some("1.99.0")),
        ["unknown: what Dapr 1.99.0 asks is not known here"]
    );
}

#[test]
fn versions_are_written_as_they_are_read() {
    for text in ["0.10.2.0", "0.11.0.0", "2.0.0", "2.8.1"] {
        assert_eq!(Version::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Version::parse("2.x"), None);
}
