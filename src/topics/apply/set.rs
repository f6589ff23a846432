//! Configs. Each is set alone (KIP-339): what is not named stays as it is.

use kafka_protocol::{
    messages::{
        IncrementalAlterConfigsRequest,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
    },
    protocol::StrBytes,
};

use super::{Applied, Apply, Outcome};
use crate::{
    doctor::Refused,
    topics::{
        plan::{Plan, Step, What},
        present::TOPIC,
        refused::refused,
    },
};

/// Kafka's number for setting a config.
const SET: i8 = 0;

const TOO_OLD: &str = "these brokers can't set one config of a topic alone (KIP-339), and to set \
                       all would reset those that the file does not name; set it with the brokers' \
                       own tools";

impl Apply<'_> {
    /// Sets the configs that `now` picks, of all topics at once.
    pub(super) async fn set(
        &mut self,
        plans: &[Plan],
        applied: &mut [Applied],
        now: impl Fn(&Plan, &Step) -> bool,
    ) -> Result<(), Refused> {
        let picked = |plan: &Plan| {
            let steps = plan.steps().iter().enumerate();
            let steps = steps.filter(|(_, step)| {
                matches!(step.what, What::Config(_)) && plan.takes(step) && now(plan, step)
            });
            steps.map(|(number, _)| number).collect::<Vec<_>>()
        };
        let picked: Vec<_> = plans.iter().map(picked).collect();
        let resources = plans.iter().zip(&picked);
        let resources = resources.filter(|(_, steps)| !steps.is_empty());
        let resources: Vec<_> = resources
            .map(|(plan, steps)| resource(plan, steps))
            .collect();
        if resources.is_empty() {
            return Ok(());
        }
        if self
            .brokers
            .newest::<IncrementalAlterConfigsRequest>()
            .is_none()
        {
            for (steps, applied) in picked.iter().zip(applied) {
                for step in steps {
                    applied.steps[*step] = Some(Outcome::Failed(TOO_OLD.into()));
                }
            }
            return Ok(());
        }
        let request = IncrementalAlterConfigsRequest::default().with_resources(resources);
        let answer = self.brokers.ask_controller(&request).await?;
        for ((plan, steps), applied) in plans.iter().zip(&picked).zip(applied) {
            let name = plan.wanted.name.as_str();
            let mut results = answer.responses.iter();
            let Some(result) = results.find(|one| one.resource_name.as_str() == name) else {
                continue;
            };
            let outcome = if result.error_code == 0 {
                Outcome::Done
            } else {
                let on = format!("--operation AlterConfigs --topic {name}");
                let message = result.error_message.as_deref();
                Outcome::Failed(refused(self.settings, result.error_code, message, &on))
            };
            for step in steps {
                applied.steps[*step] = Some(outcome.clone());
            }
        }
        Ok(())
    }
}

fn resource(plan: &Plan, steps: &[usize]) -> AlterConfigsResource {
    let configs = steps.iter().map(|number| {
        let step = &plan.steps()[*number];
        AlterableConfig::default()
            .with_name(StrBytes::from_string(step.what.name().to_owned()))
            .with_config_operation(SET)
            .with_value(Some(StrBytes::from_string(step.to.clone())))
    });
    AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(StrBytes::from_string(plan.wanted.name.clone()))
        .with_configs(configs.collect())
}
