//! An upgrade from an older build of the component, and the way back, in one group.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use harness::{Component, Daprd, Result, eventually};
use serde_json::json;

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::{App, Event, subscription},
        members::{GroupMember, settled},
        notebook::{key, write},
        program,
    },
};

/// Names the older build's program.
const OLD: &str = "OLD_COMPONENT";

const PARTITIONS: i32 = 6;
const LANES: usize = 3;

/// Records of each step.
const STEP: usize = 300;

/// What metadata begins with that each build writes behind an offset.
const TEXT_OF_OLD: &str = "dapr-rdkafka ";
const TEXT_OF_NEW: &str = "dapr-rdkafka/2 ";

/// How long all records of a step may take.
const PROGRESS: Duration = Duration::from_secs(120);

/// An old member, an old and a new one, a new one alone; and back.
///
/// One key is refused meanwhile, so that records are finished beyond the commit point of its
/// partition. The new build reads that from the old build's metadata. The old build ignores the new
/// build's metadata, so on the way back such records are delivered again.
pub async fn an_upgrade_and_the_way_back_lose_nothing(fixture: Arc<Fixture>) -> Result<()> {
    let Some(old) = std::env::var_os(OLD).filter(|path| !path.is_empty()) else {
        println!("skipped: {OLD} names no program of an older build");
        return Ok(());
    };
    let old = PathBuf::from(old);
    let group = Group::start(&fixture).await?;
    let mut written = 0..0;
    let mut publish = async |group: &Group| -> Result<usize> {
        written = written.end..written.end + STEP;
        write(&group.kafka, &group.topic, written.clone()).await?;
        Ok(written.end)
    };

    // The upgrade.
    group.diary.refuses(true);
    let first = group.join("old-1", &old).await?;
    let all = publish(&group).await?;
    group.diary.all_but_refused(all).await?;
    group.metadata_is(TEXT_OF_OLD).await?;
    let second = group.join("new-1", program()).await?;
    group.settled(&["new-1", "old-1"]).await?;
    let all = publish(&group).await?;
    group.diary.all_but_refused(all).await?;
    first.leave().await?;
    group.settled(&["new-1"]).await?;
    let all = publish(&group).await?;
    group.diary.all_but_refused(all).await?;
    let upgraded = group.diary.again();
    group.metadata_is(TEXT_OF_NEW).await?;

    // The way back, with nothing finished beyond the commit point.
    group.diary.refuses(false);
    group.diary.all(all).await?;
    admin::all_committed(&group.kafka, &group.id, &group.topic, PARTITIONS, all).await?;
    let third = group.join("old-2", &old).await?;
    group.settled(&["new-1", "old-2"]).await?;
    let all = publish(&group).await?;
    group.diary.all(all).await?;
    second.leave().await?;
    group.settled(&["old-2"]).await?;
    let all = publish(&group).await?;
    group.diary.all(all).await?;
    let back = group.diary.again() - upgraded;

    // And once more from a new member with records finished beyond the commit point.
    let fourth = group.join("new-2", program()).await?;
    group.settled(&["new-2", "old-2"]).await?;
    third.leave().await?;
    group.settled(&["new-2"]).await?;
    let before = group.diary.again();
    group.diary.refuses(true);
    let all = publish(&group).await?;
    group.diary.all_but_refused(all).await?;
    group.metadata_is(TEXT_OF_NEW).await?;
    let fifth = group.join("old-3", &old).await?;
    group.settled(&["new-2", "old-3"]).await?;
    fourth.leave().await?;
    group.settled(&["old-3"]).await?;
    group.diary.refuses(false);
    group.diary.all(all).await?;
    let ignored = group.diary.again() - before;
    let finished = admin::all_committed(&group.kafka, &group.id, &group.topic, PARTITIONS, all);
    finished.await?;
    fifth.leave().await?;
    println!(
        "{all} records, none lost; delivered again: {upgraded} by the upgrade, {back} on the way \
         back, {ignored} on the way back with records finished beyond the commit point"
    );
    // Every member drains before partitions go to another.
    ensure!(upgraded == 0, "the upgrade delivered {upgraded} again");
    ensure!(back == 0, "the way back delivered {back} again");
    Ok(())
}

/// A topic, and the members that share it.
struct Group {
    kafka: String,
    topic: String,
    id: String,
    daprd: harness::DaprdBuild,
    diary: Diary,
}

/// One member with its app.
struct Member {
    daprd: Daprd,
    component: Component,
    _app: App,
    _place: Place,
}

impl Group {
    async fn start(fixture: &Fixture) -> Result<Self> {
        let kafka = fixture.kafka().await?.to_owned();
        let (topic, id) = (fixture.name("versions"), fixture.name("group"));
        admin::create_topic(&kafka, &topic, PARTITIONS, &[]).await?;
        Ok(Self {
            kafka,
            topic,
            id,
            daprd: fixture.daprd,
            diary: Diary::default(),
        })
    }

    /// Starts a member by its client's name.
    async fn join(&self, name: &str, program: &Path) -> Result<Member> {
        let place = Place::with_component(
            &self.kafka,
            &[("clientID", name), ("backOffDuration", "200ms")],
        )?;
        let component = Component::start(program, &place.sockets(), &["rdkafka"]).await?;
        let lanes = (0..LANES).map(|lane| format!("{}#{lane}", self.topic));
        let lanes = lanes.map(|lane| subscription(&lane, &json!({})));
        let diary = self.diary.clone();
        let app = App::with(lanes.collect(), move |event| diary.answer(event)).await?;
        let daprd = place.daprd(self.daprd, &self.id, Some(app.port)).await?;
        Ok(Member {
            daprd,
            component,
            _app: app,
            _place: place,
        })
    }

    /// Waits until exactly these members share the topic.
    async fn settled(&self, names: &[&str]) -> Result<()> {
        let share = |members: &[GroupMember]| {
            members.iter().map(|member| &member.client).eq(names)
                && members.iter().all(|member| !member.partitions.is_empty())
        };
        let what = format!("{names:?} share the topic");
        settled(&self.kafka, &self.id, &what, share).await.map(drop)
    }

    /// Waits until a partition has records finished beyond the commit point, by the metadata of a
    /// build.
    async fn metadata_is(&self, build: &str) -> Result<()> {
        let what = format!("a commit's metadata begins with {build:?} and has a list");
        // Name, cluster, topic, offset and list; the old build names no cluster.
        let words = if build == TEXT_OF_OLD { 4 } else { 5 };
        eventually(&what, SOON, || async {
            let texts = admin::all_metadata(&self.kafka, &self.id, &self.topic, PARTITIONS);
            let texts = texts.await.ok()?;
            let fits = |text: &String| text.starts_with(build) && text.split(' ').count() == words;
            texts.iter().any(fits).then_some(())
        })
        .await
    }
}

impl Member {
    /// Ends in order, as a pod does.
    async fn leave(self) -> Result<()> {
        let (daprd, component) = tokio::join!(self.daprd.process.stop(SOON), self.component.stop());
        daprd?;
        let component = component?;
        ensure!(component.status.success(), "{}", component.output);
        Ok(())
    }
}

/// What the apps of all members were handed, and what they refuse.
#[derive(Clone, Default)]
struct Diary {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    refuses: AtomicBool,
    acknowledged: Mutex<Vec<u64>>,
}

impl Diary {
    /// Whether the records of one key are refused from now on.
    fn refuses(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::Relaxed);
    }

    fn answer(&self, event: &Event) -> StatusCode {
        let number = event.body["data"]["number"].as_u64();
        let refused = event.body["data"]["key"] == key(0);
        if refused && self.shared.refuses.load(Ordering::Relaxed) {
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        self.acknowledged().extend(number);
        StatusCode::OK
    }

    /// Waits until all records below a number were acknowledged.
    async fn all(&self, count: usize) -> Result<()> {
        self.until(count, |_| true).await
    }

    /// The same without those of the key that is refused.
    async fn all_but_refused(&self, count: usize) -> Result<()> {
        self.until(count, |number| key(number) != key(0)).await
    }

    async fn until(&self, count: usize, wanted: fn(usize) -> bool) -> Result<()> {
        let missing = || {
            let there: BTreeSet<_> = self.acknowledged().iter().copied().collect();
            let numbers = (0..count).filter(|number| wanted(*number));
            let missing = numbers.filter(|number| !there.contains(&(*number as u64)));
            missing.collect::<Vec<_>>()
        };
        let what = format!("{count} records are acknowledged");
        let came = eventually(&what, PROGRESS, || async {
            missing().is_empty().then_some(())
        });
        let came = came.await;
        came.map_err(|error| format!("{error}; missing: {:?}", missing()).into())
    }

    /// How many records were acknowledged again.
    fn again(&self) -> usize {
        let all = self.acknowledged();
        all.len() - all.iter().collect::<BTreeSet<_>>().len()
    }

    fn acknowledged(&self) -> MutexGuard<'_, Vec<u64>> {
        let acknowledged = self.shared.acknowledged.lock();
        acknowledged.unwrap_or_else(PoisonError::into_inner)
    }
}
