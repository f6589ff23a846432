//! What is asked of the brokers now and then: whether quiet partitions hold
//! records, how far unread ones go, how deep dead-letter topics are.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{calls::Done, owner::Owner};
use crate::{
    kafka::{Missed, broker_answers, missed},
    model::{Epoch, Offset, TopicPartition},
};

/// How often the depth of dead-letter topics is asked for: it changes seldom, and
/// costs a request for each partition.
const DEPTHS_EVERY: Duration = Duration::from_secs(30);

/// librdkafka reconnects and fetches again within this.
const RECOVERY: Duration = Duration::from_secs(5);

/// How often, and of how many partitions, the ends are asked for.
const ENDS_EVERY: Duration = Duration::from_secs(5);
const ASKED_FOR: usize = 64;

/// Quiet partitions that are looked at together: each may cost a request.
const LOOKED_AT: usize = 16;

/// A partition from which nothing came for long.
#[derive(Clone, Debug)]
pub(super) struct Quiet {
    at: TopicPartition,
    epoch: Epoch,
    position: Offset,
}

impl Owner {
    pub(super) fn quiet(&self, at: &TopicPartition, position: Offset) -> Option<Quiet> {
        let reading = self.engine.is_reading(at);
        let epoch = self.engine.epoch(at).filter(|_| reading)?;
        let at = at.clone();
        Some(Quiet {
            at,
            epoch,
            position,
        })
    }

    /// Finds out whether quiet partitions hold records that never came.
    pub(super) fn look_at(&mut self, mut quiet: Vec<Quiet>) {
        if quiet.is_empty() || self.watch.looking {
            return;
        }
        self.watch.looking = true;
        quiet.truncate(LOOKED_AT);
        for Quiet { at, .. } in &quiet {
            // Others have their turn before these are looked at again.
            if let Some(seen) = self.watch.seen.get_mut(at) {
                seen.received = Instant::now();
            }
        }
        let (consumer, settings) = (self.consumer.clone(), self.settings.clone());
        let nothing = Done::Looked { stuck: None };
        self.calls.spawn(nothing, async move {
            for quiet in quiet {
                let ends = consumer.ends(&quiet.at).await;
                if ends.is_ok_and(|(_, high)| high == quiet.position) {
                    continue;
                }
                // Transaction markers stand there too: only a record that a fresh
                // client gets shows that this one hangs. An end before the position
                // shows it likewise: this one should be told that it is out of range.
                let found = missed(&settings, &quiet.at, quiet.position).await;
                if let Ok(Some(missed)) = found {
                    // Brokers that have just come back may need a moment: the
                    // record then comes by itself.
                    tokio::time::sleep(RECOVERY).await;
                    return Done::Looked {
                        stuck: Some((quiet, missed)),
                    };
                }
            }
            Done::Looked { stuck: None }
        });
    }

    pub(super) fn looked(&mut self, stuck: Option<(Quiet, Missed)>) {
        self.watch.looking = false;
        let Some((quiet, missed)) = stuck else {
            return;
        };
        let Quiet {
            at,
            epoch,
            position,
        } = quiet;
        let still = self.engine.owns(&at, epoch) && self.engine.position(&at) == Some(position);
        if still && self.watch.health.may_make_anew(Instant::now()) {
            let patience = self.watch.patience;
            let finds = match missed {
                Missed::Record => {
                    format!("gets the record at offset {position} or a later one")
                }
                Missed::End => {
                    self.subscription.made_again(&at.topic);
                    self.recreated.created_again([at.clone()]);
                    format!("finds that it ends before offset {position}")
                }
            };
            let reason =
                format!("nothing came from {at} for {patience:?}, and a fresh connection {finds}");
            self.renew(reason);
        }
    }

    /// Finds out whether a group that waits for its assignment waits for brokers, or
    /// on a connection that hangs: librdkafka gives a join minutes.
    pub(super) fn look_at_joining(&mut self) {
        if self.watch.looking || !self.watch.health.may_make_anew(Instant::now()) {
            return;
        }
        self.watch.looking = true;
        let settings = self.settings.clone();
        self.calls.spawn(Done::Joining(false), async move {
            Done::Joining(broker_answers(&settings).await)
        });
    }

    pub(super) fn joining(&mut self, answers: bool) {
        self.watch.looking = false;
        // Brokers that have come back are given as long again: a join takes a while,
        // and a new consumer would begin it anew.
        if self.watch.join_hangs(answers, Instant::now()) && self.membership.is_idle() {
            let patience = self.watch.patience;
            let reason = format!(
                "it was given no assignment for {patience:?}, and a fresh connection gets an answer"
            );
            self.renew(reason);
        }
    }

    /// Asks for the ends of partitions that are not read: while nothing is fetched
    /// nothing is heard of what is published.
    pub(super) fn ask_for_ends(&mut self, owned: &[TopicPartition], now: Instant) {
        if self.watch.asking_ends || now < self.watch.ends_due {
            return;
        }
        self.watch.ends_due = now + ENDS_EVERY;
        let engine = &self.engine;
        self.watch.ends.retain(|at, _| engine.epoch(at).is_some());
        let unread = owned.iter().filter(|at| !self.engine.is_reading(at));
        let unread: Vec<_> = unread.take(ASKED_FOR).cloned().collect();
        if unread.is_empty() {
            return;
        }
        self.watch.asking_ends = true;
        let consumer = self.consumer.clone();
        self.calls.spawn(Done::Ends(Vec::new()), async move {
            let mut ends = Vec::new();
            for at in unread {
                if let Ok((_, high)) = consumer.ends(&at).await {
                    ends.push((at, high));
                }
            }
            Done::Ends(ends)
        });
    }

    pub(super) fn ends(&mut self, ends: Vec<(TopicPartition, Offset)>) {
        self.watch.asking_ends = false;
        self.watch.ends.extend(ends);
    }

    pub(super) fn ask_for_depths(&mut self, now: Instant) {
        if now < self.watch.depths_due {
            return;
        }
        let mut topics = HashMap::new();
        for lane in self.lanes.values() {
            if let Some(dead) = &lane.subscriber.policy.dead_letter {
                topics.insert(lane.subscriber.topic.clone(), dead.clone());
            }
        }
        self.watch
            .depths
            .retain(|topic, _| topics.contains_key(topic));
        if topics.is_empty() {
            return;
        }
        self.watch.depths_due = now + DEPTHS_EVERY;
        let consumer = self.consumer.clone();
        let before = Done::Depths(self.watch.depths.clone());
        self.calls.spawn(before, async move {
            let mut depths = HashMap::new();
            for (topic, dead) in topics {
                if let Ok(depth) = consumer.records(&dead).await {
                    depths.insert(topic, depth);
                }
            }
            Done::Depths(depths)
        });
    }
}
