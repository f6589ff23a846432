//! What can't be of topics that can be read.

use std::collections::HashMap;

use super::{node::Problems, resolve::Resolved};

/// Looks for what the brokers would refuse, or take and never use.
pub(super) fn check(topics: &[Resolved], problems: &mut Problems) {
    let mut names: HashMap<&str, &str> = HashMap::new();
    // Brokers make metrics' names of topics, and these are the same there.
    let mut metrics: HashMap<String, &str> = HashMap::new();
    for topic in topics {
        let (name, at) = (topic.wanted.name.as_str(), topic.at.as_str());
        if let Some(other) = names.insert(name, at) {
            let text = format!(
                "{name} is wanted by {other} already; remove one of them, or give a dead-letter \
                 topic another name"
            );
            problems.add(at, text);
        } else if let Some(other) = metrics.insert(name.replace('.', "_"), name) {
            let text = format!(
                "{name} and {other} differ in . and _ alone, and brokers take only one of such; \
                 rename one of them"
            );
            problems.add(at, text);
        }
        in_sync(topic, problems);
    }
}

/// A write that waits for more replicas than there are never succeeds.
fn in_sync(topic: &Resolved, problems: &mut Problems) {
    let (Some(least), Some(all)) = (&topic.min_in_sync, &topic.replication) else {
        return;
    };
    if least.value > all.value {
        let text = format!(
            "{} is more than the {} replicas of {} ({}), so no publish would be confirmed; write \
             at most {}, or raise replication",
            least.value, all.value, topic.wanted.name, all.at, all.value
        );
        problems.add(&least.at, text);
    }
}
