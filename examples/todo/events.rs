//! The events that come back from Kafka.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::Stream;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_stream::{StreamExt, wrappers::BroadcastStream};

use crate::App;

/// Events that are kept for those who ask later.
const KEPT: usize = 1000;

/// Events that came back, and whoever watches for more.
pub struct Events {
    kept: Mutex<VecDeque<Value>>,
    watchers: broadcast::Sender<Value>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            watchers: broadcast::Sender::new(KEPT),
        }
    }
}

/// `POST /events/{topic}`: daprd hands an event over as a `CloudEvent`.
pub async fn receive(
    State(app): State<Arc<App>>,
    Path(topic): Path<String>,
    Json(event): Json<Value>,
) -> StatusCode {
    let event = json!({ "topic": topic, "id": event["id"], "data": event["data"] });
    let mut kept = app
        .events
        .kept
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(event.clone());
    drop(kept);
    // Nobody may be watching.
    let _ = app.events.watchers.send(event);
    StatusCode::OK
}

/// `GET /api/events`: the events so far, oldest first.
pub async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let kept = app
        .events
        .kept
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Json(kept.iter().cloned().collect())
}

/// `GET /api/stream`: events as they come, as server-sent events.
pub async fn stream(
    State(app): State<Arc<App>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = BroadcastStream::new(app.events.watchers.subscribe());
    // A watcher that is too slow misses events; the list has them.
    let events =
        events.filter_map(|event| Some(Ok(Event::default().data(event.ok()?.to_string()))));
    Sse::new(events).keep_alive(KeepAlive::default())
}
