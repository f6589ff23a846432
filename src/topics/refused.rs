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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::metadata;

    #[test]
    fn a_refusal_says_what_helps() {
        let given = [("brokers", "a:1,b:2"), ("authType", "none")];
        let given: HashMap<_, _> = given
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let settings = metadata::resolve(&given).expect("it is right").settings;
        let said =
            |code, message| refused(&settings, code, message, "--operation Create --topic t");
        let command = "allowed by `kafka-acls.sh --bootstrap-server a:1,b:2 --add \
                       --allow-principal User:ANONYMOUS --operation Create --topic t`";
        for (code, name) in [
            (29, "TOPIC_AUTHORIZATION_FAILED"),
            (31, "CLUSTER_AUTHORIZATION_FAILED"),
        ] {
            assert_eq!(said(code, None), format!("{name}; {command}"));
        }
        let policy = said(44, Some("two replicas at least"));
        assert!(policy.starts_with("POLICY_VIOLATION: two replicas at least; "));
        assert!(policy.contains("policy"), "{policy}");
        assert!(said(36, None).contains("run the command again"));
        assert_eq!(said(40, Some("no number")), "INVALID_CONFIG: no number");
    }
}
