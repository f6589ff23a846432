//! Where a group is in its topics.

use std::collections::BTreeMap;

use kafka_protocol::{
    messages::{
        BrokerId, GroupId, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
        OffsetFetchRequest, TopicName,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        metadata_request::MetadataRequestTopic,
    },
    protocol::StrBytes,
};

use super::subject;
use crate::{
    doctor::{
        Finding, Fix, Seen, Stage,
        context::Context,
        rows::group as rows,
        run::WantedTopic,
        shell::quoted,
        stages::{Cluster, permissions::error},
        wire::Answered,
    },
    metadata::Isolation,
};

/// The newest version that asks for one group, not for a list.
const SINGLE: i16 = 7;

/// Later ones only add more of what times can stand for.
const NEWEST: i16 = 7;

/// What stands for a partition's ends where times go.
const FIRST: i64 = -2;
const END: i64 = -1;

/// The most partitions of a topic that are named.
const NAMED: usize = 5;

/// What a group that reads committed records may see.
const READ_COMMITTED: i8 = 1;

/// A topic's partitions, each with an offset.
type Offsets = BTreeMap<i32, i64>;

/// Where partitions begin and end.
struct Ends {
    /// The first offset of each, and the one after the last.
    offsets: BTreeMap<i32, (i64, i64)>,
    /// Partitions in which a transaction is open, each with the offset of its first record.
    open: Offsets,
    /// A leader that told so.
    told: Option<Answered<ListOffsetsResponse>>,
}

/// Compares what the group committed with what is there, for each topic that is
/// subscribed to.
pub(super) async fn check(
    context: &Context<'_>,
    cluster: &mut Cluster,
    coordinator: i32,
    group: &str,
    topics: &[WantedTopic],
) {
    let subject = subject(group);
    let committed = match committed(context, cluster, coordinator, group).await {
        Ok(committed) => committed,
        Err(why) => return context.recorder.skipped(Stage::Group, subject, why),
    };
    let subscribed = topics.iter().filter(|topic| topic.subscribe);
    for topic in subscribed.map(|topic| &topic.name) {
        // Where nothing is committed nothing is out of range.
        let Some(committed) = committed.get(topic) else {
            continue;
        };
        let subject = format!("{subject}, topic {topic}");
        match ends(context, cluster, topic, committed).await {
            Ok(ends) => judge(context, group, topic, committed, &ends),
            Err(why) => context.recorder.skipped(Stage::Group, subject, why),
        }
    }
}

/// What the group committed, by topics.
async fn committed(
    context: &Context<'_>,
    cluster: &mut Cluster,
    coordinator: i32,
    group: &str,
) -> Result<BTreeMap<String, Offsets>, String> {
    let wire = cluster
        .at(coordinator)
        .ok_or("its coordinator is not reached")?;
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
        .with_topics(None);
    let answer = wire.ask_below(&request, SINGLE, context.until()).await;
    let answer = answer.map_err(|broken| broken.to_string())?.value;
    if answer.error_code != 0 {
        return Err(format!(
            "its offsets are not told: {}",
            error(answer.error_code)
        ));
    }
    let topics = answer.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let known = partitions.filter(|one| one.error_code == 0 && one.committed_offset >= 0);
        let offsets = known.map(|one| (one.partition_index, one.committed_offset));
        (topic.name.to_string(), offsets.collect())
    });
    Ok(topics.collect())
}

/// The ends of each of these partitions.
async fn ends(
    context: &Context<'_>,
    cluster: &mut Cluster,
    topic: &str,
    committed: &Offsets,
) -> Result<Ends, String> {
    let wanted = MetadataRequestTopic::default().with_name(Some(name(topic)));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![wanted]))
        .with_allow_auto_topic_creation(false);
    let answer = cluster.any().ask(&request, context.until()).await;
    let answer = answer.map_err(|broken| broken.to_string())?.value;
    let mut leaders: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
        if committed.contains_key(&partition.partition_index) {
            let led = leaders.entry(partition.leader_id.0).or_default();
            led.push(partition.partition_index);
        }
    }
    let mut ends = Ends {
        offsets: BTreeMap::new(),
        open: Offsets::new(),
        told: None,
    };
    for (leader, partitions) in leaders {
        let first = asked(context, cluster, leader, topic, &partitions, (FIRST, 0)).await?;
        let end = asked(context, cluster, leader, topic, &partitions, (END, 0)).await?;
        let committed = (END, READ_COMMITTED);
        let stable = asked(context, cluster, leader, topic, &partitions, committed).await?;
        let end_of = offsets(&end.value);
        let open = offsets(&stable.value).into_iter();
        let open = open.filter(|(at, stable)| end_of.get(at).is_some_and(|end| stable < end));
        ends.open.extend(open);
        let both = offsets(&first.value).into_iter();
        let both = both.filter_map(|(at, first)| Some((at, (first, *end_of.get(&at)?))));
        ends.offsets.extend(both);
        ends.told = Some(end);
    }
    Ok(ends)
}

/// One end of each of a leader's partitions.
async fn asked(
    context: &Context<'_>,
    cluster: &mut Cluster,
    leader: i32,
    topic: &str,
    partitions: &[i32],
    (which, isolation): (i64, i8),
) -> Result<Answered<ListOffsetsResponse>, String> {
    let wire = cluster.at(leader);
    let wire =
        wire.ok_or_else(|| format!("the leader {leader} of its partitions is not reached"))?;
    let each = partitions.iter().map(|partition| {
        ListOffsetsPartition::default()
            .with_partition_index(*partition)
            .with_timestamp(which)
    });
    let wanted = ListOffsetsTopic::default()
        .with_name(name(topic))
        .with_partitions(each.collect());
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(isolation)
        .with_topics(vec![wanted]);
    let answer = wire.ask_below(&request, NEWEST, context.until()).await;
    answer.map_err(|broken| broken.to_string())
}

/// What an answer says of the partitions that it can say something of.
fn offsets(answer: &ListOffsetsResponse) -> Offsets {
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let known = partitions.filter(|one| one.error_code == 0 && one.offset >= 0);
    known.map(|one| (one.partition_index, one.offset)).collect()
}

/// Notes whether the group is where records are, and how far behind.
fn judge(context: &Context<'_>, group: &str, topic: &str, committed: &Offsets, ends: &Ends) {
    let subject = format!("{}, topic {topic}", subject(group));
    let known = committed.iter();
    let known = known.filter_map(|(at, offset)| Some((*at, *offset, *ends.offsets.get(at)?)));
    let known: Vec<_> = known.collect();
    let outside: Vec<_> = known
        .iter()
        .filter(|(_, offset, (first, end))| offset < first || offset > end)
        .copied()
        .collect();
    if !outside.is_empty() {
        let finding = out_of_range(group, topic, &outside);
        return context.recorder.found(subject, finding);
    }
    match &ends.told {
        Some(told) if !known.is_empty() => {
            let behind = known
                .iter()
                .map(|(_, offset, (_, end))| end.saturating_sub(*offset));
            let behind = behind.fold(0, i64::saturating_add);
            let lag = format!("lag {behind} over {} partitions", known.len());
            let waits = context.settings.isolation == Isolation::ReadCommitted;
            let words = if waits && !ends.open.is_empty() {
                format!("{lag}; {}", in_transaction(&ends.open))
            } else {
                lag
            };
            let seen = Seen::by(told, words);
            context.recorder.fine(Stage::Group, subject, seen);
        }
        _ => {
            let why = "the ends of the partitions for which the group committed are not known";
            context.recorder.skipped(Stage::Group, subject, why);
        }
    }
}

/// Where a group that reads committed records gets nothing more.
fn in_transaction(open: &Offsets) -> String {
    let each = open.iter().take(NAMED);
    let each = each.map(|(at, offset)| format!("{at} from offset {offset} on"));
    let more = if open.len() > NAMED { ", …" } else { "" };
    format!(
        "a transaction is open in partition {}{more}, and before it ends nothing behind its first \
         record is delivered (`kafka-transactions.sh` describes and aborts it)",
        each.collect::<Vec<_>>().join(", ")
    )
}

fn out_of_range(group: &str, topic: &str, outside: &[(i32, i64, (i64, i64))]) -> Finding {
    let each = outside
        .iter()
        .take(NAMED)
        .map(|(at, offset, (first, end))| {
            format!("{at} at {offset} (its records are {first} up to {end})")
        });
    let more = if outside.len() > NAMED { ", …" } else { "" };
    let cause = format!(
        "the group {group} stands where the topic {topic} has no records: partition {}{more}",
        each.collect::<Vec<_>>().join(", ")
    );
    let partitions: Vec<_> = outside.iter().map(|(at, ..)| at.to_string()).collect();
    let words = "This component goes on at the oldest record that is left; to have the group stand \
                 there already now, run this while it has no members";
    let command = format!(
        "kafka-consumer-groups.sh --bootstrap-server <bootstrap> --group {} --topic \
         {topic}:{} --reset-offsets --to-earliest --execute",
        quoted(group),
        partitions.join(",")
    );
    Finding::new(&rows::OUT_OF_RANGE, cause, Fix::words(words).run(command))
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}
