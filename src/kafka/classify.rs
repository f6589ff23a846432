//! What a librdkafka error means, decided in one place.

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

/// Something that Kafka, or the way to it, refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Cause {
    /// The kind, for those who act on it.
    pub kind: Kind,
    /// What happened, for those who read it.
    pub text: String,
}

/// Kinds of causes, as far as someone acts on them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No broker could be reached, or none in time.
    Unreachable,
    /// The topic or partition does not exist.
    UnknownTopic,
    /// The record is over the setting `maxMessageBytes`.
    TooLarge,
    /// The batch that the record was in is too large for the topic.
    BatchTooLarge,
    /// The record alone is too large for the topic.
    OverTopicLimit,
    /// The name or the record is not allowed by Kafka.
    Invalid,
    /// An ACL forbids it.
    Forbidden,
    /// The local queue is full: the brokers take less than is published.
    QueueFull,
    /// The position does not exist on the broker any more.
    OutOfRange,
    /// The client is broken for good: only a new one helps.
    Fatal,
    /// Anything else.
    Other,
}

impl Kind {
    /// Whether a failed send shows that a broker is there, because it refused the record. A queue
    /// that is full, and a record that librdkafka itself refuses, say nothing of brokers.
    pub(super) fn shows_a_broker(self) -> bool {
        match self {
            Self::UnknownTopic
            | Self::BatchTooLarge
            | Self::OverTopicLimit
            | Self::Forbidden
            | Self::OutOfRange
            | Self::Other => true,
            Self::Unreachable | Self::TooLarge | Self::Invalid | Self::QueueFull | Self::Fatal => {
                false
            }
        }
    }
}

impl Cause {
    /// A cause that nobody acts on differently.
    pub(super) fn other(what: impl std::fmt::Display) -> Self {
        Self {
            kind: Kind::Other,
            text: what.to_string(),
        }
    }

    /// A call ended before it had an answer: a fault of this program, which is logged.
    pub fn ended_early() -> Self {
        Self::other("the call ended early")
    }
}

impl From<KafkaError> for Cause {
    fn from(error: KafkaError) -> Self {
        match (error.rdkafka_error_code(), error) {
            // Without the value, which may be a password.
            (_, KafkaError::ClientConfig(_, reason, name, _)) => {
                Self::other(format!("librdkafka refuses {name}: {reason}"))
            }
            (_, KafkaError::Nul(_)) => Self::other(
                "a key's value has a zero byte in it, which librdkafka can't take; remove it",
            ),
            // Of these rdkafka (0.39) tells no code.
            (Some(code), _) | (None, KafkaError::AdminOp(code)) => Self {
                kind: kind(code),
                text: code.to_string(),
            },
            (None, error) => Self::other(error),
        }
    }
}

fn kind(code: Code) -> Kind {
    match code {
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::MessageTimedOut
        | Code::RequestTimedOut
        | Code::TimedOutQueue
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend => Kind::Unreachable,
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            Kind::UnknownTopic
        }
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => Kind::BatchTooLarge,
        Code::InvalidTopic | Code::InvalidMessage | Code::InvalidRecord => Kind::Invalid,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed => Kind::Forbidden,
        Code::QueueFull => Kind::QueueFull,
        Code::AutoOffsetReset | Code::OffsetOutOfRange => Kind::OutOfRange,
        Code::Fatal => Kind::Fatal,
        _ => Kind::Other,
    }
}

/// A client's fatal error, with what helps where something does. librdkafka gives
/// the first code for an `InitProducerId` that the broker refuses, the second if
/// no broker knows that request.
pub(super) fn fatal(code: Code, reason: &str) -> Cause {
    let remedy = match code {
        Code::ClusterAuthorizationFailed | Code::TransactionalIdAuthorizationFailed => {
            " (the broker refuses idempotent writes: allow this client IdempotentWrite on the \
             cluster, or set `idempotence: \"false\"`)"
        }
        Code::UnsupportedFeature => {
            " (the broker knows no idempotent writes: set `idempotence: \"false\"`)"
        }
        _ => "",
    };
    Cause {
        kind: Kind::Fatal,
        text: format!("the client is broken for good and is made anew: {reason}{remedy}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_librdkafka_refuses_itself_shows_no_broker() {
        let shows = |code| {
            Cause::from(KafkaError::MessageProduction(code))
                .kind
                .shows_a_broker()
        };
        for code in [
            Code::TopicAuthorizationFailed,
            Code::UnknownTopicOrPartition,
            Code::MessageSizeTooLarge,
        ] {
            assert!(shows(code), "{code:?}");
        }
        for code in [Code::QueueFull, Code::MessageTimedOut] {
            assert!(!shows(code), "{code:?}");
        }
        assert!(!Kind::TooLarge.shows_a_broker());
    }

    #[test]
    fn refused_idempotence_has_its_remedy() {
        for code in [Code::ClusterAuthorizationFailed, Code::UnsupportedFeature] {
            let cause = fatal(code, "Failed to acquire PID");
            assert_eq!(cause.kind, Kind::Fatal);
            assert!(cause.text.contains("idempotence: \"false\""), "{cause}");
        }
        let other = fatal(Code::OutOfOrderSequenceNumber, "gap").text;
        assert!(!other.contains("idempotence"), "{other}");
    }

    #[test]
    fn a_refused_setting_is_named_without_its_value() {
        let mut config = rdkafka::ClientConfig::new();
        config.set("acks", "s3cr3t");
        let refused = config.create::<rdkafka::producer::BaseProducer>();
        let cause = Cause::from(refused.err().expect("it is no number"));
        assert!(cause.text.contains("refuses acks"), "{cause}");
        config.set("acks", "all").set("sasl.password", "s3cr3t\0");
        let refused = config.create::<rdkafka::producer::BaseProducer>();
        let zero = Cause::from(refused.err().expect("it has a zero byte"));
        assert!(zero.text.contains("zero byte"), "{zero}");
        assert!(
            !format!("{cause:?}{zero:?}").contains("s3cr3t"),
            "{cause} {zero}"
        );
    }

    #[test]
    fn error_codes_have_their_kinds() {
        let kind = |code| Cause::from(KafkaError::MessageProduction(code)).kind;
        assert_eq!(kind(Code::MessageSizeTooLarge), Kind::BatchTooLarge);
        assert_eq!(kind(Code::UnknownTopic), Kind::UnknownTopic);
        assert_eq!(kind(Code::MessageTimedOut), Kind::Unreachable);
        assert_eq!(kind(Code::TopicAuthorizationFailed), Kind::Forbidden);
        assert_eq!(kind(Code::AutoOffsetReset), Kind::OutOfRange);
        let refused = KafkaError::AdminOp(Code::TopicAuthorizationFailed);
        assert_eq!(Cause::from(refused).kind, Kind::Forbidden);
    }
}
