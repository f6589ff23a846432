use std::{sync::Arc, time::Duration};

use ::ledger::{
    Side,
    run::{Doors, Member, Moods, Moody, Pace, Plan, Publishers, Reader, Readings, Setup, records},
};
use harness::{
    DaprdBuild, Kafka, Result, eventually,
    ledger::{Bounds, DeadLetter, Event, Journal, Ledger, Rolls, Summary, judge, report},
};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    ensure,
    support::{Fixture, admin, program},
};

/// Give it the number that a run printed, and everything random is the same.
const SEED: &str = "LEDGER_SEED";

const TOPIC: &str = "ledger";
const DEAD_LETTERS: &str = "ledger.dlq";
const GROUP: &str = "ledger-app";
const PARTITIONS: i32 = 6;
const PRODUCERS: u64 = 2;
const EACH: usize = 750;
const KEYS: u64 = 20;

/// What the app makes of messages.
const MOODS: Moods = Moods {
    poison: 8,
    refused: 60,
    slow: 60,
};

/// How many messages may be published and not processed.
const AHEAD: usize = 300;

/// Streams per member: daprd handles one message of each at a time.
const LANES: usize = 4;

/// `maxUncommitted`: at so many above what the broker has confirmed, a partition
/// pauses.
const UNCOMMITTED: usize = 30;

/// Records of a partition that may be under way when it pauses: 64 that were read,
/// and one that its reader holds (`delivery/readers.rs`). With these a crash
/// delivers far less again than stands in a partition when it comes.
const UNDER_WAY: usize = 64 + 1;

/// `maxDeliveryAttempts`.
const ATTEMPTS: usize = 3;

/// How long the app may take for its next messages: the session of a killed
/// member (10 s) and the recovery of a killed broker are in it.
const PROGRESS: Duration = Duration::from_secs(60);

/// How long what is published last may take to be finished and committed.
const SETTLED: Duration = Duration::from_secs(60);

/// Members join, leave and are killed, the broker crashes, the app refuses and
/// delays, and all the while messages are published.
pub async fn nothing_is_lost_whatever_breaks(fixture: Arc<Fixture>) -> Result<()> {
    let rolls = Rolls::from_env(SEED)?;
    println!("{SEED}={}", rolls.seed);
    let run = Run::start(fixture.daprd, rolls).await?;
    let judged = run.through_all_faults(rolls).await;
    judged.map_err(|error| format!("{error}\n(again: {SEED}={})", rolls.seed).into())
}

/// The component's settings: what is refused comes again soon.
fn metadata(brokers: &str) -> Vec<(&'static str, String)> {
    vec![
        ("brokers", brokers.to_owned()),
        ("authType", "none".to_owned()),
        ("initialOffset", "oldest".to_owned()),
        ("maxUncommitted", UNCOMMITTED.to_string()),
        ("deadLetterTopic", DEAD_LETTERS.to_owned()),
        ("maxDeliveryAttempts", ATTEMPTS.to_string()),
        ("deadLetterMinAge", "0s".to_owned()),
        ("backOffPolicy", "constant".to_owned()),
        ("backOffDuration", "200ms".to_owned()),
    ]
}

/// A run under way.
struct Run {
    kafka: Kafka,
    plan: Arc<Plan>,
    journal: Arc<Journal>,
    app: Moody,
    setup: Setup,
    reader: Reader,
}

impl Run {
    async fn start(daprd: DaprdBuild, rolls: Rolls) -> Result<Self> {
        let kafka = Kafka::start().await?;
        for topic in [TOPIC, DEAD_LETTERS] {
            admin::create_topic(&kafka.address, topic, PARTITIONS, &[]).await?;
        }
        let plan = Arc::new(Plan::new(rolls, PRODUCERS, EACH, KEYS, MOODS));
        let journal = Arc::new(Journal::default());
        let app = Moody::new(plan.clone(), journal.clone());
        let lanes = if daprd.is_serial() { LANES } else { 1 };
        let lanes = (1..lanes).map(|lane| format!("{TOPIC}#{lane}"));
        let names = [TOPIC.to_owned()].into_iter().chain(lanes).collect();
        let setup = Setup {
            side: Side::Component,
            daprd,
            program: program().to_owned(),
            app_id: GROUP.to_owned(),
            app: app.clone(),
            names,
            beside: Vec::new(),
            metadata: metadata(&kafka.address),
            subscription: json!({}),
            doors: Doors::default(),
        };
        let readings = Readings {
            brokers: kafka.address.clone(),
            group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            dead_letters: DEAD_LETTERS.to_owned(),
            partitions: Arc::new(PARTITIONS.into()),
            dead_letter_partitions: PARTITIONS,
        };
        let reader = readings.start(journal.clone())?;
        Ok(Self {
            kafka,
            plan,
            journal,
            app,
            setup,
            reader,
        })
    }

    async fn through_all_faults(mut self, rolls: Rolls) -> Result<()> {
        let ran = self.publish_and_break(rolls).await;
        // What was seen until then tells more than the error alone.
        match (ran, self.verdict().await) {
            (Ok(()), verdict) => verdict,
            (Err(error), Ok(())) => Err(error),
            (Err(error), Err(findings)) => Err(format!("{error}\n{findings}").into()),
        }
    }

    async fn publish_and_break(&mut self, rolls: Rolls) -> Result<()> {
        let first = self.setup.join("first").await?;
        let publishers = Publishers {
            plan: self.plan.clone(),
            doors: self.setup.doors.clone(),
            app: self.app.clone(),
            journal: self.journal.clone(),
            topic: TOPIC.to_owned(),
            pace: Pace {
                batches: None,
                ahead: Some(AHEAD),
                stop: watch::channel(false).1,
            },
        };
        let publishing = AbortOnDropHandle::new(tokio::spawn(publishers.publish()));
        let last = self.faults(rolls, first).await?;
        let settled = async {
            publishing.await??;
            self.settled().await
        };
        let settled = settled.await;
        settled.map_err(|error| last.printed(&error.to_string()))?;
        last.leave().await?;
        Ok(())
    }

    /// Each fault comes when the app has got on since the one before.
    async fn faults(&mut self, rolls: Rolls, first: Member) -> Result<Member> {
        let all = EACH * usize::try_from(PRODUCERS)?;
        let after = |part: usize| {
            let jitter = usize::try_from(rolls.below(100, ("fault", part)));
            jitter.map(|jitter| all * part / 10 + jitter)
        };

        self.app.has_acked(after(1)?, PROGRESS).await?;
        self.fault("a member joins");
        let second = self.setup.join("second").await?;

        self.app.has_acked(after(3)?, PROGRESS).await?;
        self.fault("a member is killed and another takes its place");
        first.kill().await?;
        let third = self.setup.join("third").await?;

        self.app.has_acked(after(5)?, PROGRESS).await?;
        self.fault("a member leaves");
        second.leave().await?;

        self.app.has_acked(after(7)?, PROGRESS).await?;
        // While it is down nothing can be committed, and what was fetched before
        // goes on, as far as the bound allows.
        self.fault("the broker crashes");
        self.kafka.down().await?;
        self.kafka.up().await?;
        Ok(third)
    }

    fn fault(&self, what: &str) {
        self.journal.record(Event::Fault {
            what: what.to_owned(),
            again: UNCOMMITTED + UNDER_WAY,
        });
    }

    /// Waits until the group has committed everything that stands in the topic.
    async fn settled(&self) -> Result<()> {
        let brokers = &self.kafka.address;
        let stands = records(brokers, TOPIC, PARTITIONS).await?.len();
        let what = format!("all {stands} records are finished and committed");
        eventually(&what, SETTLED, || async {
            let committed = admin::committed(brokers, GROUP, TOPIC, PARTITIONS).await;
            let sum: i64 = committed.ok()?.into_iter().flatten().sum();
            // A publish that nobody waited for may still have added one.
            (usize::try_from(sum).ok()? >= stands).then_some(())
        })
        .await
    }

    /// An error with what the judge finds, or if too little happened to judge.
    async fn verdict(self) -> Result<()> {
        self.reader.stop().await?;
        let brokers = &self.kafka.address;
        let dead_letters = records(brokers, DEAD_LETTERS, PARTITIONS).await?;
        let messages = self.plan.messages();
        let ledger = Ledger {
            topic: TOPIC.to_owned(),
            group: GROUP.to_owned(),
            messages: messages
                .map(|message| (message.uuid.clone(), message.clone()))
                .collect(),
            journal: self.journal.entries(),
            source: records(brokers, TOPIC, PARTITIONS).await?,
            dead_letters: dead_letters.into_iter().map(DeadLetter).collect(),
            bounds: Bounds { attempts: ATTEMPTS },
        };
        self.kafka.stop().await?;
        let summary = Summary::of(&ledger);
        println!("{summary}");
        let findings = judge(&ledger);
        ensure!(findings.is_empty(), "{}{summary}", report(&findings));
        let enough = summary.refused > 0 && summary.dead_letters > 0 && summary.readings > 50;
        ensure!(enough, "too little happened to judge: {summary}");
        Ok(())
    }
}
