//! Components to which nearly everything happens that they count.

use std::collections::{HashMap, HashSet};

use harness::{Component, EmbeddedBroker, Result};

use super::{
    Fixture, Place, SOON, admin,
    endpoints::at_least,
    player::{Player, Pull, properties, text},
    program,
    records::{self, Plain},
};
use crate::ensure;

/// Two processes of the component.
pub struct Troubled {
    /// A topic with a dead letter.
    pub topic: String,
    /// A topic whose dead letter can't be written.
    pub held: String,
    pub group: String,
    /// The address of the admin endpoints.
    pub admin: String,
    /// The one that is called and was never initialised.
    pub forgotten: Component,
    pub forgotten_admin: String,
    player: Player,
    _alive: (Component, Vec<Place>, Vec<Player>, Vec<Pull>),
}

/// Quick attempts, no waiting for the minimum age, and a publish that gives up soon.
const QUICK: [(&str, &str); 5] = [
    ("backOffDuration", "50ms"),
    ("maxDeliveryAttempts", "2"),
    ("deadLetterMinAge", "0s"),
    ("deadLetterTopic", "{topic}.dlq"),
    ("publishTimeout", "2s"),
];

impl Troubled {
    pub async fn start(fixture: &Fixture) -> Result<Self> {
        let kafka = fixture.kafka().await?;
        let (topic, held) = (fixture.name("monitored"), fixture.name("held"));
        let (dead, group) = (format!("{topic}.dlq"), fixture.name("group"));
        for name in [&topic, &held, &dead] {
            admin::create_topic(kafka, name, 1, &[]).await?;
        }
        // The depth is asked for at the start, and then every 30 s.
        records::write(kafka, &dead, &[Plain::new("k", "an older one")]).await?;

        let place = Place::new()?;
        let mut component = place.component().await?;
        let admin = component.admin().await?;
        let socket = place.socket("rdkafka");
        let mut player = Player::start(&socket, properties(kafka, &group, &QUICK)).await?;
        let first = consumes(&mut player, kafka, &topic).await?;
        let second = consumes_in_vain(&mut player, kafka, &held).await?;
        for _ in 0..5 {
            player.publish_at_last(&topic, "a", "published").await?;
        }
        in_vain(&mut player, &topic).await?;
        let of_held = format!("component=\"todo-pubsub\",topic=\"{held}\",group=\"{group}\"");
        let failed = format!("dlq_publish_failures_total{{{of_held}}}");
        at_least(&admin, &failed, 2.0).await?;

        // In a process of its own: children of this one would hold its connections open.
        let broker = EmbeddedBroker::start(program(), &["orders"]).await?;
        let mut lonely = Player::connect(&socket, "lonely").await?;
        lonely
            .init(properties(&broker.address, &group, &[]))
            .await?;
        broker.process.kill().await?;

        let second_place = Place::new()?;
        let mut forgotten = second_place.component().await?;
        let forgotten_admin = forgotten.admin().await?;
        let mut stranger = Player::connect(&second_place.socket("rdkafka"), "todo-pubsub").await?;
        let published = stranger.publish(&topic, "a", "x").await;
        ensure!(published.is_err(), "there is no instance");
        Ok(Self {
            topic,
            held,
            group,
            admin,
            forgotten,
            forgotten_admin,
            player,
            _alive: (
                component,
                vec![place, second_place],
                vec![lonely, stranger],
                vec![first, second],
            ),
        })
    }

    /// Publishes more that no broker takes.
    pub async fn publishes_in_vain(&mut self) -> Result<()> {
        for _ in 0..5 {
            in_vain(&mut self.player, &self.topic).await?;
        }
        Ok(())
    }
}

/// Each of them is answered in its own way; the stream stays open.
async fn consumes(player: &mut Player, kafka: &str, topic: &str) -> Result<Pull> {
    let others = Plain::new("x", "sent back").with("dapr-redrive-group", "another");
    // A space is no part of a header's name.
    let odd = Plain::new("odd", "odd").with("no header", "x");
    let texts = ["again", "poison", "fine"].map(|data| Plain::new(data, data));
    let all = [&[others, odd][..], &texts].concat();
    records::write(kafka, topic, &all).await?;
    let mut pull = player.pull(topic).await?;
    let (mut acknowledged, mut seen) = (HashSet::new(), HashMap::<_, u32>::new());
    while acknowledged.len() < 3 || seen.get("poison") != Some(&2) {
        let message = pull.next(SOON).await?;
        let text = text(&message);
        let times = seen.entry(text.clone()).or_default();
        *times += 1;
        match (text.as_str(), *times) {
            ("poison", _) => pull.nack(&message, "the app said no").await?,
            ("again", 1) => pull.nack(&message, "stream closed").await?,
            _ => {
                pull.ack(&message).await?;
                acknowledged.insert(text);
            }
        }
    }
    Ok(pull)
}

/// What is refused here has a dead-letter topic that is not there.
async fn consumes_in_vain(player: &mut Player, kafka: &str, topic: &str) -> Result<Pull> {
    records::write(kafka, topic, &[Plain::new("poison", "poison")]).await?;
    let mut pull = player.pull(topic).await?;
    for _ in 0..2 {
        let message = pull.next(SOON).await?;
        pull.nack(&message, "the app said no").await?;
    }
    Ok(pull)
}

/// Publishes what is too large for the broker.
async fn in_vain(player: &mut Player, topic: &str) -> Result<()> {
    let published = player.publish(topic, "a", &"x".repeat(2 << 20)).await;
    ensure!(published.is_err(), "an oversized message was taken");
    Ok(())
}
