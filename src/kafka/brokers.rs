//! What each bootstrap broker last said, for the error at Init.

use std::{collections::BTreeMap, fmt, sync::Mutex, time::Duration};

use super::classify;

/// The last failure of each bootstrap broker. Written by librdkafka's threads,
/// read once when Init gives up.
#[derive(Debug)]
pub(super) struct BrokerFailures {
    last: Mutex<BTreeMap<String, Option<String>>>,
}

impl BrokerFailures {
    pub(super) fn new(brokers: &[String]) -> Self {
        let last = brokers.iter().map(|broker| (broker.clone(), None));
        Self {
            last: Mutex::new(last.collect()),
        }
    }

    /// Notes a failure under the broker that `reason` names, if it names one.
    pub(super) fn note(&self, reason: &str) {
        for (broker, last) in self.lock().iter_mut() {
            if reason.contains(broker.as_str()) {
                *last = Some(reason.to_owned());
            }
        }
    }

    pub(super) fn report(&self, waited: Duration) -> Unreachable {
        let brokers = self.lock().clone();
        let said = |last: Option<String>| match last {
            Some(reason) => classify::connection(&reason),
            None => "no answer".to_owned(),
        };
        Unreachable {
            waited,
            brokers: brokers
                .into_iter()
                .map(|(broker, last)| (broker, said(last)))
                .collect(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// No bootstrap broker answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Unreachable {
    /// How long they were given.
    pub waited: Duration,
    /// Each broker and what happened there.
    pub brokers: Vec<(String, String)>,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no broker answered within {:?}:", self.waited)?;
        for (broker, said) in &self.brokers {
            write!(f, " [{broker}: {said}]")?;
        }
        write!(
            f,
            " (check the component's `brokers`; `startWithoutBrokers: \"true\"` starts anyway)"
        )
    }
}
