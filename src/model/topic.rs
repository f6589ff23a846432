//! Names of topics and of lanes.

use super::text::beginning;

/// Kafka's own bound, in bytes (`org.apache.kafka.common.internals.Topic`).
pub const LONGEST_TOPIC: usize = 249;

/// The characters that separate a topic from the rest of a lane's name, both with the same
/// meaning. No Kafka topic can have either in its name. `~` is the recommended one: it is
/// an ordinary character in a URL's path, where `#` begins a fragment and is cut off.
const SEPARATORS: [char; 2] = ['~', '#'];

/// Refuses a name that no Kafka topic can have, before a broker is asked. For a lane's
/// name the error names the lane's topic.
pub fn check_topic(topic: &str) -> Result<(), String> {
    if is_topic(topic) {
        return Ok(());
    }
    let shown = beginning(topic, LONGEST_TOPIC + 1);
    match subscribed(topic) {
        (of, Some(_)) if is_topic(of) => Err(format!(
            "{shown:?} is a lane of the topic {of}, and only subscriptions can name lanes. Use \
             {of} here"
        )),
        _ => Err(format!(
            "{shown:?} can't be a Kafka topic: a name has 1 to {LONGEST_TOPIC} of a-z A-Z 0-9 . _ \
             - and is not . or .."
        )),
    }
}

fn is_topic(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let named = !name.is_empty() && name != "." && name != "..";
    named && name.len() <= LONGEST_TOPIC && name.bytes().all(fits)
}

/// Splits the name that a subscriber gives: the Kafka topic, and the rest with its separator
/// if the name is a lane's. `task-created~2` is the lane `~2` of `task-created`. The rest
/// keeps the separator because daprd compares names literally: `a~1` and `a#1` are two
/// lanes.
pub fn subscribed(name: &str) -> (&str, Option<&str>) {
    match name.find(SEPARATORS) {
        Some(at) => (&name[..at], Some(&name[at..])),
        None => (name, None),
    }
}

/// The recommended name for a lane of a topic.
pub fn lane(topic: &str, number: u16) -> String {
    format!("{topic}{}{number}", SEPARATORS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_topic_can_have_are_refused_by_name() {
        for topic in ["", ".", "..", "a b", "a#1", "a~1", "é", &"x".repeat(250)] {
            let error = check_topic(topic).expect_err("not a topic's name");
            assert!(error.contains(&format!("{topic:?}")), "{error}");
        }
        for topic in ["orders", "a.b_c-D9", &"x".repeat(249)] {
            check_topic(topic).expect("a topic's name");
        }
    }

    #[test]
    fn a_lane_in_a_topics_place_is_refused_with_its_topic() {
        for lane in ["orders~1", "orders#1", "orders~", "orders#a~b"] {
            let error = check_topic(lane).expect_err("not a topic's name");
            assert!(error.contains("is a lane of the topic orders,"), "{error}");
        }
        let error = check_topic("a b~1").expect_err("not a topic's name");
        assert!(error.contains("can't be a Kafka topic"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn a_topics_name_is_no_lanes(name in "[a-zA-Z0-9._#~é -]{0,260}") {
            let (topic, lane) = subscribed(&name);
            let lane = lane.unwrap_or_default();
            proptest::prop_assert_eq!(format!("{topic}{lane}"), &*name);
            proptest::prop_assert!(!topic.contains(SEPARATORS));
            proptest::prop_assert!(lane.is_empty() || lane.starts_with(SEPARATORS));
            if check_topic(&name).is_ok() {
                proptest::prop_assert!(lane.is_empty() && name.len() <= LONGEST_TOPIC);
            }
        }

        #[test]
        fn a_refusal_is_no_longer_than_a_line(name in "[a-z]{0,260}[~#]?é{0,2000}[~#]") {
            let error = check_topic(&name).expect_err("not a topic's name");
            proptest::prop_assert!(error.len() < 1024, "{}", error.len());
        }
    }

    #[test]
    fn a_lane_is_of_the_topic_before_its_separator() {
        assert_eq!(subscribed("orders"), ("orders", None));
        assert_eq!(subscribed("orders#1"), ("orders", Some("#1")));
        assert_eq!(subscribed("orders~1"), ("orders", Some("~1")));
        assert_eq!(subscribed("orders~a#b"), ("orders", Some("~a#b")));
        assert_eq!(subscribed("orders#a~b"), ("orders", Some("#a~b")));
        assert_eq!(subscribed("orders~"), ("orders", Some("~")));
        assert_eq!(subscribed("#"), ("", Some("#")));
        assert_eq!(subscribed(&lane("orders", 7)), ("orders", Some("~7")));
    }
}
