//! Lanes of a topic, with both separators.

use std::{collections::BTreeMap, sync::Arc};

use harness::Result;

use super::Bench;
use crate::{
    ensure,
    support::{Fixture, SOON, player::text},
};

const MESSAGES: usize = 60;
const KEYS: usize = 5;

/// The plain name, `~` and `#` are streams of one subscription.
pub async fn both_separators_and_the_plain_name_share_a_topic(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start(&["orders"]).await?;
    let mut player = bench.player().await?;
    let mut pulls = Vec::new();
    for name in ["orders~1", "orders#1", "orders"] {
        pulls.push(player.pull(name).await?);
    }
    for n in 0..MESSAGES {
        let key = format!("k{}", n % KEYS);
        player.publish("orders", &key, &n.to_string()).await?;
    }
    let (mut last, mut used) = (BTreeMap::new(), BTreeMap::new());
    let [tilde, sharp, plain] = &mut pulls[..] else {
        return Err("three streams".into());
    };
    for _ in 0..MESSAGES {
        let (message, pull) = tokio::select! {
            message = tilde.next(SOON) => (message?, &*tilde),
            message = sharp.next(SOON) => (message?, &*sharp),
            message = plain.next(SOON) => (message?, &*plain),
        };
        let n: usize = text(&message).parse()?;
        if let Some(before) = last.insert(n % KEYS, n) {
            ensure!(before + KEYS == n, "{n} came after {before}");
        }
        *used.entry(message.topic_name.clone()).or_insert(0) += 1;
        pull.ack(&message).await?;
    }
    let names: Vec<_> = used.keys().map(String::as_str).collect();
    ensure!(names == ["orders", "orders#1", "orders~1"], "{used:?}");
    Ok(())
}
