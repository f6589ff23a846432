//! Who is in a consumer group, as its coordinator tells.

use std::{collections::BTreeMap, time::Duration};

use bytes::Buf;
use harness::{Result, eventually};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    groups::GroupInfo,
};

const TIMEOUT: Duration = Duration::from_secs(20);

/// How long a group may take to settle: a member may have to wait for the answer
/// to its last heartbeat, and another for what its app works on.
const SETTLED: Duration = Duration::from_secs(60);

/// A member, by the name that its client goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    pub client: String,
    /// The partitions that it was assigned, by topic.
    pub partitions: BTreeMap<String, Vec<i32>>,
}

/// The members of a group, by their clients' names.
pub async fn members(brokers: &str, group: &str) -> Result<Vec<GroupMember>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let group = group.to_owned();
    tokio::task::spawn_blocking(move || {
        let client: BaseConsumer = config.create()?;
        let list = client.fetch_group_list(Some(&group), TIMEOUT)?;
        let members = list.groups().iter().flat_map(GroupInfo::members);
        let mut members = members
            .map(|member| {
                Ok(GroupMember {
                    client: member.client_id().to_owned(),
                    partitions: assignment(member.assignment().unwrap_or_default())?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        members.sort_unstable_by(|a, b| a.client.cmp(&b.client));
        Ok(members)
    })
    .await?
}

/// Waits until a group is as wanted.
pub async fn settled(
    brokers: &str,
    group: &str,
    what: &str,
    wanted: impl Fn(&[GroupMember]) -> bool,
) -> Result<Vec<GroupMember>> {
    let asked = eventually(what, SETTLED, || async {
        let members = members(brokers, group).await.ok()?;
        wanted(&members).then_some(members)
    });
    match asked.await {
        Ok(members) => Ok(members),
        Err(error) => {
            let members = members(brokers, group).await?;
            Err(format!("{error}; the group is {members:#?}").into())
        }
    }
}

/// What a leader wrote for a member: Kafka's `ConsumerProtocolAssignment`.
fn assignment(mut bytes: &[u8]) -> Result<BTreeMap<String, Vec<i32>>> {
    let mut partitions = BTreeMap::new();
    if bytes.is_empty() {
        return Ok(partitions);
    }
    let _version = bytes.try_get_i16()?;
    for _ in 0..bytes.try_get_i32()? {
        let length = usize::try_from(bytes.try_get_i16()?)?;
        let name = bytes.split_off(..length).ok_or("a name is cut off")?;
        let mut numbers = Vec::new();
        for _ in 0..bytes.try_get_i32()? {
            numbers.push(bytes.try_get_i32()?);
        }
        numbers.sort_unstable();
        partitions.insert(String::from_utf8(name.to_vec())?, numbers);
    }
    Ok(partitions)
}
