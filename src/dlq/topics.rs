//! Which topics are dead-letter topics.

use super::Connection;

/// Endings of names that are taken for dead-letter topics.
const ENDINGS: [&str; 2] = [".dlq", "-dlq"];

/// What stands for the source topic's name in `deadLetterTopic`.
const SOURCE: &str = "{topic}";

/// Whether a name is one of a dead-letter topic: the component's `deadLetterTopic`
/// means it, or it ends in `.dlq` or `-dlq`.
pub fn is_dead_letter(connection: &Connection, topic: &str) -> bool {
    let named = connection.settings.dead_letter.topic.as_deref();
    named.is_some_and(|pattern| means(pattern, topic))
        || ENDINGS.iter().any(|ending| topic.ends_with(ending))
}

/// Whether a `deadLetterTopic` can mean this topic.
fn means(pattern: &str, topic: &str) -> bool {
    match pattern.split_once(SOURCE) {
        None => pattern == topic,
        Some(("", "")) => false,
        Some((before, after)) => topic
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|source| !source.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::means;

    #[test]
    fn a_setting_means_one_topic_or_one_for_each() {
        assert!(means("failed", "failed"));
        assert!(!means("failed", "failed-too"));
        assert!(means("dead.{topic}.x", "dead.orders.x"));
        assert!(!means("dead.{topic}.x", "dead..x"));
        assert!(!means("dead.{topic}.x", "orders"));
        // It would mean every topic.
        assert!(!means("{topic}", "orders"));
    }
}
