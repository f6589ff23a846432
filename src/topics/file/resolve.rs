//! From what was said, and the defaults, to topics.

use std::collections::BTreeMap;

use super::{
    dead_letter::{DeadLetter, SOURCE},
    fields::{Fields, Given, legal},
    node::Problems,
    values::{DAY, FOREVER},
};
use crate::topics::wanted::{CLEANUP, LARGEST, MIN_IN_SYNC, RETENTION, TIMESTAMP, Wanted};

/// How long dead letters are kept if nothing asks for longer, in milliseconds: 14 days, as
/// where the component makes the topic.
const KEPT: i64 = 14 * DAY;

/// Room for the headers that a dead letter has more than its source, in bytes.
const HEADERS: u64 = 65_536;

/// A dead-letter topic's name, unless the file says otherwise.
const NAME: &str = "{topic}.dlq";

/// A topic, and where what it was made of stands.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) wanted: Wanted,
    /// Where the topic stands.
    pub(super) at: String,
    pub(super) replication: Option<Given<i16>>,
    pub(super) min_in_sync: Option<Given<i16>>,
}

/// Each topic, and its dead-letter topic behind it.
pub(super) fn all(
    topics: Vec<(String, Fields)>,
    defaults: &Fields,
    problems: &mut Problems,
) -> Vec<Resolved> {
    let mut all = Vec::new();
    kept_together(defaults, None, problems);
    for (name, own) in topics {
        kept_together(&own, Some(defaults), problems);
        let fields = over(&own, defaults);
        let letters = letters(own.dead_letter.as_ref(), defaults.dead_letter.as_ref());
        let source = resolved(name, &fields);
        let dead =
            letters.and_then(|(name, own)| dead(&source, &fields, name.as_ref(), &own, problems));
        all.push(source);
        all.extend(dead);
    }
    all
}

/// Refuses a retention that would end nothing.
fn kept_together(fields: &Fields, defaults: Option<&Fields>, problems: &mut Problems) {
    let inherited = defaults.and_then(|defaults| defaults.compaction.as_ref());
    let compaction = fields.compaction.as_ref().or(inherited);
    let (Some(retention), Some(compaction)) = (&fields.retention, compaction) else {
        return;
    };
    if compaction.value == "compact" {
        let text = format!(
            "a compacted topic keeps the last record of each key for ever ({}); leave retention \
             out, or write compaction: on with deletion",
            compaction.at
        );
        problems.add(&retention.at, text);
    }
}

/// What a topic says, and the defaults where it says nothing.
fn over(own: &Fields, defaults: &Fields) -> Fields {
    let compaction = own.compaction.clone().or(defaults.compaction.clone());
    let only_compacted = compaction.as_ref().is_some_and(|it| it.value == "compact");
    let retention = own.retention.clone().or(defaults.retention.clone());
    let mut config = defaults.config.clone();
    config.extend(own.config.clone());
    Fields {
        at: own.at.clone(),
        partitions: own.partitions.clone().or(defaults.partitions.clone()),
        replication: own.replication.clone().or(defaults.replication.clone()),
        // A default for all says nothing of the few that are compacted.
        retention: retention.filter(|_| !only_compacted),
        compaction,
        min_in_sync: own.min_in_sync.clone().or(defaults.min_in_sync.clone()),
        dead_letter: None,
        config,
    }
}

/// What is said of a dead-letter topic: the topic's own words before the defaults'.
fn letters(
    own: Option<&DeadLetter>,
    defaults: Option<&DeadLetter>,
) -> Option<(Option<Given<String>>, Fields)> {
    match (own, defaults) {
        (Some(DeadLetter::No), _) | (None, Some(DeadLetter::No) | None) => None,
        (
            Some(DeadLetter::Yes { name, fields }),
            Some(DeadLetter::Yes {
                name: other,
                fields: defaults,
            }),
        ) => Some((name.clone().or(other.clone()), over(fields, defaults))),
        (Some(DeadLetter::Yes { name, fields }), _)
        | (None, Some(DeadLetter::Yes { name, fields })) => {
            Some((name.clone(), fields.as_ref().clone()))
        }
    }
}

fn resolved(name: String, fields: &Fields) -> Resolved {
    let mut config = fields.config.clone();
    let mut set = |key: &str, value: Option<String>| {
        config.extend(value.map(|value| (key.to_owned(), value)));
    };
    set(
        RETENTION,
        fields.retention.as_ref().map(|it| it.value.to_string()),
    );
    set(
        CLEANUP,
        fields.compaction.as_ref().map(|it| it.value.to_owned()),
    );
    set(
        MIN_IN_SYNC,
        fields.min_in_sync.as_ref().map(|it| it.value.to_string()),
    );
    Resolved {
        wanted: Wanted {
            name,
            partitions: fields.partitions.as_ref().map(|it| it.value),
            replication: fields.replication.as_ref().map(|it| it.value),
            config,
        },
        at: fields.at.clone(),
        replication: fields.replication.clone(),
        min_in_sync: fields.min_in_sync.clone(),
    }
}

/// The dead-letter topic of a source: as that is, where nothing else is said.
fn dead(
    source: &Resolved,
    of: &Fields,
    name: Option<&Given<String>>,
    own: &Fields,
    problems: &mut Problems,
) -> Option<Resolved> {
    let at = name.map_or(&own.at, |name| &name.at);
    let pattern = name.map_or(NAME, |name| &name.value);
    let name = pattern.replace(SOURCE, &source.wanted.name);
    if !legal(&name, at, problems) {
        return None;
    }
    let kept = match of.retention.as_ref().map(|it| it.value) {
        Some(FOREVER) => FOREVER,
        kept => kept.map_or(KEPT, |kept| kept.max(KEPT)),
    };
    let retention = own.retention.clone();
    let fields = Fields {
        at: own.at.clone(),
        partitions: own.partitions.clone().or(of.partitions.clone()),
        replication: own.replication.clone().or(of.replication.clone()),
        retention: retention.or(Some(Given {
            at: own.at.clone(),
            value: kept,
        })),
        compaction: None,
        min_in_sync: own.min_in_sync.clone().or(of.min_in_sync.clone()),
        dead_letter: None,
        config: config(&of.config, &own.config),
    };
    Some(resolved(name, &fields))
}

/// What every dead-letter topic has: each record is kept, for a time that counts from when
/// it came, and with its headers it has room.
fn config(
    source: &BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut config: BTreeMap<_, _> = [(CLEANUP, "delete"), (TIMESTAMP, "LogAppendTime")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let largest = source.get(LARGEST).and_then(|text| text.parse().ok());
    let largest = largest.and_then(|bytes: u64| bytes.checked_add(HEADERS));
    // Kafka's own bound: a 32-bit number.
    let largest = largest.map(|bytes| bytes.min(i32::MAX.unsigned_abs().into()));
    config.extend(largest.map(|bytes| (LARGEST.to_owned(), bytes.to_string())));
    config.extend(own.clone());
    config
}
