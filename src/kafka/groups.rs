//! Who is in a consumer group.

use std::{collections::BTreeSet, time::Duration};

use rdkafka::consumer::Consumer as _;

use super::{Browser, Cause};

/// How long the brokers may take: all of them are asked.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The members of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// How many there are.
    pub count: usize,
    /// The topics that they subscribe to, or have partitions of.
    pub topics: BTreeSet<String>,
}

impl Browser {
    /// A group's members; none if there is no such group, or this login may not see it.
    ///
    /// # Errors
    /// When a broker does not answer.
    pub async fn members(&self, group: &str) -> Result<Members, Cause> {
        let group = group.to_owned();
        self.blocking(move |consumer| {
            let groups = consumer.fetch_group_list(Some(&group), TIMEOUT)?;
            let found = groups.groups().iter().find(|found| found.name() == group);
            let Some(found) = found else {
                return Ok(Members::default());
            };
            let members = found.members();
            let topics = members.iter().flat_map(|member| {
                let subscribed = member.metadata().map(|bytes| topics(bytes, false));
                let assigned = member.assignment().map(|bytes| topics(bytes, true));
                [subscribed, assigned].into_iter().flatten().flatten()
            });
            Ok(Members {
                count: members.len(),
                topics: topics.collect(),
            })
        })
        .await
    }
}

/// The topics that a member's subscription or assignment begins with: both are a version, and an
/// array whose elements begin with a topic's name. An assignment's elements go on with partition
/// ids (`ConsumerProtocolSubscription.json` and `ConsumerProtocolAssignment.json` of Kafka).
/// Members write them, so nothing in them is trusted.
fn topics(bytes: &[u8], with_partitions: bool) -> Vec<String> {
    read(bytes, with_partitions).unwrap_or_default()
}

/// The same; `None` if it is cut off.
fn read(bytes: &[u8], with_partitions: bool) -> Option<Vec<String>> {
    let mut rest = bytes.get(2..)?;
    let count = number(&mut rest, 4)?;
    let mut topics = Vec::new();
    for _ in 0..count {
        let length = number(&mut rest, 2)?;
        let name = rest.split_off(..length)?;
        topics.push(String::from_utf8(name.to_vec()).ok()?);
        if with_partitions {
            let ids = number(&mut rest, 4)?;
            rest.split_off(..ids.checked_mul(4)?)?;
        }
    }
    Some(topics)
}

/// The next number of so many bytes, if it is a length.
fn number(rest: &mut &[u8], size: usize) -> Option<usize> {
    let bytes = rest.split_off(..size)?;
    let number = bytes
        .iter()
        .fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    let negative = bytes[0] & 0x80 != 0;
    (!negative).then(|| usize::try_from(number).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A subscription to these topics, or an assignment of one partition of each.
    fn written(names: &[&str], with_partitions: bool) -> Vec<u8> {
        let mut bytes = vec![0, 1];
        let length = |count: usize| u32::try_from(count).expect("it is small").to_be_bytes();
        bytes.extend(length(names.len()));
        for name in names {
            bytes.extend(&length(name.len())[2..]);
            bytes.extend(name.as_bytes());
            if with_partitions {
                bytes.extend([0, 0, 0, 1, 0, 0, 0, 7]);
            }
        }
        bytes
    }

    #[test]
    fn topics_of_a_subscription_and_of_an_assignment_are_read() {
        for with_partitions in [false, true] {
            let mut bytes = written(&["orders", "tasks"], with_partitions);
            // The member's own data.
            bytes.extend([0, 0, 0, 1, 9]);
            let read = topics(&bytes, with_partitions);
            assert_eq!(read, ["orders", "tasks"], "{with_partitions}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_member_writes_breaks_it(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            with_partitions in any::<bool>(),
        ) {
            topics(&bytes, with_partitions);
        }
    }
}
