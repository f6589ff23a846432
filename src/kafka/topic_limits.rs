//! What is known of each topic's limit, and asking for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, watch};

use super::{
    Cause,
    batch_limit::{BatchSize, Known},
};

/// How long brokers that did not disclose a limit are not asked again.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// Requests at once: each has a thread that waits for its answer.
const AT_ONCE: usize = 2;

/// Topics that are remembered. Publishers choose the names, so there is a bound.
const TOPICS: usize = 4096;

/// The limits of the topics that a component writes to. Cheap to clone: all clones are the same.
#[derive(Clone)]
pub(super) struct TopicLimits(Arc<Shared>);

struct Shared {
    topics: Mutex<HashMap<String, Topic>>,
    places: Semaphore,
}

#[derive(Default)]
struct Topic {
    known: Known,
    /// When the brokers were asked last.
    asked: Option<Instant>,
    /// Open as long as they are being asked.
    asking: Option<watch::Receiver<()>>,
}

impl Topic {
    /// Whether the brokers are to be asked now: for a topic that is new, whose limit has changed,
    /// or was not disclosed long ago.
    fn is_due(&self, now: Instant) -> bool {
        let asked = self.asked.map(|asked| now.duration_since(asked));
        match asked {
            None => true,
            Some(ago) => self.known.limit.is_none() && ago >= AGAIN,
        }
    }
}

impl Default for TopicLimits {
    fn default() -> Self {
        Self(Arc::new(Shared {
            topics: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        }))
    }
}

impl TopicLimits {
    /// What is known of a topic now. If its limit has to be asked for, that begins; `ask` blocks.
    pub(super) fn now(
        &self,
        topic: &str,
        ask: impl FnOnce() -> Result<usize, Cause> + Send + 'static,
    ) -> Known {
        self.look(topic, ask).0
    }

    /// The same, waiting for an answer that is under way for at most `within`.
    pub(super) async fn soon(
        &self,
        topic: &str,
        within: Duration,
        ask: impl FnOnce() -> Result<usize, Cause> + Send + 'static,
    ) -> Known {
        let (known, asking) = self.look(topic, ask);
        let Some(mut asking) = asking else {
            return known;
        };
        // It changes never, and ends with the answer.
        let _ = tokio::time::timeout(within, asking.changed()).await;
        self.topics().get(topic).map_or(known, |topic| topic.known)
    }

    /// Takes the refusal of a batch. The brokers are asked again: the limit may have changed.
    pub(super) fn refused(&self, topic: &str, size: BatchSize) {
        if let Some(topic) = self.topics().get_mut(topic) {
            topic.known.refused(size);
            if topic.known.limit.is_some() {
                topic.asked = None;
            }
        }
    }

    fn look(
        &self,
        name: &str,
        ask: impl FnOnce() -> Result<usize, Cause> + Send + 'static,
    ) -> (Known, Option<watch::Receiver<()>>) {
        let now = Instant::now();
        let mut topics = self.topics();
        if topics.len() >= TOPICS && !topics.contains_key(name) {
            topics.clear();
        }
        let topic = topics.entry(name.to_owned()).or_default();
        if topic.asking.is_none() && topic.is_due(now) {
            let (open, asking) = watch::channel(());
            (topic.asked, topic.asking) = (Some(now), Some(asking));
            tokio::spawn(self.clone().ask(name.to_owned(), ask, open));
        }
        (topic.known, topic.asking.clone())
    }

    async fn ask(
        self,
        name: String,
        ask: impl FnOnce() -> Result<usize, Cause> + Send + 'static,
        open: watch::Sender<()>,
    ) {
        let place = self.0.places.acquire().await;
        let limit = tokio::task::spawn_blocking(ask).await;
        drop(place);
        let limit = limit.unwrap_or_else(|ended| Err(Cause::other(ended)));
        if let Some(topic) = self.topics().get_mut(&name) {
            topic.asking = None;
            match limit {
                Ok(limit) => topic.known.disclosed(limit),
                Err(cause) => tracing::debug!(
                    "the brokers do not disclose max.message.bytes of {name}: {cause}"
                ),
            }
        }
        drop(open);
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<String, Topic>> {
        // A panic leaves nothing half done here.
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn nobody() -> Result<usize, Cause> {
        panic!("nobody asks")
    }

    #[tokio::test]
    async fn a_topic_is_asked_for_once_and_again_when_a_batch_is_refused() {
        let limits = TopicLimits::default();
        let known = limits.soon("orders", SOON, || Ok(65_536)).await;
        assert_eq!(known.limit, Some(65_536));
        assert_eq!(limits.soon("orders", SOON, nobody).await, known);
        limits.refused("orders", known.for_order());
        assert_eq!(
            limits.soon("orders", SOON, || Ok(20_000)).await.limit,
            Some(20_000)
        );
    }

    #[tokio::test]
    async fn an_answer_that_is_under_way_is_waited_for_where_it_counts() {
        let limits = TopicLimits::default();
        let (answer, answered) = mpsc::channel();
        let ask = move || answered.recv().map_err(Cause::other);
        assert_eq!(limits.now("orders", ask), Known::default());
        assert_eq!(limits.now("orders", nobody), Known::default());
        let early = limits.soon("orders", Duration::ZERO, nobody).await;
        assert_eq!(early, Known::default());
        answer.send(20_000).expect("it waits");
        assert_eq!(
            limits.soon("orders", SOON, nobody).await.limit,
            Some(20_000)
        );
    }

    #[tokio::test]
    async fn what_is_not_disclosed_is_not_asked_for_each_time() {
        let limits = TopicLimits::default();
        let refuse = || Err(Cause::other("no"));
        assert_eq!(limits.soon("orders", SOON, refuse).await, Known::default());
        limits.refused("orders", BatchSize::Default);
        let known = limits.soon("orders", SOON, nobody).await;
        assert_eq!(known.for_any_order(), BatchSize::Large);
    }

    #[test]
    fn a_limit_that_was_not_disclosed_is_asked_for_again_later() {
        let now = Instant::now();
        let mut topic = Topic::default();
        assert!(topic.is_due(now), "it is new");
        topic.asked = Some(now);
        assert!(!topic.is_due(now + AGAIN / 2));
        assert!(topic.is_due(now + AGAIN));
        topic.known.disclosed(20_000);
        assert!(!topic.is_due(now + AGAIN));
    }

    #[tokio::test]
    async fn names_that_publishers_make_up_are_not_kept_without_end() {
        let limits = TopicLimits::default();
        for number in 0..=TOPICS {
            limits.soon(&number.to_string(), SOON, || Ok(1)).await;
        }
        assert!(limits.topics().len() <= TOPICS);
    }
}
