//! Records of a few partitions, to ends that are known before.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::{Message as _, TopicPartitionList, consumer::Consumer as _, error::KafkaError};

use super::{Browser, Cause, Kind, convert};
use crate::model::{Offset, Record, TopicPartition};

/// How long nothing may come before reading fails: longer than a broker's restart.
const SILENCE: Duration = Duration::from_secs(30);

/// A reading under way.
pub struct Reading<'a> {
    browser: &'a Browser,
    /// The partitions that are not at their end.
    open: HashMap<i32, (TopicPartition, Offset)>,
    /// When something came last.
    heard: Instant,
}

impl<'a> Reading<'a> {
    pub(super) fn new(browser: &'a Browser, open: HashMap<i32, (TopicPartition, Offset)>) -> Self {
        Self {
            browser,
            open,
            heard: Instant::now(),
        }
    }

    /// The next record; `None` at the end of all partitions. Each partition's records
    /// come in their order. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// When Kafka refuses, or nothing comes for 30 s.
    pub async fn next(&mut self) -> Result<Option<Record>, Cause> {
        while !self.open.is_empty() {
            let received = self.browser.inner.recv();
            let left = SILENCE.saturating_sub(self.heard.elapsed());
            match tokio::time::timeout(left, received).await {
                Err(_) => return Err(self.silence()),
                Ok(Err(KafkaError::PartitionEOF(partition))) => {
                    self.heard = Instant::now();
                    self.close(partition)?;
                }
                Ok(Err(error)) => {
                    let cause = Cause::from(error);
                    // librdkafka connects again by itself.
                    if cause.kind != Kind::Unreachable {
                        return Err(cause);
                    }
                }
                Ok(Ok(message)) => {
                    self.heard = Instant::now();
                    let (partition, offset) = (message.partition(), Offset(message.offset()));
                    let Some((at, end)) = self.open.get(&partition) else {
                        continue;
                    };
                    let record = (offset < *end).then(|| convert::record(at, &message));
                    if offset.next() >= *end {
                        self.close(partition)?;
                    }
                    if record.is_some() {
                        return Ok(record);
                    }
                }
            }
        }
        Ok(None)
    }

    /// A partition is at its end; what is written to it from now on is not read.
    fn close(&mut self, partition: i32) -> Result<(), Cause> {
        if let Some((at, _)) = self.open.remove(&partition) {
            let mut list = TopicPartitionList::new();
            list.add_partition(&at.topic, at.partition);
            self.browser.inner.pause(&list)?;
        }
        Ok(())
    }

    fn silence(&self) -> Cause {
        let since = match self.browser.failures.since(self.heard) {
            Some(failure) => format!("; {failure}"),
            None => String::new(),
        };
        Cause {
            kind: Kind::Unreachable,
            text: format!("nothing came from the brokers for {SILENCE:?}{since}"),
        }
    }
}
