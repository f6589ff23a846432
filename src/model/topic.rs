//! Names of topics and of lanes.

use super::text::beginning;

/// Kafka's own bound, in bytes (`org.apache.kafka.common.internals.Topic`).
pub const LONGEST_TOPIC: usize = 249;

/// What comes between a topic and the rest of a lane's name. No Kafka topic can
/// have it.
pub const LANE: char = '#';

/// Refuses a name that no Kafka topic can have, before a broker is asked.
pub fn check_topic(topic: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let named = !topic.is_empty() && topic != "." && topic != "..";
    if named && topic.len() <= LONGEST_TOPIC && topic.bytes().all(fits) {
        return Ok(());
    }
    let shown = beginning(topic, LONGEST_TOPIC + 1);
    Err(format!(
        "{shown:?} can't be a Kafka topic: a name has 1 to {LONGEST_TOPIC} of a-z A-Z 0-9 . _ - \
         and is not . or .."
    ))
}

/// The Kafka topic that a subscriber's name stands for, and whether it is a lane
/// of it: `task-created#2` is a lane of `task-created`.
pub fn subscribed(name: &str) -> (&str, bool) {
    match name.split_once(LANE) {
        Some((topic, _)) => (topic, true),
        None => (name, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_topic_can_have_are_refused_by_name() {
        for topic in ["", ".", "..", "a b", "a#1", "é", &"x".repeat(250)] {
            let error = check_topic(topic).expect_err("not a topic's name");
            assert!(error.contains(&format!("{topic:?}")), "{error}");
        }
        for topic in ["orders", "a.b_c-D9", &"x".repeat(249)] {
            check_topic(topic).expect("a topic's name");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_topics_name_is_no_lanes(name in "[a-zA-Z0-9._#é -]{0,260}") {
            let (topic, is_lane) = subscribed(&name);
            proptest::prop_assert!(name.starts_with(topic));
            proptest::prop_assert_eq!(is_lane, topic.len() < name.len());
            if check_topic(&name).is_ok() {
                proptest::prop_assert!(!is_lane && name.len() <= LONGEST_TOPIC);
            }
        }

        #[test]
        fn a_refusal_is_no_longer_than_a_line(name in "é{0,2000}") {
            let error = check_topic(&name).expect_err("not a topic's name");
            proptest::prop_assert!(error.len() < 1024, "{}", error.len());
        }
    }

    #[test]
    fn a_lane_is_of_the_topic_before_its_sign() {
        assert_eq!(subscribed("orders"), ("orders", false));
        assert_eq!(subscribed("orders#1"), ("orders", true));
        assert_eq!(subscribed("orders#a#b"), ("orders", true));
        assert_eq!(subscribed("#"), ("", true));
    }
}
