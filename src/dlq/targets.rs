//! Where dead letters may be sent. A record's headers must not choose where an operator's login
//! writes.

use std::collections::HashMap;

use super::{Connection, Failed, Left, browser, topics};
use crate::{
    connect::Uses,
    kafka::{Browser, Kind},
    model::topic::subscribed,
};

/// Whether a topic's dead letters go to this dead-letter topic, as far as the component's
/// settings, its Subscriptions and the dead-letter topic's own name say.
pub fn is_source(template: Option<&str>, uses: &Uses, dead: &str, topic: &str) -> bool {
    let maps = |template: &str| template.replace(topics::SOURCE, topic) == dead;
    let by_component = template.is_some_and(|template| {
        // A name for all topics says nothing of this one.
        template.contains(topics::SOURCE) && maps(template)
    });
    let mut of_topic = uses
        .subscriptions
        .iter()
        .filter(|it| subscribed(&it.topic).0 == topic);
    let by_subscription = of_topic.any(|subscription| {
        let mut own = subscription.metadata.iter();
        let own = own.find(|(key, _)| key.eq_ignore_ascii_case(topics::DEAD_LETTER_TOPIC));
        let own = own.map(|(_, value)| value.as_str()).or(template);
        let by_daprd = subscription.dead_letter_topic.as_deref();
        own.is_some_and(maps) || by_daprd == Some(dead)
    });
    let by_name = topics::ENDINGS
        .iter()
        .any(|ending| dead.strip_suffix(ending) == Some(topic));
    by_component || by_subscription || by_name
}

/// Topics and groups, each looked at once, before the first record goes there.
pub struct Targets<'a> {
    connection: &'a Connection,
    browser: &'a Browser,
    /// Each topic's partitions, or why nothing can be sent there.
    topics: HashMap<String, Result<Vec<i32>, Left>>,
    /// By group and topic.
    groups: HashMap<(String, String), Option<Left>>,
}

impl<'a> Targets<'a> {
    /// Nothing was looked at yet.
    pub fn new(connection: &'a Connection, browser: &'a Browser) -> Self {
        Self {
            connection,
            browser,
            topics: HashMap::new(),
            groups: HashMap::new(),
        }
    }

    /// Why a record can't be sent to a topic for a group, or `None`.
    ///
    /// # Errors
    /// When the brokers don't answer.
    pub async fn check(
        &mut self,
        topic: &str,
        group: Option<&str>,
    ) -> Result<Option<Left>, Failed> {
        if !self.topics.contains_key(topic) {
            let found = match self.browser.partitions(topic).await {
                Ok(partitions) => Ok(partitions),
                Err(cause) if cause.kind == Kind::UnknownTopic => Err(Left::NoSuchTopic),
                Err(cause) if cause.kind == Kind::Forbidden => Err(Left::Forbidden),
                Err(cause) => return Err(Failed::kafka(format!("looking at {topic}"))(cause)),
            };
            self.topics.insert(topic.to_owned(), found);
        }
        let partitions = match &self.topics[topic] {
            Err(left) => return Ok(Some(*left)),
            Ok(partitions) => partitions.clone(),
        };
        let Some(group) = group else {
            return Ok(None);
        };
        let key = (group.to_owned(), topic.to_owned());
        if let Some(known) = self.groups.get(&key) {
            return Ok(*known);
        }
        let left = self.group(topic, group, &partitions).await?;
        self.groups.insert(key, left);
        Ok(left)
    }

    /// Notes that the brokers refuse this login's records for a topic.
    pub fn forbid(&mut self, topic: &str) {
        self.topics.insert(topic.to_owned(), Err(Left::Forbidden));
    }

    /// A group is alive if it has committed an offset of the topic, or has members that
    /// subscribe to it. An autoscaler may have stopped all of its members, so none are needed.
    async fn group(
        &self,
        topic: &str,
        group: &str,
        partitions: &[i32],
    ) -> Result<Option<Left>, Failed> {
        let looking = || Failed::kafka(format!("looking at the group {group}"));
        let asked = browser(self.connection, group).await?;
        let members = self.browser.members(group).await;
        let committed = match asked.committed(topic, partitions).await {
            Ok(committed) => !committed.is_empty(),
            Err(cause) if cause.kind == Kind::Forbidden => return Ok(Some(Left::GroupHidden)),
            Err(cause) => return Err(looking()(cause)),
        };
        if members
            .as_ref()
            .is_ok_and(|members| members.topics.contains(topic))
        {
            return Ok(None);
        }
        if !committed {
            return match members {
                Ok(_) => Ok(Some(Left::GroupGone)),
                Err(cause) => Err(looking()(cause)),
            };
        }
        if members.is_ok_and(|members| members.count == 0) {
            tracing::warn!(
                "the group {group} has no members now; what is sent to {topic} waits until it has. \
                 If it was renamed, stop this and use --regroup {group}=NEW"
            );
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Subscription;

    fn subscription(topic: &str, own: Option<&str>, by_daprd: Option<&str>) -> Subscription {
        let own = own.map(|own| ("deadlettertopic".to_owned(), own.to_owned()));
        Subscription {
            topic: topic.to_owned(),
            dead_letter_topic: by_daprd.map(str::to_owned),
            metadata: own.into_iter().collect(),
            ..Subscription::default()
        }
    }

    #[test]
    fn a_header_names_only_topics_whose_dead_letters_go_there() {
        let uses = Uses {
            published: Vec::new(),
            subscriptions: vec![
                subscription("tasks~1", None, None),
                subscription("own", Some("failed"), None),
                subscription("by-daprd", None, Some("failed")),
                subscription("elsewhere", Some("other"), None),
            ],
        };
        let none = Uses::default();
        for (template, uses, dead, topic, wanted) in [
            // By the component's setting.
            (Some("dead.{topic}"), &none, "dead.orders", "orders", true),
            (
                Some("dead.{topic}"),
                &none,
                "dead.orders",
                "payments",
                false,
            ),
            // One name for all topics: only what is subscribed to.
            (Some("failed"), &none, "failed", "payments", false),
            (Some("failed"), &uses, "failed", "tasks", true),
            (Some("failed"), &uses, "failed", "own", true),
            (Some("failed"), &uses, "failed", "elsewhere", false),
            (None, &uses, "failed", "by-daprd", true),
            (None, &uses, "failed", "tasks", false),
            // By the dead-letter topic's own name.
            (None, &none, "orders.dlq", "orders", true),
            (None, &none, "orders.DLT", "orders", true),
            (None, &none, "orders.dlq", "payments", false),
        ] {
            let is = is_source(template, uses, dead, topic);
            assert_eq!(is, wanted, "{template:?} {dead} {topic}");
        }
    }
}
