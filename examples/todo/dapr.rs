//! The app's only way to a broker: Dapr's HTTP API.

use axum::Json;
use serde_json::{Value, json};

/// Every topic that the app publishes and subscribes to.
pub const TOPICS: [&str; 6] = [
    "task-created",
    "task-updated",
    "task-completed",
    "task-deleted",
    "task-due-soon",
    "recurring-task-due",
];

/// The way to daprd.
pub struct Dapr {
    client: reqwest::Client,
    publish: String,
}

impl Dapr {
    pub fn from_environment() -> Self {
        let port = variable("DAPR_HTTP_PORT", "3500");
        let pubsub = pubsub_name();
        Self {
            client: reqwest::Client::new(),
            publish: format!("http://127.0.0.1:{port}/v1.0/publish/{pubsub}"),
        }
    }

    /// Publishes an event about a task. Events of one task share a key, so they
    /// stay in order.
    pub async fn publish(&self, topic: &str, id: &str, event: &Value) -> Result<(), String> {
        let url = format!("{}/{topic}?metadata.partitionKey={id}", self.publish);
        let answer = self.client.post(url).json(event).send().await;
        let answer = answer.map_err(|error| format!("daprd can't be reached: {error}"))?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        Err(format!("publishing to {topic} failed: {status} {text}"))
    }
}

/// `GET /dapr/subscribe`: what daprd asks at its start. What is answered here goes before
/// a Subscription of the same topic, so in a cluster that has those it is nothing.
pub async fn subscriptions() -> Json<Value> {
    if variable("SUBSCRIPTIONS", "code") == "declarative" {
        return Json(json!([]));
    }
    let pubsub = pubsub_name();
    let subscription = |topic: &&str| json!({ "pubsubname": pubsub, "topic": topic, "route": format!("/events/{topic}") });
    Json(TOPICS.iter().map(subscription).collect())
}

/// An environment variable, or its default.
pub fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn pubsub_name() -> String {
    variable("PUBSUB_NAME", "todo-pubsub")
}
