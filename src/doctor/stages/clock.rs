//! Whether the clocks agree.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DescribeQuorumRequest, DescribeQuorumResponse, TopicName,
        describe_quorum_request::{PartitionData, TopicData},
    },
    protocol::StrBytes,
};

use crate::{
    doctor::{
        Finding, Fix, Seen, Stage,
        context::Context,
        rows,
        stages::{Cluster, cluster::shown, permissions},
    },
    metadata::security::Security,
};

/// How far clocks may be apart.
const CLOSE: Duration = Duration::from_secs(10);

/// The topic that the quorum writes.
const QUORUM: &str = "__cluster_metadata";

/// The version from which on times are told.
const WITH_TIMES: i16 = 1;

/// The leader of the quorum, and its clock.
#[derive(Debug, PartialEq, Eq)]
struct Leader {
    id: i32,
    /// In milliseconds since 1970.
    now: i64,
}

/// How far a clock is from ours, at least.
#[derive(Debug, PartialEq, Eq)]
enum Apart {
    Ahead(Duration),
    Behind(Duration),
}

/// Compares this machine's clock with that of the quorum's leader.
pub(in crate::doctor) async fn check(context: &Context<'_>, cluster: &mut Cluster) {
    let (recorder, stage) = (context.recorder, Stage::Clock);
    let skip = |why: &str| recorder.skipped(stage, "clock", why);
    let topic = TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str(QUORUM)))
        .with_partitions(vec![PartitionData::default()]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let before = now();
    let answer = cluster.any().ask(&request, context.until()).await;
    let after = now();
    let answer = match answer {
        Ok(answer) if answer.version < WITH_TIMES => {
            return skip("the broker is older than Kafka 3.3 and does not tell its time");
        }
        Ok(answer) => answer,
        Err(broken) => return skip(&shown(&broken.to_string())),
    };
    let leader = match leader(&answer.value, &context.settings.security) {
        Ok(leader) => leader,
        Err(why) => return skip(&why),
    };
    let subject = format!("clock of node {}", leader.id);
    match apart(before, leader.now, after) {
        None => {
            let seen = Seen::by(&answer, "agrees with this machine's to 10 s");
            recorder.fine(stage, subject, seen);
        }
        Some(apart) => {
            let (by, relation) = match apart {
                Apart::Ahead(by) => (by, "ahead of"),
                Apart::Behind(by) => (by, "behind"),
            };
            let cause = format!(
                "the clock of node {}, which leads the quorum, is {} {relation} this machine's",
                leader.id,
                humantime::format_duration(Duration::from_secs(by.as_secs()))
            );
            let fix = Fix::words("have both machines' clocks set by NTP");
            recorder.found(subject, Finding::new(&rows::clock::SKEW, cause, fix));
        }
    }
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// The leader and its time. It tells of itself that it was up to date when it answered.
fn leader(answer: &DescribeQuorumResponse, security: &Security) -> Result<Leader, String> {
    error(answer.error_code, security)?;
    let mut topics = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let partition = topics.next().ok_or("the broker tells of no quorum")?;
    error(partition.error_code, security)?;
    let id = partition.leader_id.0;
    let mut voters = partition.current_voters.iter();
    let own = voters.find(|voter| voter.replica_id.0 == id);
    let now = own.map(|own| own.last_caught_up_timestamp);
    match now.filter(|now| *now > 0) {
        Some(now) => Ok(Leader { id, now }),
        None => Err("the broker does not tell the time of the quorum's leader".into()),
    }
}

fn error(code: i16, security: &Security) -> Result<(), String> {
    match ResponseError::try_from_code(code) {
        None => Ok(()),
        Some(ResponseError::ClusterAuthorizationFailed) => {
            let command = permissions::allow(security, "--operation Describe --cluster");
            Err(format!(
                "this user may not ask for the quorum; allowed by `{command}`"
            ))
        }
        Some(_) => Err(format!("the broker answers {}", permissions::error(code))),
    }
}

/// How far a time is from ours at least, if that is too far: it was read between the two.
fn apart(before: i64, theirs: i64, after: i64) -> Option<Apart> {
    let millis = |from: i64, to: i64| {
        let between = to.saturating_sub(from);
        Duration::from_millis(u64::try_from(between).unwrap_or(0))
    };
    let (behind, ahead) = (millis(theirs, before), millis(after, theirs));
    if ahead > CLOSE {
        Some(Apart::Ahead(ahead))
    } else if behind > CLOSE {
        Some(Apart::Behind(behind))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_there_and_back_is_no_difference() {
        for theirs in [90_000, 100_000, 130_000, 140_000] {
            assert_eq!(apart(100_000, theirs, 130_000), None, "{theirs}");
        }
        let ahead = Apart::Ahead(Duration::from_millis(10_001));
        assert_eq!(apart(100_000, 140_001, 130_000), Some(ahead));
        let behind = Apart::Behind(Duration::from_millis(10_001));
        assert_eq!(apart(100_000, 89_999, 130_000), Some(behind));
        assert!(apart(i64::MAX, i64::MIN, i64::MAX).is_some());
    }
}
