//! Whether the consumer group may be used.

use kafka_protocol::{
    ResponseError,
    messages::{DescribeGroupsRequest, GroupId, HeartbeatRequest},
    protocol::{Request as _, StrBytes},
};

use super::{allow, error, operation};
use crate::doctor::{
    Finding, Fix, Seen, Stage,
    context::Context,
    rows::permissions as rows,
    shell::quoted,
    stages::{
        Cluster,
        group::{Coordinator, coordinator, subject},
    },
    wire::{Answered, Wire},
};

/// From here on the answer may say which operations are allowed.
const TELLS: i16 = 3;

/// What became of a question.
enum Verdict {
    Allowed(Seen),
    /// What the broker answered.
    Forbidden(String),
    /// Why nothing is known.
    Unknown(String),
}

/// Asks the group's coordinator.
pub(super) async fn check(context: &Context<'_>, cluster: &mut Cluster, group: &str) {
    let verdict = match coordinator(context, cluster, group).await {
        Coordinator::At(id) => match cluster.at(id) {
            Some(wire) => asked(context, wire, group).await,
            None => Verdict::Unknown(format!("its coordinator, broker {id}, is not reached")),
        },
        Coordinator::Forbidden => forbidden(ResponseError::GroupAuthorizationFailed.code()),
        Coordinator::Unmade(_) | Coordinator::Missing(_) | Coordinator::Unknown(_) => {
            Verdict::Unknown("it has no coordinator to ask: see the group".into())
        }
    };
    let subject = subject(group);
    match verdict {
        Verdict::Allowed(seen) => context.recorder.fine(Stage::Permissions, subject, seen),
        Verdict::Unknown(why) => context.recorder.skipped(Stage::Permissions, subject, why),
        Verdict::Forbidden(cause) => {
            let security = &context.settings.security;
            let on = format!("--operation Read --group {}", quoted(group));
            let command = allow(security, &on);
            let words = "Allow Read on the group, or name in `consumerGroup` one that is allowed";
            let finding = Finding::new(&rows::GROUP, cause, Fix::words(words).run(command));
            context.recorder.found(subject, finding);
        }
    }
}

/// Asks which operations are allowed, and if that is not told, tries.
async fn asked(context: &Context<'_>, wire: &mut Wire, group: &str) -> Verdict {
    let range = wire.ranges.of(DescribeGroupsRequest::KEY);
    if range.is_none_or(|(_, newest)| newest < TELLS) {
        return tried(context, wire, group).await;
    }
    let request = DescribeGroupsRequest::default()
        .with_groups(vec![id(group)])
        .with_include_authorized_operations(true);
    let answer = match wire.ask(&request, context.until()).await {
        Ok(answer) => answer,
        Err(broken) => return Verdict::Unknown(broken.to_string()),
    };
    let Some(described) = answer.value.groups.first() else {
        return Verdict::Unknown("the broker says nothing of it".into());
    };
    let operations = described.authorized_operations;
    match ResponseError::try_from_code(described.error_code) {
        Some(ResponseError::GroupAuthorizationFailed) => forbidden(described.error_code),
        // Nobody has no operations at all and gets to know them.
        None if operations != operation::UNTOLD && operations != 0 => {
            if operations & operation::READ != 0 {
                Verdict::Allowed(Seen::by(&answer, "may read"))
            } else {
                Verdict::Forbidden("this client may describe the group, but not read".into())
            }
        }
        _ => tried(context, wire, group).await,
    }
}

/// Sends a heartbeat of a member that does not exist: the broker first looks whether the
/// group may be used, then for the member.
async fn tried(context: &Context<'_>, wire: &mut Wire, group: &str) -> Verdict {
    let request = HeartbeatRequest::default()
        .with_group_id(id(group))
        .with_generation_id(0)
        .with_member_id(StrBytes::from_static_str("dapr-rdkafka-doctor"));
    match wire.ask(&request, context.until()).await {
        Err(broken) => Verdict::Unknown(broken.to_string()),
        Ok(Answered { value, .. })
            if value.error_code == ResponseError::GroupAuthorizationFailed.code() =>
        {
            forbidden(value.error_code)
        }
        Ok(answer) if answer.value.error_code == ResponseError::UnknownMemberId.code() => {
            Verdict::Allowed(Seen::by(&answer, "may read: a heartbeat is looked at"))
        }
        Ok(answer) => Verdict::Unknown(format!(
            "the broker answers a heartbeat with {}",
            error(answer.value.error_code)
        )),
    }
}

fn forbidden(code: i16) -> Verdict {
    Verdict::Forbidden(format!("the broker answers {}", error(code)))
}

fn id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}
