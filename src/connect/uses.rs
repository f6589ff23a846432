//! What a component is used for: topics that are published and subscribed to.

use serde::Deserialize;

use crate::resources::Subscription;

/// What a component is used for, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Uses {
    /// Topics that were published to.
    #[serde(default)]
    pub published: Vec<String>,
    /// What is subscribed to.
    #[serde(default)]
    pub subscriptions: Vec<Subscription>,
}

impl Uses {
    /// What these Subscriptions say of a component.
    pub(super) fn of(all: Vec<Subscription>, component: &str) -> Self {
        let its = all.into_iter().filter(|one| one.component == component);
        Self {
            published: Vec::new(),
            subscriptions: its.collect(),
        }
    }
}
