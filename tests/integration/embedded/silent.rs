//! A broker that takes requests and does not answer.

use std::{sync::Arc, time::Duration};

use harness::Result;
use rdkafka::{
    ClientConfig,
    error::KafkaResult,
    mocking::{MockCluster, MockCoordinator},
    producer::{BaseProducer, DefaultProducerContext, Producer as _},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON,
        player::{Player, properties, text},
        records::{Plain, write_to},
    },
};

/// How long the coordinator takes for each answer: longer than a commit is waited for.
const SILENCE: Duration = Duration::from_secs(20);

/// librdkafka's mock cluster of three brokers, whose ids are 1 to 3.
struct Mock(BaseProducer);

impl Mock {
    /// Brokers 1 and 2 lead a partition of `orders` each; the group has this coordinator.
    fn start(coordinator: i32) -> Result<Self> {
        let mut config = ClientConfig::new();
        let mock = Self(config.set("test.mock.num.brokers", "3").create()?);
        mock.change(|cluster| {
            cluster.create_topic("orders", 2, 1)?;
            cluster.partition_leader("orders", 0, Some(1))?;
            cluster.partition_leader("orders", 1, Some(2))?;
            cluster.coordinator(MockCoordinator::Group("group".into()), coordinator)
        })?;
        Ok(mock)
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&MockCluster<'_, DefaultProducerContext>) -> KafkaResult<T>,
    ) -> Result<T> {
        let cluster = self.0.client().mock_cluster().ok_or("no mock cluster")?;
        Ok(change(&cluster)?)
    }
}

/// A commit that hangs keeps librdkafka from starting any partition of a new assignment. So none
/// is made until the commit has ended, and what is being read goes on.
pub async fn a_silent_coordinator_stops_no_partition(_: Arc<Fixture>) -> Result<()> {
    let mock = Mock::start(3)?;
    let brokers = mock.change(|cluster| Ok(cluster.bootstrap_servers()))?;
    let write = async |partition, what: &str| {
        let record = [Plain::new("key", what)];
        write_to(&brokers, "orders", Some(partition), &record).await
    };
    let place = Place::new()?;
    let mut component = place.component().await?;
    let properties = properties(&brokers, "group", &[("sessionTimeout", "60s")]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let mut pull = player.pull("orders").await?;
    for partition in 0..2 {
        write(partition, "before").await?;
    }
    pull.take(2, SOON).await?;

    mock.change(|cluster| cluster.broker_round_trip_time(3, SILENCE))?;
    write(0, "whose commit hangs").await?;
    pull.take(1, SOON).await?;
    let hangs = "the group's coordinator did not answer";
    let process = &mut component.process;
    process
        .line(hangs, SOON, |line| line.contains(hangs))
        .await?;

    // The fetch of one partition is answered so: it is to be read on by a new assignment.
    let lost = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    mock.change(|cluster| {
        cluster.request_errors(RDKafkaApiKey::Fetch, &[lost]);
        Ok(())
    })?;
    let named = "calls offset";
    process
        .line(named, SOON, |line| line.contains(named))
        .await?;
    for partition in 0..2 {
        write(partition, &partition.to_string()).await?;
    }
    // Only one of the partitions waits for the commit.
    let first = pull.next(SILENCE / 4).await?;
    pull.ack(&first).await?;
    let second = pull.next(2 * SILENCE).await?;
    pull.ack(&second).await?;
    let mut texts = [text(&first), text(&second)];
    texts.sort();
    ensure!(texts == ["0", "1"], "{texts:?}");
    Ok(())
}

/// Where a group has no offset, leaders say where its partitions begin. One that does not answer
/// holds up its own partitions only.
pub async fn a_silent_leader_holds_up_its_own_partitions_only(_: Arc<Fixture>) -> Result<()> {
    let mock = Mock::start(1)?;
    let brokers = mock.change(|cluster| Ok(cluster.bootstrap_servers()))?;
    for partition in 0..2 {
        let record = [Plain::new("key", partition.to_string())];
        write_to(&brokers, "orders", Some(partition), &record).await?;
    }
    let place = Place::new()?;
    let _component = place.component().await?;
    let properties = properties(&brokers, "group", &[]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    mock.change(|cluster| cluster.broker_round_trip_time(2, SILENCE))?;
    let mut pull = player.pull("orders").await?;
    // Metadata may have been asked of the silent broker first.
    let first = pull.next(2 * SOON).await?;
    pull.ack(&first).await?;
    mock.change(|cluster| cluster.broker_round_trip_time(2, Duration::ZERO))?;
    let second = pull.next(2 * SOON).await?;
    pull.ack(&second).await?;
    let texts = [text(&first), text(&second)];
    ensure!(texts == ["0", "1"], "{texts:?}");
    Ok(())
}
