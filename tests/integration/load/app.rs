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
        endpoints::{at_least, get, series},
        notebook::write,
        records::{self, Plain},
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

/// The app is killed at random moments, as for want of memory, and comes back after a while. Every
/// tenth time it goes on dying as soon as it gets a record.
pub async fn an_app_that_is_killed_in_a_loop_makes_no_dead_letter(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let rolls = Rolls::from_env(SEED)?;
    println!("{SEED}={}", rolls.seed);
    let bench = Bench::start(&fixture, Duration::from_millis(300)).await?;
    let killed = bench.kill_in_a_loop(&rolls).await;
    killed.map_err(|error| format!("{error}\n(again: {SEED}={})", rolls.seed).into())
}

/// A topic with a dead-letter topic, and an app behind the real daprd.
struct Bench {
    kafka: String,
    topic: String,
    app_id: String,
    app: App,
    written: usize,
    /// The component's admin endpoints.
    admin: String,
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
        let mut component = place.component().await?;
        let admin = component.admin().await?;
        let lanes = (0..LANES).map(|lane| subscription(&format!("{topic}#{lane}"), &json!({})));
        let app = App::working(lanes.collect(), work).await?;
        let daprd = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
        Ok(Self {
            kafka,
            topic,
            app_id,
            app,
            written: 0,
            admin,
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

    async fn kill_in_a_loop(mut self, rolls: &Rolls) -> Result<()> {
        const KILLS: usize = 60;
        const EACH: usize = 8;
        for kill in 0..KILLS {
            self.write(EACH).await?;
            let moment = |most, what| Duration::from_millis(rolls.below(most, (what, kill)));
            sleep(moment(1_500, "lives")).await;
            self.app.down();
            sleep(moment(1_000, "is away")).await;
            self.app.up().await?;
            if kill % 10 == 9 {
                self.dies_of_each_call().await?;
            }
        }
        self.judge().await
    }

    /// The app dies several times of the only record that is left, and stays away until a call was
    /// refused. Nothing shows whether the record is to blame or the app does not start, so the record is
    /// kept.
    async fn dies_of_each_call(&mut self) -> Result<()> {
        const TIMES: usize = 5;
        self.all_committed().await?;
        // Calls that were cut are never counted down.
        let mut cut = self.app.at_work();
        self.write(1).await?;
        for _ in 0..TIMES {
            if let Err(error) = self.dies_of_a_call(&mut cut).await {
                // A record that was given up is not delivered again.
                self.no_dead_letter().await?;
                return Err(error);
            }
        }
        self.all_committed().await
    }

    async fn dies_of_a_call(&mut self, cut: &mut usize) -> Result<()> {
        eventually("the app gets the record", SOON, || async {
            (self.app.at_work() > *cut).then_some(())
        })
        .await?;
        *cut = self.app.at_work();
        let unreachable = self.unreachable();
        let (_, metrics) = get(&format!("{}/metrics", self.admin)).await?;
        let before = series(&metrics, &unreachable).unwrap_or_default();
        self.app.down();
        // The call that broke, and one that was refused.
        at_least(&self.admin, &unreachable, before + 2.0).await?;
        self.app.up().await
    }

    /// The series that counts calls that did not reach the app, or broke.
    fn unreachable(&self) -> String {
        let Self { topic, app_id, .. } = self;
        format!(
            "process_duration_seconds_count{{component=\"todo-pubsub\",topic=\"{topic}\",\
             group=\"{app_id}\",outcome=\"unreachable\"}}"
        )
    }

    async fn all_committed(&self) -> Result<()> {
        let (kafka, group, topic) = (&self.kafka, &self.app_id, &self.topic);
        let what = format!("all {} records are committed", self.written);
        eventually(&what, SETTLED, || async {
            let committed = admin::committed(kafka, group, topic, PARTITIONS).await;
            let sum: i64 = committed.ok()?.into_iter().flatten().sum();
            (usize::try_from(sum) == Ok(self.written)).then_some(())
        })
        .await
    }

    async fn no_dead_letter(&self) -> Result<()> {
        let letters = records::read(&self.kafka, &dead(&self.topic)).await?;
        let values: Vec<_> = letters.iter().map(Plain::text).collect();
        ensure!(
            letters.is_empty(),
            "{} dead letters: {values:?}",
            letters.len()
        );
        Ok(())
    }

    /// Nothing was lost, and nothing became a dead letter.
    async fn judge(self) -> Result<()> {
        self.all_committed().await?;
        let seen = self.app.seen();
        let answered = seen
            .iter()
            .filter_map(|event| event.body["data"]["number"].as_u64());
        let answered: BTreeSet<_> = answered.collect();
        println!(
            "{} records: {} answers to {} of them",
            self.written,
            seen.len(),
            answered.len()
        );
        self.no_dead_letter().await?;
        ensure!(answered.len() == self.written, "records were lost");
        Ok(())
    }
}

fn dead(topic: &str) -> String {
    format!("{topic}.dlq")
}
