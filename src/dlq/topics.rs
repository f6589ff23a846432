//! Which topics are dead-letter topics.

use super::Connection;
use crate::{connect::Uses, model::topic::subscribed};

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
    let template = connection.settings.dead_letter.topic.as_deref();
    is_named(template, &connection.uses, topic)
}

fn is_named(template: Option<&str>, uses: &Uses, topic: &str) -> bool {
    let mut by_subscription = uses.subscriptions.iter().flat_map(|of| {
        let own = of.metadata.iter();
        let own = own.filter(|(key, _)| key.eq_ignore_ascii_case(DEAD_LETTER_TOPIC));
        let own = own.map(|(_, template)| template.replace(SOURCE, subscribed(&of.topic).0));
        own.chain(of.dead_letter_topic.clone())
    });
    template.is_some_and(|template| means(template, topic))
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
    use super::*;
    use crate::resources::Subscription;

    #[test]
    fn what_people_call_them_and_what_subscriptions_name_is_found() {
        let own = ("DeadLetterTopic".to_owned(), "bad-{topic}".to_owned());
        let subscription = Subscription {
            topic: "tasks~1".into(),
            dead_letter_topic: Some("by-daprd".into()),
            metadata: [own].into(),
            ..Subscription::default()
        };
        let uses = Uses {
            subscriptions: vec![subscription],
            ..Uses::default()
        };
        for topic in [
            "a.dlq",
            "a-dlq",
            "a_dlq",
            "a.DLT",
            "a-dlt",
            "bad-tasks",
            "by-daprd",
        ] {
            assert!(is_named(None, &uses, topic), "{topic}");
        }
        for topic in ["tasks", "bad-orders", "a.dlq.x", "dlq"] {
            assert!(!is_named(None, &uses, topic), "{topic}");
        }
        assert!(is_named(Some("x-{topic}"), &uses, "x-a"));
    }

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
