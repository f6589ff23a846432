//! How long records are kept, and which.

use super::Topic;
use crate::doctor::{Finding, Fix, rows, stages::cluster::shown};

impl Topic {
    fn cleanup(&self, policy: &str) -> bool {
        let policies = self.config("cleanup.policy").unwrap_or_default();
        policies.split(',').any(|one| one.trim() == policy)
    }

    /// In milliseconds; `None` if it is not known, or time ends nothing here.
    pub(super) fn retention(&self) -> Option<i64> {
        let known = self.config("retention.ms")?.parse::<i64>().ok()?;
        // Negative is without end.
        let kept = if known < 0 { i64::MAX } else { known };
        self.cleanup("delete").then_some(kept)
    }
}

/// What is wrong with what a topic keeps; `sources` are those whose dead letters it gets.
pub(super) fn judge<'a>(
    topic: &Topic,
    sources: impl IntoIterator<Item = &'a Topic>,
) -> Vec<Finding> {
    let (name, mut found) = (&topic.name, Vec::new());
    let policies = || shown(topic.config("cleanup.policy").unwrap_or_default());
    let delete = || super::alter(name, "cleanup.policy=delete");
    let source = topic.wish.sources.first();
    if let Some(source) = source.filter(|_| topic.cleanup("compact")) {
        let cause = format!(
            "cleanup.policy of {name}, which is for the dead letters of {source}, is {}",
            policies()
        );
        let fix = Fix::words("keep every dead letter").run(delete());
        found.push(Finding::new(
            &rows::topics::DEAD_LETTER_COMPACTED,
            cause,
            fix,
        ));
    } else if topic.wish.publish && topic.cleanup("compact") {
        let cause = format!(
            "cleanup.policy of {name} is {}: records without a key are refused",
            policies()
        );
        let fix = Fix::words(format!(
            "give every Publish to {name} a `partitionKey`, or keep all records"
        ));
        found.push(Finding::new(
            &rows::topics::COMPACTED,
            cause,
            fix.run(delete()),
        ));
    }
    let longest = sources
        .into_iter()
        .filter_map(|source| Some((source.retention()?, source)))
        .max_by_key(|(kept, _)| *kept);
    if let (Some(own), Some((kept, source))) = (topic.retention(), longest)
        && own < kept
    {
        let written = if kept == i64::MAX { -1 } else { kept };
        let cause = format!(
            "retention.ms of {name} is {own}, that of {}, whose dead letters it gets, is \
                 {written}",
            source.name
        );
        let fix = Fix::words("keep dead letters at least as long")
            .run(super::alter(name, &format!("retention.ms={written}")));
        found.push(Finding::new(&rows::topics::DEAD_LETTER_SHORT, cause, fix));
    }
    found
}
