//! Whether the members of a group have a strategy in common with this component.

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        JoinGroupRequest, LeaveGroupRequest, describe_groups_response::DescribedGroup,
        join_group_request::JoinGroupRequestProtocol,
    },
    protocol::{Request as _, StrBytes},
};

use super::described::{CONSUMER, OFFERED, id};
use crate::doctor::{context::Context, stages::permissions::error, wire::Wire};

/// The versions whose answers are known to be without effect.
const FIRST: i16 = 2;
const LAST: i16 = 5;

/// The newest version of `LeaveGroup` that takes one member.
const LEAVE: i16 = 2;

/// Nobody's name, and never an empty one: to such a name a broker gives a member.
const NOBODY: &str = "dapr-rdkafka-doctor";

/// A subscription to no topic: version, topics, the user's data.
const NO_TOPICS: &[u8] = &[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];

/// What the coordinator says of what this component offers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// All members offer some of it too.
    There,
    /// They have nothing in common.
    None,
}

/// Whether a group agreed on something that this component does not offer, or on nothing
/// yet. Its members may have something in common with it all the same.
pub(super) fn is_doubtful(found: &DescribedGroup) -> bool {
    !found.members.is_empty() && !OFFERED.contains(&&*found.protocol_data)
}

/// Has the coordinator weigh what this component offers. A broker first looks whether the
/// members have something in common with it, then for a member of the name, which nobody
/// has: neither changes a group of the classic protocol. Ask for no other.
pub(super) async fn ask(
    context: &Context<'_>,
    wire: &mut Wire,
    found: &DescribedGroup,
    group: &str,
) -> Result<Room, String> {
    if &*found.group_state != "Stable" || &*found.protocol_type != CONSUMER {
        return Err("its members are about to agree anew".into());
    }
    let newest = wire.ranges.of(JoinGroupRequest::KEY).map(|(_, last)| last);
    if newest.is_none_or(|newest| newest < FIRST) {
        return Err("its coordinator is so old that to ask may change the group".into());
    }
    let protocols = OFFERED.map(|name| {
        JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str(name))
            .with_metadata(Bytes::from_static(NO_TOPICS))
    });
    let times = i32::try_from(context.settings.group.session_timeout.as_millis());
    let times = times.unwrap_or(i32::MAX);
    let request = JoinGroupRequest::default()
        .with_group_id(id(group))
        .with_member_id(StrBytes::from_static_str(NOBODY))
        .with_session_timeout_ms(times)
        .with_rebalance_timeout_ms(times)
        .with_protocol_type(StrBytes::from_static_str(CONSUMER))
        .with_protocols(protocols.to_vec());
    let answer = wire.ask_below(&request, LAST, context.until()).await;
    let code = answer
        .map_err(|broken| broken.to_string())?
        .value
        .error_code;
    match ResponseError::try_from_code(code) {
        Some(ResponseError::UnknownMemberId) => Ok(Room::There),
        Some(ResponseError::InconsistentGroupProtocol) => Ok(Room::None),
        None => Err(leave(context, wire, group).await),
        Some(_) => Err(format!(
            "asked whether what this component offers is enough, its coordinator answers {}",
            error(code)
        )),
    }
}

/// Leaves a group that has become one of the newer protocol since it was described.
async fn leave(context: &Context<'_>, wire: &mut Wire, group: &str) -> String {
    let request = LeaveGroupRequest::default()
        .with_group_id(id(group))
        .with_member_id(StrBytes::from_static_str(NOBODY));
    let left = wire.ask_below(&request, LEAVE, context.until()).await;
    let left = match left {
        Ok(answer) if answer.value.error_code == 0 => "left".into(),
        Ok(answer) => format!("not left: {}", error(answer.value.error_code)),
        Err(broken) => format!("not left: {broken}"),
    };
    format!("it changed while it was looked at, was joined as {NOBODY}, and {left}")
}
