//! Which topics are dead-letter topics.

use super::Connection;
use crate::model::topic::subscribed;

/// The metadata key of a Subscription.
pub const DEAD_LETTER_TOPIC: &str = "deadLetterTopic";

/// Endings of names that are taken for dead-letter topics: what people write, and what Spring
/// appends.
pub const ENDINGS: [&str; 5] = [".dlq", "-dlq", "_dlq", ".DLT", "-dlt"];

/// What stands for the source topic's name in `deadLetterTopic`.
pub const SOURCE: &str = "{topic}";

/// Whether a name is one of a dead-letter topic: the component's `deadLetterTopic`
/// means it, a Subscription names it, or it ends in one of [`ENDINGS`].
pub fn is_dead_letter(connection: &Connection, topic: &str) -> bool {
    let named = connection.settings.dead_letter.topic.as_deref();
    let mut by_subscription = connection.uses.subscriptions.iter().flat_map(|of| {
        let own = of
            .metadata
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(DEAD_LETTER_TOPIC));
        let own = own.map(|(_, template)| template.replace(SOURCE, subscribed(&of.topic).0));
        own.chain(of.dead_letter_topic.clone())
    });
    named.is_some_and(|pattern| means(pattern, topic))
        || by_subscription.any(|named| named == topic)
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
