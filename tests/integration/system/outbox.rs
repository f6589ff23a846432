//! Dapr's transactional outbox over this component: daprd publishes what a state transaction saved,
//! by way of an internal topic (dapr/dapr v1.18.3, `pkg/runtime/pubsub/outbox.go`).

use std::sync::Arc;

use harness::{Daprd, Result, write_component};
use serde_json::{Value, json};

use crate::{
    ensure,
    support::{
        Fixture, Place, admin,
        app::{App, Event},
    },
};

/// Saves an order by a transaction.
async fn save(daprd: &Daprd, number: usize) -> Result<()> {
    let body = json!({ "operations": [{ "operation": "upsert", "request": {
        "key": format!("order-{number}"),
        "value": { "order": number },
        "metadata": { "contentType": "application/json" },
    } }] });
    let path = "/state/orders/transaction";
    let (status, answer) = daprd
        .post(path, "application/json", body.to_string())
        .await?;
    ensure!(status == 204, "{status} {answer}");
    Ok(())
}

/// Each order that was saved is published, in order and once.
///
/// A transaction that fails is left out: daprd 1.16.5 and 1.18.3 never answer for its message
/// (docs/operations.md).
pub async fn what_a_transaction_saved_is_published_once(fixture: Arc<Fixture>) -> Result<()> {
    const ORDERS: usize = 3;
    let kafka = fixture.kafka().await?;
    let (topic, app_id) = (fixture.name("outbox"), fixture.name("app"));
    // Namespace, app, topic and "outbox", as daprd joins them; outside Kubernetes the namespace is
    // "default".
    let internal = format!("default{app_id}{topic}outbox");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    admin::create_topic(kafka, &internal, 1, &[]).await?;
    let place = Place::with_component(kafka, &[])?;
    let database = place.resources().with_file_name("state.db");
    let store = [
        ("connectionString", database.to_str().ok_or("no text")?),
        ("outboxPublishPubsub", "todo-pubsub"),
        ("outboxPublishTopic", &topic),
    ];
    write_component(&place.resources(), "orders", "state.sqlite", &store)?;
    let _component = place.component().await?;
    let app = App::start(&topic).await?;
    let daprd = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;

    for number in 0..ORDERS {
        save(&daprd, number).await?;
    }
    admin::all_committed(kafka, &app_id, &internal, 1, ORDERS).await?;
    admin::all_committed(kafka, &app_id, &topic, 1, ORDERS).await?;
    let orders: Vec<Value> = app.seen().iter().map(order).collect();
    ensure!(orders == [0, 1, 2], "{orders:?}");
    Ok(())
}

/// The order that an event carries. daprd may make a text of it.
fn order(event: &Event) -> Value {
    let data = &event.body["data"];
    let data = match data.as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        None => data.clone(),
    };
    data["order"].clone()
}
