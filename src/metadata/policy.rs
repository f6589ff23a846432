//! What happens to the refused records of one subscription: the component's
//! settings, and what the subscription's own metadata says.

use std::{collections::HashMap, time::Duration};

use super::{Acks, Group, Problem, Settings, duration, parse, settings::BackOffPolicy};
use crate::model::{Backoff, Policy, topic::check_topic};

/// dapr/kit's defaults (v0.16.1, `retry/retry.go`), of which the exponential ones
/// are cenkalti/backoff's (v4, `exponential.go`).
const CONSTANT: Duration = Duration::from_secs(5);
const INITIAL_INTERVAL: Duration = Duration::from_millis(500);
const MAX_INTERVAL: Duration = Duration::from_secs(60);
const MULTIPLIER: f64 = 1.5;
const RANDOMIZATION: f64 = 0.5;
const MAX_ELAPSED: Duration = Duration::from_secs(15 * 60);

/// Attempts if there is a dead-letter topic and nothing says how many: with it
/// one wants records to get there.
const ATTEMPTS: u32 = 10;

/// The restart of an app takes less.
const MIN_AGE: Duration = Duration::from_secs(120);

/// How long daprd lets Init take by default (dapr/dapr v1.18.3,
/// `pkg/runtime/processor/components.go`).
const INIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Names the keys that a subscription's metadata may give.
const DEAD_LETTER_TOPIC: &str = "deadLetterTopic";
const MAX_DELIVERY_ATTEMPTS: &str = "maxDeliveryAttempts";
const MAX_BREAKS: &str = "maxBreaks";

impl Settings {
    /// The policy for a topic, given the subscription's own metadata.
    ///
    /// # Errors
    /// When the subscription's metadata can't be used, naming key and value.
    pub fn policy(
        &self,
        topic: &str,
        subscription: &HashMap<String, String>,
    ) -> Result<Policy, String> {
        let own = |key| value(subscription, key);
        let dead_letter = own(DEAD_LETTER_TOPIC)?.or(self.dead_letter.topic.as_deref());
        let dead_letter = match dead_letter {
            Some(template) => Some(dead_letter_topic(topic, template)?.into()),
            None => None,
        };
        let attempts = |key| {
            let parsed = own(key)?.map(|text| {
                parse::attempts(text).map_err(|expected| format!("{key}: \"{text}\": {expected}"))
            });
            parsed.transpose()
        };
        let max_attempts = attempts(MAX_DELIVERY_ATTEMPTS)?.or(self.dead_letter.max_attempts);
        let max_breaks = attempts(MAX_BREAKS)?.or(self.dead_letter.max_breaks);
        let once = !self.retry.enabled && max_attempts.is_none();
        let max_attempts =
            max_attempts
                .or(once.then_some(1))
                .or(match self.retry.back_off.max_retries {
                    // A negative number is no bound.
                    Some(retries) => u32::try_from(retries).ok().map(|retries| retries + 1),
                    None => dead_letter.is_some().then_some(ATTEMPTS),
                });
        let min_age = if once { Duration::ZERO } else { MIN_AGE };
        Ok(Policy {
            backoff: self.backoff(),
            max_attempts,
            max_elapsed: self.max_elapsed(),
            max_breaks,
            dead_letter,
            min_age: self.dead_letter.min_age.unwrap_or(min_age),
        })
    }

    fn backoff(&self) -> Backoff {
        let given = &self.retry.back_off;
        if self.has_back_off() {
            return match given.policy.unwrap_or_default() {
                BackOffPolicy::Constant => Backoff::Constant(given.duration.unwrap_or(CONSTANT)),
                BackOffPolicy::Exponential => Backoff::Exponential {
                    initial: given.initial_interval.unwrap_or(INITIAL_INTERVAL),
                    max: given.max_interval.unwrap_or(MAX_INTERVAL),
                    multiplier: given.multiplier.unwrap_or(MULTIPLIER),
                    randomization: given.randomization.unwrap_or(RANDOMIZATION),
                },
            };
        }
        Backoff::Constant(self.retry.interval.unwrap_or(CONSTANT))
    }

    /// Keys that were given and change nothing beside the others, one sentence each.
    pub(super) fn without_effect(&self) -> Vec<String> {
        let given = &self.retry.back_off;
        let exponential = given.policy == Some(BackOffPolicy::Exponential);
        let of_exponential = [
            ("backOffInitialInterval", given.initial_interval.is_some()),
            ("backOffMaxInterval", given.max_interval.is_some()),
            ("backOffMultiplier", given.multiplier.is_some()),
            ("backOffRandomizationFactor", given.randomization.is_some()),
            ("backOffMaxElapsedTime", given.max_elapsed.is_some()),
        ];
        let mut notes = Vec::new();
        if self.acks == Acks::Leader && self.idempotence {
            notes.push(
                "idempotence has no effect: producerRequiredAcks is local, so that a retry may \
                 duplicate"
                    .into(),
            );
        }
        if self.init_timeout >= INIT_TIMEOUT {
            notes.push(format!(
                "initTimeout {} needs a longer spec.initTimeout in the Component: after that, 5s by \
                 default, daprd counts the Init as failed",
                duration::written(self.init_timeout)
            ));
        }
        for (key, _) in of_exponential
            .iter()
            .filter(|(_, given)| *given && !exponential)
        {
            notes.push(format!(
                "{key} has no effect: it is for backOffPolicy exponential"
            ));
        }
        if given.duration.is_some() && exponential {
            notes.push("backOffDuration has no effect: it is for backOffPolicy constant".into());
        }
        if self.retry.interval.is_some() && self.has_back_off() {
            notes.push("consumeRetryInterval has no effect: a backOff key is given".into());
        }
        notes
    }

    /// Keys that can be read and contradict each other.
    pub(super) fn conflicts(&self) -> Vec<Problem> {
        let mut conflicts = Vec::new();
        let Group {
            session_timeout: session,
            heartbeat_interval: heartbeat,
            ..
        } = self.group;
        // Zero is what could not be read.
        if !session.is_zero() && heartbeat >= session {
            let session = duration::written(session);
            conflicts.push(Problem {
                key: "heartbeatInterval".into(),
                value: Some(duration::written(heartbeat)),
                message: format!(
                    "expected less than sessionTimeout, {session}; a third of it is usual"
                ),
            });
        }
        if self.max_retries == Some(0) && self.idempotence && self.acks == Acks::All {
            conflicts.push(Problem {
                key: "producerRetryMax".into(),
                value: Some("0".into()),
                message: "idempotence needs retries; set idempotence false too, or leave this \
                          away: idempotent retries make no duplicates"
                    .into(),
            });
        }
        conflicts
    }

    fn has_back_off(&self) -> bool {
        self.retry.back_off != super::settings::BackOff::default()
    }

    fn max_elapsed(&self) -> Option<Duration> {
        let given = &self.retry.back_off;
        let exponential = given.policy == Some(BackOffPolicy::Exponential);
        let elapsed = given.max_elapsed.unwrap_or(MAX_ELAPSED);
        (exponential && !elapsed.is_zero()).then_some(elapsed)
    }
}

/// The value of a key, matched without regard to case; an empty one is none.
fn value<'a>(metadata: &'a HashMap<String, String>, key: &str) -> Result<Option<&'a str>, String> {
    let mut pairs = metadata
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(key));
    let first = pairs.next();
    if let (Some((one, _)), Some((other, _))) = (first, pairs.next()) {
        return Err(format!(
            "{key}: given twice, as {one} and as {other}; keep one"
        ));
    }
    let value = first.map(|(_, value)| value.as_str());
    Ok(value.filter(|value| !value.is_empty()))
}

fn dead_letter_topic(topic: &str, template: &str) -> Result<String, String> {
    let name = template.replace("{topic}", topic);
    check_topic(&name)
        .map_err(|problem| format!("{DEAD_LETTER_TOPIC}: \"{template}\": {problem}"))?;
    if name == topic {
        return Err(format!(
            "{DEAD_LETTER_TOPIC}: \"{template}\": dead letters of {topic} would come back to it \
             at once; name another topic, such as {{topic}}.dlq"
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::resolve;

    fn policy(component: &[(&str, &str)], subscription: &[(&str, &str)]) -> Result<Policy, String> {
        let map = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
            let pairs = pairs.iter();
            pairs
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        let required = [("brokers", "a:9092"), ("authType", "none")];
        let properties = map(&[&required, component].concat());
        let resolved = resolve(&properties).map_err(|problems| problems.to_string())?;
        resolved.settings.policy("orders", &map(subscription))
    }

    fn right(component: &[(&str, &str)]) -> Policy {
        policy(component, &[]).expect("it is right")
    }

    const DLQ: (&str, &str) = ("deadLetterTopic", "{topic}.dlq");

    #[test]
    fn by_default_a_record_is_tried_every_5_seconds_for_ever() {
        let policy = right(&[]);
        assert_eq!(policy.backoff, Backoff::Constant(Duration::from_secs(5)));
        assert_eq!(policy.max_attempts, None);
        assert_eq!(policy.max_elapsed, None);
        assert_eq!(policy.dead_letter, None);
    }

    #[test]
    fn the_delay_is_the_back_offs_else_the_interval() {
        let interval = ("consumeRetryInterval", "250");
        let constant = |millis| Backoff::Constant(Duration::from_millis(millis));
        assert_eq!(right(&[interval]).backoff, constant(250));
        let duration = ("backOffDuration", "2s");
        assert_eq!(right(&[interval, duration]).backoff, constant(2000));
        let retries = ("backOffMaxRetries", "3");
        let policy = right(&[interval, retries]);
        assert_eq!(policy.backoff, constant(5000), "any back-off key wins");
        assert_eq!(policy.max_attempts, Some(4));
    }

    #[test]
    fn an_exponential_back_off_has_kits_defaults_and_an_end() {
        let policy = right(&[("backOffPolicy", "exponential")]);
        let expected = Backoff::Exponential {
            initial: Duration::from_millis(500),
            max: Duration::from_secs(60),
            multiplier: 1.5,
            randomization: 0.5,
        };
        assert_eq!(policy.backoff, expected);
        assert_eq!(policy.max_elapsed, Some(Duration::from_secs(900)));
        let endless = right(&[
            ("backOffPolicy", "exponential"),
            ("backOffMaxElapsedTime", "0"),
        ]);
        assert_eq!(endless.max_elapsed, None);
    }

    #[test]
    fn a_dead_letter_topic_brings_ten_attempts_unless_something_says_how_many() {
        let policy = right(&[DLQ]);
        assert_eq!(policy.dead_letter.as_deref(), Some("orders.dlq"));
        assert_eq!(policy.max_attempts, Some(10));
        assert_eq!(policy.min_age, Duration::from_secs(120));
        let endless = right(&[DLQ, ("backOffMaxRetries", "-1")]);
        assert_eq!(endless.max_attempts, None);
        let all = [
            DLQ,
            ("backOffMaxRetries", "7"),
            ("maxDeliveryAttempts", "3"),
        ];
        assert_eq!(right(&all).max_attempts, Some(3));
    }

    #[test]
    fn without_retries_there_is_one_attempt_and_no_waiting() {
        let never = ("consumeRetryEnabled", "false");
        let policy = right(&[DLQ, never]);
        assert_eq!(
            (policy.max_attempts, policy.min_age),
            (Some(1), Duration::ZERO)
        );
        let policy = right(&[DLQ, never, ("maxDeliveryAttempts", "3")]);
        assert_eq!(policy.max_attempts, Some(3));
        assert_eq!(policy.min_age, MIN_AGE);
        let policy = right(&[DLQ, never, ("deadLetterMinAge", "1m")]);
        assert_eq!(policy.min_age, Duration::from_secs(60));
    }

    #[test]
    fn a_subscription_has_its_own() {
        let own = [
            ("DeadLetterTopic", "bad-orders"),
            ("maxDeliveryAttempts", "2"),
            ("maxBreaks", "3"),
        ];
        let policy = policy(&[DLQ, ("maxBreaks", "9")], &own).expect("it is right");
        assert_eq!(policy.dead_letter.as_deref(), Some("bad-orders"));
        assert_eq!(policy.max_attempts, Some(2));
        assert_eq!(policy.max_breaks, Some(3));
        assert_eq!(right(&[("maxBreaks", "9")]).max_breaks, Some(9));
    }

    #[test]
    fn keys_that_change_nothing_are_told() {
        let properties = [
            ("brokers", "a:9092"),
            ("authType", "none"),
            ("backOffMultiplier", "2"),
            ("consumeRetryInterval", "1s"),
        ];
        let properties = properties.map(|(k, v)| (k.to_owned(), v.to_owned()));
        let notes = resolve(&properties.into()).expect("it is right").notes;
        assert_eq!(
            notes,
            [
                "backOffMultiplier has no effect: it is for backOffPolicy exponential",
                "consumeRetryInterval has no effect: a backOff key is given",
            ]
        );
    }

    #[test]
    fn a_subscriptions_key_in_two_spellings_is_refused() {
        let both = [("deadLetterTopic", "a"), ("DeadLetterTopic", "b")];
        let error = policy(&[], &both).expect_err("it is given twice");
        assert!(error.contains("given twice"), "{error}");
    }

    #[test]
    fn what_a_subscription_gives_wrongly_is_named() {
        for (key, value, part) in [
            (
                "maxDeliveryAttempts",
                "0",
                "maxDeliveryAttempts: \"0\": expected a whole number from 1",
            ),
            (
                "maxBreaks",
                "many",
                "maxBreaks: \"many\": expected a whole number from 1",
            ),
            ("deadLetterTopic", "a b", "\"a b\" can't be a Kafka topic"),
            ("deadLetterTopic", "{topic}", "would come back to it"),
        ] {
            let error = policy(&[], &[(key, value)]).expect_err("it is wrong");
            assert!(error.contains(part), "{error}");
        }
    }
}
