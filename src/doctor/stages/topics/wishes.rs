//! Which topics are looked at, and what for.

use std::collections::BTreeMap;

use crate::{
    doctor::{Finding, Fix, rows, run::Wanted},
    model::topic::{check_topic, subscribed},
};

/// What is done with a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::doctor::stages) struct Wish {
    /// The app publishes to it.
    pub(in crate::doctor::stages) publish: bool,
    /// The app subscribes to it.
    pub(in crate::doctor::stages) subscribe: bool,
    /// The topics whose refused records it gets.
    pub(in crate::doctor::stages) sources: Vec<String>,
    /// The component itself writes some of those, and makes the topic if it may.
    pub(in crate::doctor::stages) by_component: bool,
}

/// Topics by their names.
pub(in crate::doctor::stages) type Wishes = BTreeMap<String, Wish>;

/// The topics that are wanted, dead-letter topics among them, and those that can't be.
pub(in crate::doctor::stages) fn wishes(wanted: &Wanted) -> (Wishes, Vec<(String, Finding)>) {
    let mut wishes = Wishes::new();
    let mut refused = BTreeMap::new();
    for topic in &wanted.topics {
        // A lane is read from its topic.
        let name = subscribed(&topic.name).0;
        if check_topic(name).is_err() {
            refused.insert(name.to_owned(), bad_name(name));
            continue;
        }
        let wish = wishes.entry(name.to_owned()).or_default();
        wish.publish |= topic.publish;
        wish.subscribe |= topic.subscribe;
        wish.by_component |= topic.by_component;
        let sources = topic.dead_letters_of.iter();
        wish.sources
            .extend(sources.map(|source| subscribed(source).0.to_owned()));
    }
    for wish in wishes.values_mut() {
        wish.sources.sort();
        wish.sources.dedup();
    }
    (wishes, refused.into_iter().collect())
}

fn bad_name(name: &str) -> Finding {
    let cause = check_topic(name).err().unwrap_or_default();
    let fix = Fix::words("name another topic where the app publishes or subscribes");
    Finding::new(&rows::topics::BAD_NAME, cause, fix)
}
