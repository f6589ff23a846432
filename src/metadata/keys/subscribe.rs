//! What is read, in which order, and how much at once.

use std::time::Duration;

use super::{Compare, Key, honoured, inert};
use crate::{
    metadata::{InitialOffset, Isolation, Rebalance, TopicCreation, parse},
    model::Ordering,
};

const NO_STICKY: &str = "Sarama's sticky assignment has no peer in librdkafka, and a group agrees \
                         on one way; use range or roundrobin for all members, while the group is \
                         stopped";

pub(super) const KEYS: &[Key] = &[
    honoured(
        "consumerGroup",
        None,
        |text, settings| {
            settings.consumer_group = Some(text.to_owned());
            Ok(())
        },
        "The consumer group. Wins over consumerID.",
    )
    .example("orders"),
    honoured(
        "consumerID",
        None,
        |text, settings| {
            settings
                .consumer_group
                .get_or_insert_with(|| text.to_owned());
            Ok(())
        },
        "The consumer group if consumerGroup is not given. daprd sets it to the \
         app id.",
    )
    .example("orders"),
    honoured(
        "initialOffset",
        Some("newest"),
        |text, settings| {
            let words = [
                ("newest", InitialOffset::Newest),
                ("oldest", InitialOffset::Oldest),
            ];
            let others = [("earliest", "oldest"), ("latest", "newest")];
            settings.initial_offset = parse::word_not(text, &words, &others)?;
            Ok(())
        },
        "newest or oldest: where a group starts in a partition that it never \
         committed for. A topic that appears while the group is subscribed is \
         always read from its first record.",
    )
    .words(&["newest", "oldest"])
    .compare(Compare::Wider(
        "a topic that appears while the group is subscribed is read from its first \
         record",
    ))
    .unset(
        "a topic that appears while the group is subscribed is read from its first \
         record",
    ),
    honoured(
        "topicCreation",
        Some("never"),
        |text, settings| {
            let words = [
                ("never", TopicCreation::Never),
                ("dlq", TopicCreation::DeadLetters),
                ("subscribe", TopicCreation::Subscribed),
            ];
            settings.topic_creation = parse::word(text, &words)?;
            Ok(())
        },
        "Which missing topics are created at subscribe. never: none; for a dead-letter \
         topic the log has the command. dlq: a dead-letter topic, with its source's \
         partitions and replication and 14 days of retention. subscribe: also what \
         is subscribed to, with the brokers' defaults, and it is read from its first \
         record. Production is better off with docs/topics.md.",
    )
    .words(&["never", "dlq", "subscribe"])
    .compare(Compare::Ours),
    honoured(
        "isolationLevel",
        Some("read_committed"),
        |text, settings| {
            let words = [
                ("read_committed", Isolation::ReadCommitted),
                ("read_uncommitted", Isolation::ReadUncommitted),
            ];
            settings.isolation = parse::word(text, &words)?;
            Ok(())
        },
        "read_committed: what an aborted transaction wrote is never delivered, and \
         what an open one wrote waits for its end. read_uncommitted: all is \
         delivered, which is the built-in component's default; take it only if you want \
         that. consumerIsolationLevel is the built-in's name of it. If both names are given, \
         they must have the same value.",
    )
    .aliases(&["consumerIsolationLevel"])
    .names_agree()
    .words(&["read_committed", "read_uncommitted"])
    .since("1.19")
    .compare(Compare::Differs(
        "the default is read_committed, the built-in's is read_uncommitted",
    ))
    .unset(
        "what an aborted transaction wrote is never delivered; the built-in \
         delivers it (read_uncommitted)",
    ),
    honoured(
        "ordering",
        Some("key"),
        |text, settings| {
            let words = [
                ("key", Ordering::Key),
                ("partition", Ordering::Partition),
                ("none", Ordering::None),
            ];
            settings.ordering = parse::word(text, &words)?;
            Ok(())
        },
        "key: records with equal keys one at a time and in order, others \
         concurrently. partition: one at a time per partition, as the built-in \
         component does; it is the default where this component takes the \
         built-in's place, as pubsub.kafka. none: no order.",
    )
    .words(&["key", "partition", "none"])
    .compare(Compare::Ours)
    .unset(
        "as pubsub.rdkafka records of one partition with different keys are \
         handled at the same time (ordering key); as pubsub.kafka one at a time, as \
         in the built-in (ordering partition)",
    ),
    honoured(
        "maxInFlight",
        Some("1024"),
        |text, settings| {
            settings.max_in_flight = parse::count(text, 1..=100_000)?;
            Ok(())
        },
        "Records that are read and not finished, over all partitions (1 to \
         100,000). Each partition has a floor of half of its equal share, at \
         most 16 records; the rest is shared, at most half of it by one topic \
         while another needs some. At the bound reading pauses. Records that \
         wait behind a refused one of their key do not count. The default keeps \
         dozens of apps busy and is little to redeliver.",
    )
    .number()
    .compare(Compare::Ours),
    honoured(
        "maxInFlightBytes",
        Some("67108864"),
        |text, settings| {
            settings.max_in_flight_bytes = parse::count(text, 1_048_576..=4_294_967_296)?;
            Ok(())
        },
        "The same in bytes (1 MiB to 4 GiB). The default, 64 MiB, fits a small \
         sidecar's memory limit.",
    )
    .bytes()
    .compare(Compare::Ours),
    honoured(
        "maxUncommitted",
        Some("10000"),
        |text, settings| {
            settings.max_uncommitted = parse::count(text, 1..=1_000_000)?;
            Ok(())
        },
        "Records of one partition that are read and above what the broker has \
         confirmed as committed (1 to 1,000,000): the most that a crash delivers \
         again, but for 64 that may be under way. At the bound the partition pauses \
         and the log names the record that holds it.",
    )
    .number()
    .compare(Compare::Ours),
    honoured(
        "sessionTimeout",
        Some("10s"),
        |text, settings| {
            let bounds = Duration::from_millis(10)..=Duration::from_secs(3600);
            settings.group.session_timeout = parse::seconds_or_duration(text, bounds)?;
            Ok(())
        },
        "How long the group's coordinator hears nothing of a member before others \
         get its partitions (10ms to 1h). Brokers have bounds of their own, 6s to \
         30m unless told otherwise.",
    )
    .seconds(),
    honoured(
        "heartbeatInterval",
        Some("3s"),
        |text, settings| {
            let bounds = Duration::from_millis(1)..=Duration::from_secs(3600);
            settings.group.heartbeat_interval = parse::seconds_or_duration(text, bounds)?;
            Ok(())
        },
        "How often a member tells that it is alive, and learns of a rebalance (1ms \
         to 1h). It must be less than sessionTimeout; a third of it is usual.",
    )
    .seconds(),
    honoured(
        "rebalanceDrain",
        Some("60s"),
        |text, settings| {
            let bounds = Duration::ZERO..=Duration::from_secs(3600);
            settings.rebalance_drain = parse::duration(text, bounds)?;
            Ok(())
        },
        "How long a member that gives partitions to others waits for the app's \
         answers (0s to 1h). The whole group waits with it; what is not answered \
         by then is redelivered to the next member while this app may still work \
         on it. A serial daprd is handed no more ahead than the app finishes in half \
         of it, but two events of each stream. The default is the built-in's (Sarama, \
         Rebalance.Timeout). Twice the slowest handler's time keeps two apps from \
         working on one event.",
    )
    .duration()
    .compare(Compare::Ours),
    honoured(
        "consumerGroupRebalanceStrategy",
        Some("range"),
        |text, settings| {
            if text.eq_ignore_ascii_case("sticky") {
                return Err(NO_STICKY.into());
            }
            let words = [
                ("range", Rebalance::Range),
                ("roundrobin", Rebalance::RoundRobin),
            ];
            settings.group.rebalance = parse::word(text, &words)?;
            Ok(())
        },
        "range or roundrobin: how the group shares partitions out. Both are \
         offered, the given one first, so that a member of the built-in component \
         with either may be in the group. The built-in takes an unknown word for \
         range.",
    )
    .words(&["range", "roundrobin"])
    .compare(Compare::Differs(
        "both are offered to the group, the given one first; sticky is refused, \
         since it has no peer in librdkafka; an unknown word is an error, not \
         range",
    )),
    honoured(
        "consumerFetchMin",
        Some("1"),
        |text, settings| {
            settings.group.fetch_min = parse::count(text, 1..=100_000_000)?;
            Ok(())
        },
        "For how many bytes a broker waits, half a second at most, before it \
         answers a fetch (1 to 100,000,000).",
    )
    .bytes(),
    honoured(
        "consumerFetchDefault",
        Some("131072"),
        |text, settings| {
            settings.group.fetch_default = parse::count(text, 1..=1_000_000_000)?;
            Ok(())
        },
        "How many bytes of a partition one fetch asks for, as they are stored (1 to \
         1,000,000,000). A larger record is fetched all the same. The default is \
         small, since what a fetch brings is inflated at once, for each partition. \
         A broker that is 50 ms away gives 2.6 MB/s of a partition with it: raise it \
         there.",
    )
    .bytes()
    .compare(Compare::Differs(
        "131,072 by default; the built-in's default is 1,048,576",
    )),
    inert(
        "channelBufferSize",
        "The built-in's queue between its parts, in records. maxInFlight and \
         maxInFlightBytes bound what is read ahead here.",
    )
    .number()
    .example("256"),
];
