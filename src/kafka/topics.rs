//! Making topics, how they are made, and how long they keep records.

use std::{collections::HashMap, time::Duration};

use rdkafka::{
    admin::{
        AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
        TopicReplication,
    },
    client::DefaultClientContext,
    error::KafkaError,
    types::RDKafkaErrorCode,
};

use super::{Cause, Kind, logged_in::LoggedIn};
use crate::{
    doctor::allow,
    metadata::{Settings, librdkafka},
};

/// How long making a topic may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The brokers' own default, for partitions and for replicas (KIP-464).
const DEFAULT: i32 = -1;

/// `segment.bytes` of a compacted topic: 64 MiB, which hosted brokers accept.
const COMPACTED_SEGMENT: &str = "67108864";

/// How a topic is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its partitions.
    pub partitions: usize,
    /// The replicas of each.
    pub replication: usize,
}

/// How a new topic is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum New {
    /// Its records are kept for `retention`, counted from when they got there, whatever
    /// time they carry.
    DeadLetters {
        /// How it is laid out.
        shape: Shape,
        /// How long records are kept.
        retention: Duration,
    },
    /// The last record of each key is kept, in one partition, so that all are in one order.
    Compacted,
    /// As the brokers' defaults are.
    Defaults,
}

/// Creates a topic. One that exists already is fine.
///
/// # Errors
/// When the brokers refuse; the text says what allows it, where something does.
pub async fn create_topic(settings: &Settings, topic: &str, new: New) -> Result<(), Cause> {
    let admin: LoggedIn<AdminClient<DefaultClientContext>> =
        super::create(settings, librdkafka::client(settings), DefaultClientContext)?;
    let (shape, retention) = match new {
        New::Defaults | New::Compacted => (None, None),
        New::DeadLetters { shape, retention } => (Some(shape), Some(retention)),
    };
    let compacted = new == New::Compacted;
    let count = |of: fn(Shape) -> usize| {
        let count = shape.map(of).map_or(Ok(DEFAULT), i32::try_from);
        count.map_err(Cause::other)
    };
    let replication = TopicReplication::Fixed(count(|shape| shape.replication)?);
    let retention = retention.map(|retention| retention.as_millis().to_string());
    let partitions = if compacted {
        1
    } else {
        count(|shape| shape.partitions)?
    };
    let mut new = NewTopic::new(topic, partitions, replication);
    if compacted {
        // Only closed segments are compacted, and the default size is 1 GiB.
        new = new
            .set("cleanup.policy", "compact")
            .set("segment.bytes", COMPACTED_SEGMENT);
    }
    if let Some(retention) = &retention {
        new = new
            .set("retention.ms", retention)
            .set("message.timestamp.type", "LogAppendTime");
    }
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    let created = admin.create_topics([&new], &options).await;
    // It waits for its thread.
    tokio::task::spawn_blocking(move || drop(admin));
    for result in created? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(refused(settings, topic, code)),
        }
    }
    Ok(())
}

/// How long topics keep records, in milliseconds; -1 is without end. A topic that can't be
/// described, for which it takes the right to describe its configuration, is left out.
pub async fn topic_retention(settings: &Settings, topics: &[String]) -> HashMap<String, i64> {
    let asked = retention(settings, topics).await;
    asked.unwrap_or_else(|cause| {
        tracing::debug!("how long topics keep records is not known: {cause}");
        HashMap::new()
    })
}

async fn retention(settings: &Settings, topics: &[String]) -> Result<HashMap<String, i64>, Cause> {
    let admin: LoggedIn<AdminClient<DefaultClientContext>> =
        super::create(settings, librdkafka::client(settings), DefaultClientContext)?;
    let resources: Vec<_> = topics
        .iter()
        .map(|topic| ResourceSpecifier::Topic(topic))
        .collect();
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let described = admin.describe_configs(&resources, &options).await;
    // It waits for its thread.
    tokio::task::spawn_blocking(move || drop(admin));
    let each = described?.into_iter().filter_map(|described| {
        let described = described.ok()?;
        let OwnedResourceSpecifier::Topic(topic) = &described.specifier else {
            return None;
        };
        let retention = described.get("retention.ms")?.value.clone()?;
        Some((topic.clone(), retention.parse().ok()?))
    });
    Ok(each.collect())
}

fn refused(settings: &Settings, topic: &str, code: RDKafkaErrorCode) -> Cause {
    let cause = Cause::from(KafkaError::AdminOp(code));
    let remedy = match (cause.kind, code) {
        (Kind::Forbidden, _) => {
            let command = allow(settings, &format!("--operation Create --topic {topic}"));
            format!("this client may not create {topic}; allowed by `{command}`")
        }
        (_, RDKafkaErrorCode::PolicyViolation) => format!(
            "the brokers' policy refuses {topic} as it would be; create it as the policy wants \
             it, such as with `dapr-rdkafka topics apply`"
        ),
        _ => return cause,
    };
    Cause {
        kind: cause.kind,
        text: format!("{}: {remedy}", cause.text),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::metadata;

    #[test]
    fn what_refuses_a_topic_has_its_remedy() {
        let given = [("brokers", "a:1"), ("authType", "none")];
        let given: HashMap<_, _> = given
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let settings = metadata::resolve(&given).expect("it is right").settings;
        let cause = |code| refused(&settings, "orders", code);
        let forbidden = cause(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(forbidden.kind, Kind::Forbidden);
        let command = "--operation Create --topic orders`";
        assert!(forbidden.text.ends_with(command), "{forbidden}");
        let policy = cause(RDKafkaErrorCode::PolicyViolation);
        assert!(policy.text.contains("topics apply"), "{policy}");
        let late = cause(RDKafkaErrorCode::OperationTimedOut);
        assert_eq!(late.kind, Kind::Unreachable);
    }
}
