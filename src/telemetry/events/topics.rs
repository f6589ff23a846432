//! What is worth telling about topics that are missing.

use std::time::Duration;

use tracing::error;

use super::super::Member;

/// A topic that is subscribed to does not exist, and could not be created.
#[derive(Debug)]
pub struct TopicNotCreated<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The topic.
    pub topic: &'a str,
    /// When the next attempt comes.
    pub delay: Duration,
    /// What went wrong, and what to do about it.
    pub reason: &'a str,
}

impl TopicNotCreated<'_> {
    /// Logs it.
    pub fn emit(self) {
        error!(
            instance = %self.instance,
            "the topic {} does not exist and can't be created, next attempt in {:?}; it is read \
             from its first record as soon as it is there: {}",
            self.topic,
            self.delay,
            self.reason
        );
    }
}
