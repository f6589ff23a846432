//! Plans, and what came of them, for people and for scripts.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    apply::{Applied, Outcome},
    file::written,
    plan::{Fate, Plan, Sort, Step},
    wanted::{RETENTION, Wanted},
};
use crate::model::text::on_one_line;

/// The brokers stopped answering before.
const NOT_ASKED: &str = "not asked for";

/// What is to be done about a topic, in a word.
pub(super) fn state(plan: &Plan) -> &'static str {
    let has = |of: fn(&Step) -> bool| plan.steps().iter().any(of);
    match &plan.fate {
        Fate::Create => "create",
        Fate::Impossible(_) => "impossible",
        Fate::Unknown(_) => "unknown",
        Fate::Alter(_) if has(|step| matches!(step.sort, Sort::Impossible(_))) => "impossible",
        Fate::Alter(_) if has(|step| matches!(step.sort, Sort::Risk(_))) => "risk",
        Fate::Alter(steps) if steps.is_empty() => "unchanged",
        Fate::Alter(_) => "change",
    }
}

/// A plan for people: a line for the topic and one for each step.
pub(super) fn text(plan: &Plan) -> String {
    let sign = match state(plan) {
        "create" => '+',
        "change" => '~',
        "risk" => '!',
        "unchanged" => '=',
        _ => 'x',
    };
    let head = match &plan.fate {
        Fate::Create => format!("create: {}", wished(&plan.wanted)),
        Fate::Impossible(why) => format!("can't be created: {why}"),
        Fate::Unknown(why) => format!("not known: {why}"),
        Fate::Alter(steps) if steps.is_empty() => "unchanged".to_owned(),
        Fate::Alter(_) => String::new(),
    };
    let mut text = line(sign, &plan.wanted.name, &head);
    for step in plan.steps() {
        let sign = match step.sort {
            Sort::Change(_) => '~',
            Sort::Risk(_) => '!',
            Sort::Impossible(_) => 'x',
        };
        let why = match &step.sort {
            Sort::Change(note) => note.map_or_else(String::new, |note| format!(" ({note})")),
            Sort::Risk(risk) if plan.allowed => format!(" (allowed: {risk})"),
            Sort::Risk(risk) => {
                format!(" (not without --allow {}: {risk})", plan.wanted.name)
            }
            Sort::Impossible(why) => format!(": {why}"),
        };
        let _ = writeln!(text, "    {sign} {}{why}", change(step));
    }
    for note in &plan.notes {
        let _ = writeln!(text, "    {note}");
    }
    text
}

/// What came of a plan, for people.
pub(super) fn applied_text(plan: &Plan, applied: &Applied) -> String {
    let head = match &applied.whole {
        Some(Outcome::Done) => format!("created: {}", wished(&plan.wanted)),
        Some(Outcome::UnderWay(why)) => format!("under way: {why}"),
        Some(Outcome::Left(why) | Outcome::Impossible(why)) => format!("not created: {why}"),
        Some(Outcome::Failed(why)) => format!("failed: {why}"),
        None if plan.fate == Fate::Create => NOT_ASKED.to_owned(),
        None if plan.steps().is_empty() => "unchanged".to_owned(),
        None => String::new(),
    };
    let mut text = line(' ', &plan.wanted.name, &head);
    for (step, outcome) in plan.steps().iter().zip(&applied.steps) {
        let came = match outcome {
            Some(Outcome::Done) => "done".to_owned(),
            Some(Outcome::UnderWay(why)) => format!("under way: {why}"),
            Some(Outcome::Left(why)) => format!("left: {why}"),
            Some(Outcome::Impossible(why)) => format!("impossible: {why}"),
            Some(Outcome::Failed(why)) => format!("failed: {why}"),
            None => NOT_ASKED.to_owned(),
        };
        let _ = writeln!(text, "    {}: {came}", change(step));
    }
    for note in &plan.notes {
        let _ = writeln!(text, "    {note}");
    }
    text
}

fn line(sign: char, name: &str, rest: &str) -> String {
    let gap = if rest.is_empty() { "" } else { "  " };
    format!("{sign} {name}{gap}{}\n", on_one_line(rest))
        .trim_start_matches("  ")
        .to_owned()
}

fn change(step: &Step) -> String {
    let name = step.what.name();
    format!(
        "{name} {} -> {}",
        shown(name, &step.from),
        shown(name, &step.to)
    )
}

/// A value; a retention also as one would write it.
fn shown(name: &str, value: &str) -> String {
    let millis = value.parse().ok().filter(|_| name == RETENTION);
    let value = on_one_line(value);
    millis.map_or(value.clone(), |millis| {
        format!("{value} ({})", written(millis))
    })
}

/// What a new topic is to be like.
fn wished(wanted: &Wanted) -> String {
    let count = |count: Option<i64>, what: &str| match count {
        Some(1) => format!("1 {what}"),
        Some(count) => format!("{count} {what}s"),
        None => format!("{what}s by the brokers' default"),
    };
    let mut parts = vec![
        count(wanted.partitions.map(i64::from), "partition"),
        count(wanted.replication.map(i64::from), "replica"),
    ];
    let config = wanted.config.iter();
    parts.extend(config.map(|(name, value)| format!("{name}={}", shown(name, value))));
    parts.join(", ")
}

/// The version of the values for scripts (docs/json.md). It grows when a field goes or changes its
/// meaning, not when one is added.
const VERSION: u8 = 1;

/// A plan for scripts: one value.
pub(super) fn json(plan: &Plan) -> Value {
    let steps = plan.steps().iter().map(|step| {
        let (sort, why) = match &step.sort {
            Sort::Change(note) => ("change", note.map(str::to_owned)),
            Sort::Risk(risk) => ("risk", Some((*risk).to_owned())),
            Sort::Impossible(why) => ("impossible", Some(why.clone())),
        };
        json!({
            "what": step.what.name(), "from": step.from, "to": step.to, "sort": sort,
            "taken": plan.takes(step), "why": why,
        })
    });
    let why = match &plan.fate {
        Fate::Impossible(why) | Fate::Unknown(why) => Some(why),
        Fate::Create | Fate::Alter(_) => None,
    };
    let wanted = &plan.wanted;
    json!({
        "type": "topic-plan", "version": VERSION,
        "topic": wanted.name, "state": state(plan), "why": why, "notes": plan.notes,
        "wanted": {
            "partitions": wanted.partitions, "replication": wanted.replication,
            "config": wanted.config,
        },
        "steps": steps.collect::<Vec<_>>(),
    })
}

/// The same, with what came of it.
pub(super) fn applied_json(plan: &Plan, applied: &Applied) -> Value {
    let mut value = json(plan);
    value["type"] = "topic-applied".into();
    value["outcome"] = outcome(applied.whole.as_ref());
    if let Some(steps) = value["steps"].as_array_mut() {
        for (step, came) in steps.iter_mut().zip(&applied.steps) {
            step["outcome"] = outcome(came.as_ref());
        }
    }
    value
}

fn outcome(outcome: Option<&Outcome>) -> Value {
    let (word, why) = match outcome {
        None => return Value::Null,
        Some(Outcome::Done) => ("done", None),
        Some(Outcome::UnderWay(why)) => ("under-way", Some(why)),
        Some(Outcome::Left(why)) => ("left", Some(why)),
        Some(Outcome::Impossible(why)) => ("impossible", Some(why)),
        Some(Outcome::Failed(why)) => ("failed", Some(why)),
    };
    json!({ "came": word, "why": why })
}

/// How many topics there are of each kind.
pub(super) fn summary(plans: &[Plan]) -> String {
    let kinds = [
        ("create", "to create"),
        ("change", "to change"),
        ("risk", "would lose data, safety or order"),
        ("impossible", "can't be as wanted"),
        ("unknown", "not known"),
        ("unchanged", "unchanged"),
    ];
    let counts = kinds.iter().filter_map(|(kind, words)| {
        let count = plans.iter().filter(|plan| state(plan) == *kind).count();
        (count > 0).then(|| format!("{count} {words}"))
    });
    counts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
