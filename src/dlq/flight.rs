//! Records on their way back, and the progress that follows them.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;

use super::{Connection, Failed, progress::Progress};
use crate::{
    kafka::{Browser, Cause, Confirmation, Outgoing, SendError, Sender},
    model::{Offset, Record},
};

/// Records that are on their way at once: enough to fill batches, and few to send again.
const RECORDS: usize = 200;

/// The same in bytes: about what librdkafka's queue takes.
const BYTES: usize = 32 * 1024 * 1024;

/// The most records that are sent again by a redrive that was killed: as many may be on
/// their way or confirmed, and not committed.
pub const MAY_REPEAT: usize = 1000;

/// How often a commit is tried at the end.
const LAST_COMMITS: usize = 3;

/// How long to wait between them.
const COMMIT_PAUSE: Duration = Duration::from_secs(1);

/// Sends records in order, and commits what is confirmed without a gap.
pub struct Flight<'a> {
    browser: &'a Browser,
    sender: Sender,
    topic: &'a str,
    /// In the order of reading, so that the front of each partition is its oldest.
    waiting: VecDeque<Waiting>,
    bytes: usize,
    progress: HashMap<i32, Progress>,
    /// Confirmed since the last commit.
    uncommitted: usize,
    /// It failed, and may have arrived: 0 or 1.
    uncertain: usize,
    /// Passed since the last commit, sent or not.
    moved: bool,
    /// One was refused: what stands behind it must not be settled.
    stuck: bool,
    /// Confirmed, by topic.
    pub sent: HashMap<String, u64>,
}

/// A record that was read and is not settled.
struct Waiting {
    partition: i32,
    offset: Offset,
    size: usize,
    what: What,
}

enum What {
    /// It is not sent: it was not selected, or it is left.
    Passed { left: bool },
    /// It is on its way.
    Sent {
        topic: String,
        confirmation: Confirmation,
    },
}

/// A record that could not be sent.
pub struct Refused {
    /// Its place: topic/partition@offset.
    pub at: String,
    /// Where it was to go.
    pub topic: String,
    /// Why.
    pub error: SendError,
}

impl<'a> Flight<'a> {
    pub fn new(
        connection: &Connection,
        browser: &'a Browser,
        topic: &'a str,
        progress: HashMap<i32, Progress>,
    ) -> Result<Self, Failed> {
        let name: Arc<str> = connection.name.clone();
        let sender = Sender::new(&connection.settings, name)
            .map_err(Failed::kafka("making a Kafka producer"))?;
        Ok(Self {
            browser,
            sender,
            topic,
            waiting: VecDeque::new(),
            bytes: 0,
            uncommitted: 0,
            uncertain: 0,
            // Where it begins is progress, too, when it begins again.
            moved: !progress.is_empty(),
            progress,
            stuck: false,
            sent: HashMap::new(),
        })
    }

    /// Passes a record that is not sent; `left` if it was selected all the same.
    pub async fn pass(&mut self, record: &Record, left: bool) -> Result<(), Refused> {
        self.make_room(0).await?;
        self.wait_for(record, 0, What::Passed { left });
        self.settle()
    }

    /// Sends a record, once there is room.
    pub async fn send(&mut self, record: &Record, outgoing: Outgoing) -> Result<(), Refused> {
        let size = record.size();
        self.make_room(size).await?;
        let sent = self.sender.send(&outgoing);
        let topic = outgoing.topic;
        match sent {
            Ok(confirmation) => {
                let what = What::Sent {
                    topic,
                    confirmation,
                };
                self.wait_for(record, size, what);
                self.settle()
            }
            Err(error) => Err(Refused {
                at: format!("{}@{}", record.at, record.offset),
                topic,
                error,
            }),
        }
    }

    async fn make_room(&mut self, size: usize) -> Result<(), Refused> {
        while self.waiting.len() >= RECORDS || (self.bytes > 0 && self.bytes + size > BYTES) {
            self.settle_first().await?;
        }
        Ok(())
    }

    fn wait_for(&mut self, record: &Record, size: usize, what: What) {
        self.bytes += size;
        self.waiting.push_back(Waiting {
            partition: record.at.partition,
            offset: record.offset,
            size,
            what,
        });
    }

    /// Settles what is confirmed already, in order, without waiting.
    pub fn settle(&mut self) -> Result<(), Refused> {
        while let Some(first) = self.waiting.front_mut() {
            let confirmed = match &mut first.what {
                What::Passed { .. } => Ok(()),
                What::Sent { confirmation, .. } => match confirmation.confirmed().now_or_never() {
                    Some(confirmed) => confirmed,
                    None => break,
                },
            };
            self.settled(confirmed)?;
        }
        Ok(())
    }

    /// Waits for the oldest.
    async fn settle_first(&mut self) -> Result<(), Refused> {
        let confirmed = match self.waiting.front_mut().map(|first| &mut first.what) {
            Some(What::Sent { confirmation, .. }) => confirmation.confirmed().await,
            Some(What::Passed { .. }) | None => Ok(()),
        };
        self.settled(confirmed)
    }

    fn settled(&mut self, confirmed: Result<(), SendError>) -> Result<(), Refused> {
        let Some(first) = self.waiting.pop_front() else {
            return Ok(());
        };
        self.bytes -= first.size;
        let left = match first.what {
            What::Passed { left } => left,
            What::Sent { topic, .. } => {
                if let Err(error) = confirmed {
                    self.stuck = true;
                    self.uncertain += usize::from(error.may_arrive);
                    let at = format!("{}/{}@{}", self.topic, first.partition, first.offset);
                    return Err(Refused { at, topic, error });
                }
                self.uncommitted += 1;
                *self.sent.entry(topic).or_default() += 1;
                false
            }
        };
        let progress = self.progress.entry(first.partition);
        let progress = progress.or_insert_with(|| Progress::at(first.offset));
        progress.pass(first.offset, left);
        self.moved = true;
        Ok(())
    }

    /// Whether so much is uncommitted that it must be committed before more is sent.
    pub fn is_full(&self) -> bool {
        self.uncommitted + RECORDS >= MAY_REPEAT
    }

    /// Commits what is settled.
    pub async fn commit(&mut self) -> Result<(), Cause> {
        if !self.moved {
            return Ok(());
        }
        let marks = self.progress.iter();
        let marks = marks.map(|(partition, progress)| (*partition, progress.mark()));
        self.browser.commit(self.topic, marks.collect()).await?;
        (self.uncommitted, self.moved) = (0, false);
        Ok(())
    }

    /// Waits for all that is on its way, and commits. How many records may be sent again
    /// when the redrive is resumed, and what went wrong here, if anything did.
    pub async fn land(&mut self) -> (usize, Option<Refused>, Option<Cause>) {
        let mut refused = None;
        while !self.waiting.is_empty() && !self.stuck {
            refused = self.settle_first().await.err();
        }
        let mut committed = self.commit().await;
        for _ in 1..LAST_COMMITS {
            if committed.is_ok() {
                break;
            }
            tokio::time::sleep(COMMIT_PAUSE).await;
            committed = self.commit().await;
        }
        let mut repeated = self.uncommitted + self.uncertain;
        // Behind one that was refused, what arrived is sent again all the same.
        for waiting in &mut self.waiting {
            if let What::Sent { confirmation, .. } = &mut waiting.what {
                let sent = confirmation.confirmed().await;
                repeated += usize::from(sent.map_or_else(|error| error.may_arrive, |()| true));
            }
        }
        (repeated, refused, committed.err())
    }
}
