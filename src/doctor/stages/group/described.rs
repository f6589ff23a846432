//! Who is in a group, and whether this component could be too.

use kafka_protocol::{
    ResponseError,
    messages::{
        ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest,
        describe_groups_response::DescribedGroup,
    },
    protocol::StrBytes,
};

use super::{
    room::{self, Room},
    subject,
};
use crate::doctor::{
    Finding, Fix, Seen, Stage,
    context::Context,
    rows::group as rows,
    stages::permissions::{error, shown, told},
    wire::{Broken, Wire},
};

/// What consumers call their protocol.
pub(super) const CONSUMER: &str = "consumer";

/// What this component offers, in either order: `metadata::librdkafka`.
pub(super) const OFFERED: [&str; 2] = ["range", "roundrobin"];

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
    if let Some(finding) = other_kind(found, group) {
        context.recorder.found(subject, finding);
        return false;
    }
    let mut also = String::new();
    if room::is_doubtful(found) {
        match room::ask(context, wire, found, group).await {
            Ok(Room::There) => also = format!("; its members offer {} too", OFFERED.join(" or ")),
            Ok(Room::None) => {
                context
                    .recorder
                    .found(subject, other_strategy(found, group));
                return false;
            }
            Err(why) => {
                let agreed = match &*found.protocol_data {
                    "" => "its members did not agree on a strategy yet".to_owned(),
                    strategy => format!(
                        "it agreed on {}, which this component does not offer",
                        shown(strategy)
                    ),
                };
                skipped(format!("{agreed}; {why}"));
                return true;
            }
        }
    }
    let state = shown(&found.group_state);
    let strategy = match &*found.protocol_data {
        "" => String::new(),
        strategy => format!(", {}", shown(strategy)),
    };
    let words = format!(
        "broker {at} coordinates it; {state}{strategy}; {}{also}",
        members(found)
    );
    context
        .recorder
        .fine(Stage::Group, subject, Seen::by(&answer, words));
    true
}

/// That this component would be refused because the members are something else.
fn other_kind(found: &DescribedGroup, group: &str) -> Option<Finding> {
    let kind = &*found.protocol_type;
    // An empty group takes everybody.
    if found.members.is_empty() || kind == CONSUMER || kind.is_empty() {
        return None;
    }
    let cause = format!(
        "the members of the group {group} are of the kind \"{}\", not \"{CONSUMER}\": {}",
        shown(kind),
        members(found)
    );
    let fix = Fix::words("Use another group").set("consumerGroup", other(group));
    Some(Finding::new(&rows::OTHER_KIND, cause, fix))
}

/// That it is refused because the members have no strategy in common with it.
fn other_strategy(found: &DescribedGroup, group: &str) -> Finding {
    let cause = format!(
        "the members of the group {group} agreed on the assignment strategy \"{}\", and not all \
         of them offer what this component does, {}: {}",
        shown(&found.protocol_data),
        OFFERED.join(" or "),
        members(found)
    );
    let words = "Use another group, or set the other members' partition.assignment.strategy to \
                 range";
    let fix = Fix::words(words).set("consumerGroup", other(group));
    Finding::new(&rows::STRATEGY, cause, fix)
}

fn members(found: &DescribedGroup) -> String {
    let clients = found.members.iter().map(|member| &*member.client_id);
    who(clients, found.members.len())
}

fn other(group: &str) -> String {
    format!("<a group that only this component uses, not {group}>")
}

/// A group that is none of the classic protocol: it is new, or its members speak a newer
/// one. True if its offsets are of interest.
async fn of_newer_kind(context: &Context<'_>, wire: &mut Wire, at: i32, group: &str) -> bool {
    let subject = subject(group);
    let skipped = |why: String| context.recorder.skipped(Stage::Group, &*subject, why);
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![id(group)]);
    let answer = match wire.ask(&request, context.until()).await {
        Ok(answer) => answer,
        // Brokers that know of no newer kinds have none.
        Err(Broken::Unserved { .. }) => return listed(context, wire, at, group).await,
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
        None => {}
        Some(ResponseError::GroupIdNotFound | ResponseError::UnsupportedVersion) => {
            return listed(context, wire, at, group).await;
        }
        Some(_) => {
            skipped(told(found.error_code, found.error_message.as_deref()));
            return true;
        }
    }
    // Classic members and newer ones share such a group: the broker does for the former
    // what their leader would.
    let clients = found.members.iter().map(|member| &*member.client_id);
    let words = format!(
        "broker {at} coordinates it; {}, of the newer protocol (KIP-848), which lets this \
         component in; {}",
        shown(&found.group_state),
        who(clients, found.members.len())
    );
    context
        .recorder
        .fine(Stage::Group, &*subject, Seen::by(&answer, words));
    true
}

/// A group of which its coordinator can tell no more than that it is there, if it is. True
/// if its offsets are of interest.
async fn listed(context: &Context<'_>, wire: &mut Wire, at: i32, group: &str) -> bool {
    let subject = subject(group);
    let skipped = |why: String| context.recorder.skipped(Stage::Group, &*subject, why);
    let request = ListGroupsRequest::default();
    let answer = match wire.ask(&request, context.until()).await {
        Ok(answer) => answer,
        Err(broken) => {
            skipped(broken.to_string());
            return true;
        }
    };
    if answer.value.error_code != 0 {
        let error = error(answer.value.error_code);
        skipped(format!(
            "asked for all groups, its coordinator answers {error}"
        ));
        return true;
    }
    let mut groups = answer.value.groups.iter();
    let Some(found) = groups.find(|found| &**found.group_id == group) else {
        let words = format!("broker {at} coordinates it; nobody has used it yet");
        context
            .recorder
            .fine(Stage::Group, &*subject, Seen::by(&answer, words));
        return false;
    };
    let kind = &*found.group_type;
    let classic = ["", "classic", CONSUMER];
    if !classic.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        let cause = format!(
            "{group} is a group of the type \"{}\", not of consumers",
            shown(kind)
        );
        let fix = Fix::words("Use another group").set("consumerGroup", other(group));
        let finding = Finding::new(&rows::OTHER_KIND, cause, fix);
        context.recorder.found(&*subject, finding);
        return false;
    }
    let kind = if kind.is_empty() { "unknown" } else { kind };
    let words = format!(
        "broker {at} coordinates it, and lists it as a group of the type {}",
        shown(kind)
    );
    context
        .recorder
        .fine(Stage::Group, &*subject, Seen::by(&answer, words));
    true
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

pub(super) fn id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}
