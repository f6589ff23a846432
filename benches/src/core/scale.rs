//! What more of something costs: sizes, keys, partitions, topics, instances, a backlog.

use benches::{figures::Kind, is_left_out, kafka, program};
use harness::Result;
use tokio::process::Command;

use crate::{
    World,
    component::{Called, Load},
};

/// One of each: what the others are compared to.
const PLAIN: &str = "1 instance, 1 topic, 6 partitions, 600 keys, 200 B";

/// A point of the scale.
struct Point {
    name: &'static str,
    slug: &'static str,
    size: usize,
    keys: usize,
    partitions: i32,
    topics: usize,
    instances: usize,
}

const BASE: Point = Point {
    name: PLAIN,
    slug: "plain",
    size: 200,
    keys: kafka::KEYS,
    partitions: 6,
    topics: 1,
    instances: 1,
};

const POINTS: [Point; 10] = [
    BASE,
    Point {
        name: "1 kB",
        slug: "1k",
        size: 1000,
        ..BASE
    },
    Point {
        name: "10 kB",
        slug: "10k",
        size: 10_000,
        ..BASE
    },
    Point {
        name: "1 key",
        slug: "key",
        keys: 1,
        ..BASE
    },
    Point {
        name: "100,000 keys",
        slug: "keys",
        keys: 100_000,
        ..BASE
    },
    Point {
        name: "60 partitions",
        slug: "p60",
        partitions: 60,
        ..BASE
    },
    Point {
        name: "600 partitions",
        slug: "p600",
        partitions: 600,
        ..BASE
    },
    Point {
        name: "6 topics",
        slug: "t6",
        topics: 6,
        ..BASE
    },
    Point {
        name: "60 topics",
        slug: "t60",
        topics: 60,
        ..BASE
    },
    Point {
        name: "10 instances",
        slug: "i10",
        instances: 10,
        ..BASE
    },
];

/// Records to consume, all topics and instances together.
const CONSUMED: usize = 24_000;

const FEW: &str = "20,000 standing";
const MANY: &str = "1,000,000 standing";
const BACKLOG: &str = "memory with a backlog";

pub async fn all(world: &mut World) -> Result<()> {
    for point in POINTS.iter().filter(|point| !is_left_out(point.name)) {
        measure(world, point).await?;
    }
    if !is_left_out(BACKLOG) {
        backlog(world).await?;
    }
    Ok(())
}

async fn measure(world: &mut World, point: &Point) -> Result<()> {
    let brokers = world.kafka.address.clone();
    let name = |what: &str, n| format!("scale-{}-{what}-{}-{n}", point.slug, world.round);
    let published: Vec<_> = (0..point.topics).map(|n| name("published", n)).collect();
    let standing: Vec<_> = (0..point.topics).map(|n| name("standing", n)).collect();
    let each = CONSUMED / point.topics / point.instances;
    kafka::create(&brokers, &published, point.partitions).await?;
    kafka::create(&brokers, &standing, point.partitions).await?;
    kafka::fill_with(&brokers, &standing, each, point.size, point.keys).await?;

    let command = Command::new(program()?);
    let called = Called::start(command, &brokers, &standing[0], point.instances).await?;
    let load = Load {
        size: point.size,
        keys: point.keys,
        ..Load::PLAIN
    };
    let done = called.publish(&published, load).await?;
    let cpu = |name| Kind::cost(name, "s").against(PLAIN);
    let publishing = cpu("CPU for 100,000 published");
    world.add("scale", publishing, point.name, done.cpu_for_100_000());
    let done = called.consume(&standing, CONSUMED).await?;
    let consuming = cpu("CPU for 100,000 consumed");
    world.add("scale", consuming, point.name, done.cpu_for_100_000());
    let memory = Kind::cost("most memory", "MiB").against(PLAIN);
    world.add("scale", memory, point.name, called.most_memory()?);
    Ok(())
}

/// The same number is consumed with few and with many standing behind.
async fn backlog(world: &mut World) -> Result<()> {
    let brokers = world.kafka.address.clone();
    for (side, slug, standing) in [(FEW, "few", 20_000), (MANY, "many", 1_000_000)] {
        let topics = [format!("backlog-{slug}")];
        if world.round == 0 {
            kafka::create(&brokers, &topics, 6).await?;
            kafka::fill(&brokers, &topics, standing, 200).await?;
        }
        let group = format!("backlog-{slug}-{}", world.round);
        let called = Called::start(Command::new(program()?), &brokers, &group, 1).await?;
        called.consume(&topics, 20_000).await?;
        let kind = Kind::cost("most memory", "MiB").against(FEW);
        world.add(BACKLOG, kind, side, called.most_memory()?);
    }
    Ok(())
}
