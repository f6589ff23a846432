use std::sync::Arc;

use harness::Result;

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        endpoints::at_least,
        player::{Player, properties, text},
        records::{self, Plain},
    },
};

/// Every gauge of a group moves, and a standstill is named with its cause.
pub async fn a_group_shows_how_it_is_doing(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("gauges"), fixture.name("group"));
    let dead = format!("{topic}.dlq");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    admin::create_topic(kafka, &dead, 1, &[]).await?;
    records::write(kafka, &dead, &[Plain::new("k", "an older one")]).await?;
    let for_another = Plain::new("x", "sent back").with("dapr-redrive-group", "another");
    let others = ["hangs", "poison", "fine", "waits"];
    let others = others.map(|data| Plain::new(data, data));
    records::write(
        kafka,
        &topic,
        &[vec![for_another], others.to_vec()].concat(),
    )
    .await?;

    let place = Place::new()?;
    let mut component = place.component().await?;
    let admin_url = component.admin().await?;
    let settings = [
        ("deadLetterTopic", "{topic}.dlq"),
        ("deadLetterMinAge", "0s"),
        ("maxDeliveryAttempts", "1"),
        ("maxInFlight", "2"),
        ("stallTimeout", "1s"),
    ];
    let properties = properties(kafka, &group, &settings);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let mut pull = player.pull(&topic).await?;
    // One is never answered, and holds the commit point.
    for _ in 0..4 {
        let message = pull.next(SOON).await;
        let message = message.map_err(|error| component.process.failed(&error.to_string()))?;
        match text(&message).as_str() {
            "poison" => pull.nack(&message, "no").await?,
            "fine" => pull.ack(&message).await?,
            _ => {}
        }
    }
    let of_topic = format!("component=\"todo-pubsub\",topic=\"{topic}\",group=\"{group}\"");
    for (name, more, value) in [
        ("lanes", "", 1.0),
        ("assigned_partitions", "", 1.0),
        ("in_flight", "", 2.0),
        ("in_flight_limit", "", 2.0),
        ("paused_partitions", "", 1.0),
        ("uncommitted_gap", "", 2.0),
        ("oldest_unfinished_seconds", "", 1.0),
        ("consumer_lag", "", 4.0),
        ("consumer_lag_seconds", "", 1.0),
        ("stalled", "", 1.0),
        ("dlq_depth", "", 1.0),
        ("passed_over_total", "", 1.0),
        ("dlq_published_total", ",reason=\"rejected\"", 1.0),
        ("process_duration_seconds_count", ",outcome=\"ack\"", 1.0),
        ("process_duration_seconds_count", ",outcome=\"nack\"", 1.0),
    ] {
        at_least(&admin_url, &format!("{name}{{{of_topic}{more}}}"), value).await?;
    }
    // Nothing is fetched while the window is full, and the lag grows all the same.
    let more: Vec<_> = (0..500)
        .map(|n| Plain::new("more", n.to_string()))
        .collect();
    records::write(kafka, &topic, &more).await?;
    at_least(&admin_url, &format!("consumer_lag{{{of_topic}}}"), 504.0).await?;
    let named = "waits for the app's answer";
    let line = component
        .process
        .line(named, SOON, |line| line.contains(named))
        .await?;
    ensure!(line.contains("offset 1 (key \"hangs\")"), "{line}");
    Ok(())
}
