//! Our errors as gRPC's, which daprd puts into its own error to the app.

use tonic::{Code, Status};

use crate::kafka::{Cause, Kind, SendError};

/// The code for a kind of cause.
fn code(kind: Kind) -> Code {
    match kind {
        Kind::Unreachable | Kind::Fatal => Code::Unavailable,
        Kind::UnknownTopic => Code::NotFound,
        Kind::TooLarge | Kind::Invalid => Code::InvalidArgument,
        Kind::Forbidden => Code::PermissionDenied,
        Kind::QueueFull => Code::ResourceExhausted,
        Kind::OutOfRange | Kind::Other => Code::Internal,
    }
}

pub(super) fn cause(what: &str, cause: &Cause) -> Status {
    Status::new(code(cause.kind), format!("{what}: {cause}"))
}

/// Publishing one record failed.
pub(super) fn publish(topic: &str, error: &SendError) -> Status {
    let remedy = remedy(error.cause.kind);
    Status::new(
        code(error.cause.kind),
        format!("publishing to topic {topic} failed: {error}{remedy}"),
    )
}

/// Publishing some records of a bulk failed. daprd reads failed entries only
/// when there is an error too, so their ids stand in its text.
pub(super) fn bulk_publish(topic: &str, total: usize, failed: &[(String, Status)]) -> Status {
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
    let count = failed.len();
    Status::new(
        code,
        format!(
            "{count} of {total} entries were not published to topic {topic}, the others were: {}{more}",
            shown.join(" ")
        ),
    )
}

/// An error's text travels as an HTTP/2 header, which has its limits.
const SHOWN_ENTRIES: usize = 20;

fn remedy(kind: Kind) -> &'static str {
    match kind {
        Kind::TooLarge => {
            " (raise the component's maxMessageBytes, and the topic's max.message.bytes if the broker refused it)"
        }
        Kind::UnknownTopic => " (create the topic, or let the broker create topics)",
        Kind::QueueFull => " (brokers take records more slowly than they are published)",
        Kind::Unreachable
        | Kind::Invalid
        | Kind::Forbidden
        | Kind::OutOfRange
        | Kind::Fatal
        | Kind::Other => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn too_large() -> SendError {
        SendError::from(Cause {
            kind: Kind::TooLarge,
            text: "Message size too large".into(),
        })
    }

    #[test]
    fn a_failed_publish_names_topic_cause_fate_and_remedy() {
        let status = publish("orders", &too_large());
        assert_eq!(status.code(), Code::InvalidArgument);
        for part in ["orders", "too large", "was not written", "maxMessageBytes"] {
            assert!(status.message().contains(part), "{part}: {status}");
        }
    }

    #[test]
    fn a_failed_bulk_names_its_entries_and_stays_short() {
        let failed: Vec<_> = (0..100)
            .map(|id| (format!("e{id}"), publish("orders", &too_large())))
            .collect();
        let text = bulk_publish("orders", 500, &failed).message().to_owned();
        assert!(text.starts_with("100 of 500 entries"), "{text}");
        assert!(text.contains("[entry e0: ") && text.contains("[entry e19: "));
        assert!(text.ends_with("and 80 more"));
        assert!(text.len() < 8000, "{}", text.len());
    }
}
