use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::http::StatusCode;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use harness::{Result, eventually};
use serde_json::json;

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::{App, Event, subscription},
        records::{self, Plain},
    },
};

const RESTARTS: usize = 50;
const PARTITIONS: i32 = 6;

/// How long the app works on a message: a restart comes in the middle of some.
const WORK: Duration = Duration::from_millis(10);

/// Apps and daprds end and start again under load, in both orders. The app never
/// refuses anything, so nothing may become a dead letter, whatever daprd says
/// while it ends; and nothing may be lost.
pub async fn fifty_rollouts_make_no_dead_letter_and_lose_nothing(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?.to_owned();
    let (topic, app_id) = (fixture.name("rollout"), fixture.name("app"));
    let dead = format!("{topic}.dlq");
    admin::create_topic(&kafka, &topic, PARTITIONS, &[]).await?;
    admin::create_topic(&kafka, &dead, 1, &[]).await?;
    let settings = [
        ("deadLetterTopic", "{topic}.dlq"),
        ("maxDeliveryAttempts", "2"),
        ("deadLetterMinAge", "0s"),
        ("backOffDuration", "50ms"),
    ];
    let place = Place::with_component(&kafka, &settings)?;
    let _component = place.component().await?;
    let lanes = (0..4).map(|lane| {
        let raw = json!({ "rawPayload": "true" });
        subscription(&format!("{topic}#{lane}"), &raw)
    });
    let work = |_: &Event| {
        std::thread::sleep(WORK);
        StatusCode::OK
    };
    let mut app = App::with(lanes.collect(), work).await?;
    let mut published = 0;
    for restart in 0..RESTARTS {
        let load: Vec<_> = (published..published + 40).map(message).collect();
        published += load.len();
        let daprd = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
        let seen = app.seen().len();
        records::write(&kafka, &topic, &load).await?;
        eventually("messages flow", SOON, || async {
            (app.seen().len() > seen).then_some(())
        })
        .await?;
        if restart % 2 == 0 {
            app.down();
            daprd.process.stop(SOON).await?;
        } else {
            daprd.process.stop(SOON).await?;
            app.down();
        }
        app.up().await?;
    }
    let _daprd = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
    admin::all_committed(&kafka, &app_id, &topic, PARTITIONS, published).await?;
    let letters = records::read(&kafka, &dead).await?;
    ensure!(
        letters.is_empty(),
        "{} dead letters: {:?}",
        letters.len(),
        letters[0]
    );
    let events = app.seen();
    // daprd wraps what is raw, each time with an id of its own.
    let data = |event: &Event| event.body["data_base64"].to_string();
    let seen: BTreeSet<_> = events.iter().map(data).collect();
    let missing: Vec<_> = (0..published)
        .filter(|n| !seen.contains(&json!(BASE64_STANDARD.encode(n.to_string())).to_string()))
        .collect();
    ensure!(
        missing.is_empty(),
        "of {published} these never came, by their number in the order of writing: {missing:?}"
    );
    Ok(())
}

fn message(n: usize) -> Plain {
    Plain::new(format!("k{}", n % 50), n.to_string())
}
