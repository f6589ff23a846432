//! How long an event takes from its publisher to the app.

use std::time::Duration;

use benches::{
    app::{App, lanes},
    figures::{Kind, percentile},
    is_left_out,
    kafka::{self, KEYS},
    load::open,
};
use harness::Result;
use reqwest::Client;

use crate::{
    World,
    publish::publish,
    rig::{BUILT_IN, COMPONENT, Rig, Side, add_cpu},
};

/// Events that go before, so that connections are open and code is warm.
const WARM_UP: usize = 200;

/// One rate.
struct Pace {
    scenario: &'static str,
    slug: &'static str,
    topics: usize,
    per_second: u32,
    seconds: u32,
}

const PACES: [Pace; 3] = [
    Pace {
        scenario: "end to end at 100/s",
        slug: "slow",
        topics: 1,
        per_second: 100,
        seconds: 10,
    },
    Pace {
        scenario: "end to end at 500/s",
        slug: "fast",
        topics: 1,
        per_second: 500,
        seconds: 10,
    },
    Pace {
        scenario: "six topics at 500/s",
        slug: "six",
        topics: 6,
        per_second: 500,
        seconds: 10,
    },
];

pub async fn all(world: &mut World) -> Result<()> {
    for pace in PACES.iter().filter(|pace| !is_left_out(pace.scenario)) {
        for side in world.turn(&[BUILT_IN, COMPONENT]) {
            measure(world, pace, side).await?;
        }
    }
    Ok(())
}

async fn measure(world: &mut World, pace: &Pace, side: Side) -> Result<()> {
    let name = world.name(pace.slug, side);
    let topics: Vec<_> = (0..pace.topics).map(|n| format!("{name}-{n}")).collect();
    kafka::create(&world.kafka.address, &topics, 6).await?;
    let names = topics.iter().flat_map(|topic| lanes(topic, side.lanes));
    let app = App::start(names, Duration::ZERO).await?;
    let rig = Rig::start(world, side, &name, Some(&app)).await?;
    let client = Client::new();
    let urls = topics.iter().map(|topic| {
        let path = format!("/publish/pubsub/{topic}");
        rig.daprd.url(&path)
    });
    let urls: Vec<_> = urls.collect();
    let call = move |n: usize| {
        let url = format!(
            "{}?metadata.partitionKey=k{}",
            urls[n % urls.len()],
            n % KEYS
        );
        publish(client.post(url).body(kafka::data(n, 200).to_string()))
    };
    open(100, WARM_UP, call.clone()).await?;
    app.done(WARM_UP).await?;
    app.take();

    let count = usize::try_from(pace.per_second * pace.seconds)?;
    let before = rig.cpu()?;
    let due = open(pace.per_second, count, call).await?;
    app.done(WARM_UP + count).await?;
    let after = rig.cpu()?;
    let mut took: Vec<_> = app
        .take()
        .into_iter()
        .filter_map(|(n, at)| Some((at - *due.get(n)?).as_secs_f64() * 1000.0))
        .collect();
    took.sort_by(f64::total_cmp);
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let kind = Kind::cost(name, "ms");
        world.add(pace.scenario, kind, side, percentile(&took, share));
    }
    add_cpu(world, pace.scenario, side, [before, after], count);
    let (daprd, component) = rig.memory()?;
    let kind = Kind::cost("daprd's memory", "MiB");
    world.add(pace.scenario, kind, side, daprd);
    if let Some(component) = component {
        let kind = Kind::cost("component's memory", "MiB");
        world.add(pace.scenario, kind, side, component);
    }
    Ok(())
}
