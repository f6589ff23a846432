//! Groups that others use, and groups that are nowhere.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use harness::{Kafka, Result, eventually};
use kafka_protocol::{
    messages::{
        GroupId, JoinGroupRequest, JoinGroupResponse, RequestHeader, ResponseHeader,
        join_group_request::JoinGroupRequestProtocol,
    },
    protocol::{Decodable as _, Encodable as _, Request as _, StrBytes},
};
use rdkafka::{
    ClientConfig,
    consumer::{Consumer as _, StreamConsumer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};

use super::{SOON, commit, is_cured_by_command, patient, text};
use crate::{
    ensure,
    support::{
        Fixture, admin,
        records::{self, Plain},
    },
};

/// A member of a group that goes on until it is dropped.
struct Member {
    consumer: Arc<StreamConsumer>,
    polls: JoinHandle<()>,
}

impl Member {
    fn join(brokers: &str, group: &str, topic: &str, more: &[(&str, &str)]) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        config.set("group.id", group).set("client.id", "another");
        for (key, value) in more {
            config.set(*key, *value);
        }
        let consumer: Arc<StreamConsumer> = Arc::new(config.create()?);
        consumer.subscribe(&[topic])?;
        let polled = consumer.clone();
        let polls = tokio::spawn(async move {
            loop {
                let _ = polled.recv().await;
            }
        });
        Ok(Self { consumer, polls })
    }

    /// Waits until it has a number of partitions.
    async fn has(&self, partitions: usize) -> Result<()> {
        let has =
            || async { (self.consumer.assignment().ok()?.count() == partitions).then_some(()) };
        eventually(&format!("{partitions} partitions"), SOON, has).await
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.polls.abort();
    }
}

/// A worker as Kafka Connect has them: it is in the group as long as its session lasts.
async fn join_as_worker(brokers: &str, group: &str) -> Result<TcpStream> {
    const VERSION: i16 = 2;
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("sessioned"))
        .with_metadata(Bytes::from_static(b"anything"));
    let request = JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_session_timeout_ms(60_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text("connect"))
        .with_protocols(vec![protocol]);
    let header = RequestHeader::default()
        .with_request_api_key(JoinGroupRequest::KEY)
        .with_request_api_version(VERSION)
        .with_client_id(Some(text("worker-1")));
    let mut bytes = BytesMut::new();
    header.encode(&mut bytes, 1)?;
    request.encode(&mut bytes, VERSION)?;
    let mut frame = BytesMut::new();
    frame.put_u32(u32::try_from(bytes.len())?);
    frame.extend_from_slice(&bytes);
    let mut stream = TcpStream::connect(brokers).await?;
    stream.write_all(&frame).await?;
    let length = stream.read_u32().await?;
    let mut answer = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut answer).await?;
    let mut answer = Bytes::from(answer);
    ResponseHeader::decode(&mut answer, 0)?;
    let answer = JoinGroupResponse::decode(&mut answer, VERSION)?;
    ensure!(answer.error_code == 0, "{answer:?}");
    Ok(stream)
}

/// Members with another strategy, and members that are none of Kafka's consumers; and
/// those beside whom there is room.
pub async fn members_that_this_component_cant_join_are_found(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("held");
    admin::create_topic(kafka, &topic, 2, &[]).await?;
    let arguments = ["--topic", &topic];

    let sticky = fixture.name("sticky");
    let strategy = [("partition.assignment.strategy", "cooperative-sticky")];
    let member = Member::join(kafka, &sticky, &topic, &strategy)?;
    member.has(2).await?;
    let own = fixture.name("own");
    let known = [("consumerGroup", own.as_str())];
    let mut component = patient(kafka, &sticky)?;
    component
        .is_cured_of("RDK-GROUP-04", &arguments, &known)
        .await?;

    let workers = fixture.name("workers");
    admin::committed(kafka, &workers, &topic, 1).await?;
    let worker = join_as_worker(kafka, &workers).await?;
    let mut component = patient(kafka, &workers)?;
    component
        .is_cured_of("RDK-GROUP-03", &arguments, &known)
        .await?;
    drop(worker);

    for strategies in ["range", "roundrobin", "range,roundrobin"] {
        let group = fixture.name("shared");
        let strategy = [("partition.assignment.strategy", strategies)];
        let member = Member::join(kafka, &group, &topic, &strategy)?;
        member.has(2).await?;
        let component = patient(kafka, &group)?;
        component.is_healthy(&arguments).await?;
        let diagnosis = component.diagnose(&arguments).await?;
        let found = text(&diagnosis, "group", &format!("group {group}"));
        let (outcome, words) = found.ok_or("no check")?;
        let first = strategies.split(',').next().unwrap_or_default();
        let expected = format!("broker 1 coordinates it; Stable, {first}; 1 member (another)");
        ensure!(outcome == "fine" && words == expected, "{words}");
    }
    Ok(())
}

/// What really comes of it: the doctor finds nothing, and the component gets its share.
pub async fn a_group_of_the_newer_protocol_takes_this_component(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("newer"), fixture.name("newer"));
    admin::create_topic(kafka, &topic, 2, &[]).await?;
    let member = Member::join(kafka, &group, &topic, &[("group.protocol", "consumer")])?;
    member.has(2).await?;
    let component = patient(kafka, &group)?;
    component.is_healthy(&["--topic", &topic]).await?;
    let diagnosis = component.diagnose(&["--topic", &topic]).await?;
    let (_, words) = text(&diagnosis, "group", &format!("group {group}")).ok_or("no check")?;
    ensure!(
        words.contains("KIP-848") && words.contains("1 member"),
        "{words}"
    );

    let classic = [("partition.assignment.strategy", "range,roundrobin")];
    let second = Member::join(kafka, &group, &topic, &classic)?;
    second.has(1).await?;
    member.has(1).await
}

/// Before the first group there is no topic for their offsets, and here brokers can't make
/// it. Then a group's offsets lie before the first record and after the last; a lag is no
/// finding.
pub async fn groups_that_are_nowhere_are_found(_: Arc<Fixture>) -> Result<()> {
    let kafka = Kafka::start_with(&[("offsets.topic.replication.factor", "3")]).await?;
    let (brokers, topic, group) = (kafka.address.as_str(), "orders", "group");
    admin::create_topic(brokers, topic, 1, &[]).await?;
    let component = patient(brokers, group)?;
    let arguments = ["--topic", topic];
    is_cured_by_command(&kafka, &component, "RDK-GROUP-01", &arguments).await?;

    let many = ["a", "b", "c", "d"].map(|text| Plain::new(text, text));
    records::write(brokers, topic, &many).await?;
    commit(brokers, group, topic, 1).await?;
    component.is_healthy(&arguments).await?;
    let diagnosis = component.diagnose(&arguments).await?;
    let lag = text(&diagnosis, "group", "group group, topic orders");
    ensure!(lag == Some(("fine", "lag 3 over 1 partitions")), "{lag:?}");

    for (offset, first) in [(1, 2), (9, 3)] {
        commit(brokers, group, topic, offset).await?;
        admin::delete_records(brokers, topic, first).await?;
        is_cured_by_command(&kafka, &component, "RDK-GROUP-05", &arguments).await?;
        let committed = admin::committed(brokers, group, topic, 1).await?;
        ensure!(committed == [Some(first)], "{committed:?}");
    }
    kafka.stop().await
}
