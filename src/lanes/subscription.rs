//! What an app subscribes to.

use std::collections::BTreeMap;

/// One subscription, as far as Dapr's declarative form can say it (dapr/dapr v1.18.3,
/// `pkg/apis/subscriptions/v2alpha1/types.go`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The Component's name.
    pub pubsub: String,
    /// The topic, or a lane of one.
    pub topic: String,
    /// Paths with conditions, tried in this order.
    pub rules: Vec<Rule>,
    /// The path of messages that no rule matches. Empty if there is none.
    pub default_route: String,
    /// The subscription's own metadata. All lanes of a topic must have the same.
    pub metadata: BTreeMap<String, String>,
    /// The topic to which daprd itself publishes what the app refuses. Empty if there is
    /// none.
    pub dead_letter_topic: String,
    /// How daprd collects messages for the app, if it does.
    pub bulk: Option<Bulk>,
}

/// A path for the messages that match a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The condition, in CEL.
    pub condition: String,
    /// The path.
    pub path: String,
}

/// Bulk delivery to the app. Dapr's own defaults stand for 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// The most messages in one delivery.
    pub max_messages: i32,
    /// How long daprd waits for that many, in milliseconds.
    pub max_await_ms: i32,
}

impl Subscription {
    /// Whether the app says where the messages go. daprd drops a subscription that does not.
    pub(super) fn has_route(&self) -> bool {
        !self.rules.is_empty() || !self.default_route.is_empty()
    }
}
