use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use harness::{
    DaprdBuild, Result, eventually,
    ledger::{Event, Journal, Ledger, Message, Rolls},
};
use serde_json::json;
use tokio::{sync::watch, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use super::{
    BOUND, Brokers, DEAD_LETTERS, GROUP, LANES, PARTITIONS, Shape, TOPIC,
    heal::Probes,
    sample::Samples,
    shape::{common, ours},
};
use crate::{
    Side, admin,
    faults::Case,
    results::program,
    run::{Doors, Member, Moody, Pace, Plan, Publishers, Reader, Readings, Setup, records},
};

const PRODUCERS: u32 = 4;

/// Messages that a call has on average (`Plan`).
const BATCH: u32 = 10;

/// How long the app may take for its next messages.
const PROGRESS: Duration = Duration::from_secs(60);

/// How long what was published may take to be finished and committed in the end.
const SETTLED: Duration = Duration::from_secs(60);

/// A run under way.
pub struct Stage {
    pub side: Side,
    pub daprd: DaprdBuild,
    pub rolls: Rolls,
    pub shape: Shape,
    pub brokers: Brokers,
    pub setup: Setup,
    pub members: Vec<Member>,
    pub app: Moody,
    pub(super) plan: Arc<Plan>,
    pub(super) journal: Arc<Journal>,
    pub(super) reader: Option<Reader>,
    pub(super) probes: Probes,
    pub(super) began: Instant,
    /// How the topic's partitions are counted now.
    partitions: Arc<AtomicI32>,
    /// Ledgers of topics of the same name that are gone.
    pub(super) chapters: Vec<Ledger>,
    pub(super) samples: Option<Samples>,
    joined: usize,
    stop: watch::Sender<bool>,
    publishing: Option<AbortOnDropHandle<Result<()>>>,
}

impl Stage {
    /// Brokers, members and publishers, at work.
    pub async fn start(case: &Case) -> Result<Self> {
        let Case {
            fault,
            side,
            daprd,
            seed,
        } = *case;
        let (shape, rolls) = (fault.shape, Rolls { seed });
        let brokers = Brokers::start(shape.place).await?;
        admin::create_topic(&brokers.own(), TOPIC, PARTITIONS, shape.topic).await?;
        if shape.dead_letters {
            admin::create_topic(&brokers.own(), DEAD_LETTERS, PARTITIONS, &[]).await?;
        }
        for topic in shape.beside {
            admin::create_topic(&brokers.own(), topic, 1, &[]).await?;
        }
        let each = shape.rate * shape.longest / PRODUCERS;
        let mut moods = shape.moods;
        if side == Side::BuiltIn {
            // It has no dead letters of its own: it would never get past one.
            moods.poison = 0;
        }
        let producers = PRODUCERS.into();
        let plan = Arc::new(Plan::new(
            rolls,
            producers,
            each as usize,
            shape.keys,
            moods,
        ));
        let journal = Arc::new(Journal::default());
        let app = Moody::new(plan.clone(), journal.clone());
        let setup = setup(side, daprd, &shape, &brokers, &app);
        let partitions = Arc::new(PARTITIONS.into());
        let reader = Readings {
            brokers: brokers.own(),
            group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            dead_letters: DEAD_LETTERS.to_owned(),
            partitions: Arc::clone(&partitions),
            dead_letter_partitions: PARTITIONS,
        };
        let reader = reader.start(journal.clone())?;
        let mut stage = Self {
            probes: Probes::new(setup.doors.clone(), app.clone(), journal.clone()),
            side,
            daprd,
            rolls,
            shape,
            brokers,
            setup,
            members: Vec::new(),
            app,
            plan,
            journal,
            reader: Some(reader),
            partitions,
            chapters: Vec::new(),
            samples: None,
            began: Instant::now(),
            joined: 0,
            stop: watch::Sender::new(false),
            publishing: None,
        };
        for _ in 0..shape.members {
            stage.join().await?;
        }
        if shape.members > 0 {
            // Else the first fault would be a rebalance that nobody wrote down.
            stage.is_stable().await?;
        }
        stage.publish();
        Ok(stage)
    }

    fn publish(&mut self) {
        let publishers = Publishers {
            plan: self.plan.clone(),
            doors: self.setup.doors.clone(),
            app: self.app.clone(),
            journal: self.journal.clone(),
            topic: TOPIC.to_owned(),
            pace: Pace {
                batches: Some(f64::from(self.shape.rate) / f64::from(PRODUCERS * BATCH)),
                ahead: None,
                stop: self.stop.subscribe(),
            },
        };
        let publishing = tokio::spawn(publishers.publish());
        self.publishing = Some(AbortOnDropHandle::new(publishing));
    }

    /// A member more.
    pub async fn join(&mut self) -> Result<()> {
        let name = self.next_name();
        let member = self.setup.join(&name).await?;
        self.members.push(member);
        Ok(())
    }

    /// A name that no member had yet.
    pub fn next_name(&mut self) -> String {
        self.joined += 1;
        format!("member-{}", self.joined)
    }

    /// Writes down that a fault begins, which may hand out so many records of each
    /// partition again.
    pub fn begins(&self, what: &str, again: usize) {
        let what = what.to_owned();
        self.journal.record(Event::Fault { what, again });
    }

    /// Waits until the app has acknowledged so many more.
    pub async fn goes_on(&self, more: usize) -> Result<()> {
        let count = self.app.acked() + more;
        self.app.has_acked(count, PROGRESS).await
    }

    /// The fault is over: waits until everything goes again, and notes how long that took.
    /// What a broker still needs to be itself again belongs to the fault.
    pub async fn heals(&mut self) -> Result<()> {
        self.probes.heal(self.partitions()).await
    }

    /// The same where the fault contains a rebalance: the time is judged from the end of the
    /// group's drain ([`super::DRAINS_WITHIN`]).
    pub async fn heals_after_drain(&mut self) -> Result<()> {
        let brokers = self.brokers.own();
        self.probes
            .heal_after_drain(&brokers, self.partitions())
            .await
    }

    /// Waits until the coordinator knows a member no more, by its name.
    pub async fn is_missed(&self, name: &str) -> Result<()> {
        let brokers = self.brokers.own();
        let what = format!("{name} is no member any more");
        eventually(&what, PROGRESS, || async {
            let (_, members) = admin::group(&brokers, GROUP).await.ok()?;
            (!members.iter().any(|member| member == name)).then_some(())
        })
        .await
    }

    /// Waits until the group has all its members, and shared the partitions out.
    async fn is_stable(&self) -> Result<()> {
        let brokers = self.brokers.own();
        let what = "the group is stable";
        eventually(what, PROGRESS, || async {
            let (state, members) = admin::group(&brokers, GROUP).await.ok()?;
            let is_there = |member: &Member| members.contains(&member.name);
            (state == "Stable" && self.members.iter().all(is_there)).then_some(())
        })
        .await
    }

    /// Waits until each partition has a leader, and the group's coordinator too.
    pub async fn leads(&self) -> Result<()> {
        let brokers = self.brokers.own();
        let partitions = (0..PARTITIONS).map(|partition| (TOPIC, partition));
        let partitions: Vec<_> = partitions.chain([("__consumer_offsets", 0)]).collect();
        eventually("each partition has a leader", PROGRESS, || async {
            for (topic, partition) in &partitions {
                let leader = admin::leader(&brokers, topic, *partition).await.ok()?;
                if leader < 0 {
                    return None;
                }
            }
            Some(())
        })
        .await
    }

    /// Waits until all replicas of the topic are in sync.
    pub async fn in_sync(&self) -> Result<()> {
        let brokers = self.brokers.own();
        eventually("all replicas are in sync", PROGRESS, || async {
            let in_sync = admin::in_sync(&brokers, TOPIC).await.ok()?;
            in_sync.then_some(())
        })
        .await
    }

    /// Ends publishing, and waits until all that stands in the topic is committed.
    pub(super) async fn settle(&mut self) -> Result<()> {
        self.stop.send_replace(true);
        if let Some(publishing) = self.publishing.take() {
            tokio::time::timeout(SETTLED, publishing)
                .await
                .map_err(|_| format!("publishers were not done within {SETTLED:?}"))???;
        }
        self.probes.end().await;
        let brokers = self.brokers.own();
        let partitions = self.partitions();
        let stands = records(&brokers, TOPIC, partitions).await?;
        let what = format!("all {} records are finished and committed", stands.len());
        let waited = eventually(&what, SETTLED, || async {
            let committed = admin::committed(&brokers, GROUP, TOPIC, partitions).await;
            let committed = committed.ok()?;
            // A publish that nobody waited for may still have added one. Beyond the last
            // record there may be the marks of transactions.
            let all = stands.iter().all(|record| {
                let partition = usize::try_from(record.at.partition).unwrap_or_default();
                committed[partition].is_some_and(|offset| offset > record.at.offset)
            });
            all.then_some(())
        });
        waited.await
    }

    /// How many partitions the topic has.
    pub fn partitions(&self) -> i32 {
        self.partitions.load(Ordering::Relaxed)
    }

    /// The topic has so many partitions from now on.
    pub async fn add_partitions(&self, count: i32) -> Result<()> {
        admin::add_partitions(&self.brokers.own(), TOPIC, count).await?;
        self.partitions.store(count, Ordering::Relaxed);
        Ok(())
    }

    /// Publishes so many more, once each; every one must be acknowledged.
    pub async fn publishes(&mut self, count: usize) -> Result<()> {
        self.probes.publish(count).await
    }

    /// Publishes a message whose handler panics, under a key or without one; Publish must
    /// acknowledge it.
    pub async fn publishes_breaking(&mut self, key: Option<&str>) -> Result<Message> {
        self.probes.publish_breaking(key).await
    }

    /// Waits until as many messages have come from each of these topics beside the judged one.
    pub async fn come_beside(&self, topics: &[&str], count: usize) -> Result<()> {
        let what = format!("{count} messages of each of {topics:?} came");
        eventually(&what, PROGRESS, || async {
            let came = |topic: &&str| self.app.came_beside(topic) >= count;
            topics.iter().all(came).then_some(())
        })
        .await
    }

    /// From now on it is written down what the first member's component takes of the
    /// machine.
    pub fn sample(&mut self) -> Result<()> {
        let member = self.members.first().ok_or("no member")?;
        let process = member.component_id().ok_or("no component")?;
        self.samples = Some(Samples::of(process));
        Ok(())
    }

    /// Begins to publish so many large messages at once.
    pub fn flood(&mut self, count: usize, bytes: usize) {
        self.probes.flood(count, bytes);
    }

    /// Messages of another producer, that are written past daprd; Publish acknowledges none
    /// of them.
    pub fn others(&mut self, key: &str, count: u64) -> Vec<Message> {
        self.probes.others(key, count)
    }

    /// Ends publishing and waits until all is done, deletes the topic, and makes another
    /// one of its name. The old one has a ledger of its own.
    pub async fn make_topic_again(&mut self) -> Result<()> {
        self.settle().await?;
        let chapter = self.ledger().await?;
        self.chapters.push(chapter);
        // What is handed out of the new one before its id is noticed, within 5 s, is handed
        // out once more: its commits may be those of the old one.
        self.begins("the topic is deleted and made again", BOUND);
        admin::make_again(&self.brokers.own(), TOPIC, self.partitions()).await?;
        Ok(())
    }

    /// All that was attempted.
    pub(super) fn messages(&self) -> Vec<Message> {
        let planned = self.plan.messages().cloned();
        planned.chain(self.probes.messages()).collect()
    }
}

fn setup(side: Side, daprd: DaprdBuild, shape: &Shape, brokers: &Brokers, app: &Moody) -> Setup {
    let owned = |(key, value): &(&'static str, &str)| (*key, (*value).to_owned());
    let mut metadata = brokers.metadata();
    metadata.extend(common());
    let mut names = vec![TOPIC.to_owned()];
    if side == Side::Component {
        metadata.extend(ours());
        metadata.extend(shape.ours.iter().map(owned));
        if daprd.is_serial() {
            names.extend((1..LANES).map(|lane| format!("{TOPIC}#{lane}")));
        }
    }
    metadata.extend(shape.metadata.iter().map(owned));
    Setup {
        side,
        daprd,
        program: program(),
        app_id: GROUP.to_owned(),
        app: app.clone(),
        names,
        beside: shape.beside.iter().map(|&name| name.to_owned()).collect(),
        metadata,
        subscription: json!({}),
        doors: Doors::default(),
    }
}
