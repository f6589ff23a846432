//! A topic that is deleted and created again is another topic of the same name.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use harness::{Component, Kafka, Lab, LabOptions, Ranges, Result};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        endpoints::at_least,
        members::settled,
        player::{Player, properties, text},
        records::{self, Plain},
    },
};

/// How soon a broker's comeback is noticed at the latest.
const COMEBACK: Duration = Duration::from_secs(60);

const TOPIC: &str = "again";
const MADE_ANEW: &str = "clients_made_anew_total{component=\"todo-pubsub\",client=\"consumer\"}";

/// Metadata, and its last version in which topics have no ids.
const WITHOUT_IDS: (i16, Option<(i16, i16)>) = (3, Some((0, 9)));

/// Its leader epoch begins anew, below the one that librdkafka knows.
pub async fn a_topic_that_is_made_again_after_a_leader_change_goes_on_at_its_start(
    _: Arc<Fixture>,
) -> Result<()> {
    let mut kafka = Kafka::start().await?;
    let brokers = kafka.address.clone();
    // More than the old one had, at once.
    made_again_after_a_leader_change(&mut kafka, &brokers, 5, "5s").await?;
    kafka.stop().await
}

/// Then only that it ends before what was read of it tells.
pub async fn a_topic_without_an_id_that_is_made_again_goes_on_at_its_start(
    _: Arc<Fixture>,
) -> Result<()> {
    let mut kafka = Kafka::start().await?;
    let (metadata, versions) = WITHOUT_IDS;
    let options = LabOptions {
        ranges: Some(Ranges::redpanda()?.with(metadata, versions)),
        ..LabOptions::default()
    };
    let lab = Lab::start(&kafka.address, options).await?;
    // Noticed without a standstill.
    made_again_after_a_leader_change(&mut kafka, &lab.address, 1, "60s").await?;
    kafka.stop().await
}

/// The old position does not exist in it, which is when the group learns of it: before it
/// reads anything, and not later, when all would come once more.
pub async fn a_topic_that_is_made_again_gives_each_record_once(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("again"), fixture.name("group"));
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let properties = properties(kafka, &group, &[]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let mut pull = player.pull(&topic).await?;
    publish(kafka, &topic, "old", 20).await?;
    pull.take(20, SOON).await?;
    admin::all_committed(kafka, &group, &topic, 1, 20).await?;

    admin::make_again(kafka, &topic, 1).await?;
    publish(kafka, &topic, "new", 5).await?;
    let mut texts = pull.take(5, SOON * 2).await?;
    at_least(&component.admin().await?, MADE_ANEW, 1.0).await?;
    admin::produce(kafka, &topic, "last").await?;
    texts.extend(pull.take(1, SOON * 2).await?);
    ensure!(
        texts == ["new 0", "new 1", "new 2", "new 3", "new 4", "last"],
        "{texts:?}"
    );
    Ok(())
}

async fn made_again_after_a_leader_change(
    kafka: &mut Kafka,
    brokers: &str,
    messages: usize,
    stall_timeout: &str,
) -> Result<()> {
    admin::create_topic(&kafka.address, TOPIC, 1, &[]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    // What is published before the group reads again must come all the same.
    let given = [("initialOffset", "newest"), ("stallTimeout", stall_timeout)];
    let properties = properties(brokers, "group", &given);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let mut pull = player.pull(TOPIC).await?;
    let admin = component.admin().await?;
    at_least(&admin, &assigned(), 1.0).await?;
    for n in 0..2 {
        player.publish(TOPIC, "a", &format!("old {n}")).await?;
    }
    pull.take(2, SOON).await?;
    // What is not committed yet may come twice; so it is, before the crash.
    admin::all_committed(&kafka.address, "group", TOPIC, 1, 2).await?;

    // A broker that comes back leads in a new epoch.
    kafka.down().await?;
    kafka.up().await?;
    admin::produce(&kafka.address, TOPIC, "old 2").await?;
    let texts = pull.take(1, COMEBACK).await?;
    ensure!(texts == ["old 2"], "{texts:?}");

    admin::make_again(&kafka.address, TOPIC, 1).await?;
    let wanted: Vec<_> = (0..messages).map(|n| format!("new {n}")).collect();
    for text in &wanted {
        admin::produce(&kafka.address, TOPIC, text).await?;
    }
    let texts = pull.take(messages, SOON * 2).await;
    let texts = texts.map_err(|error| component.process.failed(&error.to_string()))?;
    ensure!(texts == wanted, "{texts:?}");
    at_least(&admin, MADE_ANEW, 1.0).await?;
    admin::all_committed(&kafka.address, "group", TOPIC, 1, messages).await
}

fn assigned() -> String {
    format!("assigned_partitions{{component=\"todo-pubsub\",topic=\"{TOPIC}\",group=\"group\"}}")
}

/// A member of a group that acknowledges whatever comes, and tells of it.
struct Member {
    component: Component,
    pulling: JoinHandle<()>,
    _place: Place,
}

impl Member {
    async fn join(
        kafka: &str,
        group: &str,
        topic: &str,
        seen: mpsc::Sender<String>,
    ) -> Result<Self> {
        let place = Place::new()?;
        let component = place.component().await?;
        let properties = properties(kafka, group, &[]);
        let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
        let mut pull = player.pull(topic).await?;
        let pulling = tokio::spawn(async move {
            while let Ok(message) = pull.next(COMEBACK).await {
                if seen.send(text(&message)).await.is_err() || pull.ack(&message).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            component,
            pulling,
            _place: place,
        })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.pulling.abort();
    }
}

/// Each member notices by itself, and what one knows of the old topic as it gives its
/// partitions back counts for nothing in the new one.
pub async fn a_topic_that_is_made_again_is_read_whole_by_all_members(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("again"), fixture.name("group"));
    admin::create_topic(kafka, &topic, 2, &[]).await?;
    let (seen, mut all) = mpsc::channel(1000);
    let mut members = Vec::new();
    for _ in 0..2 {
        members.push(Member::join(kafka, &group, &topic, seen.clone()).await?);
    }
    settled(kafka, &group, "two members have one each", |members| {
        let each = members.iter().map(|member| member.partitions.get(&topic));
        members.len() == 2 && each.flatten().all(|own| own.len() == 1)
    })
    .await?;
    publish(kafka, &topic, "old", 20).await?;
    distinct(&mut all, "old", 20).await?;
    admin::all_committed(kafka, &group, &topic, 2, 20).await?;

    // They see nothing of it before each partition has more than the old one had: the old
    // positions exist there.
    for member in &members {
        member.component.process.signal("STOP").await?;
    }
    admin::make_again(kafka, &topic, 2).await?;
    publish(kafka, &topic, "new", 60).await?;
    for member in &members {
        member.component.process.signal("CONT").await?;
    }
    let came = distinct(&mut all, "new", 60).await;
    for member in &mut members {
        if let Err(error) = &came {
            return Err(member.component.process.failed(error));
        }
        at_least(&member.component.admin().await?, MADE_ANEW, 1.0).await?;
    }
    Ok(())
}

async fn publish(kafka: &str, topic: &str, text: &str, count: usize) -> Result<()> {
    let texts: Vec<_> = (0..count)
        .map(|n| (format!("k{}", n % 20), format!("{text} {n}")))
        .collect();
    let records: Vec<_> = texts
        .iter()
        .map(|(key, text)| Plain::new(key.as_str(), text.as_str()))
        .collect();
    records::write(kafka, topic, &records).await?;
    Ok(())
}

/// Waits until so many different messages came that begin so.
async fn distinct(
    all: &mut mpsc::Receiver<String>,
    begin: &str,
    count: usize,
) -> std::result::Result<(), String> {
    let mut seen = BTreeSet::new();
    while seen.len() < count {
        let next = tokio::time::timeout(SOON * 2, all.recv()).await;
        let next = next.map_err(|_| format!("only {seen:?} of {count} came"))?;
        let next = next.ok_or("all members are gone")?;
        if next.starts_with(begin) {
            seen.insert(next);
        }
    }
    Ok(())
}
