use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use dapr_rdkafka::dapr::proto::PullMessagesResponse;
use harness::{Component, Result};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        brokers::Brokers,
        endpoints::at_least,
        player::{Player, Pull, properties, text},
        records::{Plain, write_to},
    },
};

const PARTITIONS: i32 = 6;
const MESSAGES: usize = 600;
const KEYS: usize = 20;

/// One member of the group: a component, and a daprd that acknowledges whatever
/// comes, and tells of it.
struct Member {
    component: Component,
    pulling: JoinHandle<()>,
    _place: Place,
}

impl Member {
    async fn join(
        brokers: &Brokers,
        group: &str,
        topic: &str,
        seen: mpsc::Sender<String>,
    ) -> Result<(Self, Player)> {
        let place = Place::new()?;
        let component = place.component().await?;
        let properties = brokers.properties(group);
        let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
        let mut pull = player.pull(topic).await?;
        let pulling = tokio::spawn(async move {
            while let Ok(message) = pull.next(SOON * 3).await {
                if seen.send(text(&message)).await.is_err() || pull.ack(&message).await.is_err() {
                    return;
                }
            }
        });
        let member = Self {
            component,
            pulling,
            _place: place,
        };
        Ok((member, player))
    }

    async fn leave(self, player: Player) -> Result<()> {
        let stopping = self.component.stop();
        // daprd goes when the component has drained: its stream ends.
        let gone = async {
            let ended = self.pulling.await;
            drop(player);
            ended
        };
        let (stopped, ended) = tokio::join!(stopping, gone);
        ended?;
        let stopped = stopped?;
        ensure!(
            stopped.status.success(),
            "{}: {}",
            stopped.status,
            stopped.output
        );
        Ok(())
    }
}

/// Members come and go under load: nothing is lost, equal keys stay in order,
/// and since every member drains before it gives partitions up, nothing is
/// delivered twice.
pub async fn members_come_and_go_and_nothing_is_lost(fixture: Arc<Fixture>) -> Result<()> {
    let brokers = Brokers::plain(fixture.kafka().await?);
    members_come_and_go(&fixture, &brokers).await
}

/// The same on any brokers.
pub async fn members_come_and_go(fixture: &Fixture, brokers: &Brokers) -> Result<()> {
    let kafka = brokers.own.as_str();
    let (topic, group) = (fixture.name("rebalance"), fixture.name("group"));
    admin::create_topic(kafka, &topic, PARTITIONS, &[]).await?;
    let (seen, mut all) = mpsc::channel(MESSAGES * 2);
    let (mut first, first_player) = Member::join(brokers, &group, &topic, seen.clone()).await?;

    let admin = first.component.admin().await?;
    let rebalances = |event: &str| {
        format!("rebalances_total{{component=\"todo-pubsub\",group=\"{group}\",event=\"{event}\"}}")
    };

    let mut publisher = first_player.clone();
    let mut second = None;
    let mut first = Some((first, first_player));
    for n in 0..MESSAGES {
        if n == MESSAGES / 3 {
            // Else both would get their first partitions together, and give up none.
            at_least(&admin, &rebalances("assigned"), 1.0).await?;
            let (member, player) = Member::join(brokers, &group, &topic, seen.clone()).await?;
            publisher = player.clone();
            second = Some((member, player));
        }
        if n == MESSAGES * 2 / 3
            && let Some((member, player)) = first.take()
        {
            at_least(&admin, &rebalances("revoked"), 1.0).await?;
            member.leave(player).await?;
        }
        let key = format!("k{}", n % KEYS);
        publisher
            .publish(&topic, &key, &format!("{key} {n}"))
            .await?;
    }

    let mut texts = Vec::new();
    let mut distinct = BTreeSet::new();
    while distinct.len() < MESSAGES {
        let text = tokio::time::timeout(SOON, all.recv()).await;
        let text = text.map_err(|_| format!("only {} of {MESSAGES} came", distinct.len()))?;
        let text = text.ok_or("both members are gone")?;
        distinct.insert(text.clone());
        texts.push(text);
    }
    in_order(&texts)?;
    ensure!(
        texts.len() == MESSAGES,
        "{} came twice",
        texts.len() - MESSAGES
    );
    admin::all_committed(kafka, &group, &topic, PARTITIONS, MESSAGES).await?;
    drop(second);
    Ok(())
}

/// Per key, first deliveries are in the order of publishing.
fn in_order(texts: &[String]) -> Result<()> {
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for text in texts {
        let (key, number) = text.split_once(' ').ok_or("not one of ours")?;
        let number = number.parse()?;
        if let Some(before) = last.insert(key, number) {
            ensure!(before < number, "{key}: {number} came after {before}");
        }
    }
    Ok(())
}

/// Longer than a member waited for its app's answers before it gave partitions away in 0.1.
const SLOW: Duration = Duration::from_secs(8);

/// A group of two on a topic of two partitions, with five records in each. The first member's app
/// works on one record when the second joins.
struct Pair {
    group: String,
    topic: String,
    first: Pull,
    held: PullMessagesResponse,
    second: Pull,
    _components: [Component; 2],
    _places: [Place; 2],
}

impl Pair {
    async fn start(fixture: &Fixture, more: &[(&str, &str)]) -> Result<Self> {
        let kafka = fixture.kafka().await?;
        let (topic, group) = (fixture.name("slow"), fixture.name("group"));
        admin::create_topic(kafka, &topic, 2, &[]).await?;
        for partition in 0..2 {
            let records = (0..5).map(|number| Plain::new("key", format!("{partition}-{number}")));
            let records: Vec<_> = records.collect();
            write_to(kafka, &topic, Some(partition), &records).await?;
        }
        let places = [Place::new()?, Place::new()?];
        let components = [places[0].component().await?, places[1].component().await?];
        let join = async |place: &Place| {
            let properties = properties(kafka, &group, more);
            let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
            Ok::<Pull, harness::Error>(player.pull(&topic).await?)
        };
        let mut first = join(&places[0]).await?;
        let held = first.next(SOON).await?;
        let second = join(&places[1]).await?;
        Ok(Self {
            group,
            topic,
            first,
            held,
            second,
            _components: components,
            _places: places,
        })
    }
}

/// The built-in waits for handlers for 60 s before it gives partitions away. A member that does not
/// wait lets two apps work on one event at once.
pub async fn a_slow_handler_is_waited_for(fixture: Arc<Fixture>) -> Result<()> {
    let mut pair = Pair::start(&fixture, &[]).await?;
    let early = pair.second.next(SLOW).await;
    ensure!(early.is_err(), "it was not waited for: {early:?}");
    pair.first.ack(&pair.held).await?;
    let mut texts = vec![text(&pair.held)];
    while texts.len() < 10 {
        let (pull, message) = tokio::select! {
            message = pair.first.next(SOON) => (&pair.first, message?),
            message = pair.second.next(SOON) => (&pair.second, message?),
        };
        pull.ack(&message).await?;
        texts.push(text(&message));
    }
    let kafka = fixture.kafka().await?;
    admin::all_committed(kafka, &pair.group, &pair.topic, 2, 10).await?;
    texts.sort();
    ensure!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{texts:?}");
    Ok(())
}

/// An app that hangs holds the group up for `rebalanceDrain`, and no longer.
pub async fn an_app_that_hangs_lets_the_group_scale_out(fixture: Arc<Fixture>) -> Result<()> {
    let mut pair = Pair::start(&fixture, &[("rebalanceDrain", "2s")]).await?;
    // One of the partitions goes to the second member, and perhaps the record that hangs with it.
    for _ in 0..5 {
        let message = pair.second.next(SOON).await?;
        pair.second.ack(&message).await?;
    }
    Ok(())
}
