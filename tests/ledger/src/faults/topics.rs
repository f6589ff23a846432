//! Topics that change.

use std::time::Duration;

use harness::Result;
use tokio::time::sleep;

use super::faults;
use crate::{
    Side, admin,
    run::Moods,
    scene::{BOUND, DEAD_LETTERS, PARTITIONS, PLAIN, Place, Shape, Stage},
};

/// Dead letters would name places of a topic that is gone.
const WITHOUT_DEAD_LETTERS: Shape = Shape {
    moods: Moods {
        poison: 0,
        ..PLAIN.moods
    },
    ..PLAIN
};

const POISONED: Shape = Shape {
    moods: Moods {
        poison: 10,
        ..PLAIN.moods
    },
    ..PLAIN
};

const WITHOUT_TOPIC: Shape = Shape {
    dead_letters: false,
    ..POISONED
};

const THREE: Shape = Shape {
    place: Place::Three,
    topic: &[("min.insync.replicas", "3")],
    ..PLAIN
};

faults! { "topics.rs":
    made_again: "topic-recreated", Side::BOTH, 3, WITHOUT_DEAD_LETTERS,
        "when all is processed, the topic is deleted and another one of its name made at once; 400 messages are published to it";
    grows: "partitions-added", Side::BOTH, 3, PLAIN,
        "the topic gets 3 partitions more";
    dead_letters_missing: "dead-letter-topic-missing", &[Side::Component], 3, WITHOUT_TOPIC,
        "there is no dead-letter topic, while 1 % of all records want to go there; it is made after 20 s";
    dead_letters_small: "dead-letter-too-large", &[Side::Component], 3, POISONED,
        "for 20 s the dead-letter topic takes no record as large as those that want to go there (1 % of all)";
    too_few_in_sync: "below-min-isr", Side::BOTH, 3, THREE,
        "three brokers, min.insync.replicas 3; one is killed, and started again after 20 s: until then no publish can be acknowledged";
}

async fn made_again(stage: &mut Stage) -> Result<()> {
    stage.make_topic_again().await?;
    stage.heals().await?;
    stage.publishes(400).await
}

async fn grows(stage: &mut Stage) -> Result<()> {
    stage.begins("the topic gets partitions", BOUND);
    stage.add_partitions(PARTITIONS + 3).await?;
    stage.heals_after_drain().await?;
    stage.goes_on(200).await
}

async fn dead_letters_missing(stage: &mut Stage) -> Result<()> {
    let brokers = stage.brokers.own();
    stage.begins("the dead-letter topic is missing", 0);
    sleep(Duration::from_secs(20)).await;
    admin::create_topic(&brokers, DEAD_LETTERS, PARTITIONS, &[]).await?;
    stage.heals().await
}

async fn dead_letters_small(stage: &mut Stage) -> Result<()> {
    let brokers = stage.brokers.own();
    let largest = "max.message.bytes";
    stage.begins("the dead-letter topic takes small records only", 0);
    admin::set_topic(&brokers, DEAD_LETTERS, largest, "100").await?;
    sleep(Duration::from_secs(20)).await;
    admin::set_topic(&brokers, DEAD_LETTERS, largest, "1048588").await?;
    stage.heals().await
}

async fn too_few_in_sync(stage: &mut Stage) -> Result<()> {
    let node = usize::try_from(stage.rolls.below(3, "node"))? + 1;
    stage.begins("too few replicas are in sync", BOUND);
    stage.brokers.cluster()?.down(node).await?;
    sleep(Duration::from_secs(20)).await;
    stage.brokers.cluster()?.up(node).await?;
    stage.in_sync().await?;
    stage.heals().await
}
