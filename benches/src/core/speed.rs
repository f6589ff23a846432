//! How fast, and at which cost, beside librdkafka alone.

use benches::{figures::Kind, is_left_out, kafka, program};
use harness::Result;
use tokio::process::Command;

use crate::{
    ALONE, SOCKET, World,
    component::{Called, Load},
    raw::{self, Done, Task},
};

const CONSUMED: usize = 60_000;

/// One way to publish.
const WAYS: [(&str, &str, Load); 3] = [
    ("publish, 200 B", "small", Load::PLAIN),
    (
        "publish, 10 kB",
        "large",
        Load {
            size: 10_000,
            ..Load::PLAIN
        },
    ),
    (
        "bulk publish, 100 of 200 B",
        "bulk",
        Load {
            callers: 8,
            per_call: 100,
            ..Load::PLAIN
        },
    ),
];

pub async fn all(world: &mut World) -> Result<()> {
    for (scenario, slug, load) in WAYS.iter().filter(|(scenario, ..)| !is_left_out(scenario)) {
        for side in turn(world.round) {
            let topic = format!("{slug}-{}-{}", side.replace(' ', "-"), world.round);
            let topics = [topic];
            kafka::create(&world.kafka.address, &topics, 6).await?;
            let done = publish(&world.kafka.address, side, &topics, *load).await?;
            add(world, scenario, side, done);
        }
    }
    if !is_left_out("consume, 200 B") {
        let topics = [format!("standing-{}", world.round)];
        kafka::create(&world.kafka.address, &topics, 6).await?;
        kafka::fill(&world.kafka.address, &topics, CONSUMED, 200).await?;
        for side in turn(world.round) {
            let done = consume(&world.kafka.address, side, &topics).await?;
            add(world, "consume, 200 B", side, done);
        }
    }
    Ok(())
}

fn turn(round: usize) -> [&'static str; 2] {
    if round.is_multiple_of(2) {
        [ALONE, SOCKET]
    } else {
        [SOCKET, ALONE]
    }
}

async fn publish(brokers: &str, side: &str, topics: &[String; 1], load: Load) -> Result<Done> {
    if side == ALONE {
        let task = Task::Publish {
            callers: load.callers,
            per_call: load.per_call,
            size: load.size,
            seconds: load.window.as_secs(),
        };
        return raw::start(brokers, &topics[0], &task).await;
    }
    let called = Called::start(Command::new(program()?), brokers, &topics[0], 1).await?;
    called.publish(topics, load).await
}

async fn consume(brokers: &str, side: &str, topics: &[String; 1]) -> Result<Done> {
    if side == ALONE {
        let task = Task::Consume { count: CONSUMED };
        return raw::start(brokers, &topics[0], &task).await;
    }
    let called = Called::start(Command::new(program()?), brokers, &topics[0], 1).await?;
    called.consume(topics, CONSUMED).await
}

fn add(world: &mut World, scenario: &str, side: &str, done: Done) {
    let rate = Kind::rate("messages").against(ALONE);
    world.add(scenario, rate, side, done.rate());
    let cpu = Kind::cost("CPU for 100,000", "s").against(ALONE);
    world.add(scenario, cpu, side, done.cpu_for_100_000());
}
