use std::{collections::HashMap, sync::Arc};

use dapr_rdkafka::{
    kafka::{AtPosition, at_positions},
    metadata::resolve,
    model::{Offset, TopicPartition},
};
use harness::{Component, Result};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        endpoints::at_least,
        player::{Player, properties, text},
        program,
    },
};

const OUT_OF_RANGE: &str = "out of range";

/// The group was away for longer than the records were kept.
pub async fn a_group_that_comes_back_too_late_goes_on_at_what_is_left(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("retention"), fixture.name("group"));
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let place = Place::new()?;
    let socket = place.socket("rdkafka");
    let component = place.component().await?;
    let mut player = Player::start(&socket, properties(kafka, &group, &[])).await?;
    for n in 0..5 {
        player.publish(&topic, "a", &n.to_string()).await?;
    }
    player.pull(&topic).await?.take(2, SOON).await?;
    drop(player);
    component.stop().await?;
    admin::delete_records(kafka, &topic, 4).await?;

    let mut component = Component::start(program(), &place.sockets(), &["rdkafka"]).await?;
    // Not where a new group would start: that would skip what is left.
    let newest = properties(kafka, &group, &[("initialOffset", "newest")]);
    let mut player = Player::start(&socket, newest).await?;
    let mut pull = player.pull(&topic).await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["4"], "{texts:?}");
    component
        .process
        .line(OUT_OF_RANGE, SOON, |line| line.contains(OUT_OF_RANGE))
        .await?;
    let counted = format!(
        "out_of_range_total{{component=\"todo-pubsub\",topic=\"{topic}\",group=\"{group}\"}}"
    );
    at_least(&component.admin().await?, &counted, 1.0).await?;
    player.publish(&topic, "a", "after").await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["after"], "{texts:?}");
    Ok(())
}

/// Records are removed in front of a group that reads, but slowly.
pub async fn a_reader_that_falls_behind_retention_goes_on_at_what_is_left(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("retention"), fixture.name("group"));
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    // The smallest window, and records that nearly fill it: what librdkafka
    // fetches ahead stays far behind the end.
    let small = [("maxInFlightBytes", "1048576"), ("maxInFlight", "1")];
    let properties = properties(kafka, &group, &small);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    for n in 0..20 {
        let mut data = format!("{n} ").into_bytes();
        data.resize(900_000, b'.');
        player.publish_bytes(&topic, data, HashMap::new()).await?;
    }
    let mut pull = player.pull(&topic).await?;
    let first = pull.next(SOON).await?;
    ensure!(number(&text(&first)) == "0", "the first record is first");
    admin::delete_records(kafka, &topic, 18).await?;
    pull.ack(&first).await?;

    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "19") {
        let message = pull.next(SOON).await.map_err(|error| {
            let what = format!("delivered {seen:?}: {error}");
            component.process.failed(&what)
        })?;
        pull.ack(&message).await?;
        seen.push(number(&text(&message)));
    }
    ensure!(
        seen.len() < 19,
        "nothing was removed in front of it: {seen:?}"
    );
    ensure!(seen.ends_with(&["18".into(), "19".into()]), "{seen:?}");
    component
        .process
        .line(OUT_OF_RANGE, SOON, |line| line.contains(OUT_OF_RANGE))
        .await?;
    Ok(())
}

fn number(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// What a fresh client finds decides whether offsets are passed as holding no record. Before the
/// first record that is left there are none, and those behind it are not to be skipped.
pub async fn a_position_before_the_log_is_not_taken_for_its_end(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("retention");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    for n in 0..10 {
        admin::produce(kafka, &topic, &n.to_string()).await?;
    }
    admin::delete_records(kafka, &topic, 4).await?;
    let settings = resolve(&properties(kafka, "group", &[]));
    let settings = settings
        .map_err(|problems| format!("{problems:?}"))?
        .settings;
    let at = TopicPartition::new(topic.as_str(), 0);
    for (position, wanted) in [
        (2, Some(AtPosition::BeginsAfter)),
        (4, Some(AtPosition::Record)),
        (10, Some(AtPosition::NoRecordBefore(Offset(10)))),
        (11, Some(AtPosition::EndsBefore)),
    ] {
        let position = vec![(at.clone(), Offset(position))];
        let found = at_positions(&settings, position.clone()).await?;
        ensure!(found.get(&at).copied() == wanted, "{position:?}: {found:?}");
    }
    Ok(())
}
