//! A consumer that is broken or hangs is replaced; the streams to daprd stay.

use std::time::Instant;

use super::{
    assignment::OutOfRange, broker_calls::BrokerCalls, commits::Commits, membership::Event,
    owner::Owner,
};
use crate::{kafka::GroupConsumer, telemetry::events::MadeAnew};

impl Owner {
    /// Replaces a consumer that librdkafka declared broken for good.
    pub(super) fn replace_broken_consumer(&mut self, now: Instant) {
        if let Some(cause) = self.consumer.fatal()
            && self.watch.health.may_make_anew(now)
        {
            self.pending.push_back(Event::Broken { reason: cause.text });
        }
    }

    /// Drains what the app still has, and then replaces a consumer that hangs.
    pub(super) fn renew(&mut self, reason: String) {
        self.pending.push_back(Event::Renew { reason });
    }

    /// Joins the group with a new consumer; the partitions were given back. False if no consumer
    /// could be made.
    pub(super) fn make_consumer_anew(&mut self, reason: &str) -> bool {
        self.watch.health.made_anew(Instant::now());
        let made = GroupConsumer::new(&self.settings, self.instance.clone());
        let (consumer, signals) = match made {
            Ok(made) => made,
            Err(cause) => {
                self.failed("making the consumer anew", &cause);
                return false;
            }
        };
        let old = std::mem::replace(&mut self.consumer, consumer);
        self.signals = signals;
        // Results of the old consumer's calls count for nothing.
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
        true
    }
}
