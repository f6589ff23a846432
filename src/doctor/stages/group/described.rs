//! Who is in a group, and whether this component could be too.

use kafka_protocol::{
    ResponseError,
    messages::{
        ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest,
        describe_groups_response::DescribedGroup,
    },
    protocol::StrBytes,
};

use super::subject;
use crate::doctor::{
    Finding, Fix, Seen, Stage,
    context::Context,
    rows::group as rows,
    stages::permissions::{shown, told},
    wire::{Broken, Wire},
};

/// What consumers call their protocol.
const CONSUMER: &str = "consumer";

/// What this component offers, in either order: `metadata::librdkafka`.
const OFFERED: [&str; 2] = ["range", "roundrobin"];

/// The most members that are named.
const NAMED: usize = 3;

/// Looks at the group; true if its offsets are of interest.
pub(super) async fn check(context: &Context<'_>, wire: &mut Wire, at: i32, group: &str) -> bool {
    let subject = subject(group);
    let skipped = |why: String| context.recorder.skipped(Stage::Group, &*subject, why);
    let request = DescribeGroupsRequest::default().with_groups(vec![id(group)]);
    let answer = match wire.ask(&request, context.until()).await {
        Ok(answer) => answer,
        Err(broken) => {
            skipped(broken.to_string());
            return true;
        }
    };
    let Some(found) = answer.value.groups.first() else {
        skipped("its coordinator says nothing of it".into());
        return true;
    };
    match ResponseError::try_from_code(found.error_code) {
        None if &*found.group_state != "Dead" => {}
        None | Some(ResponseError::GroupIdNotFound) => {
            return of_newer_kind(context, wire, at, group).await;
        }
        Some(ResponseError::GroupAuthorizationFailed) => {
            skipped("it may not be looked at: see the permissions".into());
            return false;
        }
        Some(_) => {
            skipped(told(found.error_code, found.error_message.as_deref()));
            return true;
        }
    }
    if let Some(finding) = clash(found, group) {
        context.recorder.found(subject, finding);
        return false;
    }
    let (state, count) = (shown(&found.group_state), found.members.len());
    let clients = found.members.iter().map(|member| &*member.client_id);
    let strategy = match &*found.protocol_data {
        "" => String::new(),
        strategy => format!(", {}", shown(strategy)),
    };
    let words = format!(
        "broker {at} coordinates it; {state}{strategy}; {}",
        who(clients, count)
    );
    context
        .recorder
        .fine(Stage::Group, subject, Seen::by(&answer, words));
    true
}

/// Why this component would be refused, if it would.
fn clash(found: &DescribedGroup, group: &str) -> Option<Finding> {
    // An empty group takes everybody.
    let count = found.members.len();
    if count == 0 {
        return None;
    }
    let clients = found.members.iter().map(|member| &*member.client_id);
    let who = who(clients, count);
    let (kind, strategy) = (&*found.protocol_type, &*found.protocol_data);
    let other = format!("<a group that only this component uses, not {group}>");
    if kind != CONSUMER && !kind.is_empty() {
        let cause = format!(
            "the members of the group {group} are of the kind \"{}\", not \"{CONSUMER}\": {who}",
            shown(kind)
        );
        let fix = Fix::words("Use another group").set("consumerGroup", other);
        return Some(Finding::new(&rows::OTHER_KIND, cause, fix));
    }
    // While they join anew they agree on nothing.
    if strategy.is_empty() || OFFERED.contains(&strategy) {
        return None;
    }
    let cause = format!(
        "the members of the group {group} agreed on the assignment strategy \"{}\", and this \
         component offers {}: {who}",
        shown(strategy),
        OFFERED.join(" and ")
    );
    let words = "Use another group, or set the other members' partition.assignment.strategy to \
                 range";
    let fix = Fix::words(words).set("consumerGroup", other);
    Some(Finding::new(&rows::STRATEGY, cause, fix))
}

/// A group that is none of the classic protocol: it is new, or its members speak a newer
/// one. True if its offsets are of interest.
async fn of_newer_kind(context: &Context<'_>, wire: &mut Wire, at: i32, group: &str) -> bool {
    let subject = subject(group);
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![id(group)]);
    match wire.ask(&request, context.until()).await {
        Ok(answer) => {
            let described = answer.value.groups.first();
            if let Some(found) = described.filter(|found| found.error_code == 0) {
                // Classic members and newer ones share such a group: the broker does for
                // the former what their leader would.
                let clients = found.members.iter().map(|member| &*member.client_id);
                let who = who(clients, found.members.len());
                let state = shown(&found.group_state);
                let words = format!(
                    "broker {at} coordinates it; {state}, of the newer protocol (KIP-848), which \
                     lets this component in; {who}"
                );
                context
                    .recorder
                    .fine(Stage::Group, subject, Seen::by(&answer, words));
                return true;
            }
        }
        // Brokers that know of no newer kinds have none.
        Err(Broken::Unserved { .. }) => {}
        Err(broken) => {
            context
                .recorder
                .skipped(Stage::Group, subject, broken.to_string());
            return true;
        }
    }
    match wire
        .ask(&ListGroupsRequest::default(), context.until())
        .await
    {
        Ok(answer) => {
            let listed = answer
                .value
                .groups
                .iter()
                .find(|found| &**found.group_id == group);
            let kind = listed.map_or("", |found| &*found.group_type);
            let classic = ["", "classic", CONSUMER];
            if !classic.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
                let cause = format!(
                    "{group} is a group of the type \"{}\", not of consumers",
                    shown(kind)
                );
                let other = format!("<a group that only this component uses, not {group}>");
                let fix = Fix::words("Use another group").set("consumerGroup", other);
                context
                    .recorder
                    .found(subject, Finding::new(&rows::OTHER_KIND, cause, fix));
                return false;
            }
            let words = format!("broker {at} coordinates it; nobody has used it yet");
            context
                .recorder
                .fine(Stage::Group, subject, Seen::by(&answer, words));
        }
        Err(broken) => context
            .recorder
            .skipped(Stage::Group, subject, broken.to_string()),
    }
    false
}

/// Members and their clients.
fn who<'a>(clients: impl Iterator<Item = &'a str>, count: usize) -> String {
    let mut names: Vec<_> = clients.map(shown).collect();
    names.sort_unstable();
    names.dedup();
    let more = if names.len() > NAMED { ", …" } else { "" };
    names.truncate(NAMED);
    match count {
        0 => "no members".into(),
        1 => format!("1 member ({})", names.join(", ")),
        _ => format!("{count} members ({}{more})", names.join(", ")),
    }
}

fn id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}
