//! Where a group continues in a partition.

use std::{sync::Arc, time::Duration};

use harness::{Component, Result, eventually};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::{
    doctor::rights::{allow, guarded},
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        endpoints::at_least,
        player::{Player, Pull, properties},
        records::{self, Plain},
        transactions::with_producer,
    },
};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A topic with ten records, a group that has committed there, and a member of it.
struct Bench {
    kafka: String,
    topic: String,
    group: String,
    place: Place,
}

impl Bench {
    async fn new(fixture: &Fixture) -> Result<Self> {
        let kafka = fixture.kafka().await?.to_owned();
        let (topic, group) = (fixture.name("resume"), fixture.name("group"));
        admin::create_topic(&kafka, &topic, 1, &[]).await?;
        let ten: Vec<_> = (0..10).map(|n| Plain::new("a", n.to_string())).collect();
        records::write(&kafka, &topic, &ten).await?;
        Ok(Self {
            kafka,
            topic,
            group,
            place: Place::new()?,
        })
    }

    async fn commit(&self, offset: i64, metadata: &str) -> Result<()> {
        admin::commit(&self.kafka, &self.group, &self.topic, offset, metadata).await
    }

    /// Starts a member, which does not see what is published before it is assigned its partition
    /// unless the group continues there.
    async fn member(&self) -> Result<(Component, Pull)> {
        let mut component = self.place.component().await?;
        let newest = properties(&self.kafka, &self.group, &[("initialOffset", "newest")]);
        let mut player = Player::start(&self.place.socket("rdkafka"), newest).await?;
        let pull = player.pull(&self.topic).await?;
        self.assigned(&mut component).await?;
        Ok((component, pull))
    }

    async fn assigned(&self, component: &mut Component) -> Result<()> {
        let (topic, group) = (&self.topic, &self.group);
        let of = format!("component=\"todo-pubsub\",topic=\"{topic}\",group=\"{group}\"");
        let assigned = format!("assigned_partitions{{{of}}}");
        at_least(&component.admin().await?, &assigned, 1.0).await?;
        Ok(())
    }

    /// The metadata of a commit that this component has made at this offset.
    async fn own_metadata(&self, offset: i64) -> Result<String> {
        self.commit(offset, "").await?;
        let (component, mut pull) = self.member().await?;
        records::write(&self.kafka, &self.topic, &[Plain::new("a", "own")]).await?;
        pull.take(1, SOON).await?;
        let next = usize::try_from(offset + 1)?;
        admin::all_committed(&self.kafka, &self.group, &self.topic, 1, next).await?;
        component.stop().await?;
        admin::committed_metadata(&self.kafka, &self.group, &self.topic).await
    }

    async fn committed(&self) -> Result<Option<i64>> {
        let committed = admin::committed(&self.kafka, &self.group, &self.topic, 1).await?;
        Ok(committed[0])
    }
}

/// Sends ten records in a transaction that stays open.
async fn open_transaction(brokers: &str, topic: &str) -> Result<BaseProducer> {
    let to = topic.to_owned();
    with_producer(brokers, topic, TIMEOUT, move |producer| {
        producer.begin_transaction()?;
        for n in 0..10 {
            let payload = format!("open {n}");
            producer
                .send(BaseRecord::to(&to).key("a").payload(&payload))
                .map_err(|(error, _)| error)?;
        }
        producer.flush(TIMEOUT)?;
        Ok(producer)
    })
    .await
}

/// The built-in component reads what is not committed yet, so its group may stand behind a
/// transaction that is still open when this component takes over.
pub async fn an_open_transaction_at_a_takeover_brings_nothing_back(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let bench = Bench::new(&fixture).await?;
    let producer = open_transaction(&bench.kafka, &bench.topic).await?;
    bench.commit(20, "").await?;
    let (component, mut pull) = bench.member().await?;
    ensure!(bench.committed().await? == Some(20), "the commit moved");
    tokio::task::spawn_blocking(move || producer.commit_transaction(TIMEOUT)).await??;
    records::write(&bench.kafka, &bench.topic, &[Plain::new("a", "after")]).await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["after"], "redelivered: {texts:?}");
    let log = component.stop().await?.output;
    ensure!(!log.contains("out of range"), "{log}");
    Ok(())
}

/// The commit names this topic, so the log was cut (an unclean leader election): what is left of
/// it was delivered before.
pub async fn a_log_that_was_cut_is_read_on_at_its_end(fixture: Arc<Fixture>) -> Result<()> {
    let bench = Bench::new(&fixture).await?;
    let metadata = bench.own_metadata(10).await?;
    bench.commit(15, &metadata.replace(" 11", " 15")).await?;
    let (mut component, mut pull) = bench.member().await?;
    let named = "have lost 4 offsets";
    let process = &mut component.process;
    process
        .line(named, SOON, |line| line.contains(named))
        .await?;
    let committed = || async { (bench.committed().await.ok()? == Some(11)).then_some(()) };
    eventually("the commit of the log's end", SOON, committed).await?;
    records::write(&bench.kafka, &bench.topic, &[Plain::new("a", "after")]).await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["after"], "redelivered: {texts:?}");
    Ok(())
}

/// Nothing tells whether that is the same topic: no record may be skipped.
pub async fn a_commit_beyond_the_end_that_names_no_topic_skips_no_record(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let bench = Bench::new(&fixture).await?;
    bench.commit(15, "").await?;
    let (mut component, mut pull) = bench.member().await?;
    let texts = pull.take(10, SOON).await?;
    ensure!(texts[0] == "0" && texts[9] == "9", "{texts:?}");
    let named = "nothing tells whether the topic was created again";
    let process = &mut component.process;
    process
        .line(named, SOON, |line| line.contains(named))
        .await?;
    Ok(())
}

/// The topic was created again and grew beyond the group's offset before anybody noticed.
pub async fn a_commit_of_the_topic_before_skips_no_record(fixture: Arc<Fixture>) -> Result<()> {
    let bench = Bench::new(&fixture).await?;
    let metadata = bench.own_metadata(10).await?;
    let topic = metadata.split(' ').nth(2).ok_or("no topic id")?;
    let before = metadata.replace(topic, "AAAAAAAAAAAAAAAAAAAAAQ");
    bench.commit(5, &before.replace(" 11", " 5 1-3")).await?;
    let (mut component, mut pull) = bench.member().await?;
    let texts = pull.take(11, SOON).await?;
    ensure!(texts[0] == "0" && texts[10] == "own", "{texts:?}");
    let named = "deleted and created again";
    let process = &mut component.process;
    process
        .line(named, SOON, |line| line.contains(named))
        .await?;
    Ok(())
}

/// A tool that copies a topic and its group to another cluster copies the metadata, too.
pub async fn a_commit_that_was_copied_from_another_cluster_keeps_its_offset(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let bench = Bench::new(&fixture).await?;
    let copied = "dapr-rdkafka/2 another-cluster AAAAAAAAAAAAAAAAAAAAAQ 5 1-3";
    bench.commit(5, copied).await?;
    let (_component, mut pull) = bench.member().await?;
    let texts = pull.take(5, SOON).await?;
    ensure!(texts == ["5", "6", "7", "8", "9"], "{texts:?}");
    Ok(())
}

/// An app has two subscriptions, and the right to read one of the topics is missing.
pub async fn a_topic_that_may_not_be_described_keeps_no_other_from_being_read(
    _: Arc<Fixture>,
) -> Result<()> {
    let own = guarded().await?;
    let kafka = own.address.as_str();
    for topic in ["mine", "forbidden"] {
        admin::create_topic(kafka, topic, 1, &[]).await?;
        admin::produce(kafka, topic, topic).await?;
    }
    allow(&own, "somebody", "--operation Read --topic forbidden").await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let properties = properties(kafka, "group", &[]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let mut forbidden = player.pull("forbidden").await?;
    let mut mine = player.pull("mine").await?;
    let texts = mine.take(1, SOON).await?;
    ensure!(texts == ["mine"], "{texts:?}");
    let named = "asking for topic forbidden";
    let process = &mut component.process;
    process
        .line(named, SOON, |line| line.contains(named))
        .await?;

    allow(&own, "ANONYMOUS", "--operation Read --topic forbidden").await?;
    let texts = forbidden.take(1, SOON * 2).await?;
    ensure!(texts == ["forbidden"], "{texts:?}");
    Ok(())
}
