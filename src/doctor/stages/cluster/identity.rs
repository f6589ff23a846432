//! Whether the broker at an advertised address is the one that is advertised there.
//! Brokers do not tell who they are. But a broker answers for its own settings alone, and
//! those are asked for by node id.

use futures_util::future::join_all;
use kafka_protocol::{
    error::ResponseError,
    messages::{
        DescribeConfigsRequest, DescribeConfigsResponse,
        describe_configs_request::DescribeConfigsResource,
    },
    protocol::StrBytes,
};

use super::{Cluster, advertised::advertise, shown};
use crate::doctor::{
    Finding, Seen, Stage,
    context::{Context, Target},
    rows,
    wire::Wire,
};

/// Kafka's number of a broker among what has settings.
const BROKER: i8 = 4;

/// What a broker says of itself.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// It is the one.
    Same,
    /// It is this one.
    Other(i32),
    /// It does not tell.
    Untold(String),
}

/// Asks each broker that is reached, if there are several.
pub(super) async fn check(context: &Context<'_>, cluster: &mut Cluster, ids: &[i32]) {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() < 2 {
        return;
    }
    let mut addresses: Vec<_> = cluster.brokers.values().map(address).collect();
    addresses.sort_unstable();
    let alone = |wanted: &str| addresses.iter().filter(|one| *one == wanted).count() == 1;
    let main = cluster.bootstrap_is;
    let mut bootstrap = Some(&mut cluster.bootstrap);
    let ids = &ids;
    let each = cluster.brokers.iter_mut().filter_map(|(id, member)| {
        let wire = if main == Some(*id) {
            bootstrap.take()
        } else {
            member.wire.as_mut()
        };
        let target = &member.target;
        // Of several at one address all but one are others, which was said.
        let wire = wire.filter(|_| alone(&target.address.to_lowercase()))?;
        Some(one(context, target, *id, wire, ids))
    });
    join_all(each).await;
}

fn address(member: &super::Member) -> String {
    member.target.address.to_lowercase()
}

async fn one(context: &Context<'_>, target: &Target, id: i32, wire: &mut Wire, ids: &[i32]) {
    let subject = target.subject();
    let resources = ids.iter().map(|id| {
        DescribeConfigsResource::default()
            .with_resource_type(BROKER)
            .with_resource_name(StrBytes::from_string(id.to_string()))
            .with_configuration_keys(Some(vec![StrBytes::from_static_str("message.max.bytes")]))
    });
    let request = DescribeConfigsRequest::default().with_resources(resources.collect());
    let recorder = context.recorder;
    let skip = |why: &str| {
        let why = format!("whether it is broker {id}: {}", shown(why));
        recorder.skipped(Stage::Cluster, subject.clone(), why);
    };
    let answer = match wire.ask(&request, context.until()).await {
        Ok(answer) => answer,
        Err(broken) => return skip(&broken.to_string()),
    };
    match identity(&answer.value, id) {
        Identity::Same => {
            let seen = Seen::by(&answer, format!("it is broker {id}"));
            recorder.fine(Stage::Cluster, subject, seen);
        }
        Identity::Other(other) => {
            let cause = format!("broker {other} answers there, not broker {id}");
            let finding = Finding::new(&rows::cluster::OTHER_NODE, cause, advertise(target));
            recorder.found(subject, finding);
        }
        Identity::Untold(why) => skip(&why),
    }
}

/// Whose settings it tells.
fn identity(answer: &DescribeConfigsResponse, wanted: i32) -> Identity {
    let each = answer.results.iter();
    let each = each.filter(|result| result.resource_type == BROKER);
    let own = each.clone().filter(|result| result.error_code == 0);
    let own: Vec<i32> = own
        .filter_map(|result| result.resource_name.parse().ok())
        .collect();
    match own.as_slice() {
        [id] if *id == wanted => Identity::Same,
        [id] => Identity::Other(*id),
        // One that tells anybody's, and it may be a proxy, says nothing of itself.
        [_, _, ..] => Identity::Untold("it answers for several brokers".into()),
        [] => {
            let mut errors =
                each.filter_map(|result| ResponseError::try_from_code(result.error_code));
            let error = errors.next().map(|error| format!("it answers {error:?}"));
            Identity::Untold(error.unwrap_or_else(|| "it does not say".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;

    use super::*;

    #[test]
    fn a_broker_is_whose_settings_it_tells() {
        let of = |results: &[(&'static str, i16)], wanted| {
            let results = results.iter().map(|(name, code)| {
                DescribeConfigsResult::default()
                    .with_resource_type(BROKER)
                    .with_resource_name(StrBytes::from_static_str(name))
                    .with_error_code(*code)
            });
            let answer = DescribeConfigsResponse::default().with_results(results.collect());
            identity(&answer, wanted)
        };
        assert_eq!(of(&[("1", 0), ("2", 42)], 1), Identity::Same);
        assert_eq!(of(&[("1", 0), ("2", 42)], 2), Identity::Other(1));
        for untold in [
            &[][..],
            &[("1", 31), ("2", 31)],
            &[("1", 0), ("2", 0)],
            &[("x", 0)],
        ] {
            assert!(matches!(of(untold, 1), Identity::Untold(_)), "{untold:?}");
        }
    }
}
