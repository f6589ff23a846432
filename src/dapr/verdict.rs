//! What an answer on a pull stream means.
//!
//! daprd sends an error's text and nothing else, so the text decides.

use super::proto::PullMessagesRequest;
use crate::{
    engine::DeliveryId,
    model::{Outcome, dead_letter::cut},
};

/// Texts with which daprd gives back what it never put to the app: it is
/// stopping, reloading, or the subscription is gone. Found in dapr/dapr v1.16.5:
/// `pkg/runtime/subscription/subscription.go` and
/// `pkg/runtime/pubsub/streamer/streamer.go`. From 1.17.2 and 1.18.0 on daprd leaves
/// most such messages unanswered instead (dapr/dapr#9619).
const NO_VERDICT: [&str; 5] = [
    "subscription is closed",
    "stream closed",
    "no streamer subscribed",
    "no client stream expecting publish response",
    "context canceled",
];

/// What daprd puts before anything that the app, or the way to it, said; behind it
/// any text may stand, also one of the above.
const VERDICT: &str = "returned from app";

/// daprd's words when an HTTP app could not be reached: it is down, or cut
/// the connection (dapr/dapr v1.16.5,
/// `pkg/runtime/subscription/postman/http/http.go`). That says something of the
/// app, and nothing of the record. An app's own words may hold the same, further
/// behind.
const HTTP_UNREACHABLE: &str = "error returned from app channel";

/// daprd's words for a gRPC app, and how grpc-go words it then.
const GRPC: &str = "error returned from app while processing";
const GRPC_UNREACHABLE: [&str; 5] = [
    "code = Unavailable desc = connection error",
    "code = Unavailable desc = error reading from server",
    "code = Unavailable desc = closing transport",
    "code = Unavailable desc = transport is closing",
    "code = Canceled desc = grpc: the client connection is closing",
];

/// How daprd's HTTP client words that daprd itself has cancelled the call, because it stops.
const CANCELLED: &str = "context canceled";

/// How daprd words that the time of a resiliency policy was up, and how grpc-go does.
const TIMED_OUT: &str = "context deadline exceeded";
const GRPC_TIMED_OUT: &str = "code = DeadlineExceeded";

/// What there is of a bulk subscription's app that could not be reached: Go's own
/// words, without any of daprd's.
const BULK_UNREACHABLE: [&str; 3] = [
    "connect: connection refused",
    "connection reset by peer",
    ": EOF",
];

/// How a resiliency policy's circuit breaker, open and half-open, words that the app was not asked
/// (sony/gobreaker v1.0.0, `gobreaker.go`). An app may say the second itself, so it must be the whole text.
const BREAKER_OPEN: &str = "circuit breaker is open";
const BREAKER_HALF_OPEN: &str = "too many requests";

/// How Go words it that nobody listens at an address.
const REFUSED: &str = "connection refused";

/// Reads an answer; an error says what is wrong with it. The whole text decides, and
/// as much of it is kept as a dead letter holds: an app's answer may be a whole page.
pub(super) fn read(request: PullMessagesRequest) -> Result<(DeliveryId, Outcome), String> {
    let id = request.ack_message_id;
    let delivery = id.parse().map(DeliveryId).map_err(|_| {
        format!(
            "the answer names no message of this component: {:?}",
            cut(&id)
        )
    })?;
    let Some(error) = request.ack_error else {
        return Ok((delivery, Outcome::Ack));
    };
    let (said, kept) = (&error.message, cut(&error.message).to_owned());
    let outcome = if is_no_verdict(said) {
        Outcome::Unknown(kept)
    } else if is_not_asked(said) {
        Outcome::NotAsked(kept)
    } else if is_timed_out(said) {
        Outcome::TimedOut(kept)
    } else if is_unreachable(said) {
        if said.contains(REFUSED) {
            Outcome::Absent(kept)
        } else {
            Outcome::Unreachable(kept)
        }
    } else {
        Outcome::Nack(kept)
    };
    Ok((delivery, outcome))
}

fn is_no_verdict(text: &str) -> bool {
    let is_cancelled = is_daprds(text, HTTP_UNREACHABLE) && text.ends_with(CANCELLED);
    is_cancelled || !text.contains(VERDICT) && NO_VERDICT.iter().any(|known| text.contains(known))
}

/// An app may answer a gRPC call with the same code; that it lives is left open then.
fn is_timed_out(text: &str) -> bool {
    if is_daprds(text, GRPC) {
        return text.contains(GRPC_TIMED_OUT);
    }
    let is_daprds = is_daprds(text, HTTP_UNREACHABLE) || !text.contains(VERDICT);
    is_daprds && text.contains(TIMED_OUT)
}

fn is_not_asked(text: &str) -> bool {
    text == BREAKER_HALF_OPEN || !text.contains(VERDICT) && text.contains(BREAKER_OPEN)
}

fn is_unreachable(text: &str) -> bool {
    let any = |known: &[&str]| known.iter().any(|known| text.contains(known));
    if is_daprds(text, HTTP_UNREACHABLE) {
        return true;
    }
    if is_daprds(text, GRPC) {
        return any(&GRPC_UNREACHABLE);
    }
    !text.contains(VERDICT) && any(&BULK_UNREACHABLE)
}

/// Whether daprd itself says these words of the call to the app: they hold the first [`VERDICT`],
/// behind which alone an app's own words can stand. daprd may put something before them, such as
/// that a resiliency policy is used up (dapr/dapr#10656 in Dapr 1.19).
fn is_daprds(text: &str, words: &str) -> bool {
    let (Some(first), Some(within)) = (text.find(VERDICT), words.find(VERDICT)) else {
        return false;
    };
    let Some(start) = first.checked_sub(within) else {
        return false;
    };
    let is_there = text
        .get(start..)
        .is_some_and(|rest| rest.starts_with(words));
    // "retriable error returned from app", also with a capital letter, is an app's answer.
    is_there && !text[..start].to_ascii_lowercase().ends_with("retriable ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dapr::proto::AckMessageError;

    fn outcome(error: Option<&str>) -> Outcome {
        let request = PullMessagesRequest {
            ack_message_id: "7".into(),
            ack_error: error.map(|text| AckMessageError {
                message: text.into(),
            }),
            ..Default::default()
        };
        let (delivery, outcome) = read(request).expect("it names a message");
        assert_eq!(delivery, DeliveryId(7));
        outcome
    }

    #[test]
    fn no_error_is_an_ack() {
        assert_eq!(outcome(None), Outcome::Ack);
    }

    #[test]
    fn what_the_app_never_saw_is_no_verdict() {
        for text in [
            "subscription is closed",
            "stream closed",
            "no streamer subscribed to pubsub \"todo-pubsub\" topic \"task-created\"",
            "rpc error: code = Canceled desc = context canceled",
            "error returned from app channel while sending pub/sub event to app: Post \"http://127.0.0.1:8080/orders\": context canceled",
        ] {
            assert_eq!(outcome(Some(text)), Outcome::Unknown(text.into()));
        }
    }

    #[test]
    fn what_the_app_said_is_a_nack() {
        for text in [
            "RETRY status returned from app while processing pub/sub event 1: retriable error",
            "retriable error returned from app while processing pub/sub event 1, topic: t, body: stream closed. status code returned: 500",
            // The app relays what it heard itself.
            "retriable error returned from app while processing pub/sub event 1, topic: t, body: error returned from app channel. status code returned: 500",
            "error returned from app while processing pub/sub event 1: rpc error: code = Unavailable desc = the shop is closed",
            "retries exhausted: retriable error returned from app while processing pub/sub event 1, topic: t, body: error returned from app channel. status code returned: 500",
            "retries exhausted: retriable error returned from app while processing pub/sub event 1: rpc error: code = Unavailable desc = error reading from server",
            "returned from app",
            "Retriable error returned from app while processing bulk pub/sub event, topic: t. status code returned: 500, code = Unavailable desc = connection error",
            // An app's own words.
            "retriable error returned from app while processing pub/sub event 1, topic: t, body: context deadline exceeded. status code returned: 500",
            "retriable error returned from app while processing pub/sub event 1, topic: t, body: too many requests. status code returned: 429",
            "retriable error returned from app while processing pub/sub event 1, status code 500",
            "",
        ] {
            assert_eq!(outcome(Some(text)), Outcome::Nack(text.into()));
        }
    }

    #[test]
    fn a_policys_timeout_does_not_show_that_the_app_lives() {
        for text in [
            "context deadline exceeded",
            "error returned from app channel while sending pub/sub event to app: Post \"http://127.0.0.1:8080/orders\": context deadline exceeded",
            "error returned from app while processing pub/sub event 1: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        ] {
            assert_eq!(outcome(Some(text)), Outcome::TimedOut(text.into()));
        }
    }

    #[test]
    fn an_open_circuit_breaker_does_not_show_that_the_process_is_gone() {
        for text in ["circuit breaker is open", "too many requests"] {
            assert_eq!(outcome(Some(text)), Outcome::NotAsked(text.into()));
        }
    }

    #[test]
    fn an_app_that_cant_be_reached_says_nothing_of_the_record() {
        for text in [
            "retries exhausted: error returned from app channel while sending pub/sub event to app: EOF",
            "retries exhausted: error returned from app while processing pub/sub event 1: rpc error: code = Unavailable desc = error reading from server: EOF",
            "error returned from app while processing pub/sub event 1: rpc error: code = Unavailable desc = error reading from server: EOF",
            "error returned from app while processing pub/sub event 1: rpc error: code = Unavailable desc = closing transport due to: connection error: desc = \"error reading from server: EOF\", received prior goaway: code: NO_ERROR",
            "error returned from app while processing pub/sub event 1: rpc error: code = Canceled desc = grpc: the client connection is closing",
        ] {
            assert_eq!(outcome(Some(text)), Outcome::Unreachable(text.into()));
        }
    }

    #[test]
    fn an_app_that_nobody_can_connect_to_is_absent() {
        for text in [
            "error returned from app channel while sending pub/sub event to app: dial tcp: connection refused",
            "Post \"http://127.0.0.1:8080/orders\": dial tcp 127.0.0.1:8080: connect: connection refused",
            "error returned from app while processing pub/sub event 1: rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused\"",
        ] {
            assert_eq!(outcome(Some(text)), Outcome::Absent(text.into()));
        }
        // The app's own words, of something else that is down.
        let said = "retriable error returned from app while processing pub/sub event 1, topic: t, body: redis: connection refused. status code returned: 500";
        assert_eq!(outcome(Some(said)), Outcome::Nack(said.into()));
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_one_and_only_its_beginning_is_kept(
            id in proptest::prelude::any::<u64>(),
            text in ".{0,20}(stream closed|: EOF|returned from app|context deadline exceeded|circuit breaker is open|)(x|é){0,1200}",
        ) {
            let request = PullMessagesRequest {
                ack_message_id: id.to_string(),
                ack_error: Some(AckMessageError { message: text.clone() }),
                ..Default::default()
            };
            let (delivery, outcome) = read(request).expect("it names a message");
            proptest::prop_assert_eq!(delivery, DeliveryId(id));
            let (Outcome::Nack(kept)
            | Outcome::TimedOut(kept)
            | Outcome::Unknown(kept)
            | Outcome::Unreachable(kept)
            | Outcome::Absent(kept)
            | Outcome::NotAsked(kept)) = outcome
            else {
                panic!("an error is no ack, and no record is too large by what was said: {outcome:?}");
            };
            proptest::prop_assert!(text.starts_with(&kept) && kept.len() <= 1024);
        }

        #[test]
        fn an_id_of_another_is_named_with_its_beginning_only(id in "[^0-9]{1,3000}") {
            let request = PullMessagesRequest { ack_message_id: id, ..Default::default() };
            let error = read(request).expect_err("no message's id");
            proptest::prop_assert!(error.starts_with("the answer names no message"));
            proptest::prop_assert!(error.chars().count() < 12 * 1024, "{} characters", error.len());
        }
    }

    #[test]
    fn an_answer_to_nothing_says_so() {
        let error = read(PullMessagesRequest::default()).expect_err("no id");
        assert!(error.contains("names no message"), "{error}");
    }
}
