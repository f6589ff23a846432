use std::{sync::Arc, time::Duration};

use harness::{
    Result, eventually,
    ledger::{Event, Journal, Message, Rolls},
};
use serde_json::json;
use tokio::{sync::watch, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Brokers, DEAD_LETTERS, GROUP, PARTITIONS, Shape, TOPIC,
    heal::Probes,
    shape::{LANES, common, ours},
};
use crate::{
    Side, admin,
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
    joined: usize,
    stop: watch::Sender<bool>,
    publishing: Option<AbortOnDropHandle<Result<()>>>,
}

impl Stage {
    /// Brokers, members and publishers, at work.
    pub async fn start(side: Side, rolls: Rolls, shape: Shape) -> Result<Self> {
        let brokers = Brokers::start(shape.place).await?;
        for topic in [TOPIC, DEAD_LETTERS] {
            admin::create_topic(&brokers.own(), topic, PARTITIONS, shape.topic).await?;
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
        let setup = setup(side, &shape, &brokers, &app);
        let reader = Readings {
            brokers: brokers.own(),
            group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            dead_letters: DEAD_LETTERS.to_owned(),
            partitions: PARTITIONS,
        };
        let reader = reader.start(journal.clone())?;
        let mut stage = Self {
            probes: Probes::new(setup.doors.clone(), app.clone(), journal.clone()),
            side,
            rolls,
            shape,
            brokers,
            setup,
            members: Vec::new(),
            app,
            plan,
            journal,
            reader: Some(reader),
            began: Instant::now(),
            joined: 0,
            stop: watch::Sender::new(false),
            publishing: None,
        };
        for _ in 0..shape.members {
            stage.join().await?;
        }
        // Else the first fault would be a rebalance that nobody wrote down.
        stage.is_stable().await?;
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
        self.probes.heal().await
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
        let stands = records(&brokers, TOPIC, PARTITIONS).await?;
        let mut ends = vec![0; PARTITIONS as usize];
        for record in &stands {
            let end = &mut ends[usize::try_from(record.at.partition)?];
            *end = (*end).max(record.at.offset + 1);
        }
        let what = format!("all {} records are finished and committed", stands.len());
        let waited = eventually(&what, SETTLED, || async {
            let committed = admin::committed(&brokers, GROUP, TOPIC, PARTITIONS).await;
            let committed = committed.ok()?.into_iter().map(Option::unwrap_or_default);
            // A publish that nobody waited for may still have added one.
            let all = committed
                .zip(&ends)
                .all(|(committed, end)| committed >= *end);
            all.then_some(())
        });
        waited.await
    }

    /// All that was attempted.
    pub(super) fn messages(&self) -> Vec<Message> {
        let planned = self.plan.messages().cloned();
        planned.chain(self.probes.messages()).collect()
    }
}

fn setup(side: Side, shape: &Shape, brokers: &Brokers, app: &Moody) -> Setup {
    let owned = |(key, value): &(&'static str, &str)| (*key, (*value).to_owned());
    let mut metadata = vec![("brokers", brokers.of_members())];
    metadata.extend(common());
    let mut names = vec![TOPIC.to_owned()];
    if side == Side::Component {
        metadata.extend(ours());
        metadata.extend(shape.ours.iter().map(owned));
        names.extend((1..LANES).map(|lane| format!("{TOPIC}#{lane}")));
    }
    metadata.extend(shape.metadata.iter().map(owned));
    Setup {
        side,
        program: program(),
        app_id: GROUP.to_owned(),
        app: app.clone(),
        names,
        metadata,
        subscription: json!({}),
        doors: Doors::default(),
    }
}
