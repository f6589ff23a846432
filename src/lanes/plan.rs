//! Which topics get lanes.

use std::collections::{BTreeMap, BTreeSet};

use super::Subscription;
use crate::{
    dapr::MOST_STREAMS,
    model::topic::{check_topic, subscribed},
};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The Component's name; by default the only one that the app names.
    pub pubsub: Option<String>,
    /// The topics; by default all that the app subscribes to.
    pub topics: Vec<String>,
    /// Lanes for each topic, beside its own subscription: at least one.
    pub count: u16,
    /// The apps to which the Subscriptions apply; by default all that may use the Component.
    pub app_ids: Vec<String>,
}

/// The subscriptions that get lanes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// One for each topic.
    pub(super) subscriptions: Vec<Subscription>,
    /// What gets no lanes or is odd, and why: a sentence each.
    pub(super) notes: Vec<String>,
}

/// Why there is no plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPlan {
    /// Another command line helps.
    Selection(String),
    /// No subscription can get lanes.
    Nothing(Vec<String>),
}

/// A topic as the app subscribes to it.
#[derive(Default)]
struct Topic {
    /// The subscription by the topic's own name.
    own: Option<Subscription>,
    /// How many lanes the app opens itself.
    lanes: usize,
}

/// Decides which of an app's subscriptions get lanes.
pub(super) fn plan(all: Vec<Subscription>, selection: &Selection) -> Result<Plan, NoPlan> {
    let mut notes = Vec::new();
    let all = effective(all, &mut notes);
    let pubsub = pubsub(&all, selection.pubsub.as_deref()).map_err(NoPlan::Selection)?;
    let topics = topics(all.into_iter().filter(|one| one.pubsub == pubsub));
    let mut missing = selection.topics.iter();
    if let Some(missing) = missing.find(|topic| !topics.contains_key(*topic))
        && !topics.is_empty()
    {
        return Err(NoPlan::Selection(format!(
            "the app does not subscribe to {missing:?} of {pubsub:?}, but to {}",
            listed(topics.keys())
        )));
    }
    let streams = topics.values();
    let streams = streams
        .map(|topic| topic.lanes + usize::from(topic.own.is_some()))
        .sum();
    let mut chosen = Vec::new();
    for (name, topic) in topics {
        if !selection.topics.is_empty() && !selection.topics.contains(&name) {
            continue;
        }
        match (check_topic(&name), topic) {
            (Err(problem), _) => notes.push(format!("{name:?} gets no lanes: {problem}")),
            (
                Ok(()),
                Topic {
                    own: Some(own),
                    lanes: 0,
                },
            ) => chosen.push(own),
            (Ok(()), Topic { lanes, .. }) => notes.push(format!(
                "{name:?} gets no lanes: the app opens {lanes} of its own"
            )),
        }
    }
    if chosen.is_empty() {
        return Err(NoPlan::Nothing(notes));
    }
    fits(chosen.len(), streams, selection.count).map_err(NoPlan::Selection)?;
    Ok(Plan {
        subscriptions: chosen,
        notes,
    })
}

/// The subscriptions that daprd makes of an app's answer (dapr/dapr v1.18.3): those with a
/// route, and of several to the same topic the last.
fn effective(all: Vec<Subscription>, notes: &mut Vec<String>) -> Vec<Subscription> {
    let mut kept: Vec<Subscription> = Vec::new();
    let mut places = BTreeMap::new();
    for one in all {
        if !one.has_route() {
            notes.push(format!(
                "{:?} gets no lanes: it has no route, so daprd drops it",
                one.topic
            ));
            continue;
        }
        let place = *places
            .entry((one.pubsub.clone(), one.topic.clone()))
            .or_insert(kept.len());
        match kept.get_mut(place) {
            None => kept.push(one),
            Some(before) => {
                notes.push(format!(
                    "{:?} is subscribed to more than once: its lanes are like the last, which daprd takes",
                    one.topic
                ));
                *before = one;
            }
        }
    }
    kept
}

/// The Component whose topics get lanes. The app may subscribe to Components of other types,
/// which have no lanes: of several, none is taken by default.
fn pubsub(all: &[Subscription], wanted: Option<&str>) -> Result<String, String> {
    let names: BTreeSet<_> = all.iter().map(|one| one.pubsub.as_str()).collect();
    let mut each = names.iter().copied();
    match (wanted, each.next(), each.next()) {
        (None, only, None) => Ok(only.unwrap_or_default().to_owned()),
        (None, _, Some(_)) => Err(format!(
            "the app subscribes to several Components, and lanes are only for this one. Choose it \
             with --pubsub: {}",
            listed(&names)
        )),
        (Some(wanted), Some(_), _) if !names.contains(wanted) => Err(format!(
            "the app does not subscribe to --pubsub {wanted:?}, but to {}",
            listed(&names)
        )),
        (Some(wanted), _, _) => Ok(wanted.to_owned()),
    }
}

fn topics(all: impl Iterator<Item = Subscription>) -> BTreeMap<String, Topic> {
    let mut topics = BTreeMap::<_, Topic>::new();
    for one in all {
        let (name, lane) = subscribed(&one.topic);
        let topic = topics.entry(name.to_owned()).or_default();
        if lane.is_some() {
            topic.lanes += 1;
        } else {
            topic.own = Some(one);
        }
    }
    topics
}

/// Refuses more streams than the component takes. The app's own are `streams`.
fn fits(topics: usize, streams: usize, count: u16) -> Result<(), String> {
    let all = streams + topics * usize::from(count);
    if all <= MOST_STREAMS {
        return Ok(());
    }
    let remedy = match MOST_STREAMS.saturating_sub(streams) / topics {
        0 => "Choose fewer topics with --topic".to_owned(),
        most => format!("Use --count {most} at most, or fewer topics"),
    };
    Err(format!(
        "{count} lanes for each of {topics} topics and {streams} subscriptions of the app itself \
         are {all} streams; a component takes {MOST_STREAMS}. {remedy}"
    ))
}

fn listed(names: impl IntoIterator<Item = impl std::fmt::Debug>) -> String {
    let names = names.into_iter().map(|name| format!("{name:?}"));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
