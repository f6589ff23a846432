//! Configs: whether two values are the same, and which way a change goes.

use std::collections::BTreeSet;

use super::{Sort, Step, What};
use crate::topics::wanted::{CLEANUP, LARGEST, MIN_IN_SYNC, RETENTION};

/// What a change of a config may lose.
enum Risk {
    /// Where the value gets less; negative ones are without end.
    Less(&'static str),
    /// Where this value is what it becomes.
    Becomes(&'static str, &'static str),
}

use Risk::{Becomes, Less};

const DELETED: &str = "records that are older, or more, are deleted";
const UNCLEAN: &str = "a replica that lacks records may lead, and they are lost";

/// The configs that can lose data or safety. All others only change how a topic is kept.
const RISKS: [(&str, Risk); 9] = [
    (RETENTION, Less(DELETED)),
    ("retention.bytes", Less(DELETED)),
    (MIN_IN_SYNC, Less("writes are confirmed with fewer copies")),
    (LARGEST, Less("larger records are refused from then on")),
    (
        "delete.retention.ms",
        Less("a reader that is away for longer never learns what was deleted"),
    ),
    (
        "min.compaction.lag.ms",
        Less("older records of a key go before readers may have seen them"),
    ),
    (
        "max.compaction.lag.ms",
        Less("older records of a key go before readers may have seen them"),
    ),
    ("unclean.leader.election.enable", Becomes("true", UNCLEAN)),
    (
        "remote.storage.enable",
        Becomes(
            "false",
            "records that only the remote storage has may be deleted",
        ),
    ),
];

/// What a step does that changes no value.
const PINS: &str = "pinned: until now the topic follows the brokers' default, which may change";

/// What is to be done about a config, if anything. `own` says whether the topic has it for itself:
/// a value that is only the brokers' default changes with that one.
pub(super) fn step(name: &str, from: &str, to: &str, own: bool) -> Option<Step> {
    if same(name, from, to) {
        return (!own).then(|| Step {
            what: What::Config(name.to_owned()),
            from: from.to_owned(),
            to: to.to_owned(),
            sort: Sort::Change(Some(PINS)),
        });
    }
    let risk = if name == CLEANUP {
        cleanup(from, to)
    } else {
        let known = RISKS.iter().find(|(known, _)| *known == name);
        known.and_then(|(_, risk)| risk.of(from, to))
    };
    Some(Step {
        what: What::Config(name.to_owned()),
        from: from.to_owned(),
        to: to.to_owned(),
        sort: risk.map_or(Sort::Change(None), Sort::Risk),
    })
}

impl Risk {
    fn of(&self, from: &str, to: &str) -> Option<&'static str> {
        match self {
            Becomes(value, risk) => to.eq_ignore_ascii_case(value).then_some(*risk),
            Less(risk) => {
                let number = |text: &str| text.trim().parse::<i64>().ok();
                // What is no number can't be told to be more.
                let (Some(from), Some(to)) = (number(from), number(to)) else {
                    return Some(risk);
                };
                let end = |number: i64| if number < 0 { i64::MAX } else { number };
                (end(to) < end(from)).then_some(*risk)
            }
        }
    }
}

fn policies(text: &str) -> BTreeSet<&str> {
    let each = text.split(',').map(str::trim);
    each.filter(|one| !one.is_empty()).collect()
}

/// What a change of what becomes of old records loses.
fn cleanup(from: &str, to: &str) -> Option<&'static str> {
    let (from, to) = (policies(from), policies(to));
    let begins = |policy: &str| to.contains(policy) && !from.contains(policy);
    if begins("compact") {
        Some("all but the last record of each key are deleted, and records without a key refused")
    } else if begins("delete") {
        Some("records that are old are deleted")
    } else {
        None
    }
}

/// Whether two texts mean the same: brokers write some otherwise.
fn same(name: &str, from: &str, to: &str) -> bool {
    if from == to {
        return true;
    }
    if name == CLEANUP {
        return policies(from) == policies(to);
    }
    let numbers = (from.trim().parse::<f64>(), to.trim().parse::<f64>());
    match numbers {
        // Large whole numbers are told apart by their texts.
        (Ok(one), Ok(other)) if from.contains('.') || to.contains('.') => {
            (one - other).abs() < f64::EPSILON
        }
        _ => from.trim().eq_ignore_ascii_case(to.trim()),
    }
}
