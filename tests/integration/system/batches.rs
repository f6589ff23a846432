//! Topics whose `max.message.bytes` is far below what a batch may have by default: each record
//! fits, so each is written.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::try_join_all;
use harness::{Kafka, Result};

use crate::{
    doctor::rights::{allow, guarded},
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        letters::{dlq, letter, say},
        player::{Player, properties},
        records::{self, Plain},
    },
};

/// The limit of the topics here, in bytes.
const NARROW: (&str, &str) = ("max.message.bytes", "65536");

/// A component and a client of it.
struct Bench {
    player: Player,
    component: harness::Component,
    _place: Place,
}

impl Bench {
    async fn start(kafka: &str, group: &str, more: &[(&str, &str)]) -> Result<Self> {
        let place = Place::new()?;
        let component = place.component().await?;
        let properties = properties(kafka, group, more);
        let player = Player::start(&place.socket("rdkafka"), properties).await?;
        Ok(Self {
            player,
            component,
            _place: place,
        })
    }

    /// Publishes in bulk under one key: each entry is its number, filled up to a size.
    async fn bulk(&self, topic: &str, numbers: std::ops::Range<usize>, size: usize) -> Result<()> {
        let entries: Vec<_> = numbers
            .map(|number| (number.to_string(), numbered(number, size)))
            .collect();
        let key = HashMap::from([("partitionKey".to_owned(), "k".to_owned())]);
        let sent = self.player.clone().bulk_with(topic, &entries, key).await;
        sent.map_err(|status| self.component.process.failed(&status.to_string()))
    }

    /// Publishes at the same time, one by one: each message is its number, filled up to a size.
    async fn callers(
        &self,
        topic: &str,
        numbers: std::ops::Range<usize>,
        size: usize,
    ) -> Result<()> {
        let callers = numbers.map(|number| {
            let mut player = self.player.clone();
            async move {
                let data = numbered(number, size);
                player.publish_bytes(topic, data, HashMap::new()).await
            }
        });
        let sent = try_join_all(callers).await;
        sent.map_err(|status| self.component.process.failed(&status.to_string()))?;
        Ok(())
    }
}

/// A number in decimal, filled up to so many bytes.
fn numbered(number: usize, size: usize) -> Vec<u8> {
    let mut bytes = number.to_string().into_bytes();
    bytes.resize(size, b' ');
    bytes
}

/// The numbers of the records that stand in a topic, in order.
async fn numbers(kafka: &str, topic: &str) -> Result<Vec<usize>> {
    let records = records::read(kafka, topic).await?;
    let numbers = records.iter().map(|record| record.text().trim().parse());
    Ok(numbers.collect::<Result<_, _>>()?)
}

/// A Kafka with a narrow topic that nobody may describe the settings of, but write to.
async fn undisclosed(topic: &str) -> Result<Kafka> {
    let kafka = guarded().await?;
    admin::create_topic(&kafka.address, topic, 1, &[NARROW]).await?;
    let rights = "--operation Read --operation Write --operation Describe";
    allow(&kafka, "ANONYMOUS", &format!("{rights} --topic {topic}")).await?;
    Ok(kafka)
}

pub async fn what_fits_a_narrow_topic_is_written(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("narrow");
    admin::create_topic(kafka, &topic, 1, &[NARROW]).await?;
    let bench = Bench::start(kafka, &fixture.name("group"), &[]).await?;
    for bulk in 0..5 {
        bench
            .bulk(&topic, bulk * 100..bulk * 100 + 100, 2_000)
            .await?;
    }
    let written = numbers(kafka, &topic).await?;
    ensure!(written.iter().copied().eq(0..500), "{written:?}");
    for round in 5..30 {
        bench
            .callers(&topic, round * 100..round * 100 + 64, 4_000)
            .await?;
    }
    let mut written = numbers(kafka, &topic).await?.split_off(500);
    written.sort_unstable();
    let sent = (5..30).flat_map(|round| round * 100..round * 100 + 64);
    ensure!(written.iter().copied().eq(sent), "{written:?}");
    Ok(())
}

/// Callers come first: they find a new topic whose limit nobody has asked for yet.
pub async fn many_callers_of_a_new_narrow_topic_are_served(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("narrow");
    admin::create_topic(kafka, &topic, 1, &[NARROW]).await?;
    let bench = Bench::start(kafka, &fixture.name("group"), &[]).await?;
    bench.callers(&topic, 0..512, 4_000).await?;
    let mut written = numbers(kafka, &topic).await?;
    written.sort_unstable();
    ensure!(written.iter().copied().eq(0..512), "{written:?}");
    Ok(())
}

pub async fn a_key_keeps_its_order_where_the_limit_is_not_disclosed(_: Arc<Fixture>) -> Result<()> {
    let kafka = undisclosed("narrow").await?;
    let bench = Bench::start(&kafka.address, "group", &[]).await?;
    for bulk in 0..5 {
        bench
            .bulk("narrow", bulk * 100..bulk * 100 + 100, 2_000)
            .await?;
    }
    let written = numbers(&kafka.address, "narrow").await?;
    ensure!(written.iter().copied().eq(0..500), "{written:?}");
    bench.callers("narrow", 500..756, 4_000).await?;
    let mut written = numbers(&kafka.address, "narrow").await?.split_off(500);
    written.sort_unstable();
    ensure!(written.iter().copied().eq(500..756), "{written:?}");
    kafka.stop().await
}

/// A record that is too large by itself is refused, and the error names the limit that counts.
pub async fn a_record_over_the_topics_limit_is_refused_by_its_number(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("narrow");
    admin::create_topic(kafka, &topic, 1, &[NARROW]).await?;
    let bench = Bench::start(kafka, &fixture.name("group"), &[]).await?;
    let mut player = bench.player.clone();
    let data = numbered(1, 70_000);
    let refused = player.publish_bytes(&topic, data, HashMap::new()).await;
    let refused = refused.expect_err("it is over the topic's limit");
    ensure!(
        refused.code() == tonic::Code::InvalidArgument,
        "{refused:?}"
    );
    for part in ["max.message.bytes", "65536", "raise"] {
        ensure!(
            refused.message().contains(part),
            "{part} is not in {refused:?}"
        );
    }
    bench.callers(&topic, 2..3, 60_000).await
}

pub async fn dead_letters_fit_a_narrow_topic(fixture: Arc<Fixture>) -> Result<()> {
    const LETTERS: usize = 100;
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("poison");
    let dead = format!("{topic}.dlq");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    admin::create_topic(kafka, &dead, 1, &[NARROW]).await?;
    let poison: Vec<_> = (0..LETTERS)
        .map(|number| Plain::new(number.to_string(), numbered(number, 4_000)))
        .collect();
    records::write(kafka, &topic, &poison).await?;
    let more = [
        ("maxDeliveryAttempts", "1"),
        ("deadLetterMinAge", "0s"),
        ("deadLetterTopic", "{topic}.dlq"),
        // The app does not fail as a whole.
        ("breakerSequences", "1000"),
    ];
    let mut bench = Bench::start(kafka, &fixture.name("group"), &more).await?;
    let mut pull = bench.player.pull(&topic).await?;
    let refusal = "RETRY status returned from app: no";
    // As many at once as the window holds.
    for _ in 0..LETTERS {
        let message = pull.next(SOON).await?;
        pull.nack(&message, refusal).await?;
    }
    records::wait_for(kafka, &dead, LETTERS).await?;
    let mut written = numbers(kafka, &dead).await?;
    written.sort_unstable();
    ensure!(written.iter().copied().eq(0..LETTERS), "{written:?}");
    let log = bench.component.stop().await?.output;
    ensure!(!log.contains("too large"), "{log}");
    Ok(())
}

pub async fn a_redrive_fits_a_narrow_topic(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let source = fixture.name("orders");
    admin::create_topic(kafka, &source, 1, &[NARROW]).await?;
    redrive_in_order(kafka, &source).await
}

pub async fn a_redrive_keeps_the_order_where_the_limit_is_not_disclosed(
    _: Arc<Fixture>,
) -> Result<()> {
    let kafka = undisclosed("orders").await?;
    redrive_in_order(&kafka.address, "orders").await?;
    kafka.stop().await
}

/// Writes dead letters of one key, redrives them, and requires them in the source in order.
async fn redrive_in_order(kafka: &str, source: &str) -> Result<()> {
    const LETTERS: usize = 300;
    let dead = format!("{source}.dlq");
    admin::create_topic(kafka, &dead, 1, &[]).await?;
    let letters: Vec<_> = (0..LETTERS)
        .map(|number| {
            let value = String::from_utf8(numbered(number, 2_000))?;
            Ok(letter("k", &value, source, "todo"))
        })
        .collect::<Result<_>>()?;
    records::write(kafka, &dead, &letters).await?;
    let said = say(dlq(kafka, &["redrive", &dead, "--to-all"])).await?;
    ensure!(said.code == Some(0), "{said:?}");
    let written = numbers(kafka, source).await?;
    ensure!(written.iter().copied().eq(0..LETTERS), "{written:?}");
    Ok(())
}
