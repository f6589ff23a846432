//! Groups that others use, and groups that are nowhere.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use harness::{Kafka, Result, eventually};
use kafka_protocol::{
    messages::{
        GroupId, HeartbeatRequest, JoinGroupRequest, RequestHeader, ResponseHeader,
        SyncGroupRequest, join_group_request::JoinGroupRequestProtocol,
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::{Decodable as _, Encodable as _, Request, StrBytes},
};
use rdkafka::{
    ClientConfig,
    consumer::{Consumer as _, StreamConsumer},
    producer::{BaseRecord, Producer as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};

use super::{SOON, allow, commit, guarded, is_cured_by_command, patient, text};
use crate::{
    ensure,
    support::{
        Fixture, admin,
        records::{self, Plain},
        transactions::with_producer,
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

/// A consumer's subscription to no topic: brokers read it, and answer never if they can't.
const NO_TOPICS: &[u8] = &[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];

/// A member that sends what a test wants, and is in its group as long as its session lasts.
struct Raw {
    stream: TcpStream,
    member: StrBytes,
    generation: i32,
}

impl Raw {
    /// Joins an empty group and leads it.
    async fn join(brokers: &str, group: &str, kind: &str, protocols: &[&str]) -> Result<Self> {
        let protocols = protocols.iter().map(|name| {
            JoinGroupRequestProtocol::default()
                .with_name(text_of(name))
                .with_metadata(Bytes::from_static(NO_TOPICS))
        });
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId(text_of(group)))
            .with_session_timeout_ms(60_000)
            .with_rebalance_timeout_ms(60_000)
            .with_protocol_type(text_of(kind))
            .with_protocols(protocols.collect());
        let mut stream = TcpStream::connect(brokers).await?;
        let answer = ask(&mut stream, &request).await?;
        ensure!(answer.error_code == 0, "{answer:?}");
        Ok(Self {
            stream,
            member: answer.member_id,
            generation: answer.generation_id,
        })
    }

    /// Shares out nothing, so that the group is stable.
    async fn settle(&mut self, group: &str) -> Result<()> {
        let assignment = SyncGroupRequestAssignment::default().with_member_id(self.member.clone());
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(text_of(group)))
            .with_generation_id(self.generation)
            .with_member_id(self.member.clone())
            .with_assignments(vec![assignment]);
        let answer = ask(&mut self.stream, &request).await?;
        ensure!(answer.error_code == 0, "{answer:?}");
        Ok(())
    }

    /// Requires that it is in the same generation as ever, and that no other one begins.
    async fn is_undisturbed(&mut self, group: &str) -> Result<()> {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text_of(group)))
            .with_generation_id(self.generation)
            .with_member_id(self.member.clone());
        let answer = ask(&mut self.stream, &request).await?;
        ensure!(answer.error_code == 0, "{answer:?}");
        Ok(())
    }
}

fn text_of(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Asks in a version that has no member ids given before a member is in.
async fn ask<R: Request>(stream: &mut TcpStream, request: &R) -> Result<R::Response> {
    const VERSION: i16 = 2;
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(VERSION)
        .with_client_id(Some(text_of("worker-1")));
    let mut bytes = BytesMut::new();
    header.encode(&mut bytes, 1)?;
    request.encode(&mut bytes, VERSION)?;
    let mut frame = BytesMut::new();
    frame.put_u32(u32::try_from(bytes.len())?);
    frame.extend_from_slice(&bytes);
    stream.write_all(&frame).await?;
    let length = stream.read_u32().await?;
    let mut answer = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut answer).await?;
    let mut answer = Bytes::from(answer);
    ResponseHeader::decode(&mut answer, 0)?;
    Ok(R::Response::decode(&mut answer, VERSION)?)
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
    let worker = Raw::join(kafka, &workers, "connect", &["sessioned"]).await?;
    let mut component = patient(kafka, &workers)?;
    component
        .is_cured_of("RDK-GROUP-03", &arguments, &known)
        .await?;
    drop(worker);

    // They agreed on something else, and have something in common all the same.
    let both = fixture.name("both");
    let offered = ["cooperative-sticky", "range"];
    let mut other = Raw::join(kafka, &both, "consumer", &offered).await?;
    other.settle(&both).await?;
    let component = patient(kafka, &both)?;
    for _ in 0..2 {
        let diagnosis = component.diagnose(&arguments).await?;
        diagnosis.is_clean()?;
        let found = text(&diagnosis, "group", &format!("group {both}"));
        let expected = "broker 1 coordinates it; Stable, cooperative-sticky; 1 member (worker-1); \
                        its members offer range or roundrobin too";
        ensure!(found == Some(("fine", expected)), "{found:?}");
        other.is_undisturbed(&both).await?;
    }

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

/// A user who may do what the component does and no more, before any group was used and
/// with a group of the newer protocol: nothing is found, and nothing is made.
pub async fn a_user_of_few_rights_is_healthy(_: Arc<Fixture>) -> Result<()> {
    let kafka = guarded().await?;
    let (brokers, topic, group) = (kafka.address.as_str(), "orders", "group");
    admin::create_topic(brokers, topic, 2, &[]).await?;
    // What a broker and the one who gives rights need: here they are this user too. What
    // is somebody's is no longer everybody's.
    for (to, what) in [
        (
            "ANONYMOUS",
            "--operation Alter --operation ClusterAction --operation Create --cluster",
        ),
        (
            "ANONYMOUS",
            "--operation Write --operation Read --operation Describe --topic orders",
        ),
        ("ANONYMOUS", "--operation Read --group group"),
        ("somebody", "--operation Read --topic *"),
        ("somebody", "--operation Read --group *"),
    ] {
        allow(&kafka, to, what).await?;
    }
    let component = patient(brokers, group)?;
    let subject = format!("group {group}");
    // The second one sees what the first one made.
    for _ in 0..2 {
        let diagnosis = component.diagnose(&["--topic", topic]).await?;
        diagnosis.is_clean()?;
        let (outcome, words) = text(&diagnosis, "group", &subject).ok_or("no check")?;
        ensure!(
            outcome == "skipped" && words.contains("this user may not see"),
            "{words}"
        );
    }
    let member = Member::join(brokers, group, topic, &[("group.protocol", "consumer")])?;
    member.has(2).await?;
    let diagnosis = component.diagnose(&["--topic", topic]).await?;
    diagnosis.is_clean()?;
    let (outcome, words) = text(&diagnosis, "group", &subject).ok_or("no check")?;
    ensure!(outcome == "fine" && words.contains("KIP-848"), "{words}");
    drop(member);
    kafka.stop().await
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
    let open = with_producer(brokers, "open", SOON, |producer| {
        producer.begin_transaction()?;
        let record = BaseRecord::to("orders").key("key").payload("open");
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(SOON)?;
        Ok(producer)
    });
    let open = open.await?;
    let diagnosis = component.diagnose(&arguments).await?;
    let (outcome, words) =
        text(&diagnosis, "group", "group group, topic orders").ok_or("no check")?;
    let named = "a transaction is open in partition 0 from offset 4 on";
    ensure!(outcome == "fine" && words.contains(named), "{words}");
    tokio::task::spawn_blocking(move || open.abort_transaction(SOON)).await??;

    for (offset, first) in [(1, 2), (9, 3)] {
        commit(brokers, group, topic, offset).await?;
        admin::delete_records(brokers, topic, first).await?;
        is_cured_by_command(&kafka, &component, "RDK-GROUP-05", &arguments).await?;
        let committed = admin::committed(brokers, group, topic, 1).await?;
        ensure!(committed == [Some(first)], "{committed:?}");
    }
    kafka.stop().await
}
