use std::{collections::HashMap, time::Duration};

use harness::ledger::{Message, Rolls};

/// Messages that are published in one call.
const BATCH: usize = 10;

/// The ids of messages that everybody leaves alone begin so: they tell whether things
/// work.
const CALM: &str = "probe-";

/// The ids of messages begin so whose handler panics, each time.
const BREAKING: &str = "breaking-";

/// What is published, and what the app will make of it: all from one seed.
#[derive(Debug)]
pub struct Plan {
    rolls: Rolls,
    moods: Moods,
    /// Each producer's batches, in order.
    pub producers: Vec<Vec<Vec<Message>>>,
}

/// How many of a thousand messages the app treats how.
#[derive(Clone, Copy, Debug)]
pub struct Moods {
    /// Refused for ever.
    pub poison: u64,
    /// Refused once, or twice.
    pub refused: u64,
    /// Slow: they take the app 20 to 60 ms.
    pub slow: u64,
}

/// What the app makes of a message.
#[derive(Clone, Copy, Debug)]
pub struct Mood {
    /// How long it takes.
    pub delay: Duration,
    /// How often it is refused first; `u32::MAX` is for ever.
    pub refusals: u32,
    /// Whether it is refused by a status code, or by the answer's body.
    pub by_status: bool,
    /// Whether its handler panics, which cuts the connection.
    pub breaks: bool,
}

impl Plan {
    /// So many messages from each producer, under so many keys and under none.
    pub fn new(rolls: Rolls, producers: u64, each: usize, keys: u64, moods: Moods) -> Self {
        let batches = |producer| {
            let mut seqs: HashMap<Option<String>, u64> = HashMap::new();
            let message = |n: usize| {
                // One in as many as there are keys has none.
                let key = rolls.below(keys + 1, ("key", producer, n));
                let key = (key < keys).then(|| format!("k{key}"));
                let seq = seqs.entry(key.clone()).or_default();
                *seq += 1;
                Message {
                    producer,
                    seq: *seq,
                    uuid: format!("{:016x}", rolls.number(("uuid", producer, n))),
                    key,
                }
            };
            let messages: Vec<_> = (0..each).map(message).collect();
            messages.chunks(BATCH).map(<[_]>::to_vec).collect()
        };
        Self {
            rolls,
            moods,
            producers: (0..producers).map(batches).collect(),
        }
    }

    /// A message that the app takes as it comes, beside those of the plan.
    pub fn calm(producer: u64, key: &str, seq: u64) -> Message {
        Message {
            producer,
            seq,
            uuid: format!("{CALM}{producer}-{key}-{seq}"),
            key: Some(key.to_owned()),
        }
    }

    /// A message whose handler panics.
    pub fn breaking(producer: u64, key: Option<&str>, seq: u64) -> Message {
        Message {
            producer,
            seq,
            uuid: format!("{BREAKING}{producer}-{seq}"),
            key: key.map(str::to_owned),
        }
    }

    /// All messages.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.producers.iter().flatten().flatten()
    }

    /// What the app makes of the message of this id.
    pub fn mood(&self, uuid: &str) -> Mood {
        let breaks = uuid.starts_with(BREAKING);
        if breaks || uuid.starts_with(CALM) {
            return Mood {
                delay: Duration::ZERO,
                refusals: 0,
                by_status: true,
                breaks,
            };
        }
        let refused = self.rolls.below(1000, ("refused", uuid));
        let refusals = if refused < self.moods.poison {
            u32::MAX
        } else if refused < self.moods.poison + self.moods.refused {
            1 + u32::from(refused.is_multiple_of(2))
        } else {
            0
        };
        let slow = self.rolls.below(1000, ("slow", uuid)) < self.moods.slow;
        let delay = self.rolls.below(40, ("delay", uuid)) + 20;
        Mood {
            delay: Duration::from_millis(if slow { delay } else { 0 }),
            refusals,
            by_status: self.rolls.below(2, ("how", uuid)) == 0,
            breaks: false,
        }
    }
}
