//! Sizes and times that brokers bound.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::topics::{
    alter,
    configs::{self, Kind, Told},
    subject,
    wishes::{Wishes, wishes},
};
use crate::{
    doctor::{Finding, Fix, Seen, Stage, context::Context, rows, run::Wanted, stages::Cluster},
    metadata::Group,
};

/// Kafka's keys.
const LARGEST: &str = "max.message.bytes";
const SHORTEST: &str = "group.min.session.timeout.ms";
const LONGEST: &str = "group.max.session.timeout.ms";

/// What a dead letter may carry beside its source, in bytes: some headers.
const HEADERS: u64 = 64 * 1024;

/// The largest value that brokers take for a size.
const MOST: u64 = i32::MAX as u64;

/// Checks them. Of topics that are missing that was told.
pub(in crate::doctor) async fn check(
    context: &Context<'_>,
    cluster: &mut Cluster,
    wanted: &Wanted,
    missing: &BTreeSet<String>,
) {
    sizes(context, cluster, wanted, missing).await;
    // Without a topic that is read nobody joins a group; if none is known, some may be.
    if wanted.topics.is_empty() || wanted.topics.iter().any(|topic| topic.subscribe) {
        session(context, cluster).await;
    }
}

async fn sizes(
    context: &Context<'_>,
    cluster: &mut Cluster,
    wanted: &Wanted,
    missing: &BTreeSet<String>,
) {
    let (mut wishes, _) = wishes(wanted);
    if wishes.is_empty() {
        let why = "no topic is known: name them with --topic";
        context.recorder.skipped(Stage::Limits, "topics", why);
        return;
    }
    wishes.retain(|name, _| !missing.contains(name));
    let names: Vec<_> = wishes.keys().map(String::as_str).collect();
    if names.is_empty() {
        return;
    }
    let wire = cluster.any();
    let told = configs::ask(wire, Kind::Topic, &names, &[LARGEST], context).await;
    for (name, wish) in &wishes {
        let largest = largest(&told, name);
        let (largest, seen) = match largest {
            Ok(known) => known,
            Err(why) => {
                context.recorder.skipped(Stage::Limits, subject(name), why);
                continue;
            }
        };
        let ours = u64::try_from(context.settings.max_message_bytes).unwrap_or(u64::MAX);
        let mut found = Vec::new();
        if wish.publish {
            found.extend(publish(name, ours, largest));
        }
        found.extend(dead_letters(name, largest, &told, &wishes));
        if found.is_empty() {
            context.recorder.fine(Stage::Limits, subject(name), seen);
        }
        for finding in found {
            context.recorder.found(subject(name), finding);
        }
    }
}

/// The largest record that a topic takes.
fn largest(told: &BTreeMap<String, Told>, name: &str) -> Result<(u64, Seen), String> {
    let untold = || format!("the broker does not tell its {LARGEST}");
    let answer = told.get(name).ok_or_else(untold)?;
    let answer = answer.as_ref().map_err(Clone::clone)?;
    let value = answer.value.get(LARGEST).and_then(|text| text.parse().ok());
    let value: u64 = value.ok_or_else(untold)?;
    Ok((value, Seen::by(answer, format!("{LARGEST} {value}"))))
}

fn publish(name: &str, ours: u64, largest: u64) -> Option<Finding> {
    if ours <= largest {
        return None;
    }
    let cause = format!("maxMessageBytes is {ours}, and {LARGEST} of {name} is {largest}");
    let fix = Fix::words("publish no larger records, or raise what the topic takes");
    // There is a least that can be set.
    let fix = if largest >= 1000 {
        fix.set("maxMessageBytes", largest.to_string())
    } else {
        fix.run(alter(name, &format!("{LARGEST}={}", ours.min(MOST))))
    };
    Some(Finding::new(&rows::limits::MESSAGE, cause, fix))
}

fn dead_letters(
    name: &str,
    own: u64,
    told: &BTreeMap<String, Told>,
    wishes: &Wishes,
) -> Option<Finding> {
    let sources = wishes.get(name)?.sources.iter();
    let known = sources.filter_map(|source| Some((largest(told, source).ok()?.0, source)));
    let (theirs, source) = known.max()?;
    if own >= theirs {
        return None;
    }
    let cause = format!(
        "{LARGEST} of {name} is {own}, that of {source}, whose dead letters it gets, is {theirs}"
    );
    let enough = theirs.saturating_add(HEADERS).min(MOST);
    let fix = Fix::words("let it take its source's largest record with more headers")
        .run(alter(name, &format!("{LARGEST}={enough}")));
    Some(Finding::new(&rows::limits::DEAD_LETTER, cause, fix))
}

async fn session(context: &Context<'_>, cluster: &mut Cluster) {
    let (recorder, stage) = (context.recorder, Stage::Limits);
    let Some((id, wire)) = cluster.known() else {
        let why = "no broker was reached as advertised";
        recorder.skipped(stage, "sessionTimeout", why);
        return;
    };
    let id = id.to_string();
    let keys = [SHORTEST, LONGEST];
    let mut told = configs::ask(wire, Kind::Broker, &[&id], &keys, context).await;
    let told = told.remove(&id).unwrap_or_else(|| Err("no answer".into()));
    let told = match told {
        Ok(told) => told,
        Err(why) => {
            recorder.skipped(
                stage,
                "sessionTimeout",
                format!("the broker's bounds: {why}"),
            );
            return;
        }
    };
    let bound = |key| told.value.get(key)?.parse::<u64>().ok();
    let (Some(shortest), Some(longest)) = (bound(SHORTEST), bound(LONGEST)) else {
        recorder.skipped(
            stage,
            "sessionTimeout",
            "the broker does not tell its bounds",
        );
        return;
    };
    let bounds = (
        Duration::from_millis(shortest),
        Duration::from_millis(longest),
    );
    if let Some(finding) = outside(&context.settings.group, bounds) {
        recorder.found("sessionTimeout", finding);
    } else {
        let seen = Seen::by(&told, format!("within {shortest} to {longest} ms"));
        recorder.fine(stage, "sessionTimeout", seen);
    }
}

/// What is wrong with the session timeout.
fn outside(group: &Group, (shortest, longest): (Duration, Duration)) -> Option<Finding> {
    let own = group.session_timeout;
    let (key, bound) = if own < shortest {
        (SHORTEST, shortest)
    } else if own > longest {
        (LONGEST, longest)
    } else {
        return None;
    };
    let cause = format!(
        "sessionTimeout is {}, and the broker's {key} is {}",
        written(own),
        written(bound)
    );
    let mut fix =
        Fix::words("give a time that the broker takes").set("sessionTimeout", written(bound));
    if group.heartbeat_interval >= bound {
        let third = (bound / 3).max(Duration::from_millis(1));
        fix = fix.set("heartbeatInterval", written(third));
    }
    Some(Finding::new(&rows::limits::SESSION, cause, fix))
}

/// A time as the metadata takes it.
fn written(time: Duration) -> String {
    let millis = time.as_millis();
    if millis.is_multiple_of(1000) {
        format!("{}s", millis / 1000)
    } else {
        format!("{millis}ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_brought_within_the_bounds_with_its_heartbeats() {
        let group = |session, heartbeat| Group {
            session_timeout: Duration::from_millis(session),
            heartbeat_interval: Duration::from_millis(heartbeat),
            ..Group::default()
        };
        let bounds = (Duration::from_secs(6), Duration::from_millis(7500));
        let fix = |session, heartbeat| {
            let found = outside(&group(session, heartbeat), bounds)?;
            Some(found.fix.set)
        };
        assert_eq!(fix(6000, 3000), None);
        assert_eq!(fix(7500, 3000), None);
        let pair = |key: &'static str, value: &str| (key.into(), value.to_owned());
        assert_eq!(fix(5999, 3000), Some(vec![pair("sessionTimeout", "6s")]));
        let both = vec![
            pair("sessionTimeout", "7500ms"),
            pair("heartbeatInterval", "2500ms"),
        ];
        assert_eq!(fix(60_000, 7500), Some(both));
    }

    #[test]
    fn the_largest_record_is_what_the_topic_takes() {
        assert!(publish("t", 1000, 1000).is_none());
        let set = |ours, largest| publish("t", ours, largest).map(|found| found.fix);
        let fix = set(1001, 1000).unwrap_or_default();
        assert_eq!(fix.set, [("maxMessageBytes".into(), "1000".to_owned())]);
        let fix = set(1000, 999).unwrap_or_default();
        assert!(fix.set.is_empty() && fix.command.is_some());
    }
}
