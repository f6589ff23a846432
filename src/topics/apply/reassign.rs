//! More or fewer replicas of topics that are there: partitions are reassigned (KIP-455).

use std::collections::BTreeMap;

use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, BrokerId,
    MetadataResponse,
    alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
};

use super::{
    Applied, Apply, Growth, Looks, MADE, Outcome,
    create::PATIENCE,
    grows,
    replicas::{Place, spread},
};
use crate::{
    doctor::{Refused, told},
    topics::{
        plan::{Plan, What},
        present::{metadata, replicas, topic_name, under_way},
        refused::refused,
    },
};

/// What a client needs to move replicas.
const RIGHT: &str = "--operation Alter --cluster";

const TOO_OLD: &str = "these brokers don't let clients move replicas (KIP-455); use their own \
                       tools: kafka-reassign-partitions.sh, in three steps (--generate, \
                       --execute, --verify)";

impl Apply<'_> {
    /// Moves replicas, and waits for them; says how the topics have come on that grow.
    pub(super) async fn reassign(
        &mut self,
        plans: &[Plan],
        applied: &mut [Applied],
    ) -> Result<BTreeMap<String, Growth>, Refused> {
        let mut growth = BTreeMap::new();
        let moved: Vec<_> = plans.iter().filter(|plan| step(plan).is_some()).collect();
        if moved.is_empty() {
            return Ok(growth);
        }
        if self
            .brokers
            .newest::<AlterPartitionReassignmentsRequest>()
            .is_none()
        {
            tell(plans, applied, |_| Some(Outcome::Failed(TOO_OLD.into())));
            return Ok(not_grown(plans));
        }
        let names = moved.iter().map(|plan| plan.wanted.name.as_str());
        // With the partitions that were added before.
        let present = metadata(self.brokers, names).await?;
        let topics = moved.iter().filter_map(|plan| wanted(plan, &present));
        let request = AlterPartitionReassignmentsRequest::default()
            .with_timeout_ms(PATIENCE)
            .with_topics(topics.collect());
        let answer = self.brokers.ask_controller(&request).await?;
        tell(plans, applied, |plan| {
            let problem = self.problem(plan, &answer);
            Some(problem.map_or(Outcome::Done, Outcome::Failed))
        });
        self.wait_for_replicas(plans, applied).await?;
        for (plan, applied) in plans.iter().zip(applied) {
            let done = step(plan).map(|step| applied.steps[step] == Some(Outcome::Done));
            let state = match (grows(plan), done) {
                (None, _) => Growth::No,
                (Some(_), Some(true)) => Growth::Done,
                (Some(_), _) => Growth::NotYet,
            };
            growth.insert(plan.wanted.name.clone(), state);
        }
        Ok(growth)
    }

    /// Why a topic is not moved.
    fn problem(&self, plan: &Plan, answer: &AlterPartitionReassignmentsResponse) -> Option<String> {
        let message = answer.error_message.as_deref();
        if answer.error_code != 0 {
            return Some(refused(self.settings, answer.error_code, message, RIGHT));
        }
        let mut topics = answer.responses.iter();
        let Some(topic) = topics.find(|one| one.name.as_str() == plan.wanted.name) else {
            return Some("the brokers do not answer for it".into());
        };
        let mut partitions = topic.partitions.iter();
        let wrong = partitions.find(|one| one.error_code != 0)?;
        let words = told(wrong.error_code, wrong.error_message.as_deref());
        Some(format!("partition {}: {words}", wrong.partition_index))
    }

    async fn wait_for_replicas(
        &mut self,
        plans: &[Plan],
        applied: &mut [Applied],
    ) -> Result<(), Refused> {
        let begun = |plan: &Plan, applied: &Applied| {
            step(plan).is_some_and(|step| applied.steps[step] == Some(Outcome::Done))
        };
        let begun = plans
            .iter()
            .zip(&*applied)
            .filter(|(plan, it)| begun(plan, it));
        let names: Vec<_> = begun.map(|(plan, _)| plan.wanted.name.as_str()).collect();
        let answer = metadata(self.brokers, names.into_iter()).await?;
        let counts = answer.topics.iter().filter_map(|topic| {
            let name = topic.name.as_ref()?.to_string();
            Some((name, topic.partitions.len()))
        });
        let counts: BTreeMap<_, _> = counts.collect();
        let looks = Looks::begin();
        loop {
            let left = under_way(self.brokers, &counts).await?;
            if left.is_empty() {
                return Ok(());
            }
            if !looks.again().await {
                tell(plans, applied, |plan| {
                    let mut left = left.iter();
                    left.any(|(name, ..)| *name == plan.wanted.name).then(|| {
                        Outcome::UnderWay(format!(
                            "the brokers still copy after {MADE:?}; `plan` shows when it is done"
                        ))
                    })
                });
                return Ok(());
            }
        }
    }
}

/// The number of the step that changes the replication, if it is taken.
fn step(plan: &Plan) -> Option<usize> {
    let mut steps = plan.steps().iter();
    steps.position(|step| step.what == What::Replication && plan.takes(step))
}

/// Notes what came of the topics that are moved.
fn tell(plans: &[Plan], applied: &mut [Applied], of: impl Fn(&Plan) -> Option<Outcome>) {
    for (plan, applied) in plans.iter().zip(applied) {
        if let Some(step) = step(plan)
            && let Some(outcome) = of(plan)
        {
            applied.steps[step] = Some(outcome);
        }
    }
}

fn not_grown(plans: &[Plan]) -> BTreeMap<String, Growth> {
    let grown = plans.iter().filter(|plan| grows(plan).is_some());
    grown
        .map(|plan| (plan.wanted.name.clone(), Growth::NotYet))
        .collect()
}

/// The replicas that a topic's partitions are to have.
fn wanted(plan: &Plan, present: &MetadataResponse) -> Option<ReassignableTopic> {
    let places = present.brokers.iter().map(|broker| Place {
        id: broker.node_id.0,
        rack: broker.rack.as_ref().map(ToString::to_string),
    });
    let places: Vec<_> = places.collect();
    let name = plan.wanted.name.as_str();
    let named = |topic: &&kafka_protocol::messages::metadata_response::MetadataResponseTopic| {
        topic.name.as_ref().is_some_and(|one| one.as_str() == name)
    };
    let topic = present.topics.iter().find(named)?;
    let now = replicas(topic);
    let count = usize::try_from(plan.wanted.replication?).ok()?;
    let partitions = spread(&now, &places, count).into_iter().zip(0..).zip(&now);
    let changed = partitions.filter(|((then, _), now)| then != *now);
    let partitions = changed.map(|((replicas, index), _)| {
        ReassignablePartition::default()
            .with_partition_index(index)
            .with_replicas(Some(replicas.into_iter().map(BrokerId).collect()))
    });
    let topic = ReassignableTopic::default().with_name(topic_name(name));
    Some(topic.with_partitions(partitions.collect()))
}
