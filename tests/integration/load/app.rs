//! Apps that are restarted and killed under a daprd that lives on.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use harness::{Component, Daprd, Result, eventually, ledger::Rolls};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::{App, subscription},
        notebook::write,
        records,
    },
};

const PARTITIONS: i32 = 6;

/// Streams of the topic: daprd hands out one record of each at a time.
const LANES: usize = 4;

/// How long everything that is left may take in the end.
const SETTLED: Duration = Duration::from_secs(300);

/// The number that makes a run with random times the same again.
const SEED: &str = "LOAD_SEED";

/// The app's process is replaced 50 times while it works on records, which take 1 s each. It never
/// refuses anything, so no record may become a dead letter.
pub async fn fifty_restarts_under_a_living_daprd_make_no_dead_letter(
    fixture: Arc<Fixture>,
) -> Result<()> {
    const RESTARTS: usize = 50;
    const EACH: usize = 8;
    let mut bench = Bench::start(&fixture, Duration::from_secs(1)).await?;
    for _ in 0..RESTARTS {
        bench.write(EACH).await?;
        bench.goes_on().await?;
        bench.app.down();
        bench.app.up().await?;
    }
    bench.judge().await
}

/// The app is killed at random moments, as for want of memory, and comes back after a while.
pub async fn an_app_that_is_killed_in_a_loop_makes_no_dead_letter(
    fixture: Arc<Fixture>,
) -> Result<()> {
    const KILLS: usize = 60;
    const EACH: usize = 8;
    let rolls = Rolls::from_env(SEED)?;
    println!("{SEED}={}", rolls.seed);
    let mut bench = Bench::start(&fixture, Duration::from_millis(300)).await?;
    for kill in 0..KILLS {
        bench.write(EACH).await?;
        let moment = |most, what| Duration::from_millis(rolls.below(most, (what, kill)));
        sleep(moment(1_500, "lives")).await;
        bench.app.down();
        sleep(moment(1_000, "is away")).await;
        bench.app.up().await?;
    }
    let judged = bench.judge().await;
    judged.map_err(|error| format!("{error}\n(again: {SEED}={})", rolls.seed).into())
}

/// A topic with a dead-letter topic, and an app behind the real daprd.
struct Bench {
    kafka: String,
    topic: String,
    app_id: String,
    app: App,
    written: usize,
    _daprd: Daprd,
    _component: Component,
    _place: Place,
}

impl Bench {
    async fn start(fixture: &Fixture, work: Duration) -> Result<Self> {
        let kafka = fixture.kafka().await?.to_owned();
        let (topic, app_id) = (fixture.name("load"), fixture.name("app"));
        admin::create_topic(&kafka, &topic, PARTITIONS, &[]).await?;
        admin::create_topic(&kafka, &dead(&topic), 1, &[]).await?;
        let settings = [
            ("deadLetterTopic", "{topic}.dlq"),
            ("maxDeliveryAttempts", "3"),
            ("deadLetterMinAge", "0s"),
            ("backOffDuration", "50ms"),
        ];
        let place = Place::with_component(&kafka, &settings)?;
        let component = place.component().await?;
        let lanes = (0..LANES).map(|lane| subscription(&format!("{topic}#{lane}"), &json!({})));
        let app = App::working(lanes.collect(), work).await?;
        let daprd = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
        Ok(Self {
            kafka,
            topic,
            app_id,
            app,
            written: 0,
            _daprd: daprd,
            _component: component,
            _place: place,
        })
    }

    async fn write(&mut self, count: usize) -> Result<()> {
        let first = self.written;
        self.written += count;
        write(&self.kafka, &self.topic, first..self.written).await
    }

    /// Waits until the app answers another record.
    async fn goes_on(&self) -> Result<()> {
        let seen = self.app.seen().len();
        eventually("the app answers records", SOON, || async {
            (self.app.seen().len() > seen).then_some(())
        })
        .await
    }

    /// Nothing was lost, and nothing became a dead letter.
    async fn judge(self) -> Result<()> {
        let (kafka, group, topic) = (&self.kafka, &self.app_id, &self.topic);
        let what = format!("all {} records are committed", self.written);
        eventually(&what, SETTLED, || async {
            let committed = admin::committed(kafka, group, topic, PARTITIONS).await;
            let sum: i64 = committed.ok()?.into_iter().flatten().sum();
            (usize::try_from(sum) == Ok(self.written)).then_some(())
        })
        .await?;
        let letters = records::read(kafka, &dead(topic)).await?;
        let seen = self.app.seen();
        let answered = seen
            .iter()
            .filter_map(|event| event.body["data"]["number"].as_u64());
        let answered: BTreeSet<_> = answered.collect();
        println!(
            "{} records: {} answers to {} of them, {} dead letters",
            self.written,
            seen.len(),
            answered.len(),
            letters.len()
        );
        ensure!(letters.is_empty(), "dead letters: {letters:?}");
        ensure!(answered.len() == self.written, "records were lost");
        Ok(())
    }
}

fn dead(topic: &str) -> String {
    format!("{topic}.dlq")
}
