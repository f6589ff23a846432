//! What brokers refuse, and what allows it.

use kafka_protocol::error::ResponseError;

use crate::{
    doctor::{allow, told},
    metadata::Settings,
};

/// A refusal in words; `on` is what the client must be allowed, such as
/// `--operation Create --topic orders`.
pub(super) fn refused(settings: &Settings, code: i16, message: Option<&str>, on: &str) -> String {
    let words = told(code, message);
    match ResponseError::try_from_code(code) {
        Some(
            ResponseError::TopicAuthorizationFailed | ResponseError::ClusterAuthorizationFailed,
        ) => format!("{words}; allowed by `{}`", allow(settings, on)),
        Some(ResponseError::PolicyViolation) => {
            format!(
                "{words}; the brokers' own policy (create.topic.policy.class.name, or \
                     alter.config.policy.class.name) says what they take"
            )
        }
        Some(ResponseError::TopicAlreadyExists) => {
            format!("{words}; it has come into being meanwhile: run the command again")
        }
        Some(ResponseError::NotController) => {
            format!("{words}; the controller has moved: run the command again")
        }
        _ => words,
    }
}
