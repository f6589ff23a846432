//! How fast events that stand in topics reach the app, and how soon the first does.

use std::time::{Duration, Instant};

use benches::{
    app::{App, lanes},
    figures::Kind,
    is_left_out, kafka,
};
use harness::Result;

use crate::{
    World,
    rig::{BUILT_IN, COMPONENT, LANES, Rig, Side, add_cpu},
};

/// One kind of work.
struct Work {
    scenario: &'static str,
    slug: &'static str,
    topics: usize,
    takes: Duration,
    /// Events, all topics together.
    events: usize,
}

const WORKS: [Work; 4] = [
    Work {
        scenario: "subscribe, no work",
        slug: "idle",
        topics: 1,
        takes: Duration::ZERO,
        events: 12_000,
    },
    Work {
        scenario: "subscribe, 5 ms of work",
        slug: "work",
        topics: 1,
        takes: Duration::from_millis(5),
        events: 6000,
    },
    Work {
        scenario: "subscribe to six topics, no work",
        slug: "sixidle",
        topics: 6,
        takes: Duration::ZERO,
        events: 12_000,
    },
    Work {
        scenario: "subscribe to six topics, 5 ms of work",
        slug: "sixwork",
        topics: 6,
        takes: Duration::from_millis(5),
        events: 6000,
    },
];

impl Work {
    /// What is compared. With one topic a serial daprd leaves an app that names no lanes one message at a
    /// time, so there the component is measured with lanes too.
    fn sides(&self, is_serial: bool) -> &'static [Side] {
        match is_serial && self.topics == 1 {
            true => &[BUILT_IN, COMPONENT, LANES],
            false => &[BUILT_IN, COMPONENT],
        }
    }

    /// How many events a side gets, so that each takes some seconds: one at a time they would take half
    /// a minute, and many at once less than one second.
    fn events_for(&self, side: Side, is_serial: bool) -> usize {
        if side != COMPONENT || self.takes.is_zero() {
            return self.events;
        }
        match (is_serial, self.topics) {
            (true, 1) => self.events / 6,
            (true, _) => self.events,
            (false, _) => self.events * 5,
        }
    }
}

pub async fn all(world: &mut World) -> Result<()> {
    for work in WORKS.iter().filter(|work| !is_left_out(work.scenario)) {
        for side in world.turn(work.sides(world.daprd.is_serial())) {
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
    let events = work.events_for(side, world.daprd.is_serial());
    kafka::fill(&world.kafka.address, &topics, events / work.topics, 200).await?;
    let names = topics.iter().flat_map(|topic| lanes(topic, side.lanes));
    let app = App::start(names, work.takes).await?;
    let rig = Rig::start(world, side, &name, Some(&app)).await?;
    let begun = app.done(events / 10).await?;
    let before = rig.cpu()?;
    let ended = app.done(events).await?;
    let after = rig.cpu()?;
    let counted = events - events / 10;
    let rate = counted as f64 / (ended - begun).as_secs_f64();
    world.add(work.scenario, Kind::rate("messages"), side, rate);
    add_cpu(world, work.scenario, side, [before, after], counted);
    Ok(())
}

/// From the start of the processes until the first event reaches the app.
async fn first(world: &mut World, side: Side) -> Result<()> {
    let name = world.name("start", side);
    let topics = [name.clone()];
    kafka::create(&world.kafka.address, &topics, 6).await?;
    kafka::fill(&world.kafka.address, &topics, 1, 200).await?;
    let app = App::start(topics.into_iter(), Duration::ZERO).await?;
    let begun = Instant::now();
    let _rig = Rig::start(world, side, &name, Some(&app)).await?;
    app.done(1).await?;
    let arrived = app.take();
    let (_, first) = arrived.first().ok_or("nothing arrived")?;
    let taken = (*first - begun).as_secs_f64();
    world.add("start", Kind::cost("first message", "s"), side, taken);
    Ok(())
}
