use std::{collections::HashMap, sync::Arc};

use harness::Result;

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        player::{Player, properties, text},
    },
};

/// 200 keys and their partitions among 12, made by `tests/partitions/main.go`.
const PAIRS: &str = include_str!("../../partitions/pairs.jsonl");

pub async fn keys_go_where_the_built_in_puts_them(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("partitions");
    admin::create_topic(kafka, &topic, 12, &[]).await?;
    let place = Place::new()?;
    let _component = place.component().await?;
    let properties = properties(kafka, &fixture.name("group"), &[]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;

    let pairs: Vec<(String, i32)> = PAIRS
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(pairs.len() == 200, "{} pairs", pairs.len());
    for (key, _) in &pairs {
        player.publish(&topic, key, key).await?;
    }
    let expected: HashMap<_, _> = pairs.into_iter().collect();
    let mut pull = player.pull(&topic).await?;
    for _ in 0..expected.len() {
        let message = pull.next(SOON).await?;
        pull.ack(&message).await?;
        let key = text(&message);
        let partition = message.metadata["__partition"].parse()?;
        ensure!(
            expected.get(&key) == Some(&partition),
            "key {key:?} went to {partition}, not to {:?}",
            expected.get(&key)
        );
    }
    Ok(())
}
