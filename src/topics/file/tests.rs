use proptest::prelude::*;

use super::*;

fn wanted(text: &str) -> Vec<Wanted> {
    parse(text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// What is said of a file that is wrong, a line each.
fn problems(text: &str) -> Vec<String> {
    let problems = parse(text).expect_err("it is wrong");
    problems.iter().map(ToString::to_string).collect()
}

fn config<'a>(topic: &'a Wanted, name: &str) -> Option<&'a str> {
    topic.config.get(name).map(String::as_str)
}

const FILE: &str = "
defaults:
  partitions: 6
  replication: 3
  minInSync: 2
  retention: 7d
  deadLetter: {retention: 30d}
topics:
- name: orders
- name: audit
  partitions: 1
  retention: forever
  deadLetter: {name: '{topic}-dead', partitions: 2}
  config:
    max.message.bytes: 2e6
    segment.ms: 3600000
- name: settings
  compaction: on
  deadLetter: false
";

#[test]
fn topics_have_what_they_say_and_the_defaults_where_they_say_nothing() {
    let all = wanted(FILE);
    let names: Vec<_> = all.iter().map(|topic| topic.name.as_str()).collect();
    let expected = ["orders", "orders.dlq", "audit", "audit-dead", "settings"];
    assert_eq!(names, expected);
    let [orders, _, audit, _, settings] = &all[..] else {
        panic!("five topics");
    };
    assert_eq!((orders.partitions, orders.replication), (Some(6), Some(3)));
    assert_eq!(config(orders, "retention.ms"), Some("604800000"));
    assert_eq!(config(orders, "min.insync.replicas"), Some("2"));
    assert_eq!(config(orders, "cleanup.policy"), None, "not named");
    assert_eq!(audit.partitions, Some(1));
    assert_eq!(config(audit, "retention.ms"), Some("-1"));
    assert_eq!(config(audit, "segment.ms"), Some("3600000"));
    assert_eq!(config(audit, "max.message.bytes"), Some("2000000"));
    assert_eq!(config(settings, "cleanup.policy"), Some("compact"));
    assert_eq!(config(settings, "retention.ms"), None, "it ends nothing");
}

#[test]
fn a_dead_letter_topic_is_as_its_source_and_keeps_every_record() {
    let all = wanted(FILE);
    let [_, first, _, second, _] = &all[..] else {
        panic!("five topics");
    };
    assert_eq!((first.partitions, first.replication), (Some(6), Some(3)));
    assert_eq!(config(first, "retention.ms"), Some("2592000000"));
    assert_eq!(config(first, "cleanup.policy"), Some("delete"));
    assert_eq!(
        config(first, "message.timestamp.type"),
        Some("LogAppendTime")
    );
    assert_eq!(config(first, "min.insync.replicas"), Some("2"));
    assert_eq!(second.partitions, Some(2));
    assert_eq!(config(second, "max.message.bytes"), Some("2065536"));
    assert_eq!(config(second, "segment.ms"), None, "only what it needs");
    let kept = |retention: &str| {
        let text = format!("topics: [{{name: a, retention: {retention}, deadLetter: true}}]");
        config(&wanted(&text)[1], "retention.ms").map(str::to_owned)
    };
    let fourteen_days = Some("1209600000");
    assert_eq!(kept("7d").as_deref(), fourteen_days);
    assert_eq!(kept("20d").as_deref(), Some("1728000000"));
    assert_eq!(kept("forever").as_deref(), Some("-1"));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place_and_remedy() {
    let told = problems(
        "
defaults: {replication: 2, retenton: 7d}
topics:
- name: a b
- name: orders
  partitions: 0
  retention: 7 days
  minInSync: 3
  colour: red
- name: orders
- name: kept
  compaction: on
  retention: 7d
- name: orders.dlq
- name: orders_dlq
- partitions: 3
- name: 7
- name: half
  compaction: maybe
  deadLetter: {compaction: on}
  config: {retention.ms: 1, Segment.MS: 1, list: [1]}
- name: __consumer_offsets
more: {}
",
    );
    let expected = [
        ("more: ", "known are defaults, topics"),
        ("defaults.retenton: ", "\"retention\" may be meant"),
        ("topics[0] (a b).name: ", "write another name"),
        ("topics[1] (orders).colour: ", "no such field"),
        (
            "topics[1] (orders).partitions: ",
            "\"0\" can't be; write a whole",
        ),
        (
            "topics[1] (orders).retention: ",
            "\"7 days\" can't be; write days",
        ),
        ("topics[6]: ", "`name` is missing"),
        ("topics[7].name: ", "\"7\" is no name"),
        (
            "topics[8] (half).compaction: ",
            "\"maybe\" can't be; write off",
        ),
        ("topics[8] (half).deadLetter.compaction: ", "no such field"),
        (
            "topics[8] (half).config.retention.ms: ",
            "write `retention`",
        ),
        ("topics[8] (half).config.Segment.MS: ", "no config has such"),
        ("topics[8] (half).config.list: ", "a list is no value"),
        ("topics[9] (__consumer_offsets).name: ", "the brokers' own"),
        ("topics[3] (kept).retention: ", "leave retention out"),
        ("topics[1] (orders).minInSync: ", "write at most 2"),
        (
            "topics[2] (orders): ",
            "wanted by topics[1] (orders) already",
        ),
        ("topics[5] (orders_dlq): ", "differ in . and _ alone"),
    ];
    for (at, text) in expected {
        let found = told
            .iter()
            .any(|line| line.starts_with(at) && line.contains(text));
        assert!(found, "{at}{text} is not in {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn a_dead_letter_topic_that_two_share_or_that_is_listed_is_named_twice() {
    let shared = problems(
        "{defaults: {deadLetter: {name: dead}}, topics: [{name: a}, {name: b}, {name: dead, deadLetter: false}]}",
    );
    assert_eq!(shared.len(), 2, "{shared:?}");
    assert!(shared[0].starts_with("defaults.deadLetter"), "{shared:?}");
    assert!(
        shared[1].contains("give a dead-letter topic another"),
        "{shared:?}"
    );
    let long = "x".repeat(249);
    let long = problems(&format!("topics: [{{name: {long}, deadLetter: true}}]"));
    assert!(long[0].contains(".deadLetter: "), "{long:?}");
}

#[test]
fn what_is_no_such_file_says_what_it_should_be() {
    for (text, says) in [
        ("", "is empty"),
        ("topics: [", "no YAML"),
        ("topics: []", "at least one"),
        ("topics: {a: b}", "is no list"),
        ("topics: [3]", "is no mapping"),
        ("3", "is no mapping"),
        ("defaults: {}", "`topics` is missing"),
        (
            "topics: [{name: a}]\n---\ntopics: [{name: b}]",
            "2 YAML documents",
        ),
        ("topics: [{name: a, name: b}]", "no YAML"),
        ("topics: [{name: a, retention: }]", "nothing can't be"),
        ("topics: [{name: a, deadLetter: }]", "nothing can't be"),
        ("topics: [{name: a, partitions: '3'}]", "without quotes"),
        ("topics: [{name: a, replication: 101}]", "from 1 to 100"),
    ] {
        let told = problems(text).join("\n");
        assert!(told.contains(says), "{text}: {told}");
    }
}

/// Something that may stand where anything else does.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z.{}]{0,8}|7d|forever|on|.{0,8}".prop_map(Value::from),
    ];
    let names = "name|partitions|replication|retention|compaction|minInSync|deadLetter|config|\
                 topics|defaults|[a-z.]{0,6}|retention.ms";
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..7).prop_map(|entries| {
                let entries = entries.into_iter();
                Value::Mapping(entries.map(|(name, value)| (name.into(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = parse(&text);
    }

    /// What is taken is what the brokers can be asked for.
    #[test]
    fn any_yaml_is_refused_with_reasons_or_can_be(topics in prop::collection::vec(value(), 0..4), defaults in value()) {
        let document = [("topics", Value::from(topics)), ("defaults", defaults)];
        let document: serde_norway::Mapping = document.map(|(name, value)| (name.into(), value)).into_iter().collect();
        let text = serde_norway::to_string(&document).expect("it is YAML");
        match parse(&text) {
            Err(problems) => prop_assert!(!problems.is_empty()),
            Ok(all) => {
                let mut names: Vec<_> = all.iter().map(|topic| topic.name.clone()).collect();
                names.sort_unstable();
                names.dedup();
                prop_assert_eq!(names.len(), all.len());
                for topic in all {
                    prop_assert!(crate::model::topic::check_topic(&topic.name).is_ok());
                    prop_assert!(topic.partitions.is_none_or(|count| count > 0));
                    if let (Some(least), Some(all)) = (topic.min_in_sync(), topic.replication) {
                        prop_assert!(least <= all);
                    }
                }
            }
        }
    }

    /// A file that can be is taken, and has all that it says.
    #[test]
    fn a_file_that_can_be_is_taken(
        count in 1_usize..8, partitions in 1..100, replication in 1_i16..5, least in 1_i16..5, days in 1_i64..1000,
        letters in any::<bool>(),
    ) {
        let least = least.min(replication);
        let topics: Vec<_> = (0..count).map(|n| format!("{{name: t{n}}}")).collect();
        let topics = topics.join(", ");
        let text = format!(
            "defaults: {{partitions: {partitions}, replication: {replication}, minInSync: {least}, \
             retention: {days}d, deadLetter: {letters}}}\ntopics: [{topics}]"
        );
        let all = wanted(&text);
        prop_assert_eq!(all.len(), if letters { 2 * count } else { count });
        for topic in all {
            prop_assert_eq!(topic.partitions, Some(partitions));
            prop_assert_eq!(topic.min_in_sync(), Some(least));
            let kept: i64 = topic.config["retention.ms"].parse().expect("a number");
            let days = if topic.name.contains(".dlq") { days.max(14) } else { days };
            prop_assert_eq!(kept, days * 24 * 3600 * 1000);
        }
    }
}
