//! Dead letters on their way to the broker. Their source stays unfinished until
//! the broker has confirmed them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Action, Engine, Letter, LetterId, Ready, retry::Schedule};
use crate::model::{Offset, TopicPartition};

#[derive(Debug, Default)]
pub(super) struct Letters {
    map: HashMap<LetterId, Pending>,
    again: Schedule<LetterId>,
    last: u64,
}

#[derive(Debug)]
struct Pending {
    ready: Ready,
    content: Arc<Letter>,
    failed: u32,
    under_way: bool,
}

impl Letters {
    /// Sends again what waited for its time.
    pub(super) fn send_due(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while let Some(letter) = self.again.pop_due(now) {
            if let Some(pending) = self.map.get_mut(&letter) {
                pending.under_way = true;
                let content = pending.content.clone();
                actions.push(Action::DeadLetter { letter, content });
            }
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.again.next()
    }

    /// How many the broker was not heard of yet.
    pub(super) fn under_way(&self) -> usize {
        let pending = self.map.values();
        pending.filter(|pending| pending.under_way).count()
    }

    /// The partitions are not ours any more: whoever has them now decides anew.
    pub(super) fn forget(&mut self, partitions: &HashSet<&TopicPartition>) {
        self.map
            .retain(|_, pending| !partitions.contains(&pending.ready.at));
    }

    /// Takes back those of a topic that wait for their time: what they were to be is
    /// decided anew.
    pub(super) fn take_waiting(&mut self, topic: &str) -> Vec<Ready> {
        let waiting = self
            .map
            .extract_if(|_, pending| !pending.under_way && *pending.ready.at.topic == *topic);
        waiting.map(|(_, pending)| pending.ready).collect()
    }

    /// Whether the record of a sequence that is under way is a letter.
    pub(super) fn has(&self, ready: &Ready) -> bool {
        self.map.values().any(|pending| pending.ready == *ready)
    }

    /// Each record that is a letter, and how often writing it failed.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&TopicPartition, Offset, u32)> {
        let letters = self.map.values();
        letters.map(|pending| {
            let offset = pending.content.record.offset;
            (&pending.ready.at, offset, pending.failed)
        })
    }
}

impl Engine {
    pub(super) fn send_letter(&mut self, ready: Ready, content: Letter, actions: &mut Vec<Action>) {
        self.letters.last += 1;
        let letter = LetterId(self.letters.last);
        let content = Arc::new(content);
        let pending = Pending {
            ready,
            content: content.clone(),
            failed: 0,
            under_way: true,
        };
        self.letters.map.insert(letter, pending);
        actions.push(Action::DeadLetter { letter, content });
    }

    /// Returns the partition that it was about, if it is still ours.
    pub(super) fn written(
        &mut self,
        letter: LetterId,
        result: Result<(), String>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Option<TopicPartition> {
        let (first, longest) = self.limits.letter_delay;
        match result {
            Ok(()) => {
                let Pending { ready, content, .. } = self.letters.map.remove(&letter)?;
                let at = ready.at.clone();
                self.finish(ready, content.record.offset, actions);
                Some(at)
            }
            Err(reason) => {
                let pending = self.letters.map.get_mut(&letter)?;
                if !pending.under_way {
                    // It was told before. Twice waiting is twice sent.
                    return None;
                }
                pending.under_way = false;
                pending.failed = pending.failed.saturating_add(1);
                let delay = doubled(first, pending.failed - 1).min(longest);
                self.letters.again.push(now + delay, letter);
                actions.push(Action::LetterDelayed {
                    content: pending.content.clone(),
                    failed: pending.failed,
                    delay,
                    reason,
                });
                Some(pending.ready.at.clone())
            }
        }
    }
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times))
}
