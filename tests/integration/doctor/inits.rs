//! The same checks at Init, and when a running connection breaks.

use crate::{
    support::{
        Fixture, Place,
        player::{Player, properties},
    },
    tests,
};
use harness::Result;
use std::sync::Arc;

tests!("system::doctor::inits", measure);

async fn measure(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let place = Place::new()?;
    let _component = place.component().await?;
    let mut took = Vec::new();
    for _ in 0..21 {
        let mut player = Player::connect(&place.socket("rdkafka"), "todo-pubsub").await?;
        let begun = std::time::Instant::now();
        player.init(properties(kafka, "group", &[])).await?;
        took.push(begun.elapsed());
    }
    took.sort();
    println!(
        "MEASURED median {:?} min {:?} max {:?}",
        took[10], took[0], took[20]
    );
    Ok(())
}
