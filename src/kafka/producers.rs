//! The producer of a component, for topics with any limit on batches.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::{join, join_all};

use super::{
    Cause, Kind, Outgoing, SendError, Unreachable,
    batch_limit::{BatchSize, Known, Refused, refused},
    producer::{Producer, too_large},
    topic_limits::TopicLimits,
};
use crate::metadata::{Compression, Settings};

/// How long brokers may take to disclose a topic's limit.
const ASK: Duration = Duration::from_secs(3);

/// How long the records of a bulk wait for that.
const WAIT: Duration = Duration::from_secs(2);

/// A component's producer: a client for each size of batches that its topics need. Cheap to
/// clone; dropping the last clone waits for its threads, so that is for where waiting is allowed.
#[derive(Clone)]
pub struct Producers {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    instance: Arc<str>,
    /// For topics with Kafka's default limit, and for everything but sending.
    default: Producer,
    /// Made when a topic first needs them.
    smaller: Mutex<BTreeMap<BatchSize, Producer>>,
    limits: TopicLimits,
}

/// Sends the records of a bulk: those of a key keep their order, as long as librdkafka's queue
/// has room for them.
pub struct InOrder<'a> {
    producers: &'a Producers,
    size: BatchSize,
    known: Known,
    /// How many partitions the topic has, if that was asked for and told.
    partitions: Option<usize>,
}

impl Producers {
    /// For dead letters, whose size is for the broker alone to judge: another producer may write
    /// larger records than `maxMessageBytes`, and the added headers make each larger than its
    /// source.
    pub fn for_dead_letters(settings: &Settings, instance: Arc<str>) -> Result<Self, Cause> {
        Self::new(&super::of_any_size(settings), instance)
    }

    /// For these settings. It connects in the background.
    pub fn new(settings: &Settings, instance: Arc<str>) -> Result<Self, Cause> {
        Ok(Self {
            shared: Arc::new(Shared {
                default: Producer::new(settings, BatchSize::Default, instance.clone())?,
                settings: settings.clone(),
                instance,
                smaller: Mutex::default(),
                limits: TopicLimits::default(),
            }),
        })
    }

    /// Sends a record and waits for the broker's acknowledgement, within the setting
    /// `publishTimeout`. Of records that are sent at the same time any may be first. Its value is
    /// let go meanwhile.
    pub async fn send(&self, outgoing: &mut Outgoing) -> Result<(), SendError> {
        let begun = Instant::now();
        let topic = &outgoing.topic.clone();
        let mut size = self.known(topic).for_any_order();
        loop {
            let Err(error) = self.of(size)?.send(outgoing, begun).await else {
                return Ok(());
            };
            if error.cause.kind != Kind::BatchTooLarge {
                return Err(error);
            }
            self.shared.limits.refused(topic, size);
            let known = self.known(topic);
            if refused(outgoing.bytes(), size) == Refused::Alone {
                return Err(over_limit(outgoing.bytes(), known.limit));
            }
            size = known.for_any_order().min(size.smaller());
        }
    }

    /// Prepares to send several records of a topic in their order. If some name their partition,
    /// `to_partitions`, it is looked how many there are.
    pub async fn in_order(&self, topic: &str, to_partitions: bool) -> InOrder<'_> {
        let default = &self.shared.default;
        let known = self
            .shared
            .limits
            .soon(topic, WAIT, default.ask_limit(topic, ASK));
        let partitions = async {
            if !to_partitions {
                return None;
            }
            default.partitions(topic, WAIT).await
        };
        let (known, partitions) = join(known, partitions).await;
        InOrder {
            producers: self,
            size: known.for_order(),
            known,
            partitions,
        }
    }

    fn known(&self, topic: &str) -> Known {
        let ask = self.shared.default.ask_limit(topic, ASK);
        self.shared.limits.now(topic, ask)
    }

    /// The producer with batches of this size.
    fn of(&self, size: BatchSize) -> Result<Producer, Cause> {
        let shared = &*self.shared;
        if size == BatchSize::Default {
            return Ok(shared.default.clone());
        }
        let smaller = shared.smaller.lock();
        let mut smaller = smaller.unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = smaller.get(&size) {
            return Ok(producer.clone());
        }
        let producer = Producer::new(&shared.settings, size, shared.instance.clone())?;
        Ok(smaller.entry(size).or_insert(producer).clone())
    }

    fn all(&self) -> Vec<Producer> {
        let smaller = self.shared.smaller.lock();
        let smaller = smaller.unwrap_or_else(PoisonError::into_inner);
        let default = std::iter::once(&self.shared.default);
        default.chain(smaller.values()).cloned().collect()
    }

    /// How many records were sent and not acknowledged yet, at this moment.
    pub fn in_flight(&self) -> i32 {
        self.all().iter().map(Producer::in_flight).sum()
    }

    /// Waits until a broker answers that can be used where it is advertised, and returns
    /// how many there are. What is wrong with some of them is logged.
    pub async fn reach(&self, timeout: Duration) -> Result<usize, Unreachable> {
        self.shared.default.reach(timeout).await
    }

    /// Waits until a broker answers, and returns how many there are: cheaper than
    /// [`reach`](Self::reach) as long as one does.
    pub async fn answers(&self, timeout: Duration) -> Result<usize, Unreachable> {
        self.shared.default.answers(timeout).await
    }

    /// Waits until everything sent so far was acknowledged or failed.
    pub async fn flush(&self, timeout: Duration) -> Result<(), Cause> {
        let all = self.all();
        let flushed = join_all(all.iter().map(|producer| producer.flush(timeout)));
        flushed.await.into_iter().collect()
    }
}

impl InOrder<'_> {
    /// Refuses a record that can't be written, as far as that is known before it is sent.
    pub fn check(&self, outgoing: &Outgoing) -> Result<(), SendError> {
        let settings = &self.producers.shared.settings;
        check(outgoing, settings, self.known.limit, self.partitions)
    }

    /// Sends one more record, when the future is first polled, and waits for the broker's
    /// acknowledgement, within the setting `publishTimeout`.
    pub async fn send(&self, outgoing: &mut Outgoing) -> Result<(), SendError> {
        let producer = self.producers.of(self.size)?;
        let Err(error) = producer.send(outgoing, Instant::now()).await else {
            return Ok(());
        };
        if error.cause.kind != Kind::BatchTooLarge {
            return Err(error);
        }
        self.producers
            .shared
            .limits
            .refused(&outgoing.topic, self.size);
        // Sent again, it would come behind others of its key.
        Err(match refused(outgoing.bytes(), self.size) {
            Refused::Alone => over_limit(outgoing.bytes(), self.known.limit),
            Refused::Together => batch_refused(&outgoing.topic, self.size),
        })
    }
}

/// Refuses a record that is over `maxMessageBytes` or the topic's limit, or goes to a partition
/// that its topic does not have.
fn check(
    outgoing: &Outgoing,
    settings: &Settings,
    limit: Option<usize>,
    partitions: Option<usize>,
) -> Result<(), SendError> {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    // As librdkafka counts it.
    if length(&outgoing.key) + length(&outgoing.value) > settings.max_message_bytes {
        return Err(too_large(outgoing, settings.max_message_bytes));
    }
    // What is compressed may fit all the same.
    if settings.compression == Compression::None
        && let Some(limit) = limit.filter(|limit| outgoing.bytes() > *limit)
    {
        return Err(over_limit(outgoing.bytes(), Some(limit)));
    }
    let partition = outgoing
        .partition
        .and_then(|number| usize::try_from(number).ok());
    if let (Some(partition), Some(count)) = (partition, partitions)
        && partition >= count
    {
        return Err(SendError {
            cause: Cause {
                kind: Kind::UnknownTopic,
                text: format!("the topic has {count} partitions"),
            },
            may_arrive: false,
        });
    }
    Ok(())
}

/// A record of so many bytes was refused alone.
pub(super) fn over_limit(bytes: usize, limit: Option<usize>) -> SendError {
    let limit = match limit {
        Some(limit) => format!("is {limit}"),
        None => "is lower".into(),
    };
    SendError {
        cause: Cause {
            kind: Kind::OverTopicLimit,
            text: format!(
                "the broker refuses the record as too large: it has {bytes} bytes with its key and \
                 headers, and some more in Kafka's form, and the topic's max.message.bytes {limit}"
            ),
        },
        may_arrive: false,
    }
}

/// A record that was refused together with others, and can't be sent again without losing its place.
pub(super) fn batch_refused(topic: &str, size: BatchSize) -> SendError {
    let bytes = size.bytes();
    SendError {
        cause: Cause {
            kind: Kind::BatchTooLarge,
            text: format!(
                "the broker refuses a batch of at most {bytes} bytes that the record was in, and \
                 its order does not allow to send it again by itself; from now on batches to \
                 {topic} are smaller. Give this client the right to DescribeConfigs on {topic}, \
                 or raise its max.message.bytes"
            ),
        },
        may_arrive: false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::metadata::resolve;

    fn settings(compression: &str) -> Settings {
        let given = [
            ("brokers", "a:9092"),
            ("authType", "none"),
            ("maxMessageBytes", "10000"),
            ("compression", compression),
        ];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let resolved = resolve(&HashMap::from(given)).expect("it is right");
        resolved.settings
    }

    fn record(bytes: usize, partition: Option<i32>) -> Outgoing {
        Outgoing {
            topic: "orders".into(),
            partition,
            key: None,
            value: Some(vec![b'x'; bytes].into()),
            headers: Vec::new(),
            timestamp: None,
        }
    }

    #[test]
    fn what_is_certain_to_fail_is_refused_before_anything_is_sent() {
        let plain = settings("none");
        for (bytes, partition, limit, partitions, refused) in [
            (10_000, None, None, None, None),
            (10_001, None, None, None, Some(Kind::TooLarge)),
            (5_000, None, Some(5_000), None, None),
            (5_001, None, Some(5_000), None, Some(Kind::OverTopicLimit)),
            (1, Some(2), None, Some(3), None),
            (1, Some(3), None, Some(3), Some(Kind::UnknownTopic)),
            // Nobody told how many there are.
            (1, Some(3), None, None, None),
        ] {
            let checked = check(&record(bytes, partition), &plain, limit, partitions);
            let kind = checked.err().map(|error| error.cause.kind);
            assert_eq!(
                kind, refused,
                "{bytes} {partition:?} {limit:?} {partitions:?}"
            );
        }
        let compressed = settings("gzip");
        check(&record(5_001, None), &compressed, Some(5_000), None).expect("it may fit");
    }
}
