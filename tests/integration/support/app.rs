//! An app behind the real daprd.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use harness::{Result, eventually};
use serde_json::{Value, json};

use super::SOON;

/// What the app was sent.
#[derive(Clone, Debug)]
pub struct Event {
    pub topic: String,
    /// The body, if it is JSON.
    pub body: Value,
    /// daprd passes metadata on as headers.
    pub headers: HeaderMap,
}

/// A running app.
pub struct App {
    pub port: u16,
    state: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    subscriptions: Value,
    seen: Mutex<Vec<Event>>,
}

impl App {
    /// An app that is subscribed to a topic, and answers every event with success.
    pub async fn start(topic: &str) -> Result<Self> {
        Self::subscribed(topic, false).await
    }

    /// The same for a topic whose messages are no `CloudEvent`s.
    pub async fn start_raw(topic: &str) -> Result<Self> {
        Self::subscribed(topic, true).await
    }

    async fn subscribed(topic: &str, raw: bool) -> Result<Self> {
        let subscription = json!({
            "pubsubname": "todo-pubsub",
            "topic": topic,
            "route": format!("/events/{topic}"),
            "metadata": { "rawPayload": raw.to_string() },
        });
        let state = Arc::new(Shared {
            subscriptions: json!([subscription]),
            seen: Mutex::default(),
        });
        let routes = Router::new()
            .route("/dapr/subscribe", get(subscribe))
            .route("/events/{topic}", post(receive))
            .with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                eprintln!("the app ended: {error}");
            }
        });
        Ok(Self {
            port,
            state,
            server,
        })
    }

    /// What it was sent so far.
    pub fn seen(&self) -> Vec<Event> {
        self.state
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for so many events.
    pub async fn events(&self, count: usize) -> Result<Vec<Event>> {
        let what = format!("{count} events");
        let events = eventually(&what, SOON, || async {
            Some(self.seen()).filter(|seen| seen.len() >= count)
        })
        .await;
        events.map_err(|error| format!("{error}; the app has seen {:#?}", self.seen()).into())
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn subscribe(State(app): State<Arc<Shared>>) -> Json<Value> {
    Json(app.subscriptions.clone())
}

async fn receive(
    State(app): State<Arc<Shared>>,
    Path(topic): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let event = Event {
        topic,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        headers,
    };
    app.seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(event);
    StatusCode::OK
}
