//! What an answer on a pull stream means.
//!
//! daprd sends an error's text and nothing else, so the text decides.

use super::proto::PullMessagesRequest;
use crate::{engine::DeliveryId, model::Outcome};

/// Texts with which daprd gives back what it never put to the app: it is
/// stopping, reloading, or the subscription is gone. Found in dapr/dapr v1.16.5:
/// `pkg/runtime/subscription/subscription.go` and
/// `pkg/runtime/pubsub/streamer/streamer.go`.
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

/// Reads an answer; an error says what is wrong with it.
pub(super) fn read(request: PullMessagesRequest) -> Result<(DeliveryId, Outcome), String> {
    let id = request.ack_message_id;
    let delivery = id
        .parse()
        .map(DeliveryId)
        .map_err(|_| format!("the answer names no message of this component: {id:?}"))?;
    let outcome = match request.ack_error {
        None => Outcome::Ack,
        Some(error) if is_no_verdict(&error.message) => Outcome::Unknown(error.message),
        Some(error) => Outcome::Nack(error.message),
    };
    Ok((delivery, outcome))
}

fn is_no_verdict(text: &str) -> bool {
    !text.contains(VERDICT) && NO_VERDICT.iter().any(|known| text.contains(known))
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
        ] {
            assert_eq!(outcome(Some(text)), Outcome::Unknown(text.into()));
        }
    }

    #[test]
    fn what_the_app_said_is_a_nack() {
        for text in [
            "RETRY status returned from app while processing pub/sub event 1: retriable error",
            "error returned from app channel while sending pub/sub event to app: dial tcp: connection refused",
            "error returned from app channel while sending pub/sub event to app: context canceled",
            "retriable error returned from app while processing pub/sub event 1, topic: t, body: stream closed. status code returned: 500",
            // A resiliency policy's timeout: the app was too slow.
            "context deadline exceeded",
            "retriable error returned from app while processing pub/sub event 1, status code 500",
            "",
        ] {
            assert_eq!(outcome(Some(text)), Outcome::Nack(text.into()));
        }
    }

    #[test]
    fn an_answer_to_nothing_says_so() {
        let error = read(PullMessagesRequest::default()).expect_err("no id");
        assert!(error.contains("names no message"), "{error}");
    }
}
