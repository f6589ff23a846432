//! Topics that are missing.

use kafka_protocol::{
    messages::{
        CreateTopicsRequest, MetadataResponse, TopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
    },
    protocol::StrBytes,
};

use super::{Applied, Apply, Looks, MADE, Outcome};
use crate::{
    doctor::Refused,
    topics::{
        plan::{Fate, Plan},
        present::{metadata, topic_name},
        refused::refused,
        wanted::Wanted,
    },
};

/// The brokers' own default, for partitions and for replicas (KIP-464).
const DEFAULT: i16 = -1;

/// The first version that knows those.
const WITH_DEFAULTS: i16 = 4;

/// How long brokers may wait themselves, in milliseconds.
pub(in crate::topics) const PATIENCE: i32 = 8_000;

impl Apply<'_> {
    pub(super) async fn create(
        &mut self,
        plans: &[Plan],
        applied: &mut [Applied],
    ) -> Result<(), Refused> {
        let is_new = |plan: &&Plan| plan.fate == Fate::Create;
        let new: Vec<_> = plans
            .iter()
            .filter(is_new)
            .map(|plan| &plan.wanted)
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let newest = self.brokers.newest::<CreateTopicsRequest>();
        if newest.is_none_or(|newest| newest < WITH_DEFAULTS)
            && new
                .iter()
                .any(|one| one.partitions.is_none() || one.replication.is_none())
        {
            let text = "these brokers have no defaults for new topics (KIP-464); write partitions \
                        and replication of each topic";
            return Err(Refused(text.into()));
        }
        let topics = new.iter().map(|wanted| creatable(wanted));
        let request = CreateTopicsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(PATIENCE);
        let answer = self.brokers.ask_controller(&request).await?;
        for (plan, applied) in plans
            .iter()
            .zip(&mut *applied)
            .filter(|(plan, _)| is_new(plan))
        {
            let name = plan.wanted.name.as_str();
            let result = answer.topics.iter().find(|one| one.name.as_str() == name);
            applied.whole = Some(match result {
                None => Outcome::Failed("the brokers do not answer for it".into()),
                Some(result) if result.error_code == 0 => Outcome::Done,
                Some(result) => {
                    let message = result.error_message.as_deref();
                    let on = format!("--operation Create --topic {name}");
                    Outcome::Failed(refused(self.settings, result.error_code, message, &on))
                }
            });
        }
        self.wait_for_new(plans, applied).await
    }

    /// Waits until what was created can be used.
    async fn wait_for_new(
        &mut self,
        plans: &[Plan],
        applied: &mut [Applied],
    ) -> Result<(), Refused> {
        let looks = Looks::begin();
        loop {
            let made = plans.iter().zip(&mut *applied);
            let made = made.filter(|(_, applied)| applied.whole == Some(Outcome::Done));
            let mut made: Vec<_> = made.collect();
            if made.is_empty() {
                return Ok(());
            }
            let names = made.iter().map(|(plan, _)| plan.wanted.name.as_str());
            let answer = metadata(self.brokers, names).await?;
            made.retain(|(plan, _)| !is_led(&answer, &plan.wanted.name));
            if made.is_empty() {
                return Ok(());
            }
            if !looks.again().await {
                for (_, applied) in made {
                    let text = format!("it was created, and {MADE:?} later has no leader yet");
                    applied.whole = Some(Outcome::UnderWay(text));
                }
                return Ok(());
            }
        }
    }
}

/// Whether each partition of a topic has a leader.
fn is_led(answer: &MetadataResponse, topic: &str) -> bool {
    let named = |name: &TopicName| name.as_str() == topic;
    let mut topics = answer.topics.iter();
    let found = topics.find(|found| found.name.as_ref().is_some_and(named));
    found.is_some_and(|found| {
        let led = found.partitions.iter().all(|one| one.leader_id.0 >= 0);
        found.error_code == 0 && led && !found.partitions.is_empty()
    })
}

pub(in crate::topics) fn creatable(wanted: &Wanted) -> CreatableTopic {
    let configs = wanted.config.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(name.clone()))
            .with_value(Some(StrBytes::from_string(value.clone())))
    });
    CreatableTopic::default()
        .with_name(topic_name(&wanted.name))
        .with_num_partitions(wanted.partitions.unwrap_or(DEFAULT.into()))
        .with_replication_factor(wanted.replication.unwrap_or(DEFAULT))
        .with_configs(configs.collect())
}
