use std::collections::{BTreeMap, BTreeSet};

use serde_norway::Value;

use super::*;
use crate::lanes::{Bulk, Rule};

fn subscription(pubsub: &str, topic: &str) -> Subscription {
    Subscription {
        pubsub: pubsub.into(),
        topic: topic.into(),
        default_route: "/events".into(),
        ..Subscription::default()
    }
}

#[test]
fn a_lane_has_everything_that_the_apps_own_subscription_has() {
    let rule = |condition: &str, path: &str| Rule {
        condition: condition.into(),
        path: path.into(),
    };
    let topic = Subscription {
        rules: vec![rule("event.type == \"new\"", "/new"), rule("", "/old")],
        metadata: [("rawPayload".to_owned(), "true".to_owned())].into(),
        dead_letter_topic: "task-created.dead".into(),
        bulk: Some(Bulk {
            max_messages: 100,
            max_await_ms: 0,
        }),
        ..subscription("todo-pubsub", "task-created")
    };
    let expected = r#"apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata:
  name: task-created-lane-3-5c1c800b
spec:
  pubsubname: "todo-pubsub"
  topic: "task-created~3"
  routes:
    rules:
    - match: "event.type == \"new\""
      path: "/new"
    - match: ""
      path: "/old"
    default: "/events"
  metadata:
    "rawPayload": "true"
  deadLetterTopic: "task-created.dead"
  bulkSubscribe:
    enabled: true
    maxMessagesCount: 100
scopes:
- "billing"
- "todo"
"#;
    let app_ids = ["billing".to_owned(), "todo".to_owned()];
    assert_eq!(document(&topic, 3, &app_ids), expected);
}

#[test]
fn a_plain_topics_lane_is_short() {
    let expected = r#"apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata:
  name: orders-lane-1-183b89b6
spec:
  pubsubname: "todo-pubsub"
  topic: "orders~1"
  routes:
    default: "/events"
"#;
    assert_eq!(
        document(&subscription("todo-pubsub", "orders"), 1, &[]),
        expected
    );
}

/// A second `kubectl apply` would replace what has the same name.
#[test]
fn what_is_different_has_another_name() {
    let long = "x".repeat(248);
    let mut names = BTreeSet::new();
    let mut topics: Vec<_> = [
        "a.b", "a-b", "a_b", "A.b", "a--b", "_", "-", "--", "a", "a-lane-1",
    ]
    .map(|topic| subscription("todo", topic))
    .into();
    topics.push(subscription("todo", &(long.clone() + "y")));
    topics.push(subscription("todo", &(long + "z")));
    topics.push(subscription("other", "a"));
    for topic in &topics {
        for app_ids in [&[][..], &["one".to_owned()], &["two".to_owned()]] {
            for lane in [1, 895] {
                let name = name(topic, lane, app_ids);
                assert!(names.insert(name.clone()), "{name}");
                let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                assert!(name.len() <= 253 && name.chars().all(allowed), "{name}");
                assert!(!name.starts_with('-') && !name.ends_with('-'), "{name}");
            }
        }
    }
    let again = name(&topics[0], 1, &[]);
    assert!(names.contains(&again), "a second run has the same names");
}

proptest::proptest! {
    #[test]
    fn every_text_is_read_as_it_was(
        pubsub in "(?s).{0,20}",
        route in "(on|1_000|~|null|(?s).{1,20})",
        pair in ("(?s).{0,10}", "(0x1f|12:30:45|(?s).{0,20})"),
        match_and_path in ("(?s).{0,20}", "(?s).{0,20}"),
        app_id in "(123|(?s).{1,10})",
    ) {
        let (condition, path) = match_and_path;
        let topic = Subscription {
            default_route: route.clone(),
            rules: vec![Rule { condition: condition.clone(), path: path.clone() }],
            metadata: BTreeMap::from([pair.clone()]),
            ..subscription(&pubsub, "orders")
        };
        let text = document(&topic, 1, std::slice::from_ref(&app_id));
        let read: Value = serde_norway::from_str(&text).expect("it is YAML");
        let spec = &read["spec"];
        proptest::prop_assert_eq!(spec["pubsubname"].as_str(), Some(&*pubsub));
        proptest::prop_assert_eq!(spec["routes"]["default"].as_str(), Some(&*route));
        proptest::prop_assert_eq!(spec["routes"]["rules"][0]["match"].as_str(), Some(&*condition));
        proptest::prop_assert_eq!(spec["routes"]["rules"][0]["path"].as_str(), Some(&*path));
        proptest::prop_assert_eq!(spec["metadata"][&*pair.0].as_str(), Some(&*pair.1));
        proptest::prop_assert_eq!(read["scopes"][0].as_str(), Some(&*app_id));
        proptest::prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    }
}
