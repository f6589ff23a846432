//! How fast events that stand in topics reach the app, and how soon the first does.

use std::time::{Duration, Instant};

use benches::{
    app::{App, lanes},
    figures::Kind,
    is_left_out, kafka,
    player::{Player, properties},
    program,
};
use harness::{Component, Result};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    World,
    rig::{BUILT_IN, COMPONENT, LANES, Rig, Side, add_cpu},
};

/// The client in the place of a daprd that dispatches concurrently.
const CONCURRENT: Side = Side {
    name: "component, concurrent dispatch",
    is_built_in: false,
    lanes: 0,
};

const LIMIT: Duration = Duration::from_secs(180);

/// One kind of work.
struct Work {
    scenario: &'static str,
    slug: &'static str,
    topics: usize,
    takes: Duration,
    sides: &'static [Side],
    /// Events, all topics together.
    events: usize,
}

const WORKS: [Work; 4] = [
    Work {
        scenario: "subscribe, no work",
        slug: "idle",
        topics: 1,
        takes: Duration::ZERO,
        sides: &[BUILT_IN, COMPONENT, LANES, CONCURRENT],
        events: 12_000,
    },
    Work {
        scenario: "subscribe, 5 ms of work",
        slug: "work",
        topics: 1,
        takes: Duration::from_millis(5),
        sides: &[BUILT_IN, COMPONENT, LANES, CONCURRENT],
        events: 6000,
    },
    Work {
        scenario: "subscribe to six topics, no work",
        slug: "sixidle",
        topics: 6,
        takes: Duration::ZERO,
        sides: &[BUILT_IN, COMPONENT],
        events: 12_000,
    },
    Work {
        scenario: "subscribe to six topics, 5 ms of work",
        slug: "sixwork",
        topics: 6,
        takes: Duration::from_millis(5),
        sides: &[BUILT_IN, COMPONENT],
        events: 6000,
    },
];

pub async fn all(world: &mut World) -> Result<()> {
    for work in WORKS.iter().filter(|work| !is_left_out(work.scenario)) {
        for side in world.turn(work.sides) {
            measure(world, work, side).await?;
        }
    }
    if !is_left_out("start") {
        for side in world.turn(&[BUILT_IN, COMPONENT]) {
            first(world, side).await?;
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "there are some thousands")]
async fn measure(world: &mut World, work: &Work, side: Side) -> Result<()> {
    let name = world.name(work.slug, side);
    let topics: Vec<_> = (0..work.topics).map(|n| format!("{name}-{n}")).collect();
    kafka::create(&world.kafka.address, &topics, 6).await?;
    // One at a time would take half a minute.
    let is_serial = side == COMPONENT && work.topics == 1 && !work.takes.is_zero();
    let events = work.events / if is_serial { 6 } else { 1 };
    kafka::fill(&world.kafka.address, &topics, events / work.topics, 200).await?;
    let (taken, readings) = match side == CONCURRENT {
        true => (concurrent(world, work, &topics[0], events).await?, None),
        false => {
            let names = topics.iter().flat_map(|topic| lanes(topic, side.lanes));
            let app = App::start(names, work.takes).await?;
            let rig = Rig::start(side, &world.kafka.address, &name, Some(&app)).await?;
            let begun = app.done(events / 10).await?;
            let before = rig.cpu()?;
            let ended = app.done(events).await?;
            (ended - begun, Some([before, rig.cpu()?]))
        }
    };
    let counted = events - events / 10;
    let rate = counted as f64 / taken.as_secs_f64();
    world.add(work.scenario, Kind::rate("messages"), side, rate);
    if let Some(readings) = readings {
        add_cpu(world, work.scenario, side, readings, counted);
    }
    Ok(())
}

/// The time from a tenth of the events to all.
async fn concurrent(world: &World, work: &Work, topic: &str, events: usize) -> Result<Duration> {
    let sockets = tempfile::tempdir()?;
    let _component = Component::start(&program()?, sockets.path(), &["rdkafka"]).await?;
    let socket = sockets.path().join("rdkafka.sock");
    let properties = properties(&world.kafka.address, topic);
    let player = Player::start(&socket, "pubsub", properties).await?;
    let (done, mut seen) = watch::channel(0);
    let consuming = player.consume(topic.to_owned(), work.takes, done);
    let mut consuming = AbortOnDropHandle::new(tokio::spawn(consuming));
    let mut reached = async |count: usize| {
        let enough = seen.wait_for(|done| *done >= count);
        let reached = tokio::time::timeout(LIMIT, enough).await;
        reached.map_err(|_| format!("not {count} events within {LIMIT:?}"))??;
        Ok::<_, harness::Error>(Instant::now())
    };
    let all = async {
        let begun = reached(events / 10).await?;
        Ok(reached(events).await? - begun)
    };
    tokio::select! {
        ended = &mut consuming => Err(format!("consuming ended: {ended:?}").into()),
        taken = all => taken,
    }
}

/// From the start of the processes until the first event reaches the app.
async fn first(world: &mut World, side: Side) -> Result<()> {
    let name = world.name("start", side);
    let topics = [name.clone()];
    kafka::create(&world.kafka.address, &topics, 6).await?;
    kafka::fill(&world.kafka.address, &topics, 1, 200).await?;
    let app = App::start(topics.into_iter(), Duration::ZERO).await?;
    let begun = Instant::now();
    let _rig = Rig::start(side, &world.kafka.address, &name, Some(&app)).await?;
    app.done(1).await?;
    let arrived = app.take();
    let (_, first) = arrived.first().ok_or("nothing arrived")?;
    let taken = (*first - begun).as_secs_f64();
    world.add("start", Kind::cost("first message", "s"), side, taken);
    Ok(())
}
