//! How long it takes until things go again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use harness::{
    Result,
    ledger::{Ended, Journal, Message},
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

use super::{GROUP, TOPIC};
use crate::{
    admin,
    run::{Doors, Moody, Plan, publish_once},
};

/// How often each partition gets a message, until one went all the way.
const EVERY: Duration = Duration::from_millis(200);

/// After so long nobody waits any more.
const LONGEST: Duration = Duration::from_secs(90);

/// The number of the producer of probes; those of the plan have small ones.
const PRODUCER: u64 = 1000;

/// Messages that are published after a fault's end, to see whether they arrive.
pub(super) struct Probes {
    doors: Doors,
    app: Moody,
    journal: Arc<Journal>,
    client: reqwest::Client,
    sent: Vec<Message>,
    acked: Arc<Mutex<Vec<Message>>>,
    under_way: JoinSet<()>,
    /// Each heal, in order.
    pub(super) heals: Vec<Heal>,
}

/// How long one heal took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heal {
    /// From the fault's end; `None` is longer than anyone waited.
    pub(super) took: Option<Duration>,
    /// From the fault's end until the group was last seen in a rebalance, in which members drain. Zero
    /// unless the fault contains a rebalance.
    pub(super) drain: Duration,
}

impl Probes {
    pub(super) fn new(doors: Doors, app: Moody, journal: Arc<Journal>) -> Self {
        Self {
            doors,
            app,
            journal,
            client: reqwest::Client::new(),
            sent: Vec::new(),
            acked: Arc::default(),
            under_way: JoinSet::new(),
            heals: Vec::new(),
        }
    }

    /// From now until, in every partition, a message that was published since then was
    /// acknowledged by Publish, and handed to the app and acknowledged by it.
    pub(super) async fn heal(&mut self, partitions: i32) -> Result<()> {
        let began = Instant::now();
        let healed = self.until_all_arrive(partitions, began).await;
        self.healed(began, began, healed)
    }

    /// The same, and notes beside it when the group was last seen in a rebalance.
    pub(super) async fn heal_after_drain(&mut self, brokers: &str, partitions: i32) -> Result<()> {
        let began = Instant::now();
        let unsettled = Mutex::new(began);
        let healed = tokio::select! {
            healed = self.until_all_arrive(partitions, began) => healed,
            () = watch(brokers, &unsettled) => Ok(()),
        };
        let drained = *unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        self.healed(began, drained, healed)
    }

    fn healed(&mut self, began: Instant, drained: Instant, healed: Result<()>) -> Result<()> {
        self.heals.push(Heal {
            took: healed.is_ok().then(|| began.elapsed()),
            drain: drained - began,
        });
        healed
    }

    async fn until_all_arrive(&mut self, partitions: i32, began: Instant) -> Result<()> {
        let first = self.sent.len();
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let keys = (0..partitions).map(|partition| key_of(partition, partitions));
        let mut left: Vec<_> = keys.collect();
        loop {
            every.tick().await;
            left.retain(|key| !self.arrived(key, first));
            if left.is_empty() {
                return Ok(());
            }
            if began.elapsed() > LONGEST {
                return Err(format!(
                    "not healed within {LONGEST:?}: nothing published since arrives under {left:?}"
                )
                .into());
            }
            for key in &left {
                self.send(key.clone(), 0);
            }
        }
    }

    /// Whether one of a key that was sent since the `first` went all the way.
    fn arrived(&self, key: &str, first: usize) -> bool {
        let acked = self.acked.lock().unwrap_or_else(PoisonError::into_inner);
        acked.iter().any(|message| {
            message.key.as_deref() == Some(key)
                && usize::try_from(message.seq).is_ok_and(|seq| seq >= first)
                && self.app.acked_message(&message.uuid).is_some()
        })
    }

    fn send(&mut self, key: String, padding: usize) {
        let message = Plan::calm(PRODUCER, &key, self.sent.len() as u64);
        self.send_message(message, padding);
    }

    fn send_message(&mut self, message: Message, padding: usize) {
        self.sent.push(message.clone());
        let (doors, client) = (self.doors.clone(), self.client.clone());
        let (journal, acked) = (self.journal.clone(), self.acked.clone());
        let turn = self.sent.len();
        self.under_way.spawn(async move {
            let Ok(url) = doors.one(turn).await else {
                return;
            };
            if publish_once(&client, &url, TOPIC, (&message, padding), &journal).await
                == Ended::Acked
            {
                let mut acked = acked.lock().unwrap_or_else(PoisonError::into_inner);
                acked.push(message);
            }
        });
    }

    /// Publishes so many, once each, one after the other under each of as many keys, and
    /// requires that each is acknowledged.
    pub(super) async fn publish(&mut self, count: usize) -> Result<()> {
        for n in 0..count {
            self.send(format!("more-{}", n % 20), 0);
            if n % 20 == 19 {
                self.end().await;
            }
        }
        self.end().await;
        let acked = self.acked.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |message: &&Message| {
            message
                .key
                .as_ref()
                .is_some_and(|key| key.starts_with("more-"))
        };
        let acked = acked.iter().filter(of).count();
        if acked < count {
            return Err(format!("only {acked} of {count} publishes were acknowledged").into());
        }
        Ok(())
    }

    /// Publishes one whose handler panics, and requires that it is acknowledged.
    pub(super) async fn publish_breaking(&mut self, key: Option<&str>) -> Result<Message> {
        let message = Plan::breaking(PRODUCER + 2, key, self.sent.len() as u64);
        self.send_message(message.clone(), 0);
        self.end().await;
        let acked = self.acked.lock().unwrap_or_else(PoisonError::into_inner);
        if !acked.contains(&message) {
            return Err(format!("the publish of {message} was not acknowledged").into());
        }
        Ok(message)
    }

    /// Begins to publish so many at once, each under a key of its own and so many bytes
    /// large.
    pub(super) fn flood(&mut self, count: usize, bytes: usize) {
        for n in 0..count {
            self.send(format!("flood-{n}"), bytes);
        }
    }

    /// So many messages that somebody else writes.
    pub(super) fn others(&mut self, key: &str, count: u64) -> Vec<Message> {
        let first = self.sent.len() as u64;
        let seqs = first..first + count;
        let others: Vec<_> = seqs.map(|seq| Plan::calm(PRODUCER + 1, key, seq)).collect();
        self.sent.extend(others.iter().cloned());
        others
    }

    /// Waits for those that are under way.
    pub(super) async fn end(&mut self) {
        while self.under_way.join_next().await.is_some() {}
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = Message> {
        self.sent.iter().cloned()
    }
}

/// Notes again and again when the group is in a rebalance. Brokers that do not answer say nothing.
async fn watch(brokers: &str, unsettled: &Mutex<Instant>) {
    loop {
        if let Ok((state, _)) = admin::group(brokers, GROUP).await
            && is_rebalance(&state)
        {
            *unsettled.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        tokio::time::sleep(EVERY / 2).await;
    }
}

/// Whether a group in this state, as Kafka names it, waits for its members to give partitions up or
/// to take them. A group that is empty or that the broker does not know has no members that drain.
fn is_rebalance(state: &str) -> bool {
    matches!(state, "PreparingRebalance" | "CompletingRebalance")
}

/// A key that both sides put into a partition: FNV-1a, as Sarama's hash partitioner.
fn key_of(partition: i32, partitions: i32) -> String {
    let keys = (0..).map(|n| format!("probe-{n}"));
    let mut fitting = keys.filter(|key| partition_of(key, partitions) == partition);
    fitting.next().unwrap_or_default()
}

fn partition_of(key: &str, partitions: i32) -> i32 {
    let hash = key.bytes().fold(2_166_136_261_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    (hash.cast_signed() % partitions).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_probe() {
        for partition in 0..6 {
            assert_eq!(partition_of(&key_of(partition, 6), 6), partition);
        }
    }

    #[test]
    fn only_a_rebalance_is_a_drain() {
        let states = [
            "PreparingRebalance",
            "CompletingRebalance",
            "Stable",
            "Empty",
            "Dead",
            "",
        ];
        let drains = states.map(is_rebalance);
        assert_eq!(drains, [true, true, false, false, false, false]);
    }
}
