//! What is wanted and what is there: a plan. Pure.

mod config;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::wanted::{MIN_IN_SYNC, Wanted};

/// A topic as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// Each partition's replicas: brokers, the first of which is to lead. Of one that is
    /// being moved those that it will have.
    pub(super) replicas: Vec<Vec<i32>>,
    /// Every config that the brokers tell, defaults too.
    pub(super) config: BTreeMap<String, String>,
    /// The names of those that are set on the topic itself. All others follow the brokers'
    /// defaults, and change with them.
    pub(super) own: BTreeSet<String>,
    /// Whether replicas are on the move.
    pub(super) moving: bool,
}

/// What is known of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is not there; and the `min.insync.replicas` that the brokers would give it, if they
    /// tell.
    Missing(Option<i16>),
    There(Present),
    /// Why it is not known.
    Not(String),
}

/// What is wanted of one topic, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) wanted: Wanted,
    /// Whether it may lose data, safety or order.
    pub(super) allowed: bool,
    pub(super) fate: Fate,
    /// What is to be known of it besides.
    pub(super) notes: Vec<String>,
}

/// What becomes of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Create,
    /// It is there; without steps nothing is to be done.
    Alter(Vec<Step>),
    /// It can't be as it is wanted: why.
    Impossible(String),
    /// Nothing is known of it: why.
    Unknown(String),
}

/// One thing about a topic that is not as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) what: What,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) sort: Sort,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Partitions,
    Replication,
    /// By Kafka's name.
    Config(String),
}

/// How a step may be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// At any time; with what is to be known of it.
    Change(Option<&'static str>),
    /// It may lose data, safety or order: which.
    Risk(&'static str),
    /// Not at all: why, and what to do instead.
    Impossible(String),
}

impl What {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Partitions => "partitions",
            Self::Replication => "replication",
            Self::Config(name) => name,
        }
    }
}

impl Plan {
    /// The steps; none if it is to be created, or nothing can be done.
    pub(super) fn steps(&self) -> &[Step] {
        match &self.fate {
            Fate::Alter(steps) => steps,
            _ => &[],
        }
    }

    /// Whether a step is taken.
    pub(super) fn takes(&self, step: &Step) -> bool {
        match step.sort {
            Sort::Change(_) => true,
            Sort::Risk(_) => self.allowed,
            Sort::Impossible(_) => false,
        }
    }
}

/// The plan for each topic; `known` has each of them. There are so many `brokers`.
pub(super) fn plan(
    wanted: Vec<Wanted>,
    known: &BTreeMap<String, Known>,
    brokers: usize,
    allowed: &BTreeSet<String>,
) -> Vec<Plan> {
    let each = wanted.into_iter().map(|wanted| {
        let mut notes = Vec::new();
        let fate = match known.get(&wanted.name) {
            None => Fate::Unknown("no broker answers for it".into()),
            Some(Known::Not(why)) => Fate::Unknown(why.clone()),
            Some(Known::Missing(least)) => {
                let least = wanted.min_in_sync().or(*least);
                match too_many(&wanted, brokers).or_else(|| too_few(&wanted, least)) {
                    Some(why) => Fate::Impossible(why),
                    None => Fate::Create,
                }
            }
            Some(Known::There(present)) => {
                if present.moving {
                    notes.push(
                        "its replicas are being moved; `plan` shows when that is done".into(),
                    );
                }
                Fate::Alter(steps(&wanted, present, brokers, &mut notes))
            }
        };
        Plan {
            allowed: allowed.contains(&wanted.name),
            wanted,
            fate,
            notes,
        }
    });
    each.collect()
}

fn too_many(wanted: &Wanted, brokers: usize) -> Option<String> {
    let replicas = wanted.replication.filter(|it| count(*it) > brokers)?;
    Some(format!(
        "{replicas} replicas need as many brokers, and {brokers} of the cluster's are up; start \
         those that are down, add brokers, or want at most {brokers}"
    ))
}

/// Why a topic can't have as few replicas as are wanted: its writes wait for `least`.
fn too_few(wanted: &Wanted, least: Option<i16>) -> Option<String> {
    let replicas = wanted.replication?;
    let least = least.filter(|least| *least > replicas)?;
    Some(format!(
        "{MIN_IN_SYNC} is {least}, so no publish would be confirmed by a topic with replication \
         {replicas}; want at least {least}, or a lower minInSync"
    ))
}

fn steps(wanted: &Wanted, present: &Present, brokers: usize, notes: &mut Vec<String>) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(partitions(wanted, present));
    let replication = replication(wanted, present, brokers);
    // How many there will be, as far as that can be.
    let replicas = match &replication {
        Some(Step {
            sort: Sort::Impossible(_),
            ..
        })
        | None => present.fewest(),
        Some(_) => wanted.replication.unwrap_or_default(),
    };
    steps.extend(replication);
    for (name, to) in &wanted.config {
        match present.config.get(name) {
            Some(from) => {
                let step = config::step(name, from, to, present.own.contains(name));
                steps.extend(step.map(|step| in_sync(step, wanted, replicas)));
            }
            None if name == MIN_IN_SYNC => notes.push(format!(
                "these brokers have no {MIN_IN_SYNC}: it is left out (Redpanda's writes wait for \
                 a majority of the replicas)"
            )),
            None => steps.push(Step {
                what: What::Config(name.clone()),
                from: "not there".into(),
                to: to.clone(),
                sort: Sort::Impossible(
                    "these brokers know no such config of a topic; mend its name, or leave it out"
                        .into(),
                ),
            }),
        }
    }
    steps
}

fn partitions(wanted: &Wanted, present: &Present) -> Option<Step> {
    let (to, from) = (wanted.partitions?, present.replicas.len());
    let sort = match usize::try_from(to).unwrap_or_default().cmp(&from) {
        std::cmp::Ordering::Equal => return None,
        std::cmp::Ordering::Greater => Sort::Risk(
            "keys go to other partitions from then on, so the order of a key holds among later \
             records only",
        ),
        std::cmp::Ordering::Less => Sort::Impossible(format!(
            "Kafka takes no partitions away; want {from}, or create another topic and move to it"
        )),
    };
    Some(Step {
        what: What::Partitions,
        from: from.to_string(),
        to: to.to_string(),
        sort,
    })
}

fn replication(wanted: &Wanted, present: &Present, brokers: usize) -> Option<Step> {
    let to = wanted.replication?;
    let (fewest, most) = (present.fewest(), present.most());
    if fewest == to && most == to {
        return None;
    }
    let from = if fewest == most {
        fewest.to_string()
    } else {
        format!("{fewest} to {most}")
    };
    let least = wanted.min_in_sync().or_else(|| present.min_in_sync());
    let fewer = |least| too_few(wanted, least).filter(|_| most > to);
    let sort = match too_many(wanted, brokers).or_else(|| fewer(least)) {
        Some(why) => Sort::Impossible(why),
        None if most > to => Sort::Risk("fewer brokers may be lost before records are"),
        None => Sort::Change(Some("the brokers copy its records")),
    };
    Some(Step {
        what: What::Replication,
        from,
        to: to.to_string(),
        sort,
    })
}

/// Refuses to wait for more replicas than there will be.
fn in_sync(step: Step, wanted: &Wanted, replicas: i16) -> Step {
    let least = wanted.min_in_sync().unwrap_or_default();
    if step.what.name() != MIN_IN_SYNC || least <= replicas {
        return step;
    }
    let why = format!(
        "it has {replicas} replicas, so no publish would be confirmed; want more replicas first"
    );
    Step {
        sort: Sort::Impossible(why),
        ..step
    }
}

impl Present {
    /// The least number of replicas that must have a write, by the topic's own setting or the
    /// brokers' default.
    fn min_in_sync(&self) -> Option<i16> {
        self.config.get(MIN_IN_SYNC)?.parse().ok()
    }

    fn fewest(&self) -> i16 {
        let counts = self.replicas.iter().map(Vec::len);
        to_i16(counts.min().unwrap_or_default())
    }

    fn most(&self) -> i16 {
        let counts = self.replicas.iter().map(Vec::len);
        to_i16(counts.max().unwrap_or_default())
    }
}

fn to_i16(count: usize) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

fn count(replicas: i16) -> usize {
    usize::try_from(replicas).unwrap_or_default()
}
