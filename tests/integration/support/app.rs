//! An app behind the real daprd, whose answers a test decides.

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

/// One subscription of the app.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub topic: String,
    pub raw: bool,
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
    answer: Box<dyn Fn(&Event) -> StatusCode + Send + Sync>,
}

impl App {
    /// An app that answers every event with success.
    pub async fn start(subscriptions: &[Subscription]) -> Result<Self> {
        Self::answering(subscriptions, |_| StatusCode::OK).await
    }

    /// An app that answers as the function says.
    pub async fn answering(
        subscriptions: &[Subscription],
        answer: impl Fn(&Event) -> StatusCode + Send + Sync + 'static,
    ) -> Result<Self> {
        let subscription = |Subscription { topic, raw }: &Subscription| {
            json!({
                "pubsubname": "todo-pubsub",
                "topic": topic,
                "route": format!("/events/{topic}"),
                "metadata": { "rawPayload": raw.to_string() },
            })
        };
        let state = Arc::new(Shared {
            subscriptions: subscriptions.iter().map(subscription).collect(),
            seen: Mutex::default(),
            answer: Box::new(answer),
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
    let answer = (app.answer)(&event);
    app.seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(event);
    answer
}
