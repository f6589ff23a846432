//! A consumer that is broken or hangs is made anew; the streams to daprd stay.

use std::time::Instant;

use super::{
    assignment::{OutOfRange, Phase, REVOKE_DRAIN},
    broker_calls::BrokerCalls,
    commits::Commits,
    owner::Owner,
};
use crate::{kafka::GroupConsumer, telemetry::events::MadeAnew};

impl Owner {
    /// Replaces a consumer that librdkafka declared broken for good.
    pub(super) fn replace_broken_consumer(&mut self, now: Instant) {
        if let Some(cause) = self.consumer.fatal()
            && self.watch.health.may_make_anew(now)
        {
            self.broken = Some(cause.text);
        }
    }

    /// Drains what the app still has, and then replaces a consumer that hangs.
    pub(super) fn renew(&mut self, reason: String) {
        if self.leaving.is_empty() && self.phase == Phase::Owning {
            self.drained = Some(reason);
            self.drain(Instant::now() + REVOKE_DRAIN);
        }
    }

    /// Goes on with [`Self::renew`] once the partitions were given back.
    pub(super) fn check_renewal(&mut self) {
        if self.phase == Phase::Idle
            && let Some(reason) = self.drained.take()
        {
            self.broken = Some(reason);
        }
    }

    /// Gives all partitions up, and joins the group with a new consumer. What lanes
    /// have is delivered again by whoever gets the partitions.
    pub(super) async fn make_consumer_anew(&mut self, reason: &str) {
        if !self.leaving.is_empty() {
            return;
        }
        self.watch.health.made_anew(Instant::now());
        let made = GroupConsumer::new(&self.settings, self.instance.clone());
        let (consumer, signals) = match made {
            Ok(made) => made,
            Err(cause) => return self.failed("making the consumer anew", &cause),
        };
        self.give_back().await;
        let old = std::mem::replace(&mut self.consumer, consumer);
        self.signals = signals;
        self.phase = Phase::Idle;
        // What was asked by the old one is nobody's any more.
        self.calls = BrokerCalls::default();
        self.commits = Commits::default();
        self.lost = OutOfRange::default();
        self.watch.start_over();
        self.recreated.start_over();
        self.subscription.start_over(Instant::now());
        MadeAnew {
            instance: &self.instance.component,
            client: "consumer",
            reason,
        }
        .emit();
        // It waits for the coordinator, and for calls that are under way.
        tokio::spawn(old.close());
    }
}
