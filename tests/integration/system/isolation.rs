//! What transactions wrote.

use std::{sync::Arc, time::Duration};

use harness::{Result, eventually};
use rdkafka::producer::{BaseRecord, Producer as _};
use serde_json::{Value, json};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::App,
        endpoints::at_least,
        player::{Player, properties},
        transactions::with_producer,
    },
};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Writes a record in a transaction that is aborted, and one in one that is
/// committed.
async fn write(brokers: &str, topic: &str) -> Result<()> {
    let to = topic.to_owned();
    with_producer(brokers, topic, TIMEOUT, move |producer| {
        for (text, commit) in [("\"aborted\"", false), ("\"committed\"", true)] {
            producer.begin_transaction()?;
            producer
                .send(BaseRecord::to(&to).key("key").payload(text))
                .map_err(|(error, _)| error)?;
            // An abort would take back what is not sent yet.
            producer.flush(TIMEOUT)?;
            if commit {
                producer.commit_transaction(TIMEOUT)?;
            } else {
                producer.abort_transaction(TIMEOUT)?;
            }
        }
        Ok(())
    })
    .await
}

/// By default nobody sees what was aborted. The built-in component delivers it,
/// and so does this one if it is told to.
pub async fn aborted_records_come_only_if_asked_for(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("transactions");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    write(kafka, &topic).await?;
    let place = Place::new()?;
    let _component = place.component().await?;
    for (more, wanted) in [
        (&[][..], &["\"committed\""][..]),
        (
            &[("isolationLevel", "read_uncommitted")],
            &["\"aborted\"", "\"committed\""],
        ),
    ] {
        let metadata = properties(kafka, &fixture.name("group"), more);
        let mut player = Player::start(&place.socket("rdkafka"), metadata).await?;
        let mut pull = player.pull(&topic).await?;
        let texts = pull.take(wanted.len(), SOON).await?;
        ensure!(texts == wanted, "with {more:?}: {texts:?}");
    }

    let built_in = Place::new()?;
    let metadata = [
        ("brokers", kafka),
        ("authType", "none"),
        ("initialOffset", "oldest"),
    ];
    built_in.put_component("pubsub.kafka", &metadata)?;
    let app = App::start_raw(&topic).await?;
    let _daprd = built_in
        .daprd(fixture.daprd, &fixture.name("app"), Some(app.port))
        .await?;
    let events = app.events(2).await?;
    let data: Vec<&Value> = events
        .iter()
        .map(|event| &event.body["data_base64"])
        .collect();
    // The texts above in Base64.
    let wanted = [json!("ImFib3J0ZWQi"), json!("ImNvbW1pdHRlZCI=")];
    ensure!(data == wanted.iter().collect::<Vec<_>>(), "{data:?}");
    Ok(())
}

/// What a transaction leaves behind its last record is committed with it, so that a group that is
/// done shows no lag; and a transaction that stays open is named.
pub async fn markers_are_committed_and_an_open_transaction_is_named(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("markers"), fixture.name("group"));
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    write(kafka, &topic).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let patience = [("stallTimeout", "2s")];
    let metadata = properties(kafka, &group, &patience);
    let mut player = Player::start(&place.socket("rdkafka"), metadata).await?;
    let mut pull = player.pull(&topic).await?;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["\"committed\""], "{texts:?}");
    // The aborted record and its marker, the committed one and its marker.
    eventually("the last marker is committed", SOON, || async {
        let committed = admin::committed(kafka, &group, &topic, 1).await;
        (committed.ok()? == [Some(4)]).then_some(())
    })
    .await?;

    let to = topic.clone();
    let open = with_producer(kafka, &topic, TIMEOUT, move |producer| {
        producer.begin_transaction()?;
        let record = BaseRecord::to(&to).key("key").payload("\"open\"");
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(TIMEOUT)?;
        Ok(producer)
    });
    let open = open.await?;
    let named = "a transaction is open at offset 4";
    let process = &mut component.process;
    process
        .line(named, SOON, |line| line.contains(named))
        .await?;
    let labels = format!("component=\"todo-pubsub\",topic=\"{topic}\",group=\"{group}\"");
    let gauge = format!("open_transactions{{{labels}}}");
    let admin = component.admin().await?;
    at_least(&admin, &gauge, 1.0).await?;
    tokio::task::spawn_blocking(move || open.commit_transaction(TIMEOUT)).await??;
    let texts = pull.take(1, SOON).await?;
    ensure!(texts == ["\"open\""], "{texts:?}");
    Ok(())
}
