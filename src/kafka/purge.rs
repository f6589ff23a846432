use std::{sync::atomic::AtomicBool, time::Duration};

use rdkafka::{
    admin::{AdminClient, AdminOptions},
    error::KafkaError,
    types::RDKafkaErrorCode,
};

use super::{
    Cause, Kind,
    context::{Context, Failures},
    convert,
    logged_in::LoggedIn,
};
use crate::{
    metadata::{Settings, librdkafka},
    model::{Offset, TopicPartition},
};

/// How long the brokers may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Deletes all records of partitions that stand before these offsets, for good, and says
/// of each partition what came of it.
///
/// # Errors
/// When the request failed as a whole; some may be deleted all the same.
pub async fn delete_records(
    settings: &Settings,
    instance: &str,
    before: &[(TopicPartition, Offset)],
) -> Result<Vec<(TopicPartition, Result<(), Cause>)>, Cause> {
    let context = Context {
        instance: instance.into(),
        failures: Failures::default(),
        signals: None,
        closing: AtomicBool::new(false),
    };
    let admin: LoggedIn<AdminClient<Context>> =
        super::create(settings, librdkafka::client(settings), context)?;
    let list = convert::list(before.iter().map(|(at, offset)| (at, *offset)))?;
    let options = AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT));
    let deleted = admin.delete_records(&list, &options).await;
    let deleted = deleted.map_err(explained)?;
    let each = deleted.elements().into_iter().map(|element| {
        let at = TopicPartition::new(element.topic(), element.partition());
        (at, element.error().map_err(explained))
    });
    Ok(each.collect())
}

/// A cause with what it takes to delete.
fn explained(error: KafkaError) -> Cause {
    let code = error.rdkafka_error_code();
    let mut cause = Cause::from(error);
    if cause.kind == Kind::Forbidden {
        cause.text += " (it takes the right to delete from the topic)";
    }
    if code == Some(RDKafkaErrorCode::PolicyViolation) {
        cause.text += " (Kafka deletes no records of a topic with cleanup.policy=compact)";
    }
    cause
}
