//! Records on their way back, and what is settled by them.

use std::{collections::HashMap, collections::VecDeque, sync::Arc, time::Duration};

use futures_util::FutureExt as _;

use super::{
    Connection, Failed, Left,
    redriven::group,
    settled::{Settled, Target, Witness},
    store::Store,
};
use crate::{
    kafka::{Cause, Confirmation, Kind, Outgoing, Placed, SendError, Sender},
    model::{Offset, Record},
};

/// Records that are on their way at once: enough to fill batches, and few to send again.
const RECORDS: usize = 200;

/// The same in bytes: about what librdkafka's queue takes.
const BYTES: usize = 32 * 1024 * 1024;

/// The most records that are sent again by a redrive that was killed: as many may be on
/// their way or confirmed, and not noted as settled.
pub const MAY_REPEAT: usize = 1000;

/// How often it is tried at the end to note what was settled.
const LAST_WRITES: usize = 3;

/// How long to wait between them.
const WRITE_PAUSE: Duration = Duration::from_secs(1);

/// Sends records in order, and notes as settled what is confirmed.
pub struct Flight<'a> {
    store: &'a Store,
    sender: Sender,
    settled: Settled,
    /// In the order of sending.
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Confirmed since the last note.
    unnoted: usize,
    /// Failed, and may have arrived.
    uncertain: usize,
    /// Refused by the brokers for what they are, since the caller took them.
    refused: Vec<Unsent>,
    /// Confirmed, by topic.
    pub sent: HashMap<String, u64>,
    /// Where confirmed records are, if the caller waits for their groups.
    pub places: Option<Vec<(Target, Offset)>>,
}

/// A record that is on its way.
struct Waiting {
    letter: Letter,
    size: usize,
    topic: String,
    group: Option<String>,
    confirmation: Confirmation,
}

/// A dead letter's place and time.
struct Letter {
    at: String,
    partition: i32,
    witness: Witness,
}

/// A record that stays open, because the brokers refused it.
pub struct Unsent {
    /// Its place: topic/partition@offset.
    pub at: String,
    /// Where it was to go.
    pub topic: String,
    /// For which group.
    pub group: Option<String>,
    /// Why it stays.
    pub left: Left,
}

/// A record that could not be sent, for a reason that holds for the next ones, too.
pub struct Stuck {
    /// Its place: topic/partition@offset.
    pub at: String,
    /// Where it was to go.
    pub topic: String,
    /// Why.
    pub error: SendError,
}

/// How a flight ended.
#[derive(Default)]
pub struct Landed {
    /// How many records may be sent again.
    pub repeated: usize,
    /// The first record that could not be sent.
    pub stuck: Option<Stuck>,
    /// What is settled could not be noted.
    pub unnoted: Option<Cause>,
}

impl<'a> Flight<'a> {
    /// Nothing is on its way yet.
    ///
    /// # Errors
    /// When there can be no producer.
    pub fn new(
        connection: &Connection,
        store: &'a Store,
        settled: Settled,
        wait: bool,
    ) -> Result<Self, Failed> {
        let name: Arc<str> = connection.name.clone();
        let sender = Sender::new(&connection.settings, name)
            .map_err(Failed::kafka("making a Kafka producer"))?;
        Ok(Self {
            store,
            sender,
            settled,
            waiting: VecDeque::new(),
            bytes: 0,
            unnoted: 0,
            uncertain: 0,
            refused: Vec::new(),
            sent: HashMap::new(),
            places: wait.then(Vec::new),
        })
    }

    /// Sends a record, once there is room.
    ///
    /// # Errors
    /// When this one or an earlier one is stuck.
    pub async fn send(&mut self, record: &Record, outgoing: Outgoing) -> Result<(), Stuck> {
        let size = record.size();
        while self.waiting.len() >= RECORDS || (self.bytes > 0 && self.bytes + size > BYTES) {
            self.settle_first().await?;
        }
        let letter = Letter {
            at: format!("{}@{}", record.at, record.offset),
            partition: record.at.partition,
            witness: Witness {
                offset: record.offset.0,
                time: record.timestamp,
            },
        };
        let sent = self.sender.send(&outgoing);
        let group = group(&outgoing).map(str::to_owned);
        let topic = outgoing.topic;
        match sent {
            Ok(confirmation) => {
                self.bytes += size;
                self.waiting.push_back(Waiting {
                    letter,
                    size,
                    topic,
                    group,
                    confirmation,
                });
                self.settle()
            }
            Err(error) => self.failed(letter, topic, group, error),
        }
    }

    /// Settles what is confirmed already, without waiting.
    ///
    /// # Errors
    /// When a record is stuck.
    pub fn settle(&mut self) -> Result<(), Stuck> {
        while let Some(first) = self.waiting.front_mut() {
            let Some(confirmed) = first.confirmation.confirmed().now_or_never() else {
                break;
            };
            self.settled(confirmed)?;
        }
        Ok(())
    }

    /// Waits for the oldest.
    async fn settle_first(&mut self) -> Result<(), Stuck> {
        let Some(first) = self.waiting.front_mut() else {
            return Ok(());
        };
        let confirmed = first.confirmation.confirmed().await;
        self.settled(confirmed)
    }

    fn settled(&mut self, confirmed: Result<Placed, SendError>) -> Result<(), Stuck> {
        let Some(first) = self.waiting.pop_front() else {
            return Ok(());
        };
        let Waiting {
            letter,
            size,
            topic,
            group,
            ..
        } = first;
        self.bytes -= size;
        match confirmed {
            Err(error) => self.failed(letter, topic, group, error),
            Ok(Placed { partition, offset }) => {
                self.unnoted += 1;
                *self.sent.entry(topic.clone()).or_default() += 1;
                let target = Target {
                    topic,
                    partition,
                    group,
                };
                self.settled
                    .sent(letter.partition, letter.witness, &target, offset);
                if let Some(places) = &mut self.places {
                    places.push((target, offset));
                }
                Ok(())
            }
        }
    }

    /// A refusal of one record, or of one topic, is no reason to keep the others.
    fn failed(
        &mut self,
        letter: Letter,
        topic: String,
        group: Option<String>,
        error: SendError,
    ) -> Result<(), Stuck> {
        let left = match error.cause.kind {
            Kind::Forbidden => Left::Forbidden,
            Kind::TooLarge | Kind::OverTopicLimit => Left::TooLarge,
            Kind::UnknownTopic => Left::NoSuchTopic,
            _ => {
                self.uncertain += usize::from(error.may_arrive);
                let at = letter.at;
                return Err(Stuck { at, topic, error });
            }
        };
        self.refused.push(Unsent {
            at: letter.at,
            topic,
            group,
            left,
        });
        Ok(())
    }

    /// Takes what was refused since the last call.
    pub fn take_refused(&mut self) -> Vec<Unsent> {
        std::mem::take(&mut self.refused)
    }

    /// How many were sent, or are on their way.
    pub fn begun(&self) -> u64 {
        let waiting = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        self.sent.values().sum::<u64>().saturating_add(waiting)
    }

    /// What is settled.
    pub fn what_is_settled(&self) -> &Settled {
        &self.settled
    }

    /// Whether so much is not noted that it must be before more is sent.
    pub fn is_full(&self) -> bool {
        self.unnoted + RECORDS >= MAY_REPEAT
    }

    /// Notes what is settled.
    ///
    /// # Errors
    /// When the store refuses. What is not noted is noted with the next call.
    pub async fn note(&mut self) -> Result<(), Cause> {
        self.store.write(&mut self.settled).await?;
        self.unnoted = 0;
        Ok(())
    }

    /// Waits for all that is on its way, and notes what is settled.
    pub async fn land(&mut self) -> Landed {
        let mut stuck = None;
        while !self.waiting.is_empty() {
            // What is behind a record that is stuck may have arrived all the same.
            stuck = stuck.or(self.settle_first().await.err());
        }
        let mut noted = self.note().await;
        for _ in 1..LAST_WRITES {
            if noted.is_ok() {
                break;
            }
            tokio::time::sleep(WRITE_PAUSE).await;
            noted = self.note().await;
        }
        Landed {
            repeated: self.unnoted + self.uncertain,
            stuck,
            unnoted: noted.err(),
        }
    }
}
