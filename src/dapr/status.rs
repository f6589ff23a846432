//! Our errors as gRPC's, which daprd puts into its own error to the app, and by whose codes a
//! Dapr resiliency policy may choose what to retry: docs/operations.md has the table.

use tonic::{Code, Status};

use crate::kafka::{Cause, Kind, Outgoing, SendError};

/// The code for a kind of cause.
fn code(kind: Kind) -> Code {
    match kind {
        Kind::Unreachable | Kind::Fatal => Code::Unavailable,
        Kind::UnknownTopic => Code::NotFound,
        Kind::TooLarge | Kind::OverTopicLimit | Kind::Invalid => Code::InvalidArgument,
        Kind::Forbidden => Code::PermissionDenied,
        Kind::QueueFull => Code::ResourceExhausted,
        Kind::BatchTooLarge | Kind::OutOfRange | Kind::Other => Code::Internal,
    }
}

pub(super) fn cause(what: &str, cause: &Cause) -> Status {
    Status::new(code(cause.kind), format!("{what}: {cause}"))
}

/// Publishing one record failed.
pub(super) fn publish(record: &Outgoing, error: &SendError) -> Status {
    let (kind, topic) = (error.cause.kind, &record.topic);
    let remedy = match (kind, record.partition) {
        // librdkafka has one error for both.
        (Kind::UnknownTopic, Some(partition)) => format!(
            " (the topic has no partition {partition}, which partitionNumber asks for, or does not \
             exist)"
        ),
        _ => remedy(kind).to_owned(),
    };
    Status::new(
        code(kind),
        format!("publishing to topic {topic} failed: {error}{remedy}"),
    )
}

/// Publishing some records of a bulk failed. daprd reads failed entries only
/// when there is an error too, so their ids stand in its text.
pub(super) fn bulk_publish(topic: &str, total: usize, failed: &[(String, Status)]) -> Status {
    let count = failed.len();
    let what =
        format!("{count} of {total} entries were not published to topic {topic}, the others were");
    of_entries(&what, failed)
}

/// Some entries of a bulk can't be published, which is known before the first is sent.
pub(super) fn bulk_refused(topic: &str, total: usize, refused: &[(String, Status)]) -> Status {
    let count = refused.len();
    let what = format!(
        "nothing was published to topic {topic}, since {count} of {total} entries can't be"
    );
    of_entries(&what, refused)
}

fn of_entries(what: &str, failed: &[(String, Status)]) -> Status {
    let code = failed
        .first()
        .map_or(Code::Internal, |(_, status)| status.code());
    let shown: Vec<_> = failed
        .iter()
        .take(SHOWN_ENTRIES)
        .map(|(id, status)| format!("[entry {id}: {}]", status.message()))
        .collect();
    let more = match failed.len().saturating_sub(SHOWN_ENTRIES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Status::new(code, format!("{what}: {}{more}", shown.join(" ")))
}

/// An error's text travels as an HTTP/2 header, which has its limits.
const SHOWN_ENTRIES: usize = 20;

fn remedy(kind: Kind) -> &'static str {
    match kind {
        Kind::TooLarge => " (raise the component's maxMessageBytes, or publish smaller messages)",
        Kind::OverTopicLimit => " (raise that, or publish smaller messages)",
        Kind::UnknownTopic => " (create the topic, or let the broker create topics)",
        Kind::QueueFull => " (brokers take records more slowly than they are published)",
        Kind::Unreachable
        | Kind::Invalid
        | Kind::Forbidden
        | Kind::BatchTooLarge
        | Kind::OutOfRange
        | Kind::Fatal
        | Kind::Other => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: Kind, text: &str, partition: Option<i32>) -> Status {
        let record = Outgoing {
            topic: "orders".into(),
            partition,
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp: None,
        };
        let text = text.to_owned();
        publish(&record, &SendError::from(Cause { kind, text }))
    }

    fn too_large() -> Status {
        failed(Kind::TooLarge, "Message size too large", None)
    }

    #[test]
    fn the_runbook_has_the_code_of_each_failed_publish() {
        let page = include_str!("../../docs/operations.md");
        let (_, table) = page
            .split_once("#### Retry failed publishes by Dapr")
            .expect("it has the section");
        for (kind, code, retry) in [
            (Kind::Unreachable, "`Unavailable` (14)", "yes"),
            (Kind::Fatal, "`Unavailable` (14)", "yes"),
            (Kind::QueueFull, "`ResourceExhausted` (8)", "yes"),
            (Kind::Other, "`Internal` (13)", "yes"),
            (Kind::BatchTooLarge, "`Internal` (13)", "yes"),
            (Kind::UnknownTopic, "`NotFound` (5)", "no"),
            (Kind::Forbidden, "`PermissionDenied` (7)", "no"),
            (Kind::TooLarge, "`InvalidArgument` (3)", "no"),
            (Kind::OverTopicLimit, "`InvalidArgument` (3)", "no"),
            (Kind::Invalid, "`InvalidArgument` (3)", "no"),
        ] {
            let own = super::code(kind);
            assert_eq!(code, format!("`{own:?}` ({})", own as i32));
            let row = table
                .lines()
                .find(|line| line.starts_with(&format!("| {code} |")));
            let row = row.unwrap_or_else(|| panic!("{code} is not in the table"));
            let last = row.trim_end_matches(" |").rsplit(" | ").next();
            assert!(last.is_some_and(|last| last.starts_with(retry)), "{row}");
        }
    }

    #[test]
    fn a_failed_publish_names_topic_cause_fate_and_remedy() {
        let status = too_large();
        assert_eq!(status.code(), Code::InvalidArgument);
        for part in ["orders", "too large", "was not written", "maxMessageBytes"] {
            assert!(status.message().contains(part), "{part}: {status}");
        }
    }

    #[test]
    fn a_partition_that_is_not_there_is_named() {
        let status = failed(Kind::UnknownTopic, "Unknown partition", Some(99));
        assert_eq!(status.code(), Code::NotFound);
        for part in ["orders", "no partition 99", "partitionNumber"] {
            assert!(status.message().contains(part), "{part}: {status}");
        }
        let status = failed(Kind::UnknownTopic, "Unknown topic", None);
        assert!(status.message().contains("create the topic"), "{status}");
    }

    #[test]
    fn a_failed_bulk_names_its_entries_and_stays_short() {
        let failed: Vec<_> = (0..100).map(|id| (format!("e{id}"), too_large())).collect();
        let text = bulk_publish("orders", 500, &failed).message().to_owned();
        assert!(text.starts_with("100 of 500 entries"), "{text}");
        assert!(text.contains("[entry e0: ") && text.contains("[entry e19: "));
        assert!(text.ends_with("and 80 more"));
        assert!(text.len() < 8000, "{}", text.len());
        let refused = bulk_refused("orders", 500, &failed);
        let beginning = "nothing was published to topic orders, since 100 of 500 entries can't be";
        assert!(refused.message().starts_with(beginning), "{refused}");
    }
}
