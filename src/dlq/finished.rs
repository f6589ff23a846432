//! Whether what was sent back was processed by its group.

use std::collections::{HashMap, HashSet};

use super::{Connection, Failed, browser, settled::Target};
use crate::{
    kafka::{Browser, Kind},
    model::Offset,
};

/// How far groups have come in the topics that something was sent to.
#[derive(Debug, Default)]
pub struct Finished {
    /// By group, topic and partition. What is not known is not there.
    committed: HashMap<(String, String, i32), Offset>,
}

impl Finished {
    /// Asks how far the groups of these targets have come.
    ///
    /// # Errors
    /// When brokers don't answer. A group that this login may not see has finished nothing.
    pub async fn ask<'a>(
        connection: &Connection,
        targets: impl IntoIterator<Item = &'a Target>,
    ) -> Result<Self, Failed> {
        let mut by_group: HashMap<&str, HashMap<&str, HashSet<i32>>> = HashMap::new();
        for target in targets {
            if let Some(group) = &target.group {
                let topics = by_group.entry(group).or_default();
                topics
                    .entry(&target.topic)
                    .or_default()
                    .insert(target.partition);
            }
        }
        let mut finished = Self::default();
        for (group, topics) in by_group {
            let browser = browser(connection, group).await?;
            for (topic, partitions) in topics {
                finished
                    .ask_group(&browser, group, topic, partitions)
                    .await?;
            }
        }
        Ok(finished)
    }

    async fn ask_group(
        &mut self,
        browser: &Browser,
        group: &str,
        topic: &str,
        partitions: HashSet<i32>,
    ) -> Result<(), Failed> {
        let partitions: Vec<_> = partitions.into_iter().collect();
        let committed = match browser.committed(topic, &partitions).await {
            Ok(committed) => committed,
            Err(cause) if matches!(cause.kind, Kind::Forbidden | Kind::UnknownTopic) => {
                tracing::warn!("{topic} of group {group}: {cause}; taken for not finished");
                return Ok(());
            }
            Err(cause) => {
                return Err(Failed::kafka(format!(
                    "asking how far the group {group} is in {topic}"
                ))(cause));
            }
        };
        for (partition, mark) in committed {
            let key = (group.to_owned(), topic.to_owned(), partition);
            self.committed.insert(key, mark.offset);
        }
        Ok(())
    }

    /// Whether the group has finished the record at this offset. What was sent to every group
    /// counts as finished: who should have read it is not known.
    pub fn has(&self, target: &Target, offset: Offset) -> bool {
        let Some(group) = &target.group else {
            return true;
        };
        let key = (group.clone(), target.topic.clone(), target.partition);
        self.committed
            .get(&key)
            .is_some_and(|committed| *committed > offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_finished_once_its_group_has_committed_beyond_it() {
        let key = ("todo".to_owned(), "orders".to_owned(), 1);
        let finished = Finished {
            committed: HashMap::from([(key, Offset(8))]),
        };
        let target = |partition, group: Option<&str>| Target {
            topic: "orders".into(),
            partition,
            group: group.map(str::to_owned),
        };
        assert!(finished.has(&target(1, Some("todo")), Offset(7)));
        assert!(!finished.has(&target(1, Some("todo")), Offset(8)));
        assert!(
            !finished.has(&target(0, Some("todo")), Offset(7)),
            "not known"
        );
        assert!(!finished.has(&target(1, Some("other")), Offset(7)));
        assert!(finished.has(&target(1, None), Offset(9)), "for every group");
    }
}
