//! Whether an instance's brokers answer, asked when someone wants to know.

use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Mutex;

use super::diagnosis::{Brokers, told};
use crate::kafka::Producers;

/// How long they are given.
const ASK: Duration = Duration::from_secs(2);

/// How long an answer is good for, so that whoever asks all the time asks the
/// brokers seldom.
const FRESH: Duration = Duration::from_secs(2);

/// What is known of the brokers.
#[derive(Default)]
pub(super) struct Reach(Mutex<Option<Known>>);

struct Known {
    asked: Instant,
    /// Since when they do not answer, and why.
    silent: Option<(SystemTime, String)>,
}

impl Reach {
    /// Asks the brokers, one asker at a time.
    pub(super) async fn ask(&self, producer: &Producers) -> Brokers {
        let mut known = self.0.lock().await;
        let known = match known.as_mut() {
            Some(known) if known.asked.elapsed() < FRESH => known,
            _ => {
                // It stays known: whoever asks may hang up in the middle.
                let before = known.as_ref().and_then(|known| known.silent.as_ref());
                let since = before.map_or_else(SystemTime::now, |(since, _)| *since);
                let answer = producer.answers(ASK).await;
                known.insert(Known {
                    asked: Instant::now(),
                    silent: answer.err().map(|silent| (since, silent.to_string())),
                })
            }
        };
        Brokers {
            reachable: known.silent.is_none(),
            unreachable_since: known.silent.as_ref().map(|(since, _)| told(*since)),
            reason: known.silent.as_ref().map(|(_, reason)| reason.clone()),
        }
    }
}
