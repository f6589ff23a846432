//! More partitions.

use kafka_protocol::messages::{
    CreatePartitionsRequest, create_partitions_request::CreatePartitionsTopic,
};

use super::{Applied, Apply, Outcome, create::PATIENCE};
use crate::{
    doctor::Refused,
    topics::{
        plan::{Plan, What},
        present::topic_name,
        refused::refused,
    },
};

impl Apply<'_> {
    pub(super) async fn add_partitions(
        &mut self,
        plans: &[Plan],
        applied: &mut [Applied],
    ) -> Result<(), Refused> {
        let grown = plans.iter().filter(|plan| step(plan).is_some());
        let topics = grown.map(|plan| {
            CreatePartitionsTopic::default()
                .with_name(topic_name(&plan.wanted.name))
                .with_count(plan.wanted.partitions.unwrap_or_default())
                .with_assignments(None)
        });
        let topics: Vec<_> = topics.collect();
        if topics.is_empty() {
            return Ok(());
        }
        let request = CreatePartitionsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(PATIENCE);
        let answer = self.brokers.ask_controller(&request).await?;
        for (plan, applied) in plans.iter().zip(applied) {
            let name = plan.wanted.name.as_str();
            let result = answer.results.iter().find(|one| one.name.as_str() == name);
            if let (Some(step), Some(result)) = (step(plan), result) {
                applied.steps[step] = Some(if result.error_code == 0 {
                    Outcome::Done
                } else {
                    let on = format!("--operation Alter --topic {name}");
                    let message = result.error_message.as_deref();
                    Outcome::Failed(refused(self.settings, result.error_code, message, &on))
                });
            }
        }
        Ok(())
    }
}

/// The number of the step that adds partitions.
fn step(plan: &Plan) -> Option<usize> {
    let mut steps = plan.steps().iter();
    steps.position(|step| step.what == What::Partitions && plan.takes(step))
}
