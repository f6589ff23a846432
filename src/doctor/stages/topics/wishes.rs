//! Which topics are looked at, and what for.

use std::collections::{BTreeMap, HashMap};

use crate::{
    doctor::{
        Finding, Fix, rows,
        run::{Wanted, WantedTopic},
    },
    metadata::Settings,
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
}

/// Topics by their names.
pub(in crate::doctor::stages) type Wishes = BTreeMap<String, Wish>;

/// The topics that are wanted, dead-letter topics among them, and those that can't be.
pub(in crate::doctor::stages) fn wishes(
    settings: &Settings,
    wanted: &Wanted,
) -> (Wishes, Vec<(String, Finding)>) {
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
        let source = topic.dead_letters_of.as_deref();
        let source = source.map(|source| subscribed(source).0.to_owned());
        wish.sources.extend(source);
    }
    for (source, topic) in derived(settings, wanted, &mut refused) {
        wishes.entry(topic).or_default().sources.push(source);
    }
    for wish in wishes.values_mut() {
        wish.sources.sort();
        wish.sources.dedup();
    }
    (wishes, refused.into_iter().collect())
}

/// What `deadLetterTopic` names for each topic that is subscribed to, unless something
/// else is known already.
fn derived(
    settings: &Settings,
    wanted: &Wanted,
    refused: &mut BTreeMap<String, Finding>,
) -> Vec<(String, String)> {
    let known = |name: &str| {
        let of = |topic: &WantedTopic| topic.dead_letters_of.as_deref() == Some(name);
        wanted.topics.iter().any(of)
    };
    let mut all = Vec::new();
    for topic in &wanted.topics {
        let name = subscribed(&topic.name).0;
        let asked = topic.subscribe && topic.dead_letters_of.is_none() && !known(name);
        if !asked || check_topic(name).is_err() {
            continue;
        }
        match settings.policy(name, &HashMap::new()) {
            Ok(policy) => {
                let letters = policy.dead_letter.map(|letters| letters.to_string());
                all.extend(letters.map(|letters| (name.to_owned(), letters)));
            }
            Err(cause) => {
                let fix = Fix::words("name another topic").set("deadLetterTopic", "{topic}.dlq");
                let finding = Finding::new(&rows::topics::DEAD_LETTER_NAME, cause, fix);
                refused.insert(name.to_owned(), finding);
            }
        }
    }
    all
}

fn bad_name(name: &str) -> Finding {
    let cause = check_topic(name).err().unwrap_or_default();
    let fix = Fix::words("name another topic where the app publishes or subscribes");
    Finding::new(&rows::topics::BAD_NAME, cause, fix)
}
